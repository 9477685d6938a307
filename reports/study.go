package reports

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/bench/study"
)

// Study makes the document of what a study came to.
func Study(r *study.Report) *Document {
	d := &Document{Tool: "meshbench study", source: asJSON(r)}
	text := interrupted(r.Interrupted).add("%s", studyHeadline(r))
	d.Heads = []head{{Text: text, Origin: []fact{
		{"simulated", ownCode},
		{"made by", phrase{}.add("%s", build(r.Tool)).add("%s", shellWords(r.Tool.Args))},
	}}}
	for _, t := range r.Tables {
		if len(t.Cells) > 0 {
			d.Sections = append(d.Sections, gridSection(&t))
		}
	}
	return d
}

// ownCode is what a simulation that belongs to no machine is of.
var ownCode = words("the code of server and peers on a virtual network and clock")

// interrupted is what a headline begins with where that is so.
func interrupted(so bool) phrase {
	if so {
		return phrase{{"Interrupted, only what was finished is here: ", true}}
	}
	return nil
}

// studyHeadline says how much was tried, and of what is to be chosen how much is left.
func studyHeadline(r *study.Report) string {
	cells, front := 0, 0
	var names []string
	for _, t := range r.Tables {
		cells, names = cells+len(t.Cells), append(names, t.Name)
		for _, c := range t.Cells {
			if c.Front {
				front++
			}
		}
	}
	text := plural(uint64(cells), "setting") + " simulated, of " + strings.Join(names, ", ")
	if front > 0 {
		text += fmt.Sprintf("; %d of the timing %s worth choosing (*)", front, map[bool]string{true: "is", false: "are"}[front == 1])
	}
	return text + "."
}

// shown is a value of an axis: off for an interval that is none.
func shown(a study.Axis, value string) quantity {
	v, unit := a.Number(value)
	if v == 0 && unit == "s" {
		return word("off", "")
	}
	switch unit {
	case "s":
		return word(strings.ReplaceAll(result.Span(time.Duration(v*1e9)), " ", glue), "")
	case "ratio":
		return in(strconv.FormatFloat(v*100, 'g', 3, 64), "%")
	}
	return measure(v, unit)
}

func gridSection(t *study.Table) section {
	s := section{Name: t.Name, About: t.About + fmt.Sprintf("; %s each", plural(uint64(t.Config.Repeat), "run")), Folded: true, Table: &table{}}
	var varied []int // axes; others stand in About
	for i, a := range t.Axes {
		if len(a.Values) > 1 {
			varied = append(varied, i)
			s.Table.Columns = append(s.Table.Columns, column{Name: a.Name})
		} else {
			s.About += fmt.Sprintf(", %s %v", a.Name, shown(a, a.Values[0]))
		}
	}
	for i, c := range t.Columns {
		s.Table.Columns = append(s.Table.Columns, column{Name: c.Label, Rank: max(0, i-2)})
		if i == 0 {
			s.Table.Columns = append(s.Table.Columns, column{Name: "95 % interval", Rank: len(t.Columns)})
		}
		if d, _, ok := scenario.Definitions.Define(c.Metric); ok {
			s.Facts = append(s.Facts, fact{c.Label, words(c.Metric + ": " + d.Text)})
		}
	}
	for _, c := range t.Cells {
		r := row{Marked: c.Front}
		if c.Front {
			r.Name = "*"
		}
		for _, i := range varied {
			r.Cells = append(r.Cells, shown(t.Axes[i], c.Values[i]))
		}
		for i, col := range t.Columns {
			f := c.Figures[col.Metric]
			r.Cells = append(r.Cells, averaged(f))
			if i == 0 {
				r.Cells = append(r.Cells, between(f))
			}
		}
		s.Table.Rows = append(s.Table.Rows, r)
	}
	s.Facts = append(s.Facts, fact{"figures", words("means over the runs that measured them; 95 % interval of the mean (Student's t)")})
	if len(t.Least) > 0 {
		var least []string
		for _, c := range t.Columns {
			if slices.Contains(t.Least, c.Metric) {
				least = append(least, c.Label)
			}
		}
		s.Facts = append(s.Facts, fact{"*", words("no other setting is as good in all of " + strings.Join(least, ", ") + ", and better in one (the Pareto front); less than one removal in a peer's year counts as none")})
	}
	for i, c := range t.Charts {
		if x := gridChart(t, varied, c); len(x.Series) > 0 {
			x.ID = fmt.Sprintf("%s-%d", t.Name, i+1)
			s.Charts = append(s.Charts, x)
		}
	}
	return s
}

