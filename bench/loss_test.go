package bench

import (
	"math"
	"testing"
	"time"

	"p2plocal/core"
)

func TestCullRate(t *testing.T) {
	t.Parallel()
	for _, p := range []float64{0, 0.01, 0.1, 0.3, 1} {
		if got, want := cullRate(core.DefaultTiming(), p), 2*p*p*p*(1-p); math.Abs(got-want) > 1e-9 {
			t.Errorf("loss %v: %v false culls a peer-second, want 2p³(1-p), %v", p, got, want)
		}
	}
	// Keep-alives every 0.5 s and a deadline of 1.25 s: after two lost ones,
	// every second look sees the silence, after three every one.
	timing := core.DefaultTiming()
	timing.Deadline = 1250 * time.Millisecond
	if got, want := cullRate(timing, 0.1), 2*(0.9*0.9*0.01/2+0.9*0.001); math.Abs(got-want) > 1e-9 {
		t.Errorf("deadline 1.25 s: %v, want %v", got, want)
	}
}

// Dead peers and those of others add nothing to the time that was lived.
func TestLifetime(t *testing.T) {
	t.Parallel()
	const s = int64(time.Second)
	all, some := set{}, set{}
	for i := range 4 {
		all.add(i)
	}
	some.add(0)
	some.add(3)
	m := &mesh{n: 4, external: 1, roster: roster{{0, all}, {10 * s, some}, {12 * s, all}}}
	if got := m.lifetime(5*s, 11*s); got != 3*5+1 {
		t.Errorf("%v peer-seconds, want 3 peers for 5 s and one for 1 s", got)
	}
}
