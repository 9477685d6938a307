//go:build !race && !portable

package udp

import (
	"context"
	"net/netip"
	"runtime"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"p2plocal/core"
)

// Serve takes datagrams in, sends, and wakes at deadlines without allocating.
// Not parallel: it counts what the whole process allocates.
func TestServeDoesNotAllocate(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection would empty the pools
	s, sink, u := listen(t, ReadBuffer), listen(t, 0), sender(t)
	var heard, polls atomic.Int64
	out := core.Outgoing{Datagram: keepAlive('A'), To: slices.Repeat([]netip.AddrPort{sink.Addr()}, many)}
	serving.Add(many) // so that a thread is woken for each series
	defer serving.Add(-many)
	owed := false
	serve(t, context.Background(), s, script{
		step: func(time.Time, netip.AddrPort, []byte) { owed = true; heard.Add(1) },
		poll: func(now time.Time) (core.Outgoing, time.Time) {
			polls.Add(1)
			if owed {
				owed = false
				return out, now
			}
			return core.Outgoing{}, now.Add(time.Millisecond)
		},
	})
	datagram, to := keepAlive('A'), s.Addr()
	turn := func(n int64) {
		for want := heard.Load() + n; heard.Load() < want; {
			u.WriteToUDPAddrPort(datagram, to)
			time.Sleep(100 * time.Microsecond)
		}
		for want := polls.Load() + n; polls.Load() < want; { // now by its deadlines alone
			time.Sleep(time.Millisecond)
		}
	}
	turn(100)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const n = 500
	turn(n)
	runtime.ReadMemStats(&after)
	// Each pass and each deadline would show as n; the runtime's own few do not.
	if got := after.Mallocs - before.Mallocs; got > n/5 {
		t.Errorf("%d allocations for %d datagrams and as many deadlines", got, n)
	}
}

// Nor does a look for what the kernel has dropped, of which a flood draws
// thousands a second.
func TestLookForDropsDoesNotAllocate(t *testing.T) {
	s := listen(t, ReadBuffer)
	defer s.Close()
	d, err := core.NewDirectory(core.DirectoryConfig{Addr: s.Addr(), Timing: core.DefaultTiming()}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s.machine = d
	if n := testing.AllocsPerRun(1000, s.lookForDrops); n > 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
