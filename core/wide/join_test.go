package wide

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"p2plocal/core"
	"p2plocal/core/udp"
)

// join runs a mesh of n over real sockets, all born at once, and tells how long it took until
// every view was complete, and what the server sent. Then it lets it rest for a while. Who is silent for deadline
// is removed.
func join(tb testing.TB, n int, keys Keys, deadline, rest time.Duration) (took time.Duration, server core.Counters) {
	listen := func() *udp.Socket {
		s, err := udp.Listen(netip.MustParseAddrPort("127.0.0.1:0"), udp.ReadBuffer)
		if err != nil {
			tb.Skip(err)
		}
		return s
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	s := listen()
	timing := DefaultTiming()
	timing.Broadcast, timing.Deadline = 0, deadline
	d, err := NewDirectory(core.DirectoryConfig{Addr: s.Addr(), Timing: timing}, NewIdentity(keys), time.Now())
	if err != nil {
		tb.Fatal(err)
	}
	running.Go(func() { s.Serve(ctx, d) })
	sockets := make([]*udp.Socket, n)
	for i := range sockets {
		sockets[i] = listen()
	}
	var complete atomic.Int32
	done := make(chan time.Time, 1)
	begin := time.Now()
	for i, s2 := range sockets {
		full := false
		p, err := NewPeer(core.PeerConfig{Self: core.Member{Name: core.Name(fmt.Sprintf("peer-%04d", i))}, Server: s.Addr(), Timing: timing,
			Observe: func(e *core.Event) {
				if e.Kind == core.Listed && !full && e.All.Len() == n {
					if full = true; complete.Add(1) == int32(n) {
						done <- e.At
					}
				}
			}}, NewIdentity(keys), time.Now())
		if err != nil {
			tb.Fatal(err)
		}
		running.Go(func() { s2.Serve(ctx, p) })
	}
	select {
	case at := <-done:
		took = at.Sub(begin)
	case <-time.After(time.Minute):
		tb.Errorf("%d of %d views are complete after a minute", complete.Load(), n)
	}
	time.Sleep(rest)
	s.Do(func(time.Time) { server = d.Counters() })
	cancel()
	running.Wait()
	return took, server
}

// Over real sockets, once.
func TestJoinUDP(t *testing.T) {
	for _, keys := range []Keys{nil, someKey} {
		_, c := join(t, 30, keys, time.Minute, 0) // however busy the machine is
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
					took, c = join(b, n, keys, DefaultTiming().Deadline, 3*time.Second)
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
