package scenario

import (
	"testing"
	"time"

	"p2plocal/bench/result"
)

// Where time is virtual and the network takes none, latency is what the
// impairment's own log says, as exact as the histogram is, for its timers are
// never late.
func TestImpairmentDelaysExactly(t *testing.T) {
	t.Parallel()
	cfg := simulated(8, "loss")
	cfg.Simulation.Network.Delay = 0
	cfg.Options.Impair = result.Impairment{Loss: 0.1, Delay: 20 * time.Millisecond, Jitter: 15 * time.Millisecond, Duplicate: 0.05, Reorder: 0.1}
	cfg.Options.Interval = 100 * time.Millisecond
	r := execute(t, cfg)
	for _, part := range []string{"n", "min", "p50", "p90", "p99", "max", "mean", "stddev"} {
		got, held := flat(t, r, "loss.latency."+part), flat(t, r, "loss.delay_injected."+part)
		if got != held || held <= 0 {
			t.Errorf("latency.%s is %v, the impairment's log says %v", part, got, held)
		}
	}
	if low, high := flat(t, r, "loss.delay_injected.min"), flat(t, r, "loss.delay_injected.max"); low < 0.0199 || low > 0.021 || high < 0.06 || high > 0.0701 {
		t.Errorf("held for %v to %v s, want 20 ms to twice 35 ms", low, high)
	}
	if late := flat(t, r, "loss.timer_error.max"); late > 64e-9 { // the least that the histogram tells apart
		t.Errorf("timer error %v s", late)
	}
}
