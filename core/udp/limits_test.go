//go:build linux && !portable

package udp

import (
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"p2plocal/core"
	"p2plocal/core/udp/baseline"
	"p2plocal/core/wire"
)

// The benchmarks of this file measure the driver beside a C program that does
// nothing but the system calls (testdata/limits, compiled with gcc -O2). Both
// take turns, a few milliseconds each, so that what else the machine does hits
// both; "ratio" is the median over the turns of ours to the C program's.

const turn = 20 // rounds a turn

// program is a C program of testdata/limits whose turn takes turn rounds; its
// number is their median in nanoseconds.
func program(b *testing.B, name string, args ...int) *baseline.Program {
	b.Helper()
	var list []string
	for _, a := range append(args, turn) {
		list = append(list, strconv.Itoa(a))
	}
	return baseline.Start(b, filepath.Join("testdata", "limits", name+".c"), list...)
}

// beside measures ours, in nanoseconds, in turns with the C program.
func beside(b *testing.B, program *baseline.Program, unit string, ours func() float64) {
	var us, them, ratios []float64
	rounds := make([]float64, turn)
	for b.Loop() {
		c := program.Turn()
		for i := range rounds {
			rounds[i] = ours()
		}
		m := baseline.Median(rounds)
		us, them, ratios = append(us, m), append(them, c), append(ratios, m/c)
	}
	b.ReportMetric(0, "ns/op") // the time of a turn says nothing
	b.ReportMetric(baseline.Median(us), "ns/"+unit)
	b.ReportMetric(baseline.Median(them), "c-ns/"+unit)
	b.ReportMetric(baseline.Median(ratios), "ratio")
}

// clocked is a directory server with a clock of its own, so that a benchmark
// decides when it owes an announcement.
type clocked struct {
	*core.Directory
	now time.Time
}

func (c *clocked) Poll(time.Time) (core.Outgoing, time.Time) {
	out, _ := c.Directory.Poll(c.now)
	return out, time.Time{}
}

// idleServer is a server on a socket of its own, not yet served, that knows
// entries, removes none, and lets none that has sent no keep-alive keep its port
// for longer than 10 ms.
func idleServer(b *testing.B, readBuffer int, entries []wire.Entry) (*Socket, *clocked) {
	b.Helper()
	s := listen(b, readBuffer)
	timing := core.DefaultTiming()
	timing.Reap, timing.Deadline = 1<<62, 15*time.Millisecond
	now := time.Now()
	d, err := core.NewDirectory(core.DirectoryConfig{Addr: s.Addr(), Timing: timing}, now)
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range entries {
		d.Step(now, s.Addr(), birth(e))
	}
	d.Poll(now)
	c := &clocked{d, now}
	s.machine = c
	return s, c
}

// One announcement to 80 sockets: from the owed directory to its last
// datagram handed over, through Poll, the driver and the kernel.
func BenchmarkFanout(b *testing.B) {
	const n = 80
	var entries []wire.Entry
	var fds []int
	for i := range n {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			b.Fatal(err)
		}
		defer unix.Close(fd)
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: host.As4()}); err != nil {
			b.Fatal(err)
		}
		name, err := unix.Getsockname(fd)
		if err != nil {
			b.Fatal(err)
		}
		fds = append(fds, fd)
		entries = append(entries, wire.Entry{Name: wire.Name(' ' + i), Port: uint16(name.(*unix.SockaddrInet4).Port)})
	}
	s, d := idleServer(b, 0, entries)
	rivals := [2][]byte{birth(wire.Entry{Name: '~', Port: entries[n-1].Port}), birth(entries[n-1])}
	round := 0
	space := make([]byte, 2048)
	beside(b, program(b, "fanout", n, 4+4*n), "fanout", func() float64 {
		d.now = d.now.Add(20 * time.Millisecond)
		s.ask = d.Step(d.now, s.Addr(), rivals[round%2]) // takes the last entry's port over: a change to announce
		round++
		began := time.Now()
		s.send()
		took := time.Since(began)
		for _, fd := range fds {
			got := 0
			for {
				if _, _, err := unix.Recvfrom(fd, space, unix.MSG_DONTWAIT); err != nil {
					break
				}
				got++
			}
			if got != 1 {
				b.Fatalf("a socket got %d datagrams, want 1", got)
			}
		}
		return float64(took)
	})
}

// 2048 keep-alives taken from a full queue through the whole server: system
// call, source addresses, Parse and Step, per datagram.
func BenchmarkDrain(b *testing.B) {
	const n = 2048
	all := every(core.MaxPeers)
	s, d := idleServer(b, 4<<20, all)
	u := sender(b)
	var datagrams [core.MaxPeers][]byte
	for i, e := range all {
		datagrams[i] = keepAlive(e.Name)
	}
	beside(b, program(b, "drain", n, 4), "datagram", func() float64 {
		for i := range n {
			if _, err := u.WriteToUDPAddrPort(datagrams[i%core.MaxPeers], s.Addr()); err != nil {
				b.Fatal(err)
			}
		}
		s.drained = 0
		before := d.Counters().Events[core.Alive]
		began := time.Now()
		for d.Counters().Events[core.Alive] < before+n {
			s.conn.drain()
		}
		return float64(time.Since(began)) / n
	})
}

// 95 peers are born at one moment, until the last of them knows all.
func BenchmarkJoin95(b *testing.B) {
	const n, pause = core.MaxPeers, 10 * time.Millisecond
	var announcements uint64
	rounds := 0
	beside(b, program(b, "join", n, int(pause.Microseconds())), "join", func() float64 {
		took, d, s, end := join(b, n)
		s.Do(func(time.Time) { announcements += d.Counters().Events[core.Announced] })
		rounds++
		end()
		return float64(took)
	})
	b.ReportMetric(float64(announcements)/float64(rounds), "announcements")
}
