//go:build linux && !portable

package core

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The benchmarks of this file measure the driver beside a C program that does
// nothing but the system calls (testdata/limits, compiled with gcc -O2). Both
// take turns, a few milliseconds each, so that what else the machine does hits
// both; "ratio" is the median over the turns of ours to the C program's.

const turn = 20 // rounds a turn

// baseline is a C program that measures one turn for each line it reads.
type baseline struct {
	in  io.WriteCloser
	out *bufio.Reader
}

func startBaseline(b *testing.B, name string, args ...int) *baseline {
	b.Helper()
	program := filepath.Join(b.TempDir(), name)
	if out, err := exec.Command("gcc", "-O2", "-o", program, filepath.Join("testdata", "limits", name+".c")).CombinedOutput(); err != nil {
		b.Fatalf("gcc: %v\n%s", err, out)
	}
	var list []string
	for _, a := range append(args, turn) {
		list = append(list, strconv.Itoa(a))
	}
	cmd := exec.Command(program, list...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	return &baseline{in, bufio.NewReader(out)}
}

// turn is the median of one turn's rounds in nanoseconds.
func (l *baseline) turn(b *testing.B) float64 {
	b.Helper()
	fmt.Fprintln(l.in)
	line, err := l.out.ReadString('\n')
	if err != nil {
		b.Fatalf("the C program ended: %v", err)
	}
	ns, err := strconv.ParseFloat(strings.TrimSpace(line), 64)
	if err != nil {
		b.Fatal(err)
	}
	return ns
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

// beside measures ours, in nanoseconds, in turns with the C program.
func beside(b *testing.B, l *baseline, unit string, ours func() float64) {
	var us, them, ratios []float64
	rounds := make([]float64, turn)
	for b.Loop() {
		c := l.turn(b)
		for i := range rounds {
			rounds[i] = ours()
		}
		m := median(rounds)
		us, them, ratios = append(us, m), append(them, c), append(ratios, m/c)
	}
	b.ReportMetric(0, "ns/op") // the time of a turn says nothing
	b.ReportMetric(median(us), "ns/"+unit)
	b.ReportMetric(median(them), "c-ns/"+unit)
	b.ReportMetric(median(ratios), "ratio")
}

// idleServer is a server on a socket of its own, not yet served, that knows
// entries and reaps none of them.
func idleServer(b *testing.B, readBuffer int, entries []Entry) (*Socket, *Directory) {
	b.Helper()
	s := listen(b, readBuffer)
	timing := DefaultTiming()
	timing.Reap, timing.Deadline = time.Hour, time.Hour
	now := time.Now()
	d, err := NewDirectory(DirectoryConfig{Port: s.Addr().Port(), Timing: timing}, now)
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range entries {
		d.Step(now, s.Addr(), birth(e))
	}
	d.Poll(now)
	s.machine = d
	s.conn.setHost(host)
	return s, d
}

// One announcement to 80 sockets: from the owed directory to its last
// datagram handed over, through Poll, the driver and the kernel.
func BenchmarkFanout(b *testing.B) {
	const n = 80
	var entries []Entry
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
		entries = append(entries, Entry{Name(' ' + i), uint16(name.(*unix.SockaddrInet4).Port)})
	}
	s, d := idleServer(b, 0, entries)
	space := make([]byte, 2048)
	beside(b, startBaseline(b, "fanout", n, 4+4*n), "fanout", func() float64 {
		d.changed, d.paid = time.Now(), time.Time{}
		began := time.Now()
		s.flush()
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
	all := every(MaxPeers)
	s, d := idleServer(b, 4<<20, all)
	u := sender(b)
	var datagrams [MaxPeers][]byte
	for i, e := range all {
		datagrams[i] = keepAlive(e.Name)
	}
	beside(b, startBaseline(b, "drain", n, 4), "datagram", func() float64 {
		for i := range n {
			if _, err := u.WriteToUDPAddrPort(datagrams[i%MaxPeers], s.Addr()); err != nil {
				b.Fatal(err)
			}
		}
		s.drained = 0
		before := d.counters.KeepAlives
		began := time.Now()
		for d.counters.KeepAlives < before+n {
			if err := s.conn.read(); err != nil {
				b.Fatal(err)
			}
		}
		return float64(time.Since(began)) / n
	})
}
