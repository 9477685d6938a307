package udp

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
)

// TestMain also makes sure that no test has left a goroutine of Serve's behind.
func TestMain(m *testing.M) {
	code := m.Run()
	var stacks bytes.Buffer
	for range 100 {
		stacks.Reset()
		pprof.Lookup("goroutine").WriteTo(&stacks, 1)
		if !strings.Contains(stacks.String(), "udp.(*Socket)") {
			os.Exit(code)
		}
		time.Sleep(10 * time.Millisecond) // one that has been told to end may still be at it
	}
	fmt.Fprintln(os.Stderr, "a goroutine was left behind:\n", stacks.String())
	os.Exit(1)
}

var host = netip.MustParseAddr("127.0.0.1")

func from(port uint16) netip.AddrPort { return netip.AddrPortFrom(host, port) }

// every is n peers on ports of their own.
func every(n int) (all []wire.Entry) {
	for i := range n {
		all = append(all, wire.Entry{Name: wire.Name(' ' + i), Port: uint16(3101 + i)})
	}
	return all
}

func birth(e wire.Entry) []byte { return wire.Message{Type: core.TypeBirth, Entry: e}.Append(nil) }
func keepAlive(n wire.Name) []byte {
	return wire.Message{Type: core.TypeKeepAlive, Entry: wire.Entry{Name: n}}.Append(nil)
}
func vanilla(s string) []byte {
	return wire.Message{Type: core.TypeVanilla, Payload: []byte(s)}.Append(nil)
}

// patience is how long a test waits for what must come, before it fails.
const patience = 5 * time.Minute

func await[T any](t testing.TB, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("waited %v in vain for %s", patience, what)
	}
	return v
}

func listen(t testing.TB, readBuffer int) *Socket {
	t.Helper()
	s, err := Listen(from(0), readBuffer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// serve runs m on s until the test ends, and fails it if Serve fails.
func serve(t testing.TB, ctx context.Context, s *Socket, m core.Machine) (ended <-chan error) {
	done := make(chan error, 1)
	over := make(chan struct{})
	go func() {
		defer close(over)
		done <- s.Serve(ctx, m)
	}()
	t.Cleanup(func() {
		s.Close()
		await(t, over, "Serve's end")
	})
	return done
}

// sender is a plain socket.
func sender(t testing.TB) *net.UDPConn {
	t.Helper()
	u, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.Close() })
	return u
}

func send(t testing.TB, u *net.UDPConn, to netip.AddrPort, datagram []byte) {
	t.Helper()
	if _, err := u.WriteToUDPAddrPort(datagram, to); err != nil {
		t.Fatal(err)
	}
}

// fill sends n equal datagrams and waits until they all are in the queue: on a busy machine
// loopback delivers later than it takes them.
func fill(t testing.TB, s *Socket, u *net.UDPConn, n int) {
	t.Helper()
	each := int64(0)
	for i := range n {
		send(t, u, s.Addr(), keepAlive('A'))
		if i == 0 {
			each = queued(t, s, 1)
		}
	}
	if all := queued(t, s, each*int64(n)); all > each*int64(n) {
		t.Fatalf("%d bytes are queued, want %d times %d", all, n, each)
	}
}

// queued waits until at least so many bytes of the receive buffer are in use, and tells how many.
func queued(t testing.TB, s *Socket, least int64) (bytes int64) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond / 10) {
		var ok bool
		if bytes, _, ok = s.Waiting(); !ok {
			bytes = queuedAs(s.Addr().Port())
		}
		if bytes >= least {
			return bytes
		}
	}
	t.Fatalf("%d bytes are queued after %v, want %d", bytes, patience, least)
	return 0
}

// queuedAs is what Linux's list of sockets says of a port of 127.0.0.1.
func queuedAs(port uint16) (bytes int64) {
	list, _ := os.ReadFile("/proc/net/udp")
	_, line, _ := strings.Cut(string(list), fmt.Sprintf(" 0100007F:%04X ", port))
	if fields := strings.Fields(line); len(fields) > 2 {
		_, in, _ := strings.Cut(fields[2], ":")
		bytes, _ = strconv.ParseInt(in, 16, 64)
	}
	return bytes
}

// discard throws away what waits at a socket, and waits for it, until that was n datagrams.
func discard(t testing.TB, s *Socket, n uint64) (got uint64) {
	t.Helper()
	for end := time.Now().Add(patience); got < n && time.Now().Before(end); got += s.Discard() {
		if got > 0 {
			time.Sleep(time.Millisecond / 10)
		}
	}
	return got
}

