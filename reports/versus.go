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

// summed are the rows of the table that sums meshes up, each the first of its metrics that a mesh has: of one
// behind a driver its own process is told, without what measures it.
var summed = []struct {
	name    string
	metrics []string
}{
	{"join", []string{"join.converge"}},
	{"detection by the first", []string{"crash.detect.min"}},
	{"detection by all", []string{"crash.converge"}},
	{"false removals, no loss", []string{"rest.removed"}},
	{"false removals, 5 % loss", []string{"rest.removed_five"}},
	{"false removals, 20 % loss", []string{"rest.removed_twenty"}},
	{"latency p50", []string{"steady.latency.p50"}},
	{"latency p99", []string{"steady.latency.p99"}},
	{"datagrams at rest", []string{"rest.datagram_rate"}},
	{"traffic at rest", []string{"rest.byte_rate"}},
	{"CPU at rest", []string{"rest.server_cpu", "rest.cpu"}},
	{"memory", []string{"steady.server_memory", "steady.memory"}},
}

// Versus makes the document of meshes that were measured in turns.
func Versus(v *stat.Versus) *Document {
	d := &Document{Tool: result.ToolName + " versus", Title: fmt.Sprintf("%d meshes in turns", len(v.Meshes)), source: asJSON(v)}
	var at string
	for _, turns := range v.Sizes {
		if len(v.Sizes) > 1 {
			at = ", " + size(turns)
		}
		for i, name := range v.Meshes {
			d.Heads = append(d.Heads, head{Name: letter(i) + " " + name + at, Color: i, Text: headline(turns.Results[i])})
		}
	}
	for _, turns := range v.Sizes {
		d.Sections = append(d.Sections, summary(v.Meshes, turns))
	}
	for _, turns := range v.Sizes {
		d.Sections = append(d.Sections, d.versus(turns))
	}
	first := v.Sizes[0].Results[0] // the machine is that of all, so it stands below the last
	d.Heads[len(d.Heads)-1].Origin = []fact{{"machine", machine(first)}, {"seed", origin(first)}}
	return d
}

// size is that of the meshes.
func size(v *stat.Turns) string { return plural(uint64(v.Peers), "peer") }

// letter is a mesh's.
func letter(i int) string { return string(rune('A' + i)) }

// summary is the table of the figures by which meshes are chosen, with their names and versions.
func summary(meshes []string, v *stat.Turns) section {
	s := section{Name: size(v), Head: -1, Table: &table{Corner: "figure"},
		About: fmt.Sprintf("medians of %s of each mesh, in turns", plural(uint64(v.Rounds), "run"))}
	for _, name := range meshes {
		s.Table.Columns = append(s.Table.Columns, column{Name: name})
	}
	for _, x := range summed {
		r, any := row{Name: x.name}, false
		for i := range meshes {
			cell := none
			for _, metric := range x.metrics {
				k := slices.IndexFunc(v.Metrics, func(c stat.Contest) bool { return c.Metric == metric })
				if k < 0 {
					continue
				}
				if m := v.Metrics[k].Medians[i]; m != nil {
					any, cell = true, measure(*m, v.Metrics[k].Unit)
					break
				} else if slices.ContainsFunc(v.Results[i].Runs, func(r result.Run) bool { return r.Flat()[metric].Never }) {
					any, cell = true, word("never", bad)
				}
			}
			r.Cells = append(r.Cells, cell)
		}
		if any {
			s.Table.Rows = append(s.Table.Rows, r)
		}
	}
	return s
}

// versus is the section of all that is compared at one size.
func (d *Document) versus(v *stat.Turns) section {
	s := section{Name: "versus, " + size(v), Head: -1, Table: &table{Corner: "metric"},
		About: fmt.Sprintf("%s of each mesh, in turns; medians, and how it compares with A in the same round: the median of the rounds' ratios, which is not the ratio of the medians, with its 95 %% interval", plural(uint64(v.Rounds), "run"))}
	for i := range v.Results {
		s.Table.Columns = append(s.Table.Columns, column{Name: letter(i)})
		if i > 0 {
			s.Table.Columns = append(s.Table.Columns, column{Name: letter(i) + "/A", Rank: i}) // the figures themselves stay
		}
	}
	for _, c := range v.Metrics {
		name, flat, _ := strings.Cut(c.Metric, ".")
		if !slices.Contains(contested, flat) && !slices.Contains(scenario.Find(name).Summary, flat) {
			continue
		}
		if !slices.ContainsFunc(c.Medians, func(m *float64) bool { return m != nil && *m != 0 }) {
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
	for i := range v.Results[1:] {
		for _, t := range told {
			if k := slices.IndexFunc(v.Metrics, func(c stat.Contest) bool { return c.Metric == t.metric }); k >= 0 && v.Metrics[k].Ratios[i].Median != nil {
				r := v.Metrics[k].Ratios[i]
				if digits(*r.Median) == "1.00" {
					continue
				}
				s.Facts = append(s.Facts, fact{"verdict", phrase{}.addIf(r.Verdict == stat.Worse, "%s", inWords(letter(i+1), r, t.more, t.less))})
			}
		}
	}
	if v.Rounds < 6 {
		s.Facts = append(s.Facts, note("it takes 6 runs or more of each for an interval", true))
	}
	return s
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
	text := fmt.Sprintf("%s is in the median round %s × %s", mesh, digits(m), how)
	if low != nil {
		text += fmt.Sprintf(" [%s, %s]", digits(*low), digits(*high))
	}
	if low == nil || r.Verdict == stat.Same {
		text += ", which may be chance"
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
