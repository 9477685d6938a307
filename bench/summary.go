package bench

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
func Summarize(runs []Run) []Summary {
	all := collect(runs)
	sums := make([]Summary, 0, len(all))
	for _, f := range all {
		if len(f.values) > 0 {
			sums = append(sums, f.summary())
		}
	}
	return sums
}

// figure is one flat metric as a number of runs measured it.
type figure struct {
	name   string
	unit   string
	values []float64 // of the runs that measured it
	never  int       // runs that ended with null where one figure should be
}

// flatValue is one figure of one run.
type flatValue struct {
	unit  string
	value *float64 // nil: not measured
	never bool     // one figure that is nil although its scenario came to its end
}

// flatten is all of a run's figures by flat name.
func flatten(run Run) map[string]flatValue {
	flat := make(map[string]flatValue)
	for _, s := range run.Scenarios {
		for name, v := range s.Flat() {
			_, single := s.Metrics[name]
			flat[name] = flatValue{s.unit(name), v, v == nil && single && !s.Interrupted}
		}
	}
	return flat
}

// collect gathers the figures of runs in the stable order.
func collect(runs []Run) []*figure {
	byName := make(map[string]*figure)
	var names []string
	for _, run := range runs {
		for name, v := range flatten(run) {
			f := byName[name]
			if f == nil {
				f = &figure{name: name, unit: v.unit}
				byName[name] = f
				names = append(names, name)
			}
			if v.value != nil {
				f.values = append(f.values, *v.value)
			}
			if v.never {
				f.never++
			}
		}
	}
	sortFlat(names)
	all := make([]*figure, len(names))
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

// summary of a figure that has values.
func (f *figure) summary() Summary {
	s := Summary{Metric: f.name, Unit: f.unit, N: len(f.values)}
	// They fail on no values only.
	s.Median = median(f.values)
	s.Min, _ = stats.Min(f.values)
	s.Max, _ = stats.Max(f.values)
	s.Mean, _ = stats.Mean(f.values)
	if s.N > 1 {
		s.Stddev, _ = stats.StandardDeviationSample(f.values)
	}
	s.Low, s.High, s.More = interval(f.values)
	return s
}

func median(values []float64) float64 {
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
	s := benchmath.AssumeNothing.Summary(sample(values), confidence)
	return !math.IsInf(s.Lo, 0) && !math.IsInf(s.Hi, 0)
}

// interval is the median's confidence interval, made of order statistics, so
// that it assumes nothing about how the values are distributed; or how many
// more values it takes.
func interval(values []float64) (low, high *float64, more int) {
	if len(values) < intervalRuns {
		return nil, nil, intervalRuns - len(values)
	}
	s := benchmath.AssumeNothing.Summary(sample(values), confidence)
	return &s.Lo, &s.Hi, 0
}

// sample copies the values, because benchmath sorts them.
func sample(values []float64) *benchmath.Sample {
	return benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds)
}
