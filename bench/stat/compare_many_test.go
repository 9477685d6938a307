package stat

import (
	"math"
	"testing"

	"p2plocal/bench/result"
)

// What is significant by itself need not be among many: of a hundred metrics
// that differ by chance alone, five have p < 0.05, and none counts.
func TestCompareManyMetrics(t *testing.T) {
	var names []string
	for _, d := range metrics.All() {
		for _, f := range result.Fields {
			if d.Dist {
				names = append(names, d.Name+"."+f)
			}
		}
		if !d.Dist {
			names = append(names, d.Name)
		}
	}
	names = names[:101]
	run := func(i int, old bool) result.Run {
		s := result.Scenario{Name: "join", Metrics: make(map[string]result.Metric)}
		for k, name := range names {
			d, _, _ := metrics.Define(name)
			v := float64((i*7 + k*3) % 8) // the same values on both sides, in another order
			switch {
			case k < 5: // apart, but in four runs of eight only
				v = float64(i)
				if !old && i < 4 {
					v += 8
				}
			case k == 5 && !old:
				v += 100
			case k == 6:
				v = 3 // in every run: no test
			}
			s.Metrics[name] = result.Scalar(d.Unit, v)
		}
		return result.Run{Scenarios: []result.Scenario{s}}
	}
	var old, new []result.Run
	for i := range 8 {
		old, new = append(old, run(i, true)), append(new, run(i, false))
	}
	c := Compare(metrics, sides, side(old), side(new))
	if c.Tested != 100 {
		t.Errorf("%d tests, want one for each metric that varies, 100", c.Tested)
	}
	alone := 0
	for _, ch := range c.Changes {
		if *ch.P < c.Alpha {
			alone++
		}
		if found := ch.Verdict != Same; found != (ch.Metric == names[5]) {
			t.Errorf("%s: verdict %q, p %.5f, q %v", ch.Metric, ch.Verdict, *ch.P, ch.Q)
		}
		if ch.Metric == names[5] && math.Abs(*ch.Q-100*2.0/12870) > 1e-6 {
			t.Errorf("q %v of the smallest of 100 p, want 100 times p, 2 by 16 over 8", *ch.Q)
		}
		if ch.Metric == names[6] && ch.Q != nil {
			t.Errorf("q %v of what never varies", *ch.Q)
		}
	}
	if alone != 6 {
		t.Errorf("%d metrics with p < 0.05, want the five of chance and the one that is not", alone)
	}
	if len(c.Warnings) != 0 {
		t.Errorf("8 runs a side are enough for one metric of 100: %q", c.Warnings)
	}
	if c := Compare(metrics, sides, side(old[:5]), side(new[:5])); len(c.Warnings) != 1 {
		t.Errorf("5 runs a side are not: %q", c.Warnings)
	}
}
