package bench

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"p2plocal/core/simnet"
)

// Values that can be worked out by hand, and one of a table (Massey, Ann. Math.
// Statist. 22, 1951: two samples of 10 differ by 7/10 or more with probability 0.01234).
func TestKolmogorovSmirnov(t *testing.T) {
	up := func(n int, from float64) (v []float64) {
		for i := range n {
			v = append(v, from+float64(i))
		}
		return v
	}
	for _, test := range []struct {
		a, b []float64
		d, p float64
	}{
		{[]float64{1}, []float64{2}, 1, 1},
		{[]float64{1, 2}, []float64{3, 4}, 1, 2.0 / 6},
		{up(10, 0), up(10, 100), 1, 2.0 / 184_756},
		{up(10, 0), up(10, 6.5), 0.7, 0.01234},
		{[]float64{1, 1, 1}, []float64{1, 1, 1}, 0, 1},
		{[]float64{1, math.Inf(1)}, []float64{1, math.Inf(1)}, 0, 1},
		{[]float64{1, 2, 3}, []float64{1.5, 2.5}, 1.0 / 3, 1},
	} {
		if d, p := kolmogorovSmirnov(test.a, test.b); math.Abs(d-test.d) > 1e-12 || math.Abs(p-test.p) > 1e-5 {
			t.Errorf("%v, %v: D %v, p %v, want %v, %v", test.a, test.b, d, p, test.d, test.p)
		}
	}
	// Samples of one distribution have p below a level that often and no more.
	rng := rand.New(rand.NewPCG(1, 2))
	const tries = 4000
	below := 0
	for range tries {
		var s [2][]float64
		for i := range s {
			for range 30 {
				s[i] = append(s[i], rng.NormFloat64())
			}
			slices.Sort(s[i])
		}
		if _, p := kolmogorovSmirnov(s[0], s[1]); p <= 0.05 {
			below++
		}
	}
	if part := float64(below) / tries; part > 0.06 || part < 0.02 {
		t.Errorf("p is below 0.05 in %v of the tries, want somewhat less than 0.05", part)
	}
}

// Two simulations of different seeds agree; on another network they do not.
func TestAgree(t *testing.T) {
	t.Parallel()
	runs := func(seed uint64, delay time.Duration) *Result {
		cfg := simulated(8, "join", "crash")
		cfg.Seed, cfg.Repeat = seed, 30
		cfg.Simulation.Network = simnet.Fault{Delay: delay, Jitter: time.Millisecond}
		return execute(t, cfg)
	}
	a := Agree(runs(1, time.Millisecond), runs(1000, time.Millisecond))
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
	if w := Agree(&few, &few).Warnings; len(w) != 1 || !strings.Contains(w[0], "too few runs") {
		t.Errorf("three runs a side: %q", w)
	}
	if w := Agree(runs(1, time.Millisecond), &few).Warnings; len(w) != 1 || !strings.Contains(w[0], "peers differs: 8 old, 9 new") {
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
	for _, x := range Agree(runs(1, time.Millisecond), runs(1000, 5*time.Millisecond)).Beside {
		differ[x.Metric] = x.Differs
	}
	if !differ["join.admit.max"] || !differ["join.propagate.max"] {
		t.Errorf("a network five times as slow does not show: %v", differ)
	}
}

// A host's wake-up is what the runs leave for it.
func TestMeasuredHost(t *testing.T) {
	t.Parallel()
	cfg := simulated(10, "steady") // whose keep-alives are 20 a second
	trip := 20e-6
	run := Run{Baseline: Baseline{Metric{Unit: "s", Dist: &Distribution{N: 100, P50: &trip}}}}
	if h := cfg.MeasuredHost([]Run{run}); h.Cores != 1 || h.Wake != 7200*time.Nanosecond {
		t.Errorf("%+v from a round trip of 20 µs, want half of it less 2.8 µs", h)
	}
	run.Scenarios = []Scenario{{Metrics: map[string]Metric{"steady.cpu": scalar("cores", 0.01), "steady.rate": scalar("messages/s", 980)}}}
	if h := cfg.MeasuredHost([]Run{run}); h.Wake != 7200*time.Nanosecond {
		t.Errorf("%+v from 10 ms a second for 1,000 datagrams", h)
	}
	if h := cfg.MeasuredHost(nil); h != DefaultHost {
		t.Errorf("%+v from nothing, want %+v", h, DefaultHost)
	}
}
