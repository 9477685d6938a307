package stat

import (
	"maps"
	"math"
	"slices"

	"p2plocal/bench/result"
)

// Versus is what meshes showed that were measured in turns: run i of each is one round,
// with the same seed, so that what slows one down, such as a noisy neighbour, slows down
// the others.
type Versus struct {
	Schema int         `json:"schema"`
	Tool   result.Tool `json:"tool"`
	Meshes []string    `json:"meshes"`
	Sizes  []*Turns    `json:"sizes"`
}

// Turns are the rounds at one size of the meshes.
type Turns struct {
	Peers   int              `json:"peers"`
	Rounds  int              `json:"rounds"` // that are whole
	Metrics []Contest        `json:"metrics"`
	Results []*result.Result `json:"results"`
}

// Contest is one flat metric of all meshes.
type Contest struct {
	Metric  string     `json:"metric"`
	Unit    string     `json:"unit"`
	Better  int        `json:"better"`
	Medians []*float64 `json:"medians"` // of each mesh; null: never measured
	Ratios  []Ratio    `json:"ratios"`  // of each but the first, by the first
}

// Ratio is a mesh's figure by the first one's, round by round.
type Ratio struct {
	Median  *float64 `json:"median"`  // null: no round has one
	Low     *float64 `json:"low"`     // 95 % confidence interval of it;
	High    *float64 `json:"high"`    // null: too few rounds
	Verdict Verdict  `json:"verdict"` // Same unless the interval leaves 1 out
}

// InTurns compares meshes by the rounds that are whole.
func InTurns(defs *result.Definitions, results []*result.Result) *Turns {
	v := &Turns{Peers: results[0].Config.Peers, Rounds: len(results[0].Runs), Results: results}
	flat := make([][]map[string]result.FlatValue, len(results))
	names := make(map[string]result.FlatValue)
	for _, r := range results {
		v.Rounds = min(v.Rounds, len(r.Runs))
	}
	for i, r := range results {
		for _, run := range r.Runs[:v.Rounds] {
			flat[i] = append(flat[i], run.Flat())
			for name, x := range run.Flat() {
				names[name] = x
			}
		}
	}
	for _, name := range defs.Sorted(maps.Keys(names)) {
		c := Contest{Metric: name, Unit: names[name].Unit, Better: defs.Better(name)}
		ranked := make([][]float64, len(results))
		for i := range results {
			var values []float64
			for _, run := range flat[i] {
				x := run[name]
				if ranked[i] = append(ranked[i], rank(x, c.Better)); x.Value != nil {
					values = append(values, *x.Value)
				}
			}
			c.Medians = append(c.Medians, median(values))
		}
		for i := range ranked[1:] {
			better := c.Better
			if a, b := overTimes(name, c.Unit, results[0].Runs, results[i+1].Runs); a != b {
				better = 0
			}
			c.Ratios = append(c.Ratios, ratio(ranked[0], ranked[i+1], better))
		}
		v.Metrics = append(v.Metrics, c)
	}
	return v
}

// rank is a value; for never one on the worse side of all; NaN where there is neither.
func rank(x result.FlatValue, better int) float64 {
	switch {
	case x.Value != nil:
		return *x.Value
	case x.Never && better != 0:
		return math.Inf(-better)
	}
	return math.NaN()
}

// ratio divides b by a, round by round. Where a round has no ratio, 0 and the greatest
// number stand for it when it is judged: a mesh that is 0 when the other is not, or that
// never came to what the other did.
func ratio(a, b []float64, better int) Ratio {
	r := Ratio{Verdict: Same}
	var ratios, ranked []float64
	for i, x := range a {
		switch y := b[i]; {
		case math.IsNaN(x) || math.IsNaN(y):
		case x != 0 && !math.IsInf(x, 0) && !math.IsInf(y, 0):
			ratios, ranked = append(ratios, y/x), append(ranked, y/x)
		case x == y:
			ranked = append(ranked, 1)
		case x < y:
			ranked = append(ranked, math.MaxFloat64)
		default:
			ranked = append(ranked, 0)
		}
	}
	r.Median = median(ratios)
	r.Low, r.High, _ = result.Interval(ratios)
	if low, high, _ := result.Interval(ranked); low != nil && (*low > 1 || *high < 1) {
		r.Verdict = verdict(better, *low > 1)
	}
	return r
}

// median of values; nil: there are none.
func median(values []float64) *float64 {
	if len(values) == 0 {
		return nil
	}
	return new(result.Median(slices.Clone(values)))
}
