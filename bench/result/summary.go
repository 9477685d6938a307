package result

import (
	"math"
	"slices"
	"strings"

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
	Unit  string
	Value *float64 // nil: not measured
	Never bool     // one figure that is nil although its scenario came to its end
}

// Flatten is all of a run's figures by flat name.
func Flatten(run Run) map[string]FlatValue {
	flat := make(map[string]FlatValue)
	for _, s := range run.Scenarios {
		for name, v := range s.Flat() {
			_, single := s.Metrics[name]
			flat[name] = FlatValue{s.unit(name), v, v == nil && single && !s.Interrupted}
		}
	}
	return flat
}

// Collect gathers the figures of runs in the stable order.
func (defs *Definitions) Collect(runs []Run) []*Figure {
	byName := make(map[string]*Figure)
	var names []string
	for _, run := range runs {
		for name, v := range Flatten(run) {
			f := byName[name]
			if f == nil {
				f = &Figure{Name: name, Unit: v.Unit}
				byName[name] = f
				names = append(names, name)
			}
			if v.Value != nil {
				f.Values = append(f.Values, *v.Value)
			}
			if v.Never {
				f.Never++
			}
		}
	}
	defs.Sort(names)
	all := make([]*Figure, len(names))
	for i, n := range names {
		all[i] = byName[n]
	}
	return all
}

// unit of a flat metric; a distribution's n is a count.
func (s Scenario) unit(flat string) string {
	if m, ok := s.Metrics[flat]; ok {
		return m.Unit
	}
	for _, f := range Fields {
		if m, ok := s.Metrics[strings.TrimSuffix(flat, "."+f)]; ok {
			if f == "n" {
				return "1"
			}
			return m.Unit
		}
	}
	return ""
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

// confidence that an interval holds the true median.
const confidence = 0.95

// intervalRuns is how many runs such an interval takes: 6.
var intervalRuns = func() int {
	values := []float64{0}
	for !bounded(values) {
		values = append(values, 0)
	}
	return len(values)
}()

func bounded(values []float64) bool {
	s := benchmath.AssumeNothing.Summary(Sample(values), confidence)
	return !math.IsInf(s.Lo, 0) && !math.IsInf(s.Hi, 0)
}

// Interval is the median's confidence interval, made of order statistics, so
// that it assumes nothing about how the values are distributed; or how many
// more values it takes.
func Interval(values []float64) (low, high *float64, more int) {
	if len(values) < intervalRuns {
		return nil, nil, intervalRuns - len(values)
	}
	s := benchmath.AssumeNothing.Summary(Sample(values), confidence)
	return &s.Lo, &s.Hi, 0
}

// Sample copies the values, because benchmath sorts them.
func Sample(values []float64) *benchmath.Sample {
	return benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds)
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
