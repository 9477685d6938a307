package result

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// runsOf makes one run for each value of one scalar metric; nil: not measured.
func runsOf(name, unit string, values ...any) []Run {
	d, _, _ := metrics.Define(name)
	scenario, _, _ := strings.Cut(d.Name, ".")
	var runs []Run
	for _, v := range values {
		m := Never(unit)
		if v != nil {
			m = Scalar(unit, v.(float64))
		}
		runs = append(runs, Run{Scenarios: []Scenario{{Name: scenario, Peers: 80, Metrics: map[string]Metric{name: m}}}})
	}
	return runs
}

func TestSummarize(t *testing.T) {
	for _, test := range []struct {
		name   string
		values []any
		want   Summary
		low    float64 // NaN: no interval
		high   float64
	}{
		{"one", []any{3.0}, Summary{N: 1, Median: 3, Min: 3, Max: 3, Mean: 3, More: 5}, math.NaN(), 0},
		{"two, one not measured", []any{1.0, nil, 3.0}, Summary{N: 2, Median: 2, Min: 1, Max: 3, Mean: 2, Stddev: math.Sqrt2, More: 4}, math.NaN(), 0},
		{"five", []any{5.0, 1.0, 2.0, 4.0, 3.0}, Summary{N: 5, Median: 3, Min: 1, Max: 5, Mean: 3, Stddev: math.Sqrt(2.5), More: 1}, math.NaN(), 0},
		// With six, P(the median lies outside the extremes) is 2/2⁶ = 3.1 %.
		{"six", []any{6.0, 5.0, 1.0, 2.0, 4.0, 3.0}, Summary{N: 6, Median: 3.5, Min: 1, Max: 6, Mean: 3.5, Stddev: math.Sqrt(3.5)}, 1, 6},
		// With ten, 2·(1+10)/2¹⁰ = 2.1 % lie outside the second and the ninth.
		{"ten", []any{1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0}, Summary{N: 10, Median: 5.5, Min: 1, Max: 10, Mean: 5.5, Stddev: math.Sqrt(82.5 / 9)}, 2, 9},
	} {
		got := metrics.Summarize(runsOf("join.converge", "s", test.values...))
		if len(got) != 1 {
			t.Fatalf("%s: %d summaries, want 1", test.name, len(got))
		}
		g, w := got[0], test.want
		if g.Metric != "join.converge" || g.Unit != "s" || g.N != w.N || g.Median != w.Median || g.Min != w.Min ||
			g.Max != w.Max || g.Mean != w.Mean || math.Abs(g.Stddev-w.Stddev) > 1e-12 || g.More != w.More {
			t.Errorf("%s: got %+v, want %+v", test.name, g, w)
		}
		switch {
		case math.IsNaN(test.low):
			if g.Low != nil || g.High != nil {
				t.Errorf("%s: an interval from %d values", test.name, g.N)
			}
		case g.Low == nil || g.High == nil || *g.Low != test.low || *g.High != test.high:
			t.Errorf("%s: interval %v to %v, want %v to %v", test.name, g.Low, g.High, test.low, test.high)
		}
	}
}

func TestSummarizeFields(t *testing.T) {
	runs := []Run{{Scenarios: []Scenario{{Name: "steady", Metrics: map[string]Metric{
		"steady.latency": Samples("s", []float64{3, 1, 2}), // too few for any percentile
		"steady.loss":    Never("ratio"),
		"steady.sent":    Scalar("1", 7),
	}}}}}
	var got []string
	for _, s := range metrics.Summarize(runs) {
		got = append(got, s.Metric+" "+s.Unit)
	}
	want := []string{"steady.sent 1", "steady.latency.n 1", "steady.latency.min s", "steady.latency.max s", "steady.latency.mean s", "steady.latency.stddev s"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := metrics.Summarize(nil); len(got) != 0 {
		t.Errorf("of no runs: %+v", got)
	}
}

// One value has no spread, and what never came about ranks on the worse side, where there is one.
func TestOneValue(t *testing.T) {
	f := Figure{Values: []float64{3}, Never: 2}
	if s := f.Summary(); s.N != 1 || s.Stddev != 0 || s.Median != 3 || s.Mean != 3 || s.Min != 3 || s.Max != 3 {
		t.Errorf("%+v, want 3 and no spread", s)
	}
	inf := math.Inf(1)
	for better, want := range map[int][]float64{-1: {3, inf, inf}, 0: {3}, 1: {3, -inf, -inf}} {
		if got := f.Ranked(better); !slices.Equal(got, want) {
			t.Errorf("better %d: %v, want %v", better, got, want)
		}
	}
}
