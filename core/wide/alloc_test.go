//go:build !race

package wide

import (
	"testing"
	"time"

	"p2plocal/core"
)

// In the steady state nothing allocates: keep-alives, broadcasts, hostile input that is refused.
func TestNoAllocations(t *testing.T) {
	for _, keys := range []Keys{nil, someKey} {
		d, p, last := pair(t, 95, keys)
		now := begin
		hostile := [][]byte{nil, {0xC0}, {0xC0, 0x57}, make([]byte, 1200)}
		if keys == nil {
			for _, b := range samples() {
				hostile = append(hostile, b) // retries are owed, and sent
			}
		}
		heard := p.Counters().Events[core.Heard]
		f := func() {
			now = now.Add(500 * time.Millisecond)
			for _, m := range []*Peer{p, last} {
				m.Broadcast(core.Schedule{First: now, Interval: time.Hour})
				for out := next(m, now); !out.Empty(); out = next(m, now) {
					if out.To[0] == server {
						d.Step(now, peerAddr(map[*Peer]int{p: 0, last: 94}[m]), out.Datagram)
					} else if m == last {
						p.Step(now, peerAddr(94), out.Datagram)
					}
				}
			}
			for _, b := range hostile {
				d.Step(now, peerAddr(2), b)
				p.Step(now, server, b)
				p.Step(now, peerAddr(94), b)
			}
			for out := next(d, now); !out.Empty(); out = next(d, now) {
			}
		}
		for range 20 { // the others are removed, scratch space grows
			f()
		}
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("key %v: %v allocations", keys != nil, n)
		}
		if p.Counters().Events[core.Heard] == heard || d.Counters().Events[core.Alive] < 100 {
			t.Errorf("this test has not gone where it should: %+v, %+v", p.Counters().Events, d.Counters().Events)
		}
	}
}
