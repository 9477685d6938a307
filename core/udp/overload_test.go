package udp

import (
	"testing"
	"time"
)

// What the overload handling makes of a counter of drops and a clock.
func TestWeigh(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	o := overload{since: start, seen: 5}
	for _, x := range []struct {
		at           time.Duration
		total        uint64
		lost, turned bool
	}{
		{0, 5, false, false},
		{1 * ms, 6, true, false},
		{2 * ms, 6, false, false},
		{3 * ms, 1005, true, false}, // 1,000 are not more than 1,000
		{4 * ms, 1006, true, true},
		{5 * ms, 2006, true, false}, // a window of its own: 1,000
		{1003 * ms, 2006, false, false},
		{1004 * ms, 2006, false, true}, // a second has brought no more
		{1005 * ms, 3006, true, false},
		{2004 * ms, 3006, false, false}, // and it begins anew,
		{2005 * ms, 4006, true, false},  // so these are not 2,000
		{2006 * ms, 4007, true, true},
		{2007 * ms, 6000, true, false}, // as before
		{3006 * ms, 6000, false, false},
		{3007 * ms, 6000, false, true},
	} {
		now := start.Add(x.at)
		lost, turned := o.sample(now, x.total)
		if lost != x.lost || turned != x.turned {
			t.Errorf("at %v, %d dropped: lost %v, turned %v; want %v, %v", x.at, x.total, lost, turned, x.lost, x.turned)
		}
		if turned {
			o.filtered = !o.filtered
		}
		if want := now.Add(50 * ms); !o.look.Equal(want) {
			t.Errorf("at %v looks next at %v, want %v", x.at, o.look.Sub(start), want.Sub(start))
		}
	}
	o.filtered = true // the kernel has refused to take it away
	if _, turned := o.sample(start.Add(5*time.Second), 6000); !turned {
		t.Error("a filter that should be gone stays")
	}
}
