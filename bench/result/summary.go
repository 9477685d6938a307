package result

import (
	"maps"
	"math"
	"slices"

	"github.com/montanaflynn/stats"
	"golang.org/x/perf/benchmath"
)

// Summary is one flat metric over the runs.
type Summary struct {
	Metric string   `json:"metric"`
	Unit   string   `json:"unit"`
	N      int      `json:"n"` // runs that measured it
	Median float64  `json:"median"`
	Min    float64  `json:"min"`
	Max    float64  `json:"max"`
	Mean   float64  `json:"mean"`
	Stddev float64  `json:"stddev"` // of the sample, n-1 below; 0 for a single run
	Low    *float64 `json:"low"`    // 95 % confidence interval of the median;
	High   *float64 `json:"high"`   // null: too few runs for one
	More   int      `json:"more"`   // how many more runs that interval needs; 0: none
}

// Summarize sums up every flat metric that at least one run measured, in the
// stable order.
func (defs *Definitions) Summarize(runs []Run) []Summary {
	all := defs.Collect(runs)
	sums := make([]Summary, 0, len(all))
	for _, f := range all {
		if len(f.Values) > 0 {
			sums = append(sums, f.Summary())
		}
	}
	return sums
}

// Figure is one flat metric as a number of runs measured it.
type Figure struct {
	Name   string
	Unit   string
	Values []float64 // of the runs that measured it
	Never  int       // runs that ended with null where one figure should be
}

// FlatValue is one figure of one run.
type FlatValue struct {
	Unit  string   // a distribution's n is a count
	Value *float64 // nil: not measured
	Never bool     // one figure that is nil although its scenario was measured to its end
}

// Flat is the scenario's figures under flat names: a distribution x appears as
// x.p50, x.max and so on.
func (s Scenario) Flat() map[string]FlatValue {
	flat := make(map[string]FlatValue)
	for name, m := range s.Metrics {
		if m.Dist == nil {
			flat[name] = FlatValue{m.Unit, m.Value, m.Value == nil && s.Complete()}
			continue
		}
		for _, f := range Fields {
			unit := m.Unit
			if f == "n" {
				unit = "1"
			}
			flat[name+"."+f] = FlatValue{Unit: unit, Value: m.Dist.Field(f)}
		}
	}
	return flat
}

// Flat is all of a run's figures.
func (r Run) Flat() map[string]FlatValue {
	flat := make(map[string]FlatValue)
	for _, s := range r.Scenarios {
		maps.Copy(flat, s.Flat())
	}
	return flat
}

// Collect gathers the figures of runs in the stable order.
func (defs *Definitions) Collect(runs []Run) []*Figure {
	byName := make(map[string]*Figure)
	for _, run := range runs {
		for name, v := range run.Flat() {
			f := byName[name]
			if f == nil {
				f = &Figure{Name: name, Unit: v.Unit}
				byName[name] = f
			}
			if v.Value != nil {
				f.Values = append(f.Values, *v.Value)
			}
			if v.Never {
				f.Never++
			}
		}
	}
	var all []*Figure
	for _, name := range defs.Sorted(maps.Keys(byName)) {
		all = append(all, byName[name])
	}
	return all
}

// Summary of a figure that has values.
func (f *Figure) Summary() Summary {
	s := Summary{Metric: f.Name, Unit: f.Unit, N: len(f.Values)}
	// They fail on no values only.
	s.Median = Median(f.Values)
	s.Min, _ = stats.Min(f.Values)
	s.Max, _ = stats.Max(f.Values)
	s.Mean, _ = stats.Mean(f.Values)
	if s.N > 1 {
		s.Stddev, _ = stats.StandardDeviationSample(f.Values)
	}
	s.Low, s.High, s.More = Interval(f.Values)
	return s
}

func Median(values []float64) float64 {
	m, _ := stats.Median(values)
	return m
}

// Interval is the median's 95 % confidence interval, made of order statistics, so
// that it assumes nothing about how the values are distributed; or how many
// more values it takes.
func Interval(values []float64) (low, high *float64, more int) {
	const fewest = 6 // of 5, all lie on one side of the median with probability 1/16
	if len(values) < fewest {
		return nil, nil, fewest - len(values)
	}
	s := benchmath.AssumeNothing.Summary(benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds), 0.95)
	return &s.Lo, &s.Hi, 0
}

// Ranked are a figure's values with infinity for never, on the worse side.
func (f *Figure) Ranked(better int) []float64 {
	values := slices.Clone(f.Values)
	if better != 0 {
		for range f.Never {
			values = append(values, math.Inf(-better))
		}
	}
	return values
}
