package reports

import (
	"fmt"
	"math"
	"strings"

	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/bench/stat"
)

// Agreement makes the document of what a mesh measures over UDP beside what it
// measures simulated, with both distribution functions of each figure.
func Agreement(a *stat.Agreement, real, sim *result.Result) *Document {
	s := section{Name: "figures", Table: &table{Corner: "over the runs",
		Columns: columns("UDP p10", "UDP p50", "UDP p90", "sim p10", "sim p50", "sim p90", "D", "p", "q", "")}}
	d := &Document{Tool: result.ToolName + " agree", source: asJSON(a)}
	for i, rank := range []int{2, 0, 2, 2, 0, 2, 1, 1, 0, 0} {
		s.Table.Columns[i].Rank = rank
	}
	differ := 0
	for _, x := range a.Beside {
		r, verdict := row{Name: x.Metric}, judged(stat.Same)
		if x.Differs {
			differ, verdict = differ+1, judged(stat.Differs)
		}
		c := chart{ID: "agree-" + x.Metric, Title: x.Metric, Says: fmt.Sprintf("Part of the runs that have at most so much; D %.2f, q %v.", x.D, probability(&x.Q)),
			X: axis{Label: x.Metric, Unit: x.Unit, Log: spans10(x.Real, x.Sim)}, Y: axis{Label: "runs", Unit: "ratio", Zero: true}}
		if x.Differs {
			c.Title += " differs"
		}
		for i, side := range [][]float64{x.Real, x.Sim} {
			for _, v := range stat.Quantiles(side) {
				q := word("never", bad)
				if !math.IsNaN(v) && !math.IsInf(v, 0) {
					q = measure(v, x.Unit)
				}
				r.Cells = append(r.Cells, q)
			}
			c.Series = append(c.Series, series{Name: []string{"over UDP", "simulated"}[i], Kind: stairs, Color: i, Dashed: i > 0, Points: distribution(side)})
		}
		if def, _, ok := scenario.Definitions.Define(x.Metric); ok {
			d.Terms = append(d.Terms, fact{x.Metric, words(def.Text)})
		}
		r.Cells = append(r.Cells, quantity{Whole: fixed(x.D, 2)}, probability(&x.P), probability(&x.Q), verdict)
		s.Table.Rows, s.Charts = append(s.Table.Rows, r), append(s.Charts, c)
	}
	if len(a.Equal) > 0 {
		s.Facts = []fact{{"equal", words("the same in all runs of both: " + strings.Join(a.Equal, ", "))}}
	}
	s.Facts = append(s.Facts, warnings(a.Warnings)...)
	d.Heads = []head{{
		Text: phrase{}.add("%s over UDP, %d simulated: %d of %s distributed differently", plural(uint64(a.RealRuns), "run"), a.SimRuns,
			differ, plural(uint64(len(a.Beside)+len(a.Equal)), "figure")),
		Origin: []fact{{"UDP", append(machine(real), origin(real)...)}, {"sim", append(machine(sim), origin(sim)...)}},
	}}
	d.About = phrase{}.add("p10, p50, p90: of the figure's values, one a run; D: largest distance of their distribution functions; p: two-sample Kolmogorov-Smirnov, exact; q: p adjusted for %s (Benjamini-Hochberg), differs: q ≤ %v",
		plural(uint64(len(a.Beside)), "test"), a.Alpha)
	d.Sections = []section{s}
	return d
}

// spans10 says that positive values reach over more than a decade.
func spans10(sides ...[]float64) bool {
	low, high := math.Inf(1), math.Inf(-1)
	for _, side := range sides {
		for _, v := range side {
			if !math.IsInf(v, 0) {
				low, high = min(low, v), max(high, v)
			}
		}
	}
	return low > 0 && high/low > 10
}

// distribution is the empirical distribution function of ascending values.
// Those that are infinite, never reached, are beyond its end.
func distribution(values []float64) (out []point) {
	for i, v := range values {
		if math.IsInf(v, 1) || math.IsNaN(v) {
			break
		}
		if i == 0 && !math.IsInf(v, -1) {
			out = append(out, point{X: v})
		}
		if !math.IsInf(v, -1) {
			out = append(out, point{X: v, Y: float64(i+1) / float64(len(values))})
		}
	}
	return out
}
