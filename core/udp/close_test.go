package udp

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"p2plocal/core"
)

// A socket closed while datagrams pour in must let Serve return: closing waits
// for the read under way, and so must not hold what that read waits for.
func TestCloseDuringReads(t *testing.T) {
	t.Parallel()
	lo := netip.MustParseAddr("127.0.0.1")
	sender, err := Listen(netip.AddrPortFrom(lo, 0), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	for range 300 {
		s, err := Listen(netip.AddrPortFrom(lo, 0), 0)
		if err != nil {
			t.Fatal(err)
		}
		d, err := core.NewDirectory(core.DirectoryConfig{Addr: s.Addr(), Timing: core.DefaultTiming()}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- s.Serve(t.Context(), d) }()
		for range 50 {
			sender.conn.write([]byte("hostile"), []netip.AddrPort{s.Addr()})
		}
		s.Close()
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(time.Minute):
			t.Fatal("Serve has not returned a minute after Close")
		}
	}
}

// What is sent beside the machine goes out at once, and no more of it once the socket is closed.
func TestSendBeside(t *testing.T) {
	t.Parallel()
	a, b := listen(t, 0), listen(t, 0)
	heard := make(chan string, 1)
	serve(t, t.Context(), b, script{step: func(_ time.Time, from netip.AddrPort, datagram []byte) {
		heard <- fmt.Sprintf("%q from %v", datagram, from)
	}})
	if !a.Send([]byte("hello"), b.Addr()) {
		t.Error("the kernel has not taken it")
	}
	if got, want := await(t, heard, "what was sent"), fmt.Sprintf("%q from %v", "hello", a.Addr()); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	a.Do(func(time.Time) {}) // which waits for ever where Send holds on to the socket
	a.Close()
	if a.Send([]byte("hello"), b.Addr()) {
		t.Error("a closed socket sends")
	}
}
