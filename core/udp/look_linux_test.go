//go:build !portable

package udp

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/bpf"

	"p2plocal/core"
)

// bereaved is a lossAware machine without a timer.
type bereaved struct {
	script
	lost atomic.Int64
}

func (m *bereaved) Lost(time.Time)        { m.lost.Add(1) }
func (m *bereaved) Accepts() []core.Shape { return nil }

// dropped waits until the kernel has thrown away n datagrams of a socket's.
func dropped(t testing.TB, s *Socket, n uint64) {
	t.Helper()
	for end := time.Now().Add(patience); s.Stats().Drops != n; time.Sleep(time.Millisecond / 10) {
		if time.Now().After(end) {
			t.Fatalf("%+v, want %d drops", s.Stats(), n)
		}
	}
}

// A big batch, and no smaller one, has the socket look for what was lost beside it.
func TestBigBatchIsLookedAt(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int64{bigBatch - 1: 0, bigBatch: 1, bigBatch + 1: 1} {
		s, u := listen(t, ReadBuffer), sender(t)
		nothing, err := bpf.Assemble([]bpf.Instruction{bpf.RetConstant{Val: 0}})
		if err != nil || !s.conn.filter(nothing) {
			t.Fatalf("no filter: %v", err)
		}
		send(t, u, s.Addr(), keepAlive('A'))
		dropped(t, s, 1)
		s.conn.filter(nil)
		fill(t, s, u, n)
		heard := 0
		m, polled := new(bereaved), make(chan bool, 1)
		m.step = func(time.Time, netip.AddrPort, []byte) { heard++ }
		m.poll = func(time.Time) (core.Outgoing, time.Time) {
			if heard == n {
				heard = 0
				polled <- true
			}
			return core.Outgoing{}, time.Time{}
		}
		serve(t, context.Background(), s, m)
		await(t, polled, fmt.Sprintf("an answer to %d datagrams", n))
		if got := m.lost.Load(); got != want {
			t.Errorf("after %d datagrams at once the machine is told of %d losses, want %d", n, got, want)
		}
	}
}

// Losses are told of once, and what comes bit by bit is no big batch.
func TestLossesAreToldOnce(t *testing.T) {
	t.Parallel()
	s, u := listen(t, ReadBuffer), sender(t)
	stepped := make(chan bool)
	m := new(bereaved)
	m.step = func(time.Time, netip.AddrPort, []byte) { stepped <- true }
	s.machine = m
	if s.lookForDrops(); m.lost.Load() != 0 {
		t.Error("the machine is told of losses where there are none")
	}
	nothing, err := bpf.Assemble([]bpf.Instruction{bpf.RetConstant{Val: 0}})
	if err != nil || !s.conn.filter(nothing) {
		t.Fatalf("no filter: %v", err)
	}
	for want := range int64(2) {
		send(t, u, s.Addr(), keepAlive('A'))
		dropped(t, s, uint64(want+1))
		for range 2 * want { // the first is left to be found
			if s.lookForDrops(); m.lost.Load() != want {
				t.Errorf("the machine is told of %d losses, want %d", m.lost.Load(), want)
			}
		}
	}
	send(t, u, s.Addr(), keepAlive('A'))
	dropped(t, s, 3)
	s.conn.filter(nil)
	serve(t, context.Background(), s, m)
	for range 2 * bigBatch {
		send(t, u, s.Addr(), keepAlive('A'))
		await(t, stepped, "a datagram")
		s.Do(func(time.Time) {})
	}
	if got := m.lost.Load(); got != 1 {
		t.Errorf("after many datagrams one by one the machine is told of %d losses, want 1 as before", got)
	}
}

// Who is told of losses is polled then; who has no use for them is not asked.
func TestLossesAreReasonToPoll(t *testing.T) {
	t.Parallel()
	nothing, err := bpf.Assemble([]bpf.Instruction{bpf.RetConstant{Val: 0}})
	if err != nil {
		t.Fatal(err)
	}
	polls := 0
	one := script{poll: func(now time.Time) (core.Outgoing, time.Time) {
		polls++
		return core.Outgoing{}, now.Add(time.Hour)
	}}
	m := &bereaved{script: one}
	for _, machine := range []core.Machine{one, m} {
		s, u := listen(t, ReadBuffer), sender(t)
		s.machine, s.now = machine, time.Now()
		s.deadline = s.now.Add(time.Hour)
		s.conn.filter(nothing)
		send(t, u, s.Addr(), keepAlive('A'))
		dropped(t, s, 1)
		s.mu.Lock()
		s.lookForDrops()
		s.send()
		s.mu.Unlock()
	}
	if m.lost.Load() != 1 || polls != 1 {
		t.Errorf("told of %d losses and polled %d times, want once each", m.lost.Load(), polls)
	}
}

