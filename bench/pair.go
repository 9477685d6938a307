package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"time"
)

// Pairing is what two servers showed that were measured in turn.
type Pairing struct {
	Schema      int         `json:"schema"`
	Tool        Tool        `json:"tool"`
	Servers     [2]string   `json:"servers"` // their commands, A's and B's
	Interrupted bool        `json:"interrupted"`
	Pairs       int         `json:"pairs"`   // complete ones: the first so many runs of both
	Results     [2]*Result  `json:"results"` // run i of both is pair i
	Ratios      []Ratio     `json:"ratios"`
	Assertions  []Assertion `json:"assertions,omitempty"`
}

// PairToolName is the name in a pairing's tool block.
const PairToolName = "meshbench compare-servers"

// Ours stands for our own server among commands.
const Ours = "ours"

// ExecutePairs measures two servers in turn, A B B A A B B A and so on: so
// neither is always the first of its pair, and what gets slowly better or worse
// weighs on both alike. Both of a pair have the same seed. Where it fails or is
// interrupted, the pairing holds what there is.
func ExecutePairs(ctx context.Context, cfg Config, servers [2]string, tool Tool, status *Status) (*Pairing, error) {
	p := &Pairing{Schema: Schema, Tool: tool, Servers: servers}
	p.Tool.Name = PairToolName
	total := cfg.Repeat
	var failed error
	for i := 0; i < 2*total && failed == nil && ctx.Err() == nil; i++ {
		pair, side := i/2, i%2
		if pair%2 == 1 {
			side = 1 - side
		}
		one := cfg
		one.Repeat, one.Seed = 1, cfg.Seed+uint64(pair)
		if one.Options.ServerExec = servers[side]; servers[side] == Ours {
			one.Options.ServerExec = ""
		}
		status.label, status.later = fmt.Sprintf("pair %d of %d, %c", pair+1, total, 'A'+side), time.Duration(2*total-1-i)*one.Expected()
		r, err := Execute(ctx, one, tool, status)
		if err != nil {
			failed = fmt.Errorf("server %c, %q: %w", 'A'+side, servers[side], err)
		}
		if r == nil {
			break
		}
		if p.Results[side] == nil {
			p.Results[side] = r
			r.Config.Seed, r.Config.Repeat = cfg.Seed, total
		} else {
			p.Results[side].Runs = append(p.Results[side].Runs, r.Runs...)
		}
		p.Results[side].Interrupted = p.Results[side].Interrupted || r.Interrupted
		if failed == nil && !r.Interrupted && i%2 == 1 {
			p.Pairs++
		}
	}
	p.Interrupted = ctx.Err() != nil
	for side, r := range p.Results {
		if r == nil {
			r = &Result{Schema: Schema, Tool: tool, Config: cfg, Interrupted: true}
			p.Results[side] = r
		}
		r.Summary = Summarize(r.Runs)
	}
	p.Ratios = Pair(p.Results[0].Runs[:p.Pairs], p.Results[1].Runs[:p.Pairs])
	return p, failed
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
	if err := readable(b, PairToolName); err != nil {
		return nil, err
	}
	p := new(Pairing)
	if err := json.Unmarshal(b, p); err != nil {
		return nil, damage(err, len(b))
	}
	for side, r := range p.Results {
		switch {
		case r == nil:
			return nil, fmt.Errorf("damaged result: no result of server %c", 'A'+side)
		case p.Pairs < 0 || p.Pairs > len(r.Runs):
			return nil, fmt.Errorf("damaged result: %d pairs of %d runs", p.Pairs, len(r.Runs))
		}
		if err := r.check(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Evaluate holds assertions against the medians of the ratios.
func (p *Pairing) Evaluate(asserts []Assert) {
	for _, a := range asserts {
		res := Assertion{Text: a.Text}
		for _, r := range p.Ratios {
			if r.Metric == a.Metric && len(r.Pairs) > 0 {
				v := r.Median
				res.Actual, res.OK = &v, a.holds(v)
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
func Pair(a, b []Run) []Ratio {
	byName := make(map[string]*pairs)
	var names []string
	for i := range min(len(a), len(b)) {
		one, other := flatten(a[i]), flatten(b[i])
		for name, v := range one {
			w, ok := other[name]
			if !ok {
				continue
			}
			p := byName[name]
			if p == nil {
				p = &pairs{Ratio: Ratio{Metric: name, Unit: v.unit, Better: better(name)}}
				byName[name] = p
				names = append(names, name)
			}
			p.add(v, w)
		}
	}
	sortFlat(names)
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
func (p *pairs) add(v, w flatValue) {
	if v.value != nil {
		p.a = append(p.a, *v.value)
	}
	if w.value != nil {
		p.b = append(p.b, *w.value)
	}
	if v.value != nil && w.value != nil && *v.value != 0 {
		p.Pairs, p.ranked = append(p.Pairs, *w.value / *v.value), append(p.ranked, *w.value / *v.value)
		return
	}
	p.Skipped++
	beyond := math.MaxFloat64 // where never is: beyond all where less is better
	if p.Better > 0 {
		beyond = 0
	}
	switch {
	case v.value != nil && w.value != nil && *w.value == 0, v.never && w.never:
		p.ranked = append(p.ranked, 1)
	case v.value != nil && w.value != nil && *w.value > 0:
		p.ranked = append(p.ranked, math.MaxFloat64)
	case v.value != nil && w.never && p.Better != 0:
		p.ranked = append(p.ranked, beyond)
	case v.never && w.value != nil && p.Better != 0:
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
			m := median(side.values)
			*side.to = &m
		}
	}
	p.Median = median(p.Pairs)
	if len(p.Pairs) == 0 {
		p.Median = 0
	}
	p.Low, p.High, p.More = interval(p.Pairs)
	p.Verdict = Same
	if low, high, _ := interval(p.ranked); low != nil && (*low > 1 || *high < 1) {
		p.Verdict = verdict(p.Better, *low > 1)
	}
	return true
}
