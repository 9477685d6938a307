//go:build !portable

package udp

import (
	"context"
	"maps"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"p2plocal/core"
)

// The kernel runs the filter as the interpreter does (TestServerFilter).
func TestFilterInKernel(t *testing.T) {
	t.Parallel()
	s, u := listen(t, ReadBuffer), sender(t)
	if !s.conn.filter(assemble((&core.Exact{Host: host}).Accepts())) {
		t.Fatal("the kernel takes no filter")
	}
	datagrams := filterCases()
	if len(datagrams) > 500 { // all of them fit into the buffer
		datagrams = datagrams[:500]
	}
	datagrams = append(datagrams, keepAlive('A'), birth(every(34)[33]))
	want := map[string]int{}
	for _, b := range datagrams {
		send(t, u, s.Addr(), b)
		if acceptable(b) {
			want[string(b)]++
		}
	}
	got := map[string]int{}
	arrived := 0
	space := make([]byte, 100)
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
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
		if arrived+int(dropped) == len(datagrams) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d sent, %d arrived, %d dropped", len(datagrams), arrived, dropped)
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("arrived %x\nwant %x", got, want)
	}
}

// sufferer is a lossAware machine that is polled every 10 ms.
type sufferer struct {
	stepped, lost atomic.Int64
	next          time.Time
}

func (m *sufferer) Step(time.Time, netip.AddrPort, []byte) bool {
	m.stepped.Add(1)
	return true
}

func (m *sufferer) Poll(now time.Time) (core.Outgoing, time.Time) {
	if !now.Before(m.next) {
		m.next = now.Add(10 * time.Millisecond)
	}
	return core.Outgoing{}, m.next
}
func (m *sufferer) Lost(time.Time)        { m.lost.Add(1) }
func (m *sufferer) Accepts() []core.Shape { return (&core.Exact{Host: host}).Accepts() }

// A flood of garbage brings the filter, its end takes it away.
func TestOverload(t *testing.T) {
	t.Parallel()
	s, u := listen(t, 1), sender(t) // the least that Linux grants
	m := new(sufferer)
	ended := serve(t, context.Background(), s, m)
	until := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("no %s within %v", what, patience)
			}
		}
	}
	filtered := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.Filtered() != s.overload.filtered {
			t.Errorf("the filter is in place: %v, but it says %v", s.overload.filtered, s.Filtered())
		}
		return s.overload.filtered
	}
	garbage := []byte("garbage")
	send(t, u, s.Addr(), garbage)
	until("datagram, as long as there is no flood", func() bool { return m.stepped.Load() == 1 })
	if m.lost.Load() != 0 || filtered() {
		t.Fatal("lost without a loss")
	}
	until("filter", func() bool {
		s.Do(func(time.Time) { // nobody reads meanwhile
			for range 2000 { // more in one go than a window allows
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
