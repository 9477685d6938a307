package stat

import (
	"encoding/json"
	"fmt"
	"io"
	"math"

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
func (p *Pairing) Write(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(p)
}

// ReadPairing reads one back.
func ReadPairing(rd io.Reader) (*Pairing, error) {
	b, err := io.ReadAll(rd)
	if err != nil {
		return nil, err
	}
	if err := result.Readable(b, result.PairToolName); err != nil {
		return nil, err
	}
	p := new(Pairing)
	if err := json.Unmarshal(b, p); err != nil {
		return nil, result.Damage(err, len(b))
	}
	for side, r := range p.Results {
		switch {
		case r == nil:
			return nil, fmt.Errorf("damaged result: no result of server %c", 'A'+side)
		case p.Pairs < 0 || p.Pairs > len(r.Runs):
			return nil, fmt.Errorf("damaged result: %d pairs of %d runs", p.Pairs, len(r.Runs))
		}
		if err := r.Check(); err != nil {
			return nil, err
		}
	}
	return p, nil
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

// pairs is a Ratio while it is gathered.
type pairs struct {
	Ratio
	a, b   []float64
	ranked []float64 // Pairs, and what stands for those that have no ratio
}

// Pair divides every flat metric of b's i-th run by that of a's i-th. Runs
// without a partner are left out, and metrics that are never measured, or 0 in
// all runs of both.
func Pair(defs *result.Definitions, a, b []result.Run) []Ratio {
	byName := make(map[string]*pairs)
	var names []string
	for i := range min(len(a), len(b)) {
		one, other := result.Flatten(a[i]), result.Flatten(b[i])
		for name, v := range one {
			w, ok := other[name]
			if !ok {
				continue
			}
			p := byName[name]
			if p == nil {
				p = &pairs{Ratio: Ratio{Metric: name, Unit: v.Unit, Better: defs.Better(name)}}
				byName[name] = p
				names = append(names, name)
			}
			p.add(v, w)
		}
	}
	defs.Sort(names)
	var ratios []Ratio
	for _, name := range names {
		if p := byName[name]; p.sum() {
			ratios = append(ratios, p.Ratio)
		}
	}
	return ratios
}

// add takes one pair. Where there is no ratio, 0 and the greatest number stand
// for it when it is judged: a side that is 0 when the other is not, or that
// never came to what the other did.
func (p *pairs) add(v, w result.FlatValue) {
	if v.Value != nil {
		p.a = append(p.a, *v.Value)
	}
	if w.Value != nil {
		p.b = append(p.b, *w.Value)
	}
	if v.Value != nil && w.Value != nil && *v.Value != 0 {
		p.Pairs, p.ranked = append(p.Pairs, *w.Value / *v.Value), append(p.ranked, *w.Value / *v.Value)
		return
	}
	p.Skipped++
	beyond := math.MaxFloat64 // where never is: beyond all where less is better
	if p.Better > 0 {
		beyond = 0
	}
	switch {
	case v.Value != nil && w.Value != nil && *w.Value == 0, v.Never && w.Never:
		p.ranked = append(p.ranked, 1)
	case v.Value != nil && w.Value != nil && *w.Value > 0:
		p.ranked = append(p.ranked, math.MaxFloat64)
	case v.Value != nil && w.Never && p.Better != 0:
		p.ranked = append(p.ranked, beyond)
	case v.Never && w.Value != nil && p.Better != 0:
		p.ranked = append(p.ranked, math.MaxFloat64-beyond)
	}
}

// sum comes to a verdict; false: there is nothing to say.
func (p *pairs) sum() bool {
	zero := true
	for _, v := range append(p.a, p.b...) {
		zero = zero && v == 0
	}
	if zero {
		return false
	}
	for _, side := range []struct {
		values []float64
		to     **float64
	}{{p.a, &p.A}, {p.b, &p.B}} {
		if len(side.values) > 0 {
			m := result.Median(side.values)
			*side.to = &m
		}
	}
	p.Median = result.Median(p.Pairs)
	if len(p.Pairs) == 0 {
		p.Median = 0
	}
	p.Low, p.High, p.More = result.Interval(p.Pairs)
	p.Verdict = Same
	if low, high, _ := result.Interval(p.ranked); low != nil && (*low > 1 || *high < 1) {
		p.Verdict = verdict(p.Better, *low > 1)
	}
	return true
}

// WriteGoBench writes both sides, which benchstat -col /server sets side by
// side; server=A and server=B end a benchmark's name.
func (p *Pairing) WriteGoBench(defs *result.Definitions, w io.Writer) error {
	out := defs.NewGoBench(w, [2]string{"server-a", p.Servers[0]}, [2]string{"server-b", p.Servers[1]})
	for side, r := range p.Results {
		if err := out.Write(r, fmt.Sprintf("/server=%c", 'A'+side)); err != nil {
			return err
		}
	}
	return nil
}