// averaged is a figure's mean, with how often it never happened.
func averaged(f study.Figure) quantity {
	switch {
	case f.Mean == nil && f.Never > 0:
		return word("never", bad)
	case f.Mean == nil:
		return none
	case f.Never > 0:
		return word(fmt.Sprintf("%v in %d of %d", measure(*f.Mean, f.Unit), f.Runs, f.Runs+f.Never), bad)
	}
	return measure(*f.Mean, f.Unit)
}

func between(f study.Figure) quantity {
	if f.Low == nil {
		return none
	}
	return word(fmt.Sprintf("%v to %v", measure(*f.Low, f.Unit), measure(*f.High, f.Unit)), "")
}

// gridChart draws a metric against an axis, a curve for each combination of the
// others, or against another metric, a dot for each cell.
func gridChart(t *study.Table, varied []int, c study.Chart) chart {
	label := func(metric string) axis {
		x := axis{Label: metric, Unit: "1", Log: c.Log}
		if i := slices.IndexFunc(t.Columns, func(col study.Column) bool { return col.Metric == metric }); i >= 0 {
			x.Label = t.Columns[i].Label
		}
		if d, _, ok := scenario.Definitions.Define(metric); ok {
			x.Unit = d.Unit
		}
		return x
	}
	out := chart{Title: c.Title, Y: label(c.Y), Says: "Bars: 95 % intervals of the mean.", Wide: len(t.Least) > 0}
	out.Y.Zero = !c.Log
	at := slices.IndexFunc(t.Axes, func(a study.Axis) bool { return a.Name == c.X })
	if at < 0 {
		out.X, out.Says = label(c.X), "One dot a setting, less is better on both axes; filled: worth choosing."
	} else {
		_, unit := t.Axes[at].Number(t.Axes[at].Values[0])
		out.X = axis{Label: c.X, Unit: unit}
	}
	if c.Theory != "" {
		out.Says += " Grey: what independent losses make."
	}
	var colors []string
	zero := false
	for _, cell := range t.Cells {
		f := cell.Figures[c.Y]
		if f.Mean == nil {
			continue
		}
		of := series{Kind: curves}
		var names []string
		for _, i := range varied {
			if i == at {
				continue
			}
			v := shown(t.Axes[i], cell.Values[i])
			names = append(names, fmt.Sprintf("%s %v", t.Axes[i].Name, v))
			of.Dashed = of.Dashed || t.Axes[i].Name == "refresh" && v.Text == "off"
		}
		of.Name = strings.Join(names, ", ")
		if len(names) == 0 {
			of.Name = t.Name
		} else {
			if !slices.Contains(colors, names[0]) {
				colors = append(colors, names[0])
			}
			of.Color = slices.Index(colors, names[0])
		}
		p := point{Y: *f.Mean, Low: f.Low, High: f.High}
		if at >= 0 {
			p.X, _ = t.Axes[at].Number(cell.Values[at])
		} else if x := cell.Figures[c.X]; x.Mean != nil {
			p = point{X: *x.Mean, Y: p.Y, Name: of.Name, Marked: cell.Front}
			of.Kind, of.Dashed = dots, false
			if len(names) > 0 {
				of.Name = names[0]
			}
		} else {
			continue
		}
		zero = !out.add(of, p) || zero
		if f := cell.Figures[c.Theory]; f.Mean != nil && slices.Equal(colors, colors[:min(1, len(colors))]) {
			out.add(series{Name: "expected, " + strings.Join(names[min(1, len(names)):], ", "), Kind: theory}, point{X: p.X, Y: *f.Mean})
		}
	}
	if zero {
		out.Says += " What is 0 is on no logarithmic axis, and left out."
	}
	return out
}

// add puts a point into its series, if its axes have a place for it.
func (c *chart) add(to series, p point) bool {
	if p.X <= 0 && c.X.Log || p.Y <= 0 && c.Y.Log {
		return false
	}
	i := slices.IndexFunc(c.Series, func(s series) bool { return s.Name == to.Name })
	if i < 0 {
		i, c.Series = len(c.Series), append(c.Series, to)
	}
	c.Series[i].Points = append(c.Series[i].Points, p)
	return true
}
