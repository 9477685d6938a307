//go:build !portable

package udp

import (
	"context"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"p2plocal/core"
)

// What the server's filter lets pass is what a server can take: births, but for
// those with port 0, and keep-alives.
func TestServerFilter(t *testing.T) {
	t.Parallel()
	s, u := listen(t, ReadBuffer), sender(t)
	if !s.conn.filter(true) {
		t.Fatal("the kernel takes no filter")
	}
	var sent int
	want := map[string]int{}
	try := func(b []byte) {
		send(t, u, s.Addr(), b)
		sent++
		m, err := core.Parse(b)
		if err == nil && (m.Type == core.TypeBirth || m.Type == core.TypeKeepAlive) || err == core.ErrPort && len(b) == 6 {
			want[string(b)]++
		}
	}
	for name := range 256 {
		for _, high := range []byte{0, 1, 0x80, 0xFF} {
			for _, kind := range []byte{0xBF, 0xC0, 0xC3, 0xC4} {
				b := []byte{kind, 0, byte(name), high, 0x1D, 0x0C}
				try(b[:4])
				try(b)
			}
		}
	}
	for _, b := range [][]byte{birth(core.Entry{Name: 'A'}), birth(every(34)[33]), keepAlive('A'), {0xC1, 0, 1, 0, 'A', 0, 0x3E, 0x0C}, vanilla("A"), {0, 0xC3, 0, 'A'}, {0xC3, 1, 'A', 0}} {
		for n := range len(b) {
			try(b[:n])
		}
		try(append(b, 0))
		try(b)
	}
	got := map[string]int{}
	arrived := 0
	space := make([]byte, 100)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		s.conn.raw.Control(func(fd uintptr) {
			for {
				n, _, err := unix.Recvfrom(int(fd), space, unix.MSG_DONTWAIT)
				if err != nil {
					return
				}
				got[string(space[:n])]++
				arrived++
			}
		})
		dropped := s.Stats().Drops
		if arrived+int(dropped) == sent {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d sent, %d arrived, %d dropped", sent, arrived, dropped)
		}
	}
	for b, n := range want {
		if got[b] != n {
			t.Errorf("%x arrived %d times, want %d", b, got[b], n)
		}
		delete(got, b)
	}
	for b := range got {
		t.Errorf("%x arrived, want it filtered", b)
	}
	if len(want) < 2*core.MaxPeers {
		t.Errorf("only %d datagrams are to pass", len(want))
	}
}

// sufferer is a besieged machine that is polled every 10 ms.
type sufferer struct {
	stepped, lost atomic.Int64
	next          time.Time
}

func (m *sufferer) Step(time.Time, netip.AddrPort, []byte) { m.stepped.Add(1) }
func (m *sufferer) Poll(now time.Time) (core.Outgoing, time.Time) {
	if !now.Before(m.next) {
		m.next = now.Add(10 * time.Millisecond)
	}
	return core.Outgoing{}, m.next
}
func (m *sufferer) Lost(time.Time) { m.lost.Add(1) }

// A flood of garbage brings the filter, its end takes it away.
func TestSiege(t *testing.T) {
	t.Parallel()
	s, u := listen(t, 1), sender(t) // the least that Linux grants
	m := new(sufferer)
	ended := serve(t, context.Background(), s, m)
	until := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("no %s within 30 s", what)
			}
		}
	}
	filtered := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.siege.filtered
	}
	garbage := []byte("garbage")
	send(t, u, s.Addr(), garbage)
	until("datagram, as long as there is no flood", func() bool { return m.stepped.Load() == 1 })
	if m.lost.Load() != 0 || filtered() {
		t.Fatal("lost without a loss")
	}
	until("filter", func() bool {
		s.Do(func(time.Time) { // nobody reads meanwhile
			for range 500 {
				send(t, u, s.Addr(), garbage)
			}
		})
		return filtered()
	})
	if m.lost.Load() == 0 {
		t.Error("the machine has not been told")
	}
	until("calm", func() bool { return !filtered() })
	before := m.stepped.Load()
	send(t, u, s.Addr(), garbage)
	until("datagram after the flood", func() bool { return m.stepped.Load() > before })
	s.Close()
	await(t, ended, "Serve's end")
}
