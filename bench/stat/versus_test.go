package stat

import (
	"math"
	"testing"

	"p2plocal/bench/result"
)

// Ratios are taken round by round, and judged only where an interval leaves 1 out.
func TestInTurns(t *testing.T) {
	never := math.NaN()
	run := func(v float64) result.Run {
		m := result.Scalar("s", v) // NaN: never
		return result.Run{Scenarios: []result.Scenario{{Name: "x", Metrics: map[string]result.Metric{"x.time": m}}}}
	}
	of := func(values ...float64) *result.Result {
		r := new(result.Result)
		for _, v := range values {
			r.Runs = append(r.Runs, run(v))
		}
		return r
	}
	defs := result.NewDefinitions([]result.Definition{{Name: "x.time", Unit: "s", Better: -1, Text: "time"}})
	first := of(1, 2, 1, 2, 1, 2)
	for _, test := range []struct {
		name              string
		b                 *result.Result
		rounds            int
		median, low, high float64 // 0: none
		verdict           Verdict
	}{
		{"twice as slow in every round", of(2, 4, 2, 4, 2, 4), 6, 2, 2, 2, Worse},
		{"half as slow", of(0.5, 1, 0.5, 1, 0.5, 1), 6, 0.5, 0.5, 0.5, Better},
		{"now more, now less", of(2, 1, 2, 1, 2, 1), 6, 1.25, 0.5, 2, Same},
		{"too few rounds", of(2, 4, 2, 4, 2), 5, 2, 0, 0, Same},
		{"never", of(never, never, never, never, never, never), 6, 0, 0, 0, Worse},
	} {
		v := InTurns(defs, []*result.Result{first, test.b})
		if v.Rounds != test.rounds || len(v.Metrics) != 1 {
			t.Errorf("%s: %+v", test.name, v)
			continue
		}
		r := v.Metrics[0].Ratios[0]
		value := func(p *float64) float64 {
			if p == nil {
				return 0
			}
			return *p
		}
		if value(r.Median) != test.median || value(r.Low) != test.low || value(r.High) != test.high || r.Verdict != test.verdict {
			t.Errorf("%s: median %v, %v to %v, %s", test.name, value(r.Median), value(r.Low), value(r.High), r.Verdict)
		}
	}
	// Rounds in which both are 0 count: where they are half of all, the rest may be chance.
	none, some := of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), of(0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1)
	if r := InTurns(defs, []*result.Result{none, some}).Metrics[0].Ratios[0]; r.Verdict != Same || r.Median != nil {
		t.Errorf("0 against 0 in half of the rounds: %+v, want no verdict", r)
	}
	all := of(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)
	if r := InTurns(defs, []*result.Result{none, all}).Metrics[0].Ratios[0]; r.Verdict != Worse {
		t.Errorf("1 against 0 in all rounds: %+v, want worse", r)
	}
}