// A read that ends after a timer was due has the machine told of losses before it is polled.
func TestLossesBeforeTheTimer(t *testing.T) {
	t.Parallel()
	s, u := listen(t, ReadBuffer), sender(t)
	nothing, err := bpf.Assemble([]bpf.Instruction{bpf.RetConstant{Val: 0}})
	if err != nil || !s.conn.filter(nothing) {
		t.Fatalf("no filter: %v", err)
	}
	m, told := new(bereaved), int64(-1)
	m.poll = func(time.Time) (core.Outgoing, time.Time) {
		told = m.lost.Load()
		return core.Outgoing{}, time.Time{}
	}
	send(t, u, s.Addr(), keepAlive('A'))
	dropped(t, s, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.machine, s.now = m, time.Now()
	s.deadline = s.now
	if err := s.round(nil); err != nil || told != 1 {
		t.Errorf("%v; polled when told of %d losses, want 1", err, told)
	}
}

// The machine is told the time anew for each datagram that it sends.
func TestTimeOfASeries(t *testing.T) {
	t.Parallel()
	s, sink := listen(t, 0), listen(t, 0)
	var last time.Time
	left := 3
	s.machine = script{poll: func(now time.Time) (out core.Outgoing, _ time.Time) {
		if now.Before(last) {
			t.Errorf("with %d datagrams left it is told a time of %v ago", left, last.Sub(now))
		}
		if left--; left >= 0 {
			out = core.Outgoing{Datagram: keepAlive('A'), To: []netip.AddrPort{sink.Addr()}}
		}
		last = time.Now()
		return out, time.Time{}
	}}
	s.Do(func(time.Time) {})
	if left != -1 {
		t.Errorf("%d datagrams are left", left)
	}
}

// deaf is a machine to which no datagram is a reason to be polled.
type deaf struct{ script }

func (d deaf) Step(now time.Time, from netip.AddrPort, datagram []byte) bool {
	d.script.Step(now, from, datagram)
	return false
}

// A machine is polled when it wants to be, for no datagram that is no reason, and not once its socket is closed.
func TestPolls(t *testing.T) {
	t.Parallel()
	s, u := listen(t, 0), sender(t)
	polls := 0
	stepped := make(chan bool, 1)
	m := deaf{script{
		step: func(time.Time, netip.AddrPort, []byte) { stepped <- true },
		poll: func(time.Time) (core.Outgoing, time.Time) {
			polls++
			return core.Outgoing{}, time.Now().Add(time.Hour)
		},
	}}
	serve(t, context.Background(), s, m)
	send(t, u, s.Addr(), keepAlive('A'))
	await(t, stepped, "a datagram")
	s.Do(func(time.Time) { polls = 0 })
	for range 10 {
		send(t, u, s.Addr(), keepAlive('A'))
		await(t, stepped, "a datagram")
	}
	s.mu.Lock()
	if polls != 1 { // after Do
		t.Errorf("polled %d times for ten datagrams that are no reason", polls-1)
	}
	s.mu.Unlock()
	closed := listen(t, 0)
	closed.Close()
	polls = 0
	if err := closed.Serve(t.Context(), m); err != nil || polls != 0 {
		t.Errorf("%v; with its socket closed it is polled %d times", err, polls)
	}
}

// A machine that always has something to send does not keep its socket from reading.
func TestSeriesEnds(t *testing.T) {
	t.Parallel()
	s, sink := listen(t, 0), listen(t, 0)
	left := 2 * core.MostSent
	var sent int
	s.machine = script{poll: func(time.Time) (out core.Outgoing, _ time.Time) {
		if left--; left < 0 {
			return out, time.Time{}
		}
		return core.Outgoing{Datagram: keepAlive('A'), To: []netip.AddrPort{sink.Addr(), sink.Addr()}}, time.Time{}
	}}
	s.mu.Lock()
	s.ask = true
	s.send()
	sent = 2*core.MostSent - left
	again := s.deadline
	s.mu.Unlock()
	if sent != core.MostSent/2 || !again.Equal(spent) {
		t.Errorf("%d datagrams to two each in one series, want %d, and then at once again: %v", sent, core.MostSent/2, again)
	}
}

// However much waits, all of it is read before the socket waits for more.
func TestAllIsRead(t *testing.T) {
	real := recvmmsg
	t.Cleanup(func() { recvmmsg = real })
	const all = 2*core.MostTaken + 100
	left := all
	recvmmsg = func(fd uintptr, h *mmsghdr, most int) (int, syscall.Errno) {
		n := min(left, most)
		if left -= n; n == 0 {
			return -1, syscall.EAGAIN
		}
		return n, 0
	}
	s, steps := listen(t, 0), 0
	done := make(chan bool, 1)
	serve(t, context.Background(), s, script{step: func(time.Time, netip.AddrPort, []byte) {
		if steps++; steps == all {
			done <- true
		}
	}})
	await(t, done, "the last of many datagrams")
}

// However many are born one after another, they are announced in time.
func TestGatherEnds(t *testing.T) {
	real := recvmmsg
	defer func() { recvmmsg = real }()
	recvmmsg = func(uintptr, *mmsghdr, int) (int, syscall.Errno) {
		time.Sleep(gatherMost / 10)
		return 1, 0
	}
	s := listen(t, 0)
	s.machine, s.now = announcing{script{}, func() bool { return true }}, time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gather(); s.drained < 1 || s.drained > 11 {
		t.Errorf("%d births that come every %v are waited for, want those of %v", s.drained, gatherMost/10, gatherMost)
	}
}

// What comes while a socket is held waits, and is stepped when it is released.
func TestHold(t *testing.T) {
	t.Parallel()
	s, u := listen(t, ReadBuffer), sender(t)
	var steps atomic.Int64
	stepped := make(chan bool, 1)
	serve(t, context.Background(), s, script{step: func(time.Time, netip.AddrPort, []byte) { steps.Add(1); stepped <- true }})
	var held atomic.Bool
	releases := make(chan func(), 1)
	s.mu.Lock() // what is in use is not held yet
	go func() {
		release := Hold(s)
		held.Store(true)
		releases <- release
	}()
	for range 100 {
		runtime.Gosched()
	}
	if held.Load() {
		t.Error("a socket is held that is in use")
	}
	s.mu.Unlock()
	release := await(t, releases, "a socket that is held")
	send(t, u, s.Addr(), keepAlive('A'))
	queued(t, s, 1)
	if n := steps.Load(); n != 0 {
		t.Errorf("%d datagrams stepped while the socket is held", n)
	}
	release()
	await(t, stepped, "a datagram")
}

// Each datagram goes to the address that it is for, whatever the socket has sent before, and
// by a socket of either family.
func TestWhereItIsSent(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"127.0.0.1", "0.0.0.0", "::1", "::"} {
		host := netip.MustParseAddr(at)
		s, err := Listen(netip.AddrPortFrom(host, 0), 0)
		if err != nil && host.Is6() {
			continue // no IPv6 here
		}
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		there := netip.MustParseAddr("::1")
		if host.Is4() {
			there = netip.MustParseAddr("127.0.0.1")
		}
		var to []netip.AddrPort
		var sockets []*Socket
		for i := range 3 {
			if i == 2 && host.Is4() {
				there = netip.MustParseAddr("127.8.9.10") // the same port on another host
			}
			port := uint16(0)
			if i == 2 && host.Is4() {
				port = to[0].Port()
			}
			r, err := Listen(netip.AddrPortFrom(there, port), 0)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			sockets, to = append(sockets, r), append(to, r.Addr())
		}
		other := netip.MustParseAddrPort("[::1]:9")
		if host.Is6() {
			other = netip.MustParseAddrPort("127.0.0.1:9") // mapped, of which this socket is not
		}
		for _, order := range [][]int{{0, 1, 2}, {2, 0, 1}, {1, 2, 0}, {2}, {0}} {
			var all []netip.AddrPort
			for _, i := range order {
				all = append(all, to[i])
			}
			if failed := s.conn.write([]byte("x"), all); failed != 0 {
				t.Errorf("%v: %d of %d to %v failed", at, failed, len(all), all)
			}
			for i, r := range sockets {
				want := uint64(0)
				for _, j := range order {
					if i == j {
						want++
					}
				}
				if got := discard(t, r, want); got != want {
					t.Errorf("%v: %d datagrams at %v after one to each of %v, want %d", at, got, to[i], all, want)
				}
			}
			if failed := s.conn.write([]byte("x"), []netip.AddrPort{other}); failed != 1 {
				t.Errorf("%v: one to %v, of another family, has not failed", at, other)
			}
		}
	}
}