// script is a Machine made of two functions, either of which may be nil.
type script struct {
	step func(now time.Time, from netip.AddrPort, datagram []byte)
	poll func(now time.Time) (core.Outgoing, time.Time)
}

func (s script) Step(now time.Time, from netip.AddrPort, datagram []byte) bool {
	if s.step != nil {
		s.step(now, from, datagram)
	}
	return true
}

// judge is one to which silence means something.
type judge struct{ script }

func (judge) Lost(time.Time)        {}
func (judge) Accepts() []core.Shape { return nil }

func (s script) Poll(now time.Time) (core.Outgoing, time.Time) {
	if s.poll != nil {
		return s.poll(now)
	}
	return core.Outgoing{}, time.Time{}
}

func TestServeEnds(t *testing.T) {
	for name, end := range map[string]func(*Socket, context.CancelFunc){
		"by its context":  func(_ *Socket, cancel context.CancelFunc) { cancel() },
		"by Close":        func(s *Socket, _ context.CancelFunc) { s.Close() },
		"by both at once": func(s *Socket, cancel context.CancelFunc) { go cancel(); s.Close() },
	} {
		for _, running := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, running %v", name, running), func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				s := listen(t, 0)
				if !running {
					end(s, cancel)
				}
				heard := make(chan bool, 1)
				ended := serve(t, ctx, s, script{step: func(time.Time, netip.AddrPort, []byte) { heard <- true }})
				if running {
					send(t, sender(t), s.Addr(), []byte("x"))
					await(t, heard, "a datagram")
					end(s, cancel)
				}
				if err := await(t, ended, "Serve's end"); err != nil {
					t.Errorf("Serve ends with %v, want nil", err)
				}
				again, err := Listen(s.Addr(), 0)
				if err != nil {
					t.Fatalf("the port is not free after Serve: %v", err)
				}
				again.Close()
			})
		}
	}
}

// What has arrived before a timer was due is stepped before that timer is
// polled: else a server that was stopped for a while would remove all its peers,
// whose keep-alives wait in the socket.
func TestStepsBeforeThePoll(t *testing.T) {
	t.Parallel()
	const n = 100
	s, u := listen(t, ReadBuffer), sender(t)
	fill(t, s, u, n)
	steps, polls := 0, 0
	seen := make(chan int, 1)
	serve(t, context.Background(), s, judge{script{
		step: func(time.Time, netip.AddrPort, []byte) { steps++ },
		poll: func(now time.Time) (core.Outgoing, time.Time) {
			if polls++; polls == 1 {
				return core.Outgoing{}, now.Add(-time.Second) // due before anything could be read
			}
			if polls == 2 {
				seen <- steps
			}
			return core.Outgoing{}, time.Time{}
		},
	}})
	if got := await(t, seen, "the second poll"); got != n {
		t.Errorf("%d of %d datagrams stepped before the timer is polled", got, n)
	}
}

// Serve polls when the machine asked for it, also where nothing comes in.
func TestServeKeepsTime(t *testing.T) {
	t.Parallel()
	times := make(chan [2]time.Time, 4)
	var asked time.Time
	serve(t, context.Background(), listen(t, 0), script{poll: func(now time.Time) (core.Outgoing, time.Time) {
		if len(times) < cap(times) && !asked.IsZero() {
			times <- [2]time.Time{asked, now}
		}
		asked = now.Add(5 * time.Millisecond)
		return core.Outgoing{}, asked
	}})
	for range 4 {
		if got := await(t, times, "a poll"); got[1].Before(got[0]) {
			t.Errorf("polled %v early", got[0].Sub(got[1]))
		}
	}
}

func TestDoWakes(t *testing.T) {
	t.Parallel()
	s := listen(t, 0)
	polled := make(chan bool, 100)
	done := false
	serve(t, context.Background(), s, script{poll: func(time.Time) (core.Outgoing, time.Time) {
		polled <- done
		return core.Outgoing{}, time.Time{} // asks for nothing more, ever
	}})
	await(t, polled, "the first poll")
	for range 3 {
		s.Do(func(now time.Time) {
			if late := time.Since(now); late < 0 || late > time.Minute {
				t.Errorf("Do says it is %v", now)
			}
			done = true
		})
		for !await(t, polled, "a poll after Do") {
		}
	}
}

