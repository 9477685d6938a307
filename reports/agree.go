package reports

import (
	"math"
	"strings"

	"p2plocal/bench/result"
	"p2plocal/bench/stat"
)

// Agreement makes the document of what a mesh measures over UDP beside what it
// measures simulated.
func Agreement(a *stat.Agreement, real, sim *result.Result) *Document {
	s := section{Name: "figures", Table: &table{Corner: "over the runs",
		Columns: columns("UDP p10", "UDP p50", "UDP p90", "sim p10", "sim p50", "sim p90", "D", "p", "q", "")}}
	d := &Document{Tool: result.ToolName + " agree", source: asJSON(a)}
	for i, rank := range []int{3, 0, 2, 3, 0, 2, 1, 1, 0, 0} {
		s.Table.Columns[i].Rank = rank
	}
	differ := 0
	for _, x := range a.Beside {
		r, verdict := row{Name: x.Metric}, judged(stat.Same)
		if x.Differs {
			differ, verdict = differ+1, judged(stat.Differs)
		}
		for _, side := range [][]float64{x.Real, x.Sim} {
			for _, v := range stat.Quantiles(side) {
				q := word("never", bad)
				if !math.IsNaN(v) && !math.IsInf(v, 0) {
					q = measure(v, x.Unit)
				}
				r.Cells = append(r.Cells, q)
			}
		}
		d.explain(x.Metric)
		r.Cells = append(r.Cells, quantity{Whole: fixed(x.D, 2)}, probability(&x.P), probability(&x.Q), verdict)
		s.Table.Rows = append(s.Table.Rows, r)
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