// What is announced alone waits for no more than the moment in which others might come.
func TestGatherIsShort(t *testing.T) {
	t.Parallel()
	s, u := listen(t, 0), sender(t)
	var came time.Time
	waits := make(chan time.Duration, 1)
	serve(t, context.Background(), s, announcing{script{
		step: func(time.Time, netip.AddrPort, []byte) { came = time.Now() },
		poll: func(time.Time) (core.Outgoing, time.Time) {
			if !came.IsZero() {
				waits <- time.Since(came)
				came = time.Time{}
			}
			return core.Outgoing{}, time.Now().Add(time.Hour) // a timer that is not due changes nothing
		},
	}, func() bool { return !came.IsZero() }})
	shortest := time.Hour
	for tries := 0; tries < 2000 && shortest > gatherMost/2; tries++ { // on a busy machine some are long
		send(t, u, s.Addr(), keepAlive('A'))
		shortest = min(shortest, await(t, waits, "an announcement"))
	}
	if shortest < gatherQuiet/2 || shortest > gatherMost/2 { // the driver looked at the time before it was stepped
		t.Errorf("a birth alone is announced after %v, want %v and little more", shortest, gatherQuiet)
	}
}

// What a timer finds waiting is stepped before the machine is polled; what a closed socket is
// to send has failed.
func TestCatchUp(t *testing.T) {
	t.Parallel()
	s, u := listen(t, ReadBuffer), sender(t)
	steps, polls := 0, 0
	var polled, next time.Time
	s.machine = judge{script{
		step: func(time.Time, netip.AddrPort, []byte) { steps++ },
		poll: func(now time.Time) (core.Outgoing, time.Time) {
			polls, polled = polls+1, now
			return core.Outgoing{}, next
		},
	}}
	fill(t, s, u, 3)
	s.mu.Lock()
	if s.catchUp(); steps != 3 {
		t.Errorf("%d of 3 datagrams stepped", steps)
	}
	if s.tryRing() {
		t.Error("an alarm rings while the socket is in use")
	}
	s.mu.Unlock()
	next = time.Now().Add(time.Hour)
	s.deadline = next
	if s.ring(); polls != 1 || !s.conn.alarm.at.Equal(next) {
		t.Errorf("an alarm has the machine polled %d times, and rings again at %v, want %v as before", polls, s.conn.alarm.at, next)
	}
	next = time.Time{}
	if rang := s.tryRing(); !rang || polls != 2 {
		t.Errorf("an alarm that need not wait rings: %v, and has the machine polled %d times", rang, polls-1)
	}
	var end time.Time
	if s.Do(func(time.Time) { time.Sleep(time.Millisecond); end = time.Now() }); polls != 3 || polled.Before(end) {
		t.Errorf("after Do, %d polls at %v, want one at %v or later", polls-2, polled, end)
	}
	s.Close()
	s.ring()
	if s.tryRing(); polls != 3 {
		t.Error("the machine of a closed socket is polled")
	}
	to := u.LocalAddr().(*net.UDPAddr).AddrPort()
	if failed := s.conn.write([]byte("x"), []netip.AddrPort{to, to, to}); failed != 3 {
		t.Errorf("%d of 3 datagrams of a closed socket failed", failed)
	}
}

// While the filter is in place the socket is looked at again in time, if no timer of the
// machine's comes before.
func TestFilteredSocketIsLookedAt(t *testing.T) {
	t.Parallel()
	now := time.Now().Add(time.Hour) // nothing rings during the test
	look, before, after := now.Add(overloadLook), now.Add(overloadLook-1), now.Add(overloadLook+1)
	for _, x := range []struct {
		filtered   bool
		next, want time.Time
	}{
		{true, time.Time{}, look}, {true, after, look}, {true, before, before},
		{false, time.Time{}, time.Time{}}, {false, after, after},
	} {
		s := listen(t, 0)
		s.machine = script{poll: func(time.Time) (core.Outgoing, time.Time) { return core.Outgoing{}, x.next }}
		s.now, s.overload = now, overload{filtered: x.filtered, look: look}
		s.mu.Lock()
		s.send()
		if got := s.deadline; !got.Equal(x.want) {
			t.Errorf("filtered %v, the machine's timer after %v: the deadline is after %v, want %v", x.filtered, x.next.Sub(now), got.Sub(now), x.want.Sub(now))
		}
		s.mu.Unlock()
	}
}
