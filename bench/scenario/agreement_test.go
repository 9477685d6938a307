package scenario

import (
	"strings"
	"testing"
	"time"

	"p2plocal/bench/result"
	"p2plocal/bench/stat"
	"p2plocal/core/simnet"
)

// Two simulations of different seeds agree; on another network they do not.
func TestAgree(t *testing.T) {
	t.Parallel()
	runs := func(seed uint64, delay time.Duration) *result.Result {
		cfg := simulated(8, "join", "crash")
		cfg.Seed, cfg.Repeat = seed, 30
		cfg.Simulation.Network = simnet.Fault{Delay: delay, Jitter: time.Millisecond}
		return execute(t, cfg)
	}
	a := stat.Agree(Definitions, runs(1, time.Millisecond), runs(1000, time.Millisecond))
	for _, x := range a.Beside {
		if x.Differs || len(x.Real) != 30 || len(x.Sim) != 30 {
			t.Errorf("%s differs with D %v, q %v", x.Metric, x.D, x.Q)
		}
	}
	if len(a.Warnings) != 0 {
		t.Errorf("warnings %q", a.Warnings)
	}
	few := *runs(1, time.Millisecond)
	few.Runs, few.Config.Peers = few.Runs[:3], 9
	if w := stat.Agree(Definitions, &few, &few).Warnings; len(w) != 1 || !strings.Contains(w[0], "too few runs") {
		t.Errorf("three runs a side: %q", w)
	}
	if w := stat.Agree(Definitions, runs(1, time.Millisecond), &few).Warnings; len(w) != 1 || !strings.Contains(w[0], "peers differs: 8 old, 9 new") {
		t.Errorf("another number of peers: %q", w)
	}
	few.Runs[0].Scenarios[0].Interrupted = true
	if n := len(few.Finished()); n != 2 {
		t.Errorf("%d runs are finished, want 2 of 3", n)
	}
	if len(a.Beside) < 4 {
		t.Errorf("only %d figures: %+v", len(a.Beside), a)
	}
	differ := map[string]bool{}
	for _, x := range stat.Agree(Definitions, runs(1, time.Millisecond), runs(1000, 5*time.Millisecond)).Beside {
		differ[x.Metric] = x.Differs
	}
	if !differ["join.admit.max"] || !differ["join.propagate.max"] {
		t.Errorf("a network five times as slow does not show: %v", differ)
	}
}
