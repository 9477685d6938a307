package stat

import (
	"fmt"
	"slices"
	"strings"

	"github.com/montanaflynn/stats"

	"p2plocal/bench/result"
)

// Agreement sets what a mesh measures over UDP beside what it measures
// simulated, figure by figure.
type Agreement struct {
	RealRuns int      `json:"real_runs"`
	SimRuns  int      `json:"sim_runs"`
	Alpha    float64  `json:"alpha"` // level of significance, of q
	Beside   []Beside `json:"beside"`
	Equal    []string `json:"equal"` // figures that have one value in all runs of both
	Warnings []string `json:"warnings"`
}

// Beside is one flat metric: its values of both sides, one for each run,
// ascending. A run in which it never happened counts as infinite, on the worse side.
type Beside struct {
	Metric  string    `json:"metric"`
	Unit    string    `json:"unit"`
	Real    []float64 `json:"-"`
	Sim     []float64 `json:"-"`
	D       float64   `json:"d"` // Kolmogorov-Smirnov: the largest distance of the two distribution functions
	P       float64   `json:"p"` // that chance alone makes it as large
	Q       float64   `json:"q"` // p adjusted for the number of tests
	Differs bool      `json:"differs"`
}

// Quantiles are the 10th, 50th and 90th percentile of a side's values.
func Quantiles(values []float64) (q [3]float64) {
	for i, percent := range []float64{10, 50, 90} {
		q[i], _ = stats.PercentileNearestRank(values, percent) // of no values it is NaN
	}
	return q
}

// Agree compares the distributions that figures have over the finished runs,
// as two samples (Kolmogorov-Smirnov). The runs are the samples, not the peers in them:
// what peers of one mesh see goes together.
func Agree(defs *result.Definitions, real, sim *result.Result) *Agreement {
	reals, sims := real.Finished(), sim.Finished()
	a := &Agreement{RealRuns: len(reals), SimRuns: len(sims), Alpha: alpha}
	for _, w := range differences(real, sim) {
		if w != apart && !strings.HasPrefix(w, "seed differs") {
			a.Warnings = append(a.Warnings, w)
		}
	}
	if !detectable(a.RealRuns, a.SimRuns, 1) {
		a.Warnings = append(a.Warnings, fmt.Sprintf("too few runs to tell any difference from chance: %d over UDP, %d simulated, want 4 or more of each", a.RealRuns, a.SimRuns))
	}
	var p []float64
	for _, sides := range beside(defs, reals, sims) {
		f, g := sides[0], sides[1]
		better := defs.Better(f.Name)
		x := Beside{Metric: f.Name, Unit: f.Unit, Real: f.Ranked(better), Sim: g.Ranked(better)}
		n, m := len(x.Real), len(x.Sim)
		if n == 0 || m == 0 || f.Unit != g.Unit || !telling(defs, f.Name) {
			continue
		}
		slices.Sort(x.Real)
		slices.Sort(x.Sim)
		if low, high := min(x.Real[0], x.Sim[0]), max(x.Real[n-1], x.Sim[m-1]); low == high {
			a.Equal = append(a.Equal, f.Name)
			continue
		}
		x.D, x.P = kolmogorovSmirnov(x.Real, x.Sim)
		a.Beside, p = append(a.Beside, x), append(p, x.P)
	}
	for i, q := range adjusted(p) {
		a.Beside[i].Q, a.Beside[i].Differs = q, q <= a.Alpha
	}
	return a
}

// telling reports that a figure says something about the mesh by itself: of a
// distribution its median, its 99th percentile and its ends are enough.
func telling(defs *result.Definitions, flat string) bool {
	d, field, ok := defs.Define(flat)
	if !ok || slices.Contains([]string{"n", "min", "mean", "stddev", "p90", "p99.9", "p99.99"}, field) {
		return false
	}
	_, own, _ := strings.Cut(d.Name, ".")
	return !slices.Contains([]string{"unexplained", "bytes", "join_bytes", "datagrams", "cpu", "memory"}, own)
}

// kolmogorovSmirnov is the two-sample test on ascending values: the largest
// distance D between their distribution functions, and the probability that
// two samples of one continuous distribution are as far apart. It is exact: of
// all ways to mix the two, equally likely, it counts those that keep closer
// (Hodges, Ark. Mat. 3, 1958). Ties make it too large, never too small.
func kolmogorovSmirnov(a, b []float64) (d, p float64) {
	n, m := len(a), len(b)
	far := 0 // D * n * m
	for i, j := 0, 0; i < n && j < m; {
		x := min(a[i], b[j])
		for i < n && a[i] == x {
			i++
		}
		for j < m && b[j] == x {
			j++
		}
		far = max(far, abs(i*m-j*n))
	}
	// closer[j] is the part of the ways to i of a and j of b that keep closer.
	closer := make([]float64, m+1)
	for i := range n + 1 {
		for j := range m + 1 {
			switch {
			case i == 0 && j == 0:
				closer[j] = 1
			case abs(i*m-j*n) >= far:
				closer[j] = 0
			default:
				was := 0.0
				if i > 0 {
					was = closer[j] * float64(i)
				}
				if j > 0 {
					was += closer[j-1] * float64(j)
				}
				closer[j] = was / float64(i+j)
			}
		}
	}
	return float64(far) / float64(n*m), 1 - closer[m]
}

func abs(i int) int { return max(i, -i) }
