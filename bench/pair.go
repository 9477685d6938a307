package bench

// Ratio is one flat metric of two sides that were measured in turn, pair by
// pair: what slowed one down, such as a noisy neighbour, slowed down the other.
type Ratio struct {
	Metric  string    `json:"metric"`
	Unit    string    `json:"unit"` // of A and B
	Better  int       `json:"better"`
	A       float64   `json:"a"`       // median over the pairs
	B       float64   `json:"b"`       // median over the pairs
	Pairs   []float64 `json:"pairs"`   // b by a, in the order they were run
	Skipped int       `json:"skipped"` // pairs without a ratio: one side not measured, or a is 0
	Median  float64   `json:"median"`  // of Pairs
	Low     *float64  `json:"low"`     // 95 % confidence interval of it;
	High    *float64  `json:"high"`    // null: too few pairs
	More    int       `json:"more"`    // how many more pairs that interval needs; 0: none
	Verdict Verdict   `json:"verdict"` // of b by a; Same unless the interval leaves 1 out
}

// Pair divides every flat metric of b's i-th run by that of a's i-th. Runs
// without a partner, and metrics without a single ratio, are left out.
func Pair(a, b []Run) []Ratio {
	type pairs struct {
		Ratio
		a, b []float64
	}
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
			if v.value == nil || w.value == nil || *v.value == 0 {
				p.Skipped++
				continue
			}
			p.a, p.b = append(p.a, *v.value), append(p.b, *w.value)
			p.Pairs = append(p.Pairs, *w.value / *v.value)
		}
	}
	sortFlat(names)
	var ratios []Ratio
	for _, name := range names {
		p := byName[name]
		if len(p.Pairs) == 0 {
			continue
		}
		p.A, p.B, p.Median = median(p.a), median(p.b), median(p.Pairs)
		p.Low, p.High, p.More = interval(p.Pairs)
		p.Verdict = Same
		if p.Low != nil && (*p.Low > 1 || *p.High < 1) {
			p.Verdict = verdict(p.Better, *p.Low > 1)
		}
		ratios = append(ratios, p.Ratio)
	}
	return ratios
}
