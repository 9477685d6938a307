package stat

import (
	"fmt"
	"io"
	"math"
	"slices"

	"p2plocal/bench/result"
)

// Pairing is what two servers showed that were measured in turn.
type Pairing struct {
	Schema      int                `json:"schema"`
	Tool        result.Tool        `json:"tool"`
	Servers     [2]string          `json:"servers"` // their commands, A's and B's
	Interrupted bool               `json:"interrupted"`
	Pairs       int                `json:"pairs"`   // complete ones: the first so many runs of both
	Results     [2]*result.Result  `json:"results"` // run i of both is pair i
	Ratios      []Ratio            `json:"ratios"`
	Assertions  []result.Assertion `json:"assertions,omitempty"`
}

// Measured reports that the pairing holds anything at all.
func (p *Pairing) Measured() bool { return p.Results[0].Measured() || p.Results[1].Measured() }

// Failure is the first scenario that a server failed, and how.
func (p *Pairing) Failure() string {
	for side, r := range p.Results {
		if f := r.Failure(); f != "" {
			return fmt.Sprintf("server %c, %q: %s", 'A'+side, p.Servers[side], f)
		}
	}
	return ""
}

// Write writes the document.
func (p *Pairing) Write(w io.Writer) error { return result.WriteDocument(w, p) }

// ReadPairing reads one back.
func ReadPairing(rd io.Reader) (*Pairing, error) {
	p := new(Pairing)
	return p, result.ReadDocument(rd, result.PairToolName, p)
}

// Check refuses what would make a reader of the document stumble.
func (p *Pairing) Check() error {
	for side, r := range p.Results {
		switch {
		case r == nil:
			return fmt.Errorf("damaged result: no result of server %c", 'A'+side)
		case p.Pairs < 0 || p.Pairs > len(r.Runs):
			return fmt.Errorf("damaged result: %d pairs of %d runs", p.Pairs, len(r.Runs))
		}
		if err := r.Check(); err != nil {
			return err
		}
	}
	return nil
}

// Evaluate holds assertions against the medians of the ratios.
func (p *Pairing) Evaluate(asserts []result.Assert) {
	for _, a := range asserts {
		res := result.Assertion{Text: a.Text}
		for _, r := range p.Ratios {
			if r.Metric == a.Metric && len(r.Pairs) > 0 {
				v := r.Median
				res.Actual, res.OK = &v, a.Holds(v)
			}
		}
		p.Assertions = append(p.Assertions, res)
	}
}

// Ratio is one flat metric of two sides that were measured in turn, pair by
// pair: what slowed one down, such as a noisy neighbour, slowed down the other.
type Ratio struct {
	Metric  string    `json:"metric"`
	Unit    string    `json:"unit"` // of A and B
	Better  int       `json:"better"`
	A       *float64  `json:"a"`       // median over the pairs; null: never measured
	B       *float64  `json:"b"`       // median over the pairs; null: never measured
	Pairs   []float64 `json:"pairs"`   // b by a, in the order they were run
	Skipped int       `json:"skipped"` // pairs without a ratio: one side not measured, or a is 0
	Median  float64   `json:"median"`  // of Pairs
	Low     *float64  `json:"low"`     // 95 % confidence interval of it;
	High    *float64  `json:"high"`    // null: too few pairs
	More    int       `json:"more"`    // how many more pairs that interval needs; 0: none
	Verdict Verdict   `json:"verdict"` // of b by a; Same unless the interval leaves 1 out
}

// Pair divides every flat metric of b's i-th run by that of a's i-th. Runs
// without a partner are left out, and metrics that one side does not have, or that
// are never measured, or 0 in all runs of both.
//
// Where a pair has no ratio, 0 and the greatest number stand for it when it is
// judged: a side that is 0 when the other is not, or that never came to what the
// other did.
func Pair(defs *result.Definitions, a, b []result.Run) (ratios []Ratio) {
	a, b = a[:min(len(a), len(b))], b[:min(len(a), len(b))]
	var flat [2][]map[string]result.FlatValue
	for i := range a {
		flat[0], flat[1] = append(flat[0], a[i].Flat()), append(flat[1], b[i].Flat())
	}
	for _, sides := range beside(defs, a, b) {
		f, g := sides[0], sides[1]
		measured := slices.Concat(f.Values, g.Values)
		if len(f.Values)+f.Never == 0 || len(g.Values)+g.Never == 0 || !slices.ContainsFunc(measured, func(v float64) bool { return v != 0 }) {
			continue
		}
		r := Ratio{Metric: f.Name, Unit: f.Unit, Better: defs.Better(f.Name), A: median(f.Values), B: median(g.Values), Verdict: Same}
		var ranked []float64 // the ratios, and what stands for those that there are not
		for i := range a {
			x, y := r.rank(flat[0][i][r.Metric]), r.rank(flat[1][i][r.Metric])
			ratio := y / x
			if x == 0 || math.IsInf(x, 0) || math.IsInf(y, 0) || math.IsNaN(ratio) {
				r.Skipped++
				switch {
				case x == y:
					ratio = 1
				case x < y:
					ratio = math.MaxFloat64
				case x > y:
					ratio = 0
				default:
					continue
				}
			} else {
				r.Pairs = append(r.Pairs, ratio)
			}
			ranked = append(ranked, ratio)
		}
		if m := median(r.Pairs); m != nil {
			r.Median = *m
		}
		r.Low, r.High, r.More = result.Interval(r.Pairs)
		if low, high, _ := result.Interval(ranked); low != nil && (*low > 1 || *high < 1) {
			r.Verdict = verdict(r.Better, *low > 1)
		}
		ratios = append(ratios, r)
	}
	return ratios
}

// rank is a value; for never one on the worse side of all; NaN where there is
// neither.
func (r *Ratio) rank(v result.FlatValue) float64 {
	switch {
	case v.Value != nil:
		return *v.Value
	case v.Never && r.Better != 0:
		return math.Inf(-r.Better)
	}
	return math.NaN()
}

// median of values; nil: there are none.
func median(values []float64) *float64 {
	if len(values) == 0 {
		return nil
	}
	m := result.Median(values)
	return &m
}
