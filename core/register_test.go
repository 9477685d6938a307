package core

import "testing"

// In the protocol's own dialect every name has a place of its own: nothing is kept of who has gone.
func TestRegisterKeepsNothing(t *testing.T) {
	d := fullServer(t)
	now := start
	for range 20 {
		for d.Len() > 0 {
			d.remove(0)
		}
		for i, m := range every(MaxPeers) {
			d.incoming.Slot = i
			d.add(&d.incoming, m.Name, slot{stamp: now, addr: m.Addr})
		}
	}
	if len(d.free) > 0 || len(d.slots) != MaxPeers {
		t.Errorf("%d slots, %d of them free, want %d and none", len(d.slots), len(d.free), MaxPeers)
	}
}

// Elsewhere the slots of those who have gone are taken again.
func TestRegisterReusesSlots(t *testing.T) {
	r := register{byName: map[Name]int{}}
	v := Message{Slot: -1}
	for round := range 20 {
		for i, m := range every(MaxPeers)[:3] {
			r.add(&v, m.Name, slot{addr: m.Addr})
			if v.Name = []byte(m.Name); r.named(&v) != r.slotOf(i) {
				t.Fatalf("round %d: member %d is in another slot than its name", round, i)
			}
		}
		if len(r.slots) != 3 || len(r.free) != 0 {
			t.Fatalf("round %d: %d slots and %d free ones for 3 members", round, len(r.slots), len(r.free))
		}
		for r.Len() > 0 {
			r.remove(0)
		}
	}
}
