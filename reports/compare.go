package reports

import (
	"fmt"

	"p2plocal/bench/result"
	"p2plocal/bench/stat"
)

// Compare makes the document of two results.
func Compare(c *stat.Comparison) *Document {
	s, text := comparison(c)
	d := &Document{Tool: result.ToolName + " compare", source: asJSON(c), Heads: []head{{Text: text}}, About: words(s.About)}
	s.About = ""
	d.Sections = []section{s}
	return d
}

// comparison is the section of two results, and the verdict. Significant changes stand out.
func comparison(c *stat.Comparison) (section, phrase) {
	t := &table{Corner: "metric", Columns: columns(c.Sides[0], c.Sides[1], "change", "p", "q", "")}
	for i, rank := range map[int]int{2: 1, 3: 3, 4: 2} { // the verdict says the most in the least room
		t.Columns[i].Rank, t.Columns[i].Aside = rank, rank > 1
	}
	of := make(map[stat.Verdict]int)
	for _, x := range c.Changes {
		if of[x.Verdict]++; x.P != nil && x.Q == nil {
			continue
		}
		t.Rows = append(t.Rows, row{Name: x.Metric, Marked: x.Verdict != stat.Same, Cells: []quantity{
			median(x.Old, x.Unit), median(x.New, x.Unit), change(x.Delta), probability(x.P), probability(x.Q), judged(x.Verdict)}})
	}
	text := phrase{}.add("%s against %s, %s against %d, medians: %d of %s differ significantly", c.Sides[1], c.Sides[0], plural(uint64(c.NewRuns), "run"), c.OldRuns,
		len(c.Changes)-of[stat.Same], plural(uint64(len(c.Changes)), "metric"))
	if n := of[stat.Worse]; n > 0 {
		text = text.addIf(true, "%d for the worse", n)
	}
	about := fmt.Sprintf("p: Mann-Whitney U; q: p adjusted for %s (Benjamini-Hochberg); significant is q ≤ %v: of all such changes, %g %% are chance at most; what is the same in all runs is left out",
		plural(uint64(c.Tested), "test"), c.Alpha, 100*c.Alpha)
	return section{About: about, Table: t, Facts: warnings(c.Warnings)}, append(interrupted(c.Interrupted), text.joined()...)
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

// change is by how much a figure has changed; a large change is a factor.
func change(delta *float64) quantity {
	switch {
	case delta == nil:
		return none
	case *delta >= 9.995:
		return in(digits(1+*delta), "×")
	}
	text := fmt.Sprintf("%+.1f", *delta*100)
	if text == "-0.0" {
		text = "+0.0"
	}
	return in(text, "%")
}

func probability(p *float64) quantity {
	switch {
	case p == nil:
		return none
	case *p < 0.0005:
		return word("<0.001", "")
	}
	return word(fixed(*p, 3), "")
}

// judged is a verdict in a table.
func judged(v stat.Verdict) quantity {
	return word(string(v), map[stat.Verdict]tone{stat.Better: good, stat.Worse: bad, stat.Differs: strong, stat.Same: soft}[v])
}
