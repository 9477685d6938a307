package send

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"testing"
	"time"
)

// sink counts what comes to a socket of its own until the test is over.
func sink(t testing.TB) (addr netip.AddrPort, received chan []byte) {
	t.Helper()
	u, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	u.SetReadBuffer(1 << 20)
	received = make(chan []byte, 4096)
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 1<<16)
		for {
			n, _, err := u.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			received <- append([]byte(nil), b[:n]...)
		}
	}()
	t.Cleanup(func() { u.Close(); <-done })
	return u.LocalAddr().(*net.UDPAddr).AddrPort(), received
}

func dial(t testing.TB, to netip.AddrPort) *Sender {
	t.Helper()
	s, err := Dial(netip.AddrPortFrom(to.Addr(), 0), to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// take waits for one datagram.
func take(t testing.TB, received chan []byte) []byte {
	t.Helper()
	select {
	case b := <-received:
		return b
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came")
		return nil
	}
}

func TestSenderSendsEveryDatagramOnce(t *testing.T) {
	t.Parallel()
	to, received := sink(t)
	s := dial(t, to)
	var want [][]byte
	size := uint64(0)
	for i := range 3*BatchSize + 7 {
		want = append(want, bytes.Repeat([]byte{byte(i)}, i%50))
		size += uint64(i % 50)
	}
	s.Send(Pack(want, false))
	for i, w := range want {
		if got := take(t, received); string(got) != string(w) {
			t.Fatalf("datagram %d is %x, want %x", i, got, w)
		}
	}
	if got, want := s.Counts(), (Counts{Sent: uint64(len(want)), Bytes: size}); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
}

func TestSenderCutsTrainsApart(t *testing.T) {
	t.Parallel()
	to, received := sink(t)
	s := dial(t, to)
	s.Send(Pack([][]byte{[]byte("twelve bytes"), {}, make([]byte, 40000)}, s.Supported()))
	n := 1
	if s.Supported() {
		n = maxSegments
	}
	for i := range n {
		if got := take(t, received); string(got) != "twelve bytes" {
			t.Fatalf("datagram %d is %q", i, got)
		}
	}
	if got := take(t, received); len(got) != 0 {
		t.Errorf("%d bytes, want the empty datagram", len(got))
	}
	if got := take(t, received); len(got) != 40000 {
		t.Errorf("%d bytes, want the large datagram, which is no train", len(got))
	}
	if got := s.Counts().Sent; got != uint64(n+2) {
		t.Errorf("%d sent, want %d", got, n+2)
	}
}

func TestSenderKeepsItsRate(t *testing.T) {
	t.Parallel()
	to, received := sink(t)
	s := dial(t, to)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	const some = 300
	go func() {
		defer cancel()
		for range some {
			<-received
		}
	}()
	start := time.Now()
	s.Run(ctx, Pack([][]byte{{1}, {2}, {3}}, false), 1000)
	// However slow the machine is, it must not be faster than asked for.
	if got, most := float64(s.Counts().Sent), time.Since(start).Seconds()*1000+1; got > most || got < some {
		t.Errorf("%v sent in %v, want %v to %v", got, time.Since(start), some, most)
	}
}

func TestSenderGoesOnWhenNobodyListens(t *testing.T) {
	t.Parallel()
	u, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	s := dial(t, u.LocalAddr().(*net.UDPAddr).AddrPort())
	u.Close()
	l := Pack([][]byte{{1}, {2}, {3}}, false)
	for range 10 {
		s.Send(l)
	}
	if c := s.Counts(); c.Refused == 0 {
		t.Errorf("counts %+v, want some refused", c)
	}
}

func TestSenderDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		return // the race detector allocates
	}
	u, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}) // nobody reads: the kernel drops
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	s := dial(t, u.LocalAddr().(*net.UDPAddr).AddrPort())
	for _, gso := range []bool{false, s.Supported()} {
		l := Pack([][]byte{make([]byte, 6), make([]byte, 4), {}}, gso)
		if n := testing.AllocsPerRun(100, func() { s.Send(l) }); n > 0 {
			t.Errorf("GSO %v: %v allocations for each batch, want 0", gso, n)
		}
	}
}

// Send sends each datagram of l once (with GSO: each train).
func (s *Sender) Send(l *Load) {
	for rest := l.messages; len(rest) > 0; {
		n := min(len(rest), BatchSize)
		s.raw.send(s, rest[:n])
		rest = rest[n:]
	}
}
