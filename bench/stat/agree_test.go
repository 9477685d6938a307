package stat

import (
	"strings"

	"math"
	"math/rand/v2"
	"p2plocal/bench/result"
	"slices"
	"testing"
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

func TestQuantiles(t *testing.T) {
	up := func(n int) (v []float64) {
		for i := range n {
			v = append(v, float64(i+1))
		}
		return v
	}
	for n, want := range map[int][3]float64{1: {1, 1, 1}, 2: {1, 1, 2}, 3: {1, 2, 3}, 10: {1, 5, 9}, 20: {2, 10, 18}, 21: {3, 11, 19}} {
		if got := Quantiles(up(n)); got != want {
			t.Errorf("of 1 to %d: %v, want %v", n, got, want)
		}
	}
	for _, q := range Quantiles(nil) {
		if !math.IsNaN(q) {
			t.Errorf("of nothing: %v", q)
		}
	}
}

// What two sides measured is set side by side: what tells something, both have, and varies.
func TestAgree(t *testing.T) {
	side := func(runs int, of func(i int) map[string]result.Metric) *result.Result {
		r := &result.Result{Config: result.Config{Peers: 80, Scenarios: []string{"join", "restart", "steady"}}}
		for i := range runs {
			byScenario := map[string]map[string]result.Metric{}
			for name, m := range of(i) {
				scenario, _, _ := strings.Cut(name, ".")
				if byScenario[scenario] == nil {
					byScenario[scenario] = map[string]result.Metric{}
				}
				byScenario[scenario][name] = m
			}
			var run result.Run
			for _, name := range r.Config.Scenarios {
				run.Scenarios = append(run.Scenarios, result.Scenario{Name: name, Metrics: byScenario[name]})
			}
			r.Runs = append(r.Runs, run)
		}
		return r
	}
	value := func(unit string, v int) result.Metric { return result.Scalar(unit, float64(v)) }
	real := side(6, func(i int) map[string]result.Metric {
		return map[string]result.Metric{
			"join.converge":    value("s", 26-i), // above all of the others
			"join.propagate":   result.Samples("s", slices.Repeat([]float64{float64(i % 2)}, 100)),
			"join.datagrams":   value("1", i),                     // tells nothing
			"join.dropped":     value("1", 3),                     // the same in all of both
			"steady.rate":      value("messages/s", 10+i),         // here only
			"steady.lost":      value("1", 7*min(i, 1)),           // in another unit there
			"steady.missed":    value("1", 5),                     // the same on each side
			"restart.whole":    result.Never("s"),                 // never, which is worse than any
			"steady.latency":   result.Samples("s", []float64{1}), // has no percentiles, and its ends
			"steady.sent":      value("1", 1-min(i, 1)),           // not the same in one run
			"steady.late":      value("1", min(i, 1)),             // less in one run
			"steady.reordered": value("1", 1),
			"unknown.measure":  value("1", i),
		}
	})
	sim := side(7, func(i int) map[string]result.Metric {
		return map[string]result.Metric{
			"join.converge":    value("s", 17-i),
			"join.propagate":   result.Samples("s", slices.Repeat([]float64{float64(i % 2)}, 100)),
			"join.datagrams":   value("1", 100),
			"join.dropped":     value("1", 3),
			"steady.lost":      value("s", i),
			"steady.missed":    value("1", 6),
			"restart.whole":    value("s", i),
			"steady.latency":   result.Samples("s", []float64{1}),
			"steady.sent":      value("1", 0),
			"steady.late":      value("1", 1),
			"steady.reordered": value("1", min(i, 1)), // less in one run
			"unknown.measure":  value("1", i+100),
		}
	})
	unfinished := real.Runs[0]
	unfinished.Scenarios = unfinished.Scenarios[:1]
	real.Runs = append(real.Runs, unfinished)
	a := Agree(metrics, real, sim)
	if a.RealRuns != 6 || a.SimRuns != 7 || a.Alpha != 0.05 || len(a.Warnings) != 0 {
		t.Errorf("%d and %d runs, alpha %v, warnings %q", a.RealRuns, a.SimRuns, a.Alpha, a.Warnings)
	}
	got := map[string]Beside{}
	var names []string
	for _, b := range a.Beside {
		got[b.Metric] = b
		names = append(names, b.Metric)
	}
	if want := []string{"join.converge", "join.propagate.p50", "join.propagate.max", "steady.sent", "steady.reordered", "steady.late", "steady.missed", "restart.whole"}; !slices.Equal(names, want) {
		t.Errorf("beside %q, want %q", names, want)
	}
	if want := []string{"join.dropped", "steady.latency.max"}; !slices.Equal(a.Equal, want) {
		t.Errorf("equal %q, want %q", a.Equal, want)
	}
	const apart = 2.0 / 1716 // by 13 over 6
	c := got["join.converge"]
	if !slices.Equal(c.Real, []float64{21, 22, 23, 24, 25, 26}) || !slices.Equal(c.Sim, []float64{11, 12, 13, 14, 15, 16, 17}) || c.Unit != "s" {
		t.Errorf("%+v", c)
	}
	for name, b := range got {
		differs := name == "join.converge" || name == "steady.missed" || name == "restart.whole"
		if b.Differs != differs || differs && (b.D != 1 || math.Abs(b.P-apart) > 1e-12 || math.Abs(b.Q-8.0/3*apart) > 1e-12) || !differs && (b.Q < 0.5 || b.D > 0.2) {
			t.Errorf("%s: %+v, want it to differ: %v", name, b, differs)
		}
	}
	if never := got["restart.whole"].Real; len(never) != 6 || !math.IsInf(never[0], 1) {
		t.Errorf("never ranks as %v", never)
	}

	real.Config.Peers, real.Config.Seed, real.Env.CPU, sim.Env.Simulated = 20, 7, "one", true
	if got, want := Agree(metrics, real, sim).Warnings, []string{"peers differs: 20 old, 80 new"}; !slices.Equal(got, want) {
		t.Errorf("warnings %q, want %q", got, want)
	}
	real.Config.Peers = 80
	real.Runs, sim.Runs = real.Runs[:4], sim.Runs[:4]
	if got := Agree(metrics, real, sim).Warnings; len(got) != 0 {
		t.Errorf("four runs of each are enough: %q", got)
	}
	real.Runs, sim.Runs = real.Runs[:3], sim.Runs[:3]
	want := []string{"too few runs to tell any difference from chance: 3 over UDP, 3 simulated, want 4 or more of each"}
	if got := Agree(metrics, real, sim).Warnings; !slices.Equal(got, want) {
		t.Errorf("warnings %q, want %q", got, want)
	}
}
