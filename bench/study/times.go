package study

import (
	"math"
	"time"

	"github.com/montanaflynn/stats"
)

// Times sums up how long something took, in seconds. What did not happen
// within the time that it was given counts as never: a percentile that falls
// there is nil, and the mean takes it for that time.
type Times struct {
	N     int      `json:"n"`     // samples, with those that never happened
	Never int      `json:"never"` // of them
	Mean  float64  `json:"mean"`
	P50   *float64 `json:"p50"` // nearest rank
	P95   *float64 `json:"p95"`
	P99   *float64 `json:"p99"`
	Max   *float64 `json:"max"`
}

func newTimes(samples []time.Duration, never int, given time.Duration) Times {
	t := Times{N: len(samples) + never, Never: never}
	if t.N == 0 {
		return t
	}
	all := make(stats.Float64Data, 0, t.N)
	for _, d := range samples {
		all = append(all, d.Seconds())
	}
	sum, _ := stats.Sum(append(all, 0)) // it fails on no values only
	t.Mean = (sum + float64(never)*given.Seconds()) / float64(t.N)
	for range never {
		all = append(all, math.Inf(1))
	}
	at := func(percent float64) *float64 {
		if v, err := stats.PercentileNearestRank(all, percent); err == nil && !math.IsInf(v, 1) {
			return &v
		}
		return nil
	}
	t.P50, t.P95, t.P99, t.Max = at(50), at(95), at(99), at(100)
	return t
}

// Share is a part, 0 to 1, averaged over meshes, with the 95 % confidence
// interval of the mean (Student's t).
type Share struct {
	Mean float64 `json:"mean"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// student are the two-sided 95 % points of Student's t for 1, 2, … degrees of freedom.
var student = []float64{12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
	2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086}

func newShare(meshes []float64) Share {
	var s Share
	s.Mean, _ = stats.Mean(meshes)
	s.Low, s.High = s.Mean, s.Mean
	if free := len(meshes) - 1; free > 0 {
		deviation, _ := stats.StandardDeviationSample(meshes)
		half := student[min(free, len(student))-1] * deviation / math.Sqrt(float64(len(meshes)))
		s.Low, s.High = max(0, s.Mean-half), min(1, s.Mean+half)
	}
	return s
}