// Do works before Serve, too.
func TestDoBeforeServe(t *testing.T) {
	t.Parallel()
	s := listen(t, 0)
	ran := false
	s.Do(func(time.Time) { ran = true })
	heard := make(chan bool, 1)
	serve(t, context.Background(), s, script{step: func(time.Time, netip.AddrPort, []byte) { heard <- true }})
	send(t, sender(t), s.Addr(), nil) // of zero length: the original hangs
	await(t, heard, "a datagram")
	if !ran {
		t.Error("Do did not run its function")
	}
}

func TestLargestDatagram(t *testing.T) {
	t.Parallel()
	s, r := listen(t, 0), listen(t, 0)
	datagram := vanilla(strings.Repeat("x", core.MaxPayload))
	got := make(chan bool, 1)
	serve(t, context.Background(), r, script{step: func(_ time.Time, from netip.AddrPort, b []byte) {
		got <- from == s.Addr() && bytes.Equal(b, datagram)
	}})
	out := core.Outgoing{Datagram: datagram, To: []netip.AddrPort{r.Addr()}}
	serve(t, context.Background(), s, script{poll: func(time.Time) (o core.Outgoing, _ time.Time) {
		o, out = out, core.Outgoing{}
		return o, time.Time{}
	}})
	if !await(t, got, "65507 bytes") {
		t.Error("it did not come as it was sent")
	}
	if n := s.Stats().SendFailures; n != 0 {
		t.Errorf("%d failed to be sent", n)
	}
}

// What the kernel refuses is counted, and does not keep it from the others.
func TestSendFailures(t *testing.T) {
	t.Parallel()
	s, r := listen(t, 0), listen(t, 0)
	got := make(chan bool, 1)
	serve(t, context.Background(), r, script{step: func(time.Time, netip.AddrPort, []byte) { got <- true }})
	outs := []core.Outgoing{
		{Datagram: make([]byte, core.MaxDatagram+1), To: []netip.AddrPort{r.Addr(), r.Addr()}}, // too long
		{Datagram: []byte("x"), To: []netip.AddrPort{from(0), r.Addr()}},                       // no port to send to
	}
	serve(t, context.Background(), s, script{poll: func(time.Time) (o core.Outgoing, _ time.Time) {
		if len(outs) > 0 {
			o, outs = outs[0], outs[1:]
		}
		return o, time.Time{}
	}})
	await(t, got, "the one that can be sent")
	s.Do(func(time.Time) {}) // after the flush
	if n := s.Stats().SendFailures; n != 3 {
		t.Errorf("%d failures, want 3", n)
	}
}

func TestListenErrors(t *testing.T) {
	t.Parallel()
	s := listen(t, 0)
	_, err := Listen(s.Addr(), 0)
	if want := fmt.Sprintf("cannot listen on %v: ", s.Addr()); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Count(err.Error(), s.Addr().String()) != 1 {
		t.Errorf("a port in use: %v, want %q and the reason", err, want)
	}
	if _, err := Listen(netip.AddrPort{}, 0); err == nil {
		t.Error("no address at all is listened on")
	}
}

// Every kind of socket hears and answers every kind of address that reaches it, under the name that it has.
func TestFamilies(t *testing.T) {
	if u, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback}); err != nil {
		t.Skipf("no IPv6 here: %v", err)
	} else {
		u.Close()
	}
	for _, c := range []struct {
		listen string
		from   []string
	}{
		{"127.0.0.1:0", []string{"127.0.0.1"}}, {"[::ffff:127.0.0.1]:0", []string{"127.0.0.1"}}, {"0.0.0.0:0", []string{"127.0.0.1"}},
		{"[::1]:0", []string{"::1"}}, {"[::]:0", []string{"::1"}},
	} {
		s, err := Listen(netip.MustParseAddrPort(c.listen), 0)
		if err != nil {
			t.Fatal(err)
		}
		var back []netip.AddrPort // who has sent is told so
		serve(t, context.Background(), s, script{
			step: func(_ time.Time, from netip.AddrPort, _ []byte) { back = append(back, from) },
			poll: func(time.Time) (core.Outgoing, time.Time) {
				if len(back) == 0 {
					return core.Outgoing{}, time.Time{}
				}
				to := back
				back = nil
				return core.Outgoing{Datagram: []byte(to[0].String()), To: to}, time.Time{}
			}})
		for _, from := range c.from {
			u, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 0)))
			if err != nil {
				t.Fatal(err)
			}
			defer u.Close()
			send(t, u, netip.AddrPortFrom(netip.MustParseAddr(from), s.Addr().Port()), []byte("x"))
			u.SetReadDeadline(time.Now().Add(patience))
			b := make([]byte, 99)
			n, err := u.Read(b)
			if want := u.LocalAddr().String(); err != nil || string(b[:n]) != want {
				t.Errorf("%s hears %q, %v from %s; want %q", c.listen, b[:n], err, from, want)
			}
		}
	}
}

