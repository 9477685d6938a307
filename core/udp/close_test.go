package udp

import (
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
