package stat

import (
	"math"
	"math/rand/v2"
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
