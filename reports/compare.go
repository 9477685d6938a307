package reports

import (
	"fmt"
	"slices"
	"strings"

	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/bench/stat"
)

// Compare makes the document of two sides of results. What has not changed
// significantly is minor.
func Compare(c *stat.Comparison) *Document {
	d := &Document{Tool: result.ToolName + " compare", source: asJSON(c)}
	t := &table{Corner: "metric", Columns: columns("old", "new", "change", "p", "q", "")}
	t.Columns[3].Rank = 1
	of := make(map[stat.Verdict]int)
	for _, x := range c.Changes {
		of[x.Verdict]++
		t.Rows = append(t.Rows, row{Name: x.Metric, Minor: x.Verdict == stat.Same, Cells: []quantity{
			median(x.Old, x.Unit), median(x.New, x.Unit), change(x.Delta), probability(x.P), probability(x.Q), judged(x.Verdict)}})
	}
	text := phrase{}.add("%s against %d, medians: %d of %s changed significantly", plural(uint64(c.OldRuns), "run"), c.NewRuns,
		len(c.Changes)-of[stat.Same], plural(uint64(len(c.Changes)), "metric"))
	if n := of[stat.Worse]; n > 0 {
		text = text.add(", ").addIf(true, "%d for the worse", n)
	}
	d.Heads = []head{{Text: text}}
	d.About = words(fmt.Sprintf("p: Mann-Whitney U; q: p adjusted for %s (Benjamini-Hochberg); significant is q ≤ %v: of all such changes, %g %% are chance at most",
		plural(uint64(c.Tested), "test"), c.Alpha, 100*c.Alpha))
	d.Sections = []section{{Table: t, Facts: warnings(c.Warnings)}}
	return d
}

// warnings are notes of bad news.
func warnings(texts []string) (notes []fact) {
	for _, w := range texts {
		notes = append(notes, note(w, true))
	}
	return notes
}

func median(s *result.Summary, unit string) quantity {
	if s == nil {
		return none
	}
	return measure(s.Median, unit)
}

// change is by how much a figure has changed: as a factor where it is large.
func change(delta *float64) quantity {
	switch {
	case delta == nil:
		return none
	case *delta >= 9.995:
		return quantity{Whole: digits(1 + *delta).Whole, Unit: "×"}
	}
	text := fmt.Sprintf("%+.1f", *delta*100)
	if text == "-0.0" {
		text = "+0.0"
	}
	return quantity{Whole: text, Unit: "%"}
}

func probability(p *float64) quantity {
	switch {
	case p == nil:
		return none
	case *p < 0.0005:
		return quantity{Whole: "<0.001"}
	}
	return quantity{Whole: fixed(*p, 3)}
}

// judged is a verdict in a table.
func judged(v stat.Verdict) quantity {
	return word(string(v), map[stat.Verdict]tone{stat.Better: good, stat.Worse: bad, stat.Differs: strong, stat.Same: soft}[v])
}

// compared is one flat metric of several results.
type compared struct {
	Metric string            `json:"metric"`
	Unit   string            `json:"unit"`
	Sides  []*result.Summary `json:"sides"`
	// Verdicts are on each side against the first, whose own is empty.
	Verdicts []stat.Verdict `json:"verdicts"`
	changes  []stat.Change  // of each side
}

// compareEach sets every metric of the results side by side.
func compareEach(results []Named) (out []*compared, warnings []string) {
	at := make(map[string]*compared)
	for i, r := range results {
		c := stat.Compare(scenario.Definitions, []*result.Result{results[0].Result}, []*result.Result{r.Result})
		for _, w := range c.Warnings {
			if i > 0 {
				warnings = append(warnings, r.Name+": "+w)
			}
		}
		for _, ch := range c.Changes {
			m := at[ch.Metric]
			if m == nil {
				m = &compared{Metric: ch.Metric, Unit: ch.Unit, Sides: make([]*result.Summary, len(results)), Verdicts: make([]stat.Verdict, len(results)), changes: make([]stat.Change, len(results))}
				at[ch.Metric], out = m, append(out, m)
			}
			m.Sides[i], m.changes[i] = ch.New, ch
			if i > 0 && ch.Old != nil && ch.New != nil {
				m.Verdicts[i] = ch.Verdict
			}
		}
	}
	return out, warnings
}

// chosen says of a flat metric that it stands for its scenario.
func chosen(metric string, among ...string) bool {
	name, flat, _ := strings.Cut(metric, ".")
	s := scenario.Find(name)
	return s != nil && (slices.Contains(s.Summary, flat) || slices.Contains(among, flat))
}

// compareAll is the section that compares results with the first.
func compareAll(results []Named) section {
	all, warned := compareEach(results)
	t := &table{Corner: "metric"}
	for i, r := range results {
		t.Columns = append(t.Columns, column{Name: r.Name})
		if i > 0 {
			t.Columns = append(t.Columns, columns("change", "p", "q", "")...)
		}
	}
	for _, m := range all {
		x := row{Name: m.Metric}
		measured := 0
		for i, s := range m.Sides {
			q := median(s, m.Unit)
			if s != nil {
				measured++
			}
			if s != nil && s.Low != nil && s.High != nil {
				q.Whole, q.Fraction, q.Unit = q.String()+" ["+measure(*s.Low, m.Unit).String()+" to "+measure(*s.High, m.Unit).String()+"]", "", ""
			}
			x.Cells = append(x.Cells, q)
			if c := m.changes[i]; i > 0 {
				x.Cells = append(x.Cells, change(c.Delta), probability(c.P), probability(c.Q), judged(m.Verdicts[i]))
			}
		}
		x.Minor = measured < 2 || !chosen(m.Metric)
		t.Rows = append(t.Rows, x)
	}
	return section{Name: "compare", Head: -1, drawn: true, Table: t, Facts: warnings(warned),
		About: "Each metric against the first result: medians over the runs, with the 95 % interval of the median where there are runs enough. “~” is no significant change: p by Mann-Whitney U; q is p adjusted for the number of metrics (Benjamini-Hochberg), to a false discovery rate of 0.05."}
}
