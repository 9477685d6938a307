package result

import "github.com/montanaflynn/stats"

// Distribution sums many samples up. A percentile that has fewer than ten
// samples beyond it is null.
type Distribution struct {
	N      uint64   `json:"n"`
	Min    *float64 `json:"min"`
	P50    *float64 `json:"p50"`
	P90    *float64 `json:"p90"`
	P99    *float64 `json:"p99"`
	P999   *float64 `json:"p99_9"`
	P9999  *float64 `json:"p99_99"`
	Max    *float64 `json:"max"`
	Mean   *float64 `json:"mean"`
	Stddev *float64 `json:"stddev"`
	// Outside counts samples beyond the histogram's range; they are in N and
	// in the percentiles as the nearest value that it can hold.
	Outside uint64 `json:"outside,omitempty"`
}

// parts are what a distribution has beside n, in the order they are printed, and
// the percent of a percentile.
var parts = []struct {
	name    string
	percent float64
	of      func(*Distribution) **float64
}{
	{"min", 0, func(d *Distribution) **float64 { return &d.Min }},
	{"p50", 50, func(d *Distribution) **float64 { return &d.P50 }},
	{"p90", 90, func(d *Distribution) **float64 { return &d.P90 }},
	{"p99", 99, func(d *Distribution) **float64 { return &d.P99 }},
	{"p99.9", 99.9, func(d *Distribution) **float64 { return &d.P999 }},
	{"p99.99", 99.99, func(d *Distribution) **float64 { return &d.P9999 }},
	{"max", 0, func(d *Distribution) **float64 { return &d.Max }},
	{"mean", 0, func(d *Distribution) **float64 { return &d.Mean }},
	{"stddev", 0, func(d *Distribution) **float64 { return &d.Stddev }},
}

// Fields are the names under which a distribution's parts appear in flat
// metric names, in the order they are printed.
var Fields = func() []string {
	names := []string{"n"}
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}()

// Field is one part of a distribution by its flat name; nil: not supported by
// enough samples.
func (d *Distribution) Field(name string) *float64 {
	for _, p := range parts {
		if p.name == name {
			return *p.of(d)
		}
	}
	n := float64(d.N)
	return &n
}

// Percentiles fills in those that d.N samples support.
func (d *Distribution) Percentiles(value func(percent float64) *float64) {
	for _, p := range parts {
		if p.percent > 0 && supported(d.N, p.percent) {
			*p.of(d) = value(p.percent)
		}
	}
}

// supported reports that at least ten of n samples lie beyond a percentile.
func supported(n uint64, percent float64) bool {
	return float64(n)*(100-percent)/100 >= 10-1e-9
}

// Samples makes a distribution of few values. Nothing is rounded.
func Samples(unit string, values []float64) Metric {
	d := &Distribution{N: uint64(len(values))}
	m := Metric{Unit: unit, Dist: d}
	if d.N == 0 {
		return m
	}
	value := func(v float64, err error) *float64 {
		if err != nil {
			return nil
		}
		return &v
	}
	d.Min, d.Max = value(stats.Min(values)), value(stats.Max(values))
	d.Mean, d.Stddev = value(stats.Mean(values)), value(stats.StandardDeviation(values))
	if *d.Min == *d.Max { // what rounding adds is no deviation, and no change from another run
		d.Mean, d.Stddev = d.Min, new(float64)
	}
	d.Percentiles(func(percent float64) *float64 { return value(stats.PercentileNearestRank(values, percent)) })
	return m
}
