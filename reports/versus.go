package reports

import (
	"fmt"
	"slices"
	"strings"

	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/bench/stat"
)

// told are the figures that a verdict line tells, and how where they are larger and smaller.
var told = []struct{ metric, more, less string }{
	{"join.converge", "slower to converge", "faster to converge"},
	{"crash.converge", "slower to notice a crash", "faster to notice a crash"},
	{"steady.latency.p50", "slower to deliver a message", "faster to deliver a message"},
	{"steady.latency.p99", "slower to deliver 99 % of them", "faster to deliver 99 % of them"},
	{"steady.cpu", "hungrier for CPU", "easier on the CPU"},
	{"steady.memory", "larger in memory", "smaller in memory"},
}

// contested are the metrics that a table of meshes shows, beside those that stand for their scenario.
var contested = []string{"sizes", "loss", "lost", "false_positives", "datagrams", "bytes", "join_bytes", "cpu", "memory"}

// Versus makes the document of meshes that were measured in turns.
func Versus(v *stat.Versus) *Document {
	d := &Document{Tool: result.ToolName + " versus", Title: fmt.Sprintf("%d meshes in turns", len(v.Meshes)), source: asJSON(v)}
	s := section{Name: "versus", Head: -1, Table: &table{Corner: "metric"},
		About: fmt.Sprintf("%s of each mesh, in turns; medians, and the median of the ratios to A, round by round, with its 95 %% interval", plural(uint64(v.Rounds), "run"))}
	for i, name := range v.Meshes {
		letter := string(rune('A' + i))
		d.Heads = append(d.Heads, head{Name: letter + " " + name, Color: i, Text: headline(v.Results[i])})
		s.Table.Columns = append(s.Table.Columns, column{Name: letter})
		if i > 0 {
			s.Table.Columns = append(s.Table.Columns, column{Name: letter + "/A"})
		}
	}
	for _, c := range v.Metrics {
		name, flat, _ := strings.Cut(c.Metric, ".")
		if !slices.Contains(contested, flat) && !slices.Contains(scenario.Find(name).Summary, flat) {
			continue
		}
		if def, _, ok := scenario.Definitions.Define(c.Metric); ok {
			d.explain(def.Name)
		}
		x := row{Name: c.Metric, Marked: slices.ContainsFunc(c.Ratios, func(r stat.Ratio) bool { return r.Verdict != stat.Same })}
		for i, m := range c.Medians {
			if x.Cells = append(x.Cells, optional(m, c.Unit)); i > 0 {
				x.Cells = append(x.Cells, ratio(c.Ratios[i-1]))
			}
		}
		s.Table.Rows = append(s.Table.Rows, x)
	}
	for i := range v.Meshes[1:] {
		for _, t := range told {
			if k := slices.IndexFunc(v.Metrics, func(c stat.Contest) bool { return c.Metric == t.metric }); k >= 0 && v.Metrics[k].Ratios[i].Median != nil {
				r := v.Metrics[k].Ratios[i]
				s.Facts = append(s.Facts, fact{"verdict", phrase{}.addIf(r.Verdict == stat.Worse, "%s", inWords(string(rune('B'+i)), r, t.more, t.less))})
			}
		}
	}
	if v.Rounds < 6 {
		s.Facts = append(s.Facts, note("it takes 6 runs or more of each for an interval", true))
	}
	d.Heads[0].Origin = []fact{{"machine", machine(v.Results[0])}, {"seed", origin(v.Results[0])}}
	d.Sections = []section{s}
	return d
}

// inWords is a mesh's ratio as a sentence.
func inWords(mesh string, r stat.Ratio, more, less string) string {
	m, low, high, how := *r.Median, r.Low, r.High, more
	if m < 1 {
		m, how = 1/m, less
		if low != nil && *low > 0 {
			low, high = new(1 / *high), new(1 / *low)
		}
	}
	text := fmt.Sprintf("%s is %s × %s", mesh, digits(m), how)
	if low != nil {
		text += fmt.Sprintf(" [%s, %s]", digits(*low), digits(*high))
		if r.Verdict == stat.Same {
			text += ", which may be chance"
		}
	}
	return text
}

// ratio is one in a table, with its interval.
func ratio(r stat.Ratio) quantity {
	if r.Median == nil {
		return none
	}
	q := judged(r.Verdict)
	if q.Text = digits(*r.Median); r.Low != nil {
		q.Text += fmt.Sprintf(" [%s, %s]", digits(*r.Low), digits(*r.High))
	}
	return q
}
