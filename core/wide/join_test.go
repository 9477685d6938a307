package wide

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"p2plocal/core"
	"p2plocal/core/udp"
)

// launch runs a server and n peers over real sockets, all peers at once, and tells how long it took until each had
// called complete. end stops them.
func launch(tb testing.TB, n int, serve func(self netip.AddrPort) core.Machine,
	join func(i int, self, server netip.AddrPort, complete func(at time.Time)) core.Machine) (took time.Duration, s *udp.Socket, end func()) {
	listen := func() *udp.Socket {
		s, err := udp.Listen(netip.MustParseAddrPort("127.0.0.1:0"), udp.ReadBuffer)
		if err != nil {
			tb.Skip(err)
		}
		return s
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	s = listen()
	var complete atomic.Int32
	done := make(chan time.Time, 1)
	sockets, peers := make([]*udp.Socket, n), make([]core.Machine, n)
	for i := range sockets {
		sockets[i] = listen()
		full := false
		peers[i] = join(i, sockets[i].Addr(), s.Addr(), func(at time.Time) {
			if !full {
				if full = true; complete.Add(1) == int32(n) {
					done <- at
				}
			}
		})
	}
	machine := serve(s.Addr())
	running.Go(func() { s.Serve(ctx, machine) })
	begin := time.Now()
	for i := range sockets {
		running.Go(func() { sockets[i].Serve(ctx, peers[i]) })
	}
	select {
	case at := <-done:
		took = at.Sub(begin)
	case <-time.After(time.Minute):
		tb.Errorf("%d of %d views are complete after a minute", complete.Load(), n)
	}
	return took, s, func() { cancel(); running.Wait() }
}

// join is a mesh of n of either dialect until every view is complete, and what its server sent. Then it rests for a
// while. Who is silent for deadline is removed.
func join(tb testing.TB, n int, exact bool, keys Keys, deadline, rest time.Duration) (took time.Duration, sent core.Counters) {
	timing := DefaultTiming()
	timing.Broadcast, timing.Deadline = 0, deadline
	identity := func() *Identity {
		id := NewIdentity(keys)
		if exact {
			return nil
		}
		return &id
	}
	var d Server
	took, s, end := launch(tb, n, func(self netip.AddrPort) core.Machine {
		var err error
		if d, err = ServerOf(core.DirectoryConfig{Addr: self, Timing: timing}, identity(), time.Now()); err != nil {
			tb.Fatal(err)
		}
		return d
	}, func(i int, self, server netip.AddrPort, complete func(time.Time)) core.Machine {
		name := fmt.Sprintf("peer-%04d", i+1)
		if exact {
			name = string(rune(' ' + i))
		}
		p, _, err := PeerOf(core.PeerConfig{Self: core.Member{Name: core.Name(name), Addr: self}, Server: server, Timing: timing,
			Observe: func(e *core.Event) {
				if e.Kind == core.Listed && e.All.Len() == n {
					complete(e.At)
				}
			}}, identity(), time.Now())
		if err != nil {
			tb.Fatal(err)
		}
		return p
	})
	time.Sleep(rest)
	s.Do(func(time.Time) { sent = d.Counters() })
	end()
	return took, sent
}

// Over real sockets, once.
func TestJoinUDP(t *testing.T) {
	for _, keys := range []Keys{nil, someKey} {
		_, c := join(t, 30, false, keys, time.Minute, 0) // however busy the machine is
		if c.Events[core.Born] != 30 || c.Out.Directory.Datagrams < 30 {
			t.Errorf("%+v", c)
		}
	}
}

func BenchmarkJoin(b *testing.B) {
	for _, n := range []int{95, 300, 1000} {
		for _, keys := range []Keys{nil, someKey} {
			b.Run(fmt.Sprintf("%d,key=%v", n, keys != nil), func(b *testing.B) {
				var total time.Duration
				var c core.Counters
				for range b.N {
					var took time.Duration
					took, c = join(b, n, false, keys, DefaultTiming().Deadline, 3*time.Second)
					total += took
				}
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				b.ReportMetric(float64(total.Microseconds())/1000/float64(b.N), "ms/join")
				b.ReportMetric(float64(c.Out.Directory.Datagrams), "pages")
				b.ReportMetric(float64(c.Events[core.Announced]), "announcements")
				b.ReportMetric(float64(c.Events[core.Removed]), "removed")
				b.ReportMetric(float64(m.HeapSys>>20), "heap-MB")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// A bare machine sends datagrams as large as those of a join, as many and in the same order, and knows nothing else.
// birth is what a peer sends, and once more if there is a retry; all are sent the pages when all births have come.
type exchange struct {
	birth, retry []byte
	pages        [][]byte
}

type bareServer struct {
	exchange
	n                 int
	asked             map[netip.AddrPort]bool
	retrying, members []netip.AddrPort
	page              int
}

func (d *bareServer) Step(_ time.Time, from netip.AddrPort, _ []byte) bool {
	if d.retry != nil && !d.asked[from] {
		d.asked[from] = true
		d.retrying = append(d.retrying, from)
		return true
	}
	d.members = append(d.members, from)
	return len(d.members) == d.n
}

func (d *bareServer) Poll(time.Time) (core.Outgoing, time.Time) {
	if last := len(d.retrying) - 1; last >= 0 {
		to := d.retrying[last:]
		d.retrying = d.retrying[:last]
		return core.Outgoing{Datagram: d.retry, To: to}, time.Time{}
	}
	if len(d.members) == d.n && d.page < len(d.pages) {
		d.page++
		return core.Outgoing{Datagram: d.pages[d.page-1], To: d.members}, time.Time{}
	}
	return core.Outgoing{}, time.Time{}
}

type barePeer struct {
	*exchange
	to       []netip.AddrPort
	births   int // to be sent
	got      int // pages
	complete func(time.Time)
}

func (p *barePeer) Step(now time.Time, _ netip.AddrPort, datagram []byte) bool {
	if len(datagram) == len(p.retry) {
		p.births = 1
		return true
	}
	if p.got++; p.got == len(p.pages) {
		p.complete(now)
	}
	return false
}

func (p *barePeer) Poll(time.Time) (core.Outgoing, time.Time) {
	if p.births == 0 {
		return core.Outgoing{}, time.Time{}
	}
	p.births = 0
	return core.Outgoing{Datagram: p.birth, To: p.to}, time.Time{}
}

func bare(tb testing.TB, n int, x exchange) time.Duration {
	took, _, end := launch(tb, n, func(netip.AddrPort) core.Machine {
		return &bareServer{exchange: x, n: n, asked: map[netip.AddrPort]bool{}}
	}, func(_ int, _, server netip.AddrPort, complete func(time.Time)) core.Machine {
		return &barePeer{exchange: &x, to: []netip.AddrPort{server}, births: 1, complete: complete}
	})
	end()
	return took
}

// How long a join takes beside the bare exchange of its datagrams, over the same sockets, and the wide dialect's beside
// the exact one's: what of it is the protocols'. The turns are A B C D D C B A.
func BenchmarkFloor(b *testing.B) {
	pages := func(n int) (all [][]byte) {
		members := make([]core.Member, n)
		for i := range members {
			members[i] = core.Member{Name: core.Name(fmt.Sprintf("peer-%04d", i+1)), Addr: peerAddr(i)}
		}
		return directory(core.Version{Incarnation: 1, Number: 1}, members...)
	}
	wide := func(n int) exchange {
		return exchange{make([]byte, birthSize), make([]byte, retrySize), pages(n)}
	}
	for _, n := range []int{core.MaxPeers, 1000} {
		kinds := []func() time.Duration{
			func() time.Duration { return bare(b, n, wide(n)) },
			func() time.Duration { t, _ := join(b, n, false, nil, time.Hour, 0); return t },
		}
		units := []string{"bare-wide-ms", "wide-ms", "bare-exact-ms", "exact-ms"}
		if n == core.MaxPeers {
			kinds = append(kinds,
				func() time.Duration { return bare(b, n, exchange{make([]byte, 6), nil, [][]byte{make([]byte, 4+4*n)}}) },
				func() time.Duration { t, _ := join(b, n, true, nil, time.Hour, 0); return t })
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			times := make([][]float64, len(kinds))
			for round := 0; b.Loop(); round++ {
				for i := range kinds {
					if round%2 == 1 {
						i = len(kinds) - 1 - i
					}
					times[i] = append(times[i], kinds[i]().Seconds()*1e3)
				}
			}
			median := func(of func(round int) float64) float64 {
				all := make([]float64, len(times[0]))
				for i := range all {
					all[i] = of(i)
				}
				slices.Sort(all)
				return all[len(all)/2]
			}
			for i := range kinds {
				b.ReportMetric(median(func(r int) float64 { return times[i][r] }), units[i])
			}
			b.ReportMetric(median(func(r int) float64 { return times[1][r] / times[0][r] }), "wide/bare")
			if len(kinds) > 2 {
				b.ReportMetric(median(func(r int) float64 { return times[0][r] / times[2][r] }), "bare-wide/exact")
				b.ReportMetric(median(func(r int) float64 { return times[1][r] / times[3][r] }), "wide/exact")
				b.ReportMetric(median(func(r int) float64 { return times[3][r] / times[2][r] }), "exact/bare")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}
