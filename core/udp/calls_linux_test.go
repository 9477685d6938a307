//go:build !portable

package udp

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"p2plocal/core"
)

// result is what a system call gives.
type result struct {
	n int
	e syscall.Errno
}

// What one system call does not send the next one does; who cannot be sent to is left
// out and counted; a full buffer is waited for.
func TestPartialSends(t *testing.T) {
	real := sendmmsg
	defer func() { sendmmsg = real }()
	for name, x := range map[string]struct {
		results []result
		asked   string // from which on, and how many
		sent    bool
		failed  int
	}{
		"all":                 {[]result{{5, 0}}, "0+5", true, 0},
		"some, and the rest":  {[]result{{3, 0}, {2, 0}}, "0+5 3+2", true, 0},
		"one by one":          {[]result{{1, 0}, {1, 0}, {1, 0}, {1, 0}, {1, 0}}, "0+5 1+4 2+3 3+2 4+1", true, 0},
		"interrupted":         {[]result{{-1, syscall.EINTR}, {5, 0}}, "0+5 0+5", true, 0},
		"one is refused":      {[]result{{2, 0}, {-1, syscall.EPERM}, {2, 0}}, "0+5 2+3 3+2", true, 1},
		"all are refused":     {slices.Repeat([]result{{-1, syscall.EINVAL}}, 5), "0+5 1+4 2+3 3+2 4+1", true, 5},
		"the buffer is full":  {[]result{{-1, syscall.EAGAIN}}, "0+5", false, 0},
		"it fills in between": {[]result{{4, 0}, {-1, syscall.EAGAIN}}, "0+5 4+1", false, 0},
	} {
		b := new(sendBatch)
		c := conn{sending: b, last: 5}
		var asked []string
		sendmmsg = func(_ uintptr, h *mmsghdr, most int) (int, syscall.Errno) {
			at := (uintptr(unsafe.Pointer(h)) - uintptr(unsafe.Pointer(&b.hdrs))) / unsafe.Sizeof(*h)
			asked = append(asked, fmt.Sprintf("%d+%d", at, most))
			r := result{0, syscall.EIO}
			if len(asked) <= len(x.results) {
				r = x.results[len(asked)-1]
			}
			return r.n, r.e
		}
		if sent := c.send(0); sent != x.sent || c.failed != x.failed || strings.Join(asked, " ") != x.asked {
			t.Errorf("%s: sent %v, %d failed, by %q; want %v, %d, by %q", name, sent, c.failed, asked, x.sent, x.failed, x.asked)
		}
		if x.sent {
			continue
		}
		before := len(asked)
		sendmmsg = func(_ uintptr, _ *mmsghdr, most int) (int, syscall.Errno) {
			asked = append(asked, "")
			return most, 0
		}
		if !c.send(0) || len(asked) != before+1 || c.first != 5 {
			t.Errorf("%s: when there is room again, %d of 5 are sent", name, c.first)
		}
	}
}

// What a read brings is stepped whatever comes after; what is no passing matter ends it.
func TestReads(t *testing.T) {
	real := recvmmsg
	defer func() { recvmmsg = real }()
	for name, x := range map[string]struct {
		results []result
		some    bool
		steps   int
		err     string
	}{
		"nothing":                   {[]result{{-1, syscall.EAGAIN}}, false, 0, ""},
		"interrupted, then nothing": {[]result{{-1, syscall.EINTR}, {-1, syscall.EAGAIN}}, false, 0, ""},
		"interrupted, then some":    {[]result{{-1, syscall.EINTR}, {1, 0}}, true, 1, ""},
		"some":                      {[]result{{1, 0}}, true, 1, ""},
		"a batch":                   {[]result{{firstBatch, 0}, {-1, syscall.EAGAIN}}, true, firstBatch, ""},
		"interrupted, and some":     {[]result{{firstBatch, 0}, {-1, syscall.EINTR}, {3, 0}}, true, firstBatch + 3, ""},
		"batches and some":          {[]result{{firstBatch, 0}, {batchSize, 0}, {1, 0}}, true, firstBatch + batchSize + 1, ""},
		"an error":                  {[]result{{-1, syscall.ECONNREFUSED}}, false, 0, "recvmmsg: connection refused"},
		"a batch and an error":      {[]result{{firstBatch, 0}, {-1, syscall.EIO}}, true, firstBatch, "recvmmsg: input/output error"},
	} {
		calls := 0
		recvmmsg = func(uintptr, *mmsghdr, int) (int, syscall.Errno) {
			r := x.results[min(calls, len(x.results)-1)]
			calls++
			return r.n, r.e
		}
		steps := 0
		s := Socket{machine: script{step: func(time.Time, netip.AddrPort, []byte) { steps++ }}}
		s.conn.sock = &s
		some, _, failure := s.conn.receive(0)
		err := ""
		if failure != nil {
			err = failure.Error()
		}
		if some != x.some || steps != x.steps || err != x.err || calls != len(x.results) {
			t.Errorf("%s: %v, stepped %v, error %q, %d calls; want %v, %v, %q, %d", name, some, steps, err, calls, x.some, x.steps, x.err, len(x.results))
		}
	}
	recvmmsg = func(uintptr, *mmsghdr, int) (int, syscall.Errno) { return -1, syscall.EIO }
	s := listen(t, 0)
	if err := s.Serve(t.Context(), script{}); err == nil || err.Error() != "socket "+s.Addr().String()+": recvmmsg: input/output error" {
		t.Errorf("Serve gives %v", err)
	}
	if !s.closed {
		t.Error("a socket that failed is left open")
	}
}

