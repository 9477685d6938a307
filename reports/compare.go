package reports

import (
	"fmt"
	"io"

	"p2plocal/bench/result"
	"p2plocal/bench/stat"
)

// Compare writes two sides of results side by side: with all every metric,
// otherwise only what has changed significantly.
func Compare(w io.Writer, c *stat.Comparison, all bool, o TextOptions) error {
	p := newPage(o)
	var rows [][]string
	same := 0
	for _, x := range c.Changes {
		if x.Verdict == stat.Same {
			same++
			if !all {
				continue
			}
		}
		rows = append(rows, []string{clean(x.Metric), median(x.Old, x.Unit), median(x.New, x.Unit), signed(x.Delta), probability(x.P), probability(x.Q), string(x.Verdict)})
	}
	p.wrapped("", phrase{}.add("%d runs against %d, medians:", c.OldRuns, c.NewRuns).
		add("%d of %d metrics changed significantly", len(c.Changes)-same, len(c.Changes)), " ", bold)
	p.wrapped("", phrase{}.add("p: Mann-Whitney U; q: p adjusted for %d tests (Benjamini-Hochberg); significant is q ≤ %v: of all such changes, %g %% are chance at most", c.Tested, c.Alpha, 100*c.Alpha), " ", faint)
	if len(rows) > 0 {
		p.line("")
		p.grid([]string{"metric", "old", "new", "change", "p", "q", ""}, rows)
	}
	for _, warning := range c.Warnings {
		p.line("")
		p.wrapped("", phrase{}.addIf(true, "%s", clean(warning)), " ", "")
	}
	return p.flush(w)
}

func median(s *result.Summary, unit string) string {
	if s == nil {
		return missing
	}
	return measure(s.Median, unit).String()
}

func signed(delta *float64) string {
	if delta == nil {
		return missing
	}
	return fmt.Sprintf("%+.1f %%", *delta*100)
}

func probability(p *float64) string {
	if p == nil {
		return missing
	}
	if *p < 0.0005 {
		return "<0.001"
	}
	return fmt.Sprintf("%.3f", *p)
}
