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

// Fields are the names under which a distribution's parts appear in flat
// metric names, in the order they are printed.
var Fields = []string{"n", "min", "p50", "p90", "p99", "p99.9", "p99.99", "max", "mean", "stddev"}

// Field is one part of a distribution by its flat name; nil: not supported by
// enough samples.
func (d *Distribution) Field(name string) *float64 {
	switch name {
	case "n":
		n := float64(d.N)
		return &n
	case "min":
		return d.Min
	case "p50":
		return d.P50
	case "p90":
		return d.P90
	case "p99":
		return d.P99
	case "p99.9":
		return d.P999
	case "p99.99":
		return d.P9999
	case "max":
		return d.Max
	case "mean":
		return d.Mean
	case "stddev":
		return d.Stddev
	}
	return nil
}

// Percentiles fills in those that d.N samples support.
func (d *Distribution) Percentiles(value func(percent float64) *float64) {
	for _, p := range []struct {
		percent float64
		to      **float64
	}{{50, &d.P50}, {90, &d.P90}, {99, &d.P99}, {99.9, &d.P999}, {99.99, &d.P9999}} {
		if supported(d.N, p.percent) {
			*p.to = value(p.percent)
		}
	}
}

// supported reports that at least ten of n samples lie beyond a percentile.
func supported(n uint64, percent float64) bool {
	return float64(n)*(100-percent)/100 >= 10-1e-9
}

// Samples makes a distribution of few values, in seconds. Nothing is rounded.
func Samples(unit string, values []float64) Metric {
	return Metric{Unit: unit, Dist: exact(values)}
}

// exact sums values up as they are.
func exact(values []float64) *Distribution {
	d := &Distribution{N: uint64(len(values))}
	if d.N == 0 {
		return d
	}
	value := func(v float64, err error) *float64 {
		if err != nil {
			return nil
		}
		return &v
	}
	d.Min, d.Max = value(stats.Min(values)), value(stats.Max(values))
	d.Mean, d.Stddev = value(stats.Mean(values)), value(stats.StandardDeviation(values))
	d.Percentiles(func(percent float64) *float64 { return value(stats.PercentileNearestRank(values, percent)) })

	return d
}
