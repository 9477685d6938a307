package reports

import (
	"fmt"
	"io"
	"strings"

	"github.com/olekukonko/tablewriter/tw"

	"p2plocal/fuzz/conform"
)

// Text writes it as a screen of text: of one target a table of groups, of
// several one of cases, and what is wrong in full. Verbose has a table of cases
// in any case.
func (c *Conformance) Text(w io.Writer, o TextOptions, verbose bool) error {
	p := newPage(o)
	for i, r := range c.Targets {
		if i > 0 && len(c.Targets) == 1 {
			p.line("")
		}
		p.wrapped("", tallied(r), ", ", bold)
	}
	switch {
	case verbose || len(c.Targets) > 1:
		p.cases(c)
	default:
		p.groups(c.Targets[0])
	}
	several := len(c.Targets) > 1
	for _, r := range c.Targets {
		p.accounts(r, several, verbose)
	}
	for _, r := range c.Targets {
		p.told(r, conform.Seen, "where implementations may differ", several)
		p.told(r, conform.Void, "void: failed while this machine was too late to judge", several)
	}
	p.line("")
	first := 8
	for _, r := range c.Targets {
		first = max(first, min(width(clean(r.Name)), 24))
	}
	for _, r := range c.Targets {
		label := "target"
		if several {
			label = clean(r.Name)
		}
		text := append(aim(r), course(r)...)
		if s := ended(r); s != "" {
			text = append(text, part{s, true})
		}
		p.wrapped(p.label(label, first), text, ", ", faint)
	}
	return p.flush(w)
}

// mark is an outcome in a table.
func (p *page) mark(o conform.Outcome) string {
	switch o {
	case "":
		return missing
	case conform.Fail, conform.Broken:
		return p.style(red, strings.ToUpper(string(o)))
	case conform.Seen, conform.Void, conform.NotRun:
		return p.style(faint, string(o))
	}
	return p.style(green, string(o))
}

func (p *page) groups(r conform.Report) {
	header := []string{"group", "cases"}
	var columns []conform.Outcome
	for _, o := range conform.Outcomes {
		if r.Count(o) > 0 || o == conform.Pass || o == conform.Fail {
			columns = append(columns, o)
			header = append(header, string(o))
		}
	}
	header = append(header, "longest")
	var rows [][]string
	for _, g := range groupsOf(r) {
		row := []string{g.Name, fmt.Sprint(g.Cases)}
		for _, o := range columns {
			n := g.Counts[o]
			cell := missing
			switch {
			case n > 0 && (o == conform.Fail || o == conform.Broken):
				cell = p.style(red, fmt.Sprint(n))
			case n > 0:
				cell = fmt.Sprint(n)
			}
			row = append(row, cell)
		}
		longest := missing
		if g.Counts[conform.NotRun] < g.Cases {
			longest = fmt.Sprintf("%.1f s", g.Took.Seconds())
		}
		rows = append(rows, append(row, longest))
	}
	p.line("")
	p.grid(header, rows)
}

// cases is the table of every case at every target.
func (p *page) cases(c *Conformance) {
	matrix := c.matrix()
	header := []any{"  " + p.style(faint, "case"), "  " + p.style(faint, "level")}
	first, rest := 0, 2+2+6 // columns that are not the title's
	for _, r := range matrix {
		first = max(first, width(r.ID))
	}
	for _, t := range c.Targets {
		name := fit(clean(t.Name), 16)
		if len(c.Targets) == 1 {
			name = "result"
		}
		header = append(header, "  "+p.style(faint, name))
		rest += 2 + max(width(name), 7)
	}
	room := p.Width - first - rest - 2
	if p.ASCII {
		room -= len("...") - 1 // of which fit knows one column
	}
	const leastTitle = 24
	if room >= leastTitle {
		header = append(header, "  "+p.style(faint, "what"))
	}
	var rows [][]string
	for _, r := range matrix {
		row := []string{r.ID, string(r.Level)}
		for _, o := range r.Cells {
			row = append(row, p.mark(o))
		}
		if room >= leastTitle {
			row = append(row, fit(clean(r.Title), room))
		}
		rows = append(rows, row)
	}
	p.line("")
	p.render(tw.CellAlignment{Global: tw.AlignLeft}, header, rows)
}

// accounts tells of all that is wrong: of several targets only in short, unless
// verbose.
func (p *page) accounts(r conform.Report, several, verbose bool) {
	for _, x := range r.Results {
		if x.Outcome != conform.Fail && x.Outcome != conform.Broken {
			continue
		}
		p.line("")
		head := phrase{{p.mark(x.Outcome), false}, {"  " + x.ID, false}}
		if several {
			head = append(head, part{"  " + clean(r.Name), false})
		}
		label := p.mark(x.Outcome) + " "
		for _, h := range head[1:] {
			label += h.text
		}
		p.line(label + "  " + string(x.Level))
		p.wrapped(p.label("", 0), phrase{{clean(x.Title), false}}, "", bold)
		p.wrapped(p.label("", 0), phrase{{ruleOf(x), false}}, "", faint)
		for _, l := range account(x) {
			if several && !verbose && l.Label != "expected" && l.Label != "came" && l.Label != "broken" {
				continue
			}
			switch {
			case strings.HasPrefix(l.Text, "  "):
				p.line(p.label("", 8) + fit(l.Text, p.Width-gutter-8-2))
			default:
				p.wrapped(p.label(l.Label, 8), phrase{{l.Text, false}}, "", "")
			}
		}
	}
}

// told gives the details of the cases that ended in a way, under a head.
func (p *page) told(r conform.Report, o conform.Outcome, head string, several bool) {
	first := true
	for _, x := range r.Results {
		if x.Outcome != o {
			continue
		}
		if first {
			first = false
			p.line("")
			if several {
				head += ": " + clean(r.Name)
			}
			p.line(p.style(bold, head))
		}
		p.wrapped(p.label(x.ID, 17), phrase{{clean(x.Title), false}, {clean(x.Detail), false}}, ": ", "")
	}
}
