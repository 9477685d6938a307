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

// takes waits for so many of each datagram, in any order: of two that one thread sends while it
// moves to another core, the second may come first.
func takes(t testing.TB, received chan []byte, want map[string]int) {
	t.Helper()
	n, late := 0, time.After(time.Minute)
	for _, times := range want {
		n += times
	}
	for i := range n {
		select {
		case b := <-received:
			if want[string(b)]--; want[string(b)] < 0 {
				t.Fatalf("datagram %d is %.50x, of %d bytes: once too often", i, b, len(b))
			}
		case <-late:
			t.Fatalf("%d of %d datagrams came", i, n)
		}
	}
}

func TestSenderSendsEveryDatagramOnce(t *testing.T) {
	t.Parallel()
	to, received := sink(t)
	s := dial(t, to)
	var all [][]byte
	want, size := map[string]int{}, uint64(0)
	for i := range 3*BatchSize + 7 {
		all = append(all, bytes.Repeat([]byte{byte(i)}, i%50))
		want[string(all[i])]++
		size += uint64(i % 50)
	}
	s.Send(Pack(all, false))
	takes(t, received, want)
	if got, want := s.Counts(), (Counts{Sent: uint64(len(all)), Bytes: size}); got != want {
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
	takes(t, received, map[string]int{"twelve bytes": n, "": 1, string(make([]byte, 40000)): 1}) // the large one is no train
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
	here := net.IPv4(127, 0, 0, 1)
	u, err := net.DialUDP("udp4", &net.UDPAddr{IP: here}, &net.UDPAddr{IP: here, Port: 1}) // it has the port, and takes nothing of ours
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	s := dial(t, u.LocalAddr().(*net.UDPAddr).AddrPort())
	l := Pack([][]byte{{1}, {2}, {3}}, false)
	for end := time.Now().Add(time.Minute); s.Counts().Refused == 0 && time.Now().Before(end); { // the news of it may come late
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