// A whole batch, after which there is nothing more to read, is answered at once.
func TestWholeBatches(t *testing.T) {
	t.Parallel()
	for _, n := range []int{firstBatch, firstBatch + batchSize, firstBatch + 2*batchSize} {
		s, u := listen(t, ReadBuffer), sender(t)
		fill(t, s, u, n)
		heard := 0
		polled := make(chan bool, 1)
		serve(t, context.Background(), s, script{
			step: func(time.Time, netip.AddrPort, []byte) { heard++ },
			poll: func(time.Time) (core.Outgoing, time.Time) {
				if heard == n {
					heard = 0
					polled <- true
				}
				return core.Outgoing{}, time.Time{} // no timer would help
			},
		})
		await(t, polled, fmt.Sprintf("an answer to %d datagrams", n))
	}
}

// The mesh's host is the server's, whichever of the loopback ones it is.
func TestOtherLoopbackHost(t *testing.T) {
	t.Parallel()
	there := netip.MustParseAddr("127.9.9.9")
	s, err := Listen(netip.AddrPortFrom(there, 0), 0)
	if err != nil {
		t.Fatal(err)
	}
	d, err := core.NewDirectory(core.DirectoryConfig{Addr: s.Addr(), Timing: core.DefaultTiming()}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	serve(t, context.Background(), s, d)
	member, err := Listen(netip.AddrPortFrom(there, 0), 0)
	if err != nil {
		t.Fatal(err)
	}
	joined := make(chan netip.AddrPort, 1)
	p, err := core.NewPeer(core.PeerConfig{Self: core.Member{Name: "A", Addr: member.Addr()}, Server: s.Addr(), Timing: core.DefaultTiming(),
		Observe: func(e *core.Event) {
			if e.Kind == core.Listed && len(joined) == 0 {
				for m := range e.All.Each() {
					joined <- m.Addr
				}
			}
		}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	serve(t, context.Background(), member, p)
	if got := await(t, joined, "a directory"); got != member.Addr() {
		t.Errorf("the directory names %v, want %v", got, member.Addr())
	}
}

// A datagram that comes alone costs one look into the queue: nobody looks once more before waiting.
func TestOneReadEach(t *testing.T) {
	before := recvmmsg
	t.Cleanup(func() { recvmmsg = before })
	var calls atomic.Int64
	recvmmsg = func(fd uintptr, h *mmsghdr, most int) (int, syscall.Errno) {
		calls.Add(1)
		return before(fd, h, most)
	}
	s, u := listen(t, 0), sender(t)
	stepped := make(chan bool)
	serve(t, context.Background(), s, script{step: func(time.Time, netip.AddrPort, []byte) { stepped <- true }})
	const n = 100
	for range n {
		send(t, u, s.Addr(), keepAlive('A'))
		await(t, stepped, "a datagram")
		s.Do(func(time.Time) {}) // it has been polled for, too
	}
	if got := calls.Load(); got < n || got > n+n/4 {
		t.Errorf("%d looks for %d datagrams", got, n)
	}
}

// Another thread is woken before many timers that are due at once, and before a datagram goes to
// many where the process serves as many sockets; for fewer, none is.
func TestWakesAnother(t *testing.T) {
	real := wakeAnother
	defer func() { wakeAnother = real }()
	woken, rung := 0, 0
	wakeAnother = func() { woken += 1 + 100*rung }
	s, sink := listen(t, 0), listen(t, 0)
	for _, x := range []struct{ sockets, receivers, want int }{{many, many, 1}, {many + 1, many + 1, 1}, {many - 1, many, 0}, {many, many - 1, 0}} {
		woken = 0
		serving.Add(int32(x.sockets))
		s.conn.write([]byte("x"), slices.Repeat([]netip.AddrPort{sink.Addr()}, x.receivers))
		if serving.Add(-int32(x.sockets)); woken != x.want {
			t.Errorf("a datagram to %d from a process that serves %d sockets wakes %d threads, want %d", x.receivers, x.sockets, woken, x.want)
		}
	}
	for n, want := range map[int]int{many - 1: 0, many: 1, many + 1: 1} {
		woken, rung = 0, 0
		c := clock{fd: -1}
		for range n {
			c.add(&alarm{at: spent, tryRing: func() bool { rung++; return true }})
		}
		if c.ringDue(0); woken != want || rung != n {
			t.Errorf("%d timers wake %d threads before the first of %d that ring, want %d", n, woken, rung, want)
		}
	}
}

// The space that datagrams are read into is not Go's, which would collect garbage for it, and is
// given back with its batch.
func TestSpaceOfBatches(t *testing.T) {
	const n = 50
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var spaces []uintptr
	for range n {
		spaces = append(spaces, uintptr(unsafe.Pointer(&newReceiveBatch(batchSize)().(*receiveBatch).space[0])))
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > n*slotSize {
		t.Errorf("%d bytes of %d batches are Go's", got, n)
	}
	gone := func(space uintptr) bool {
		var resident byte
		_, _, e := unix.Syscall(unix.SYS_MINCORE, space, 1, uintptr(unsafe.Pointer(&resident)))
		return e == unix.ENOMEM
	}
	for end := time.Now().Add(patience); !slices.ContainsFunc(spaces, gone); runtime.GC() { // others may have taken some places since
		if time.Now().After(end) {
			t.Fatal("the space of batches that nobody holds any longer is not given back")
		}
	}
}
