package result

import (
	"math"
	"testing"
)

// A percentile needs ten samples beyond it.
func TestSupported(t *testing.T) {
	for _, test := range []struct {
		percent float64
		need    uint64
	}{{50, 20}, {90, 100}, {99, 1000}, {99.9, 10_000}, {99.99, 100_000}} {
		if supported(test.need-1, test.percent) || !supported(test.need, test.percent) {
			t.Errorf("p%v: want support from %d samples on", test.percent, test.need)
		}
	}
	var values []float64
	for i := range 1000 {
		values = append(values, float64(i+1)*1e-6)
	}
	d := Samples("s", values).Dist
	if d.P999 != nil || d.P9999 != nil {
		t.Error("a percentile that 1000 samples do not support")
	}
	for _, p := range []struct {
		got  *float64
		want float64
	}{{d.Min, 1e-6}, {d.P50, 500e-6}, {d.P90, 900e-6}, {d.P99, 990e-6}, {d.Max, 1000e-6}, {d.Mean, 500.5e-6}, {d.Stddev, 288.67e-6}} {
		if p.got == nil || math.Abs(*p.got/p.want-1) > 0.065 { // 1 µs is 15.6 units of 64 ns
			t.Errorf("%v, want %v", p.got, p.want)
		}
	}
	if d := Samples("s", nil).Dist; d.N != 0 || d.Min != nil || d.Max != nil || d.Mean != nil {
		t.Errorf("empty: %+v", d)
	}
}

// Values that are all the same deviate by nothing, not by what rounding adds up to.
func TestSamplesAlike(t *testing.T) {
	values := make([]float64, 40)
	for i := range values {
		values[i] = 40e-6
	}
	if d := Samples("s", values).Dist; *d.Mean != 40e-6 || *d.Stddev != 0 {
		t.Errorf("mean %v, standard deviation %v, want 40e-06 and 0", *d.Mean, *d.Stddev)
	}
}