// join starts a server and n peers over real sockets, all born at one moment, and
// waits until every peer's directory is complete. It gives back how long that
// took, the server, and what ends it all.
func join(t testing.TB, n int) (took time.Duration, d *core.Directory, server *Socket, end func()) {
	t.Helper()
	timing := core.DefaultTiming()
	timing.Deadline = time.Hour // nobody is removed because the machine is busy
	s, err := Listen(from(0), ReadBuffer)
	if err != nil {
		t.Fatal(err)
	}
	if d, err = core.NewDirectory(core.DirectoryConfig{Addr: s.Addr(), Timing: timing}, time.Now()); err != nil {
		t.Fatal(err)
	}
	var waiting sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	run := func(s *Socket, m core.Machine) {
		waiting.Go(func() {
			if err := s.Serve(ctx, m); err != nil {
				t.Errorf("Serve: %v", err)
			}
		})
	}
	begin := time.Now().Add(time.Duration(n) * 100 * time.Microsecond) // when all are served
	var incomplete atomic.Int32
	incomplete.Store(int32(n))
	complete := make(chan time.Time, 1)
	sockets, peers := make([]*Socket, n), make([]*core.Peer, n)
	for i := range n {
		if sockets[i], err = Listen(from(0), ReadBuffer); err != nil {
			t.Fatal(err)
		}
		had := false
		peers[i], err = core.NewPeer(core.PeerConfig{
			Self: core.Member{Name: core.Name(rune(' ' + i)), Addr: sockets[i].Addr()}, Server: s.Addr(), Timing: timing,
			Observe: func(e *core.Event) {
				if e.Kind == core.Listed && !had && e.All.Len() == n {
					if had = true; incomplete.Add(-1) == 0 {
						complete <- time.Now()
					}
				}
			}}, begin)
		if err != nil {
			t.Fatal(err)
		}
	}
	run(s, d)
	for i := range n {
		run(sockets[i], peers[i])
	}
	took = await(t, complete, "complete directories").Sub(begin)
	return took, d, s, func() { cancel(); waiting.Wait() }
}

func TestAllJoin(t *testing.T) {
	t.Parallel()
	_, d, s, end := join(t, core.MaxPeers)
	defer end()
	s.Do(func(time.Time) {
		c := d.Counters()
		if c.Events[core.Born] != core.MaxPeers || c.Events[core.Conflict] != 0 || d.Len() != core.MaxPeers {
			t.Errorf("%d born, %d conflicts, %d in the directory; want 95, 0, 95", c.Events[core.Born], c.Events[core.Conflict], d.Len())
		}
		if c.Events[core.Announced] > core.MaxPeers {
			t.Errorf("%d announcements for 95 births", c.Events[core.Announced])
		}
	})
	if n := s.Stats().Drops; n > 0 {
		t.Errorf("the kernel dropped %d datagrams", n)
	}
}

func TestDiscard(t *testing.T) {
	t.Parallel()
	s, u := listen(t, 0), sender(t)
	for _, size := range []int{0, 4, core.MaxDatagram} {
		send(t, u, s.Addr(), make([]byte, size))
	}
	if n := discard(t, s, 3); n != 3 {
		t.Errorf("%d discarded, want 3", n)
	}
	if n := s.Discard(); n != 0 {
		t.Errorf("%d discarded from an empty queue", n)
	}
	heard := make(chan int, 1)
	serve(t, context.Background(), s, script{step: func(_ time.Time, _ netip.AddrPort, b []byte) { heard <- len(b) }})
	send(t, u, s.Addr(), []byte("after"))
	if n := await(t, heard, "a datagram"); n != len("after") {
		t.Errorf("%d bytes came first, want those sent after", n)
	}
}
