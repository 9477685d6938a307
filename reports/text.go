package reports

import (
	"io"
	"slices"
	"strings"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"

	"p2plocal/bench/result"
)

// TextOptions say what the text is for.
type TextOptions struct {
	Width int  // columns; 0: 100
	Color bool // ANSI colours, for a terminal that wants them
	ASCII bool // no byte above 0x7E
}

const (
	defaultWidth = 100
	narrowest    = 40
	gutter       = 2 // blank columns left of everything below a heading
)

// A page writes text of one width, in colour or not.
type page struct {
	TextOptions
	b   strings.Builder
	err error
}

func newPage(o TextOptions) *page {
	if o.Width == 0 {
		o.Width = defaultWidth
	}
	o.Width = max(o.Width, narrowest)
	return &page{TextOptions: o}
}

// Text writes a result as a screen of text.
func Text(w io.Writer, r *result.Result, o TextOptions) error {
	p, d := newPage(o), newDigest(r)
	p.wrapped("", d.headline, "", bold)
	// First columns and labels are as wide in all sections, and so are the
	// columns of the same name.
	first := 0
	columns := make(map[string]int)
	for _, s := range d.sections {
		for _, x := range s.rows {
			first = max(first, width(x.name))
		}
		for _, f := range s.facts {
			first = max(first, width(f.label))
		}
		for c, name := range s.columns {
			for _, cell := range s.column(c) {
				columns[name] = max(columns[name], width(name), width(cell))
			}
		}
	}
	first = min(first, 20)
	for _, s := range d.sections {
		p.section(s, first, columns)
	}
	p.verdicts(d.verdicts)
	p.line("")
	p.wrapped(p.label("machine", first), d.machine, ", ", faint)
	p.wrapped(p.label("seed", first), d.origin, ", ", faint)
	return p.flush(w)
}

func (p *page) flush(w io.Writer) error {
	if p.err != nil {
		return p.err
	}
	_, err := io.WriteString(w, strings.ReplaceAll(p.b.String(), glue, " "))
	return err
}

// The styles are ANSI SGR sequences.
const (
	bold  = "1"
	faint = "2"
	red   = "1;31"
	green = "32"
)

// style wraps text that this package wrote, or that was cleaned.
func (p *page) style(code, s string) string {
	if p.ASCII {
		s = toASCII(s)
	}
	if !p.Color || code == "" || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p *page) line(s string) { p.b.WriteString(strings.TrimRight(s, " ") + "\n") }

// label is what stands left of a fact.
func (p *page) label(s string, first int) string {
	return strings.Repeat(" ", gutter) + pad(fit(s, first), first) + "  "
}

// alarm is what bad news begins with, so that it shows without colour.
const alarm = "! "

// wrapped writes a phrase behind a label, its parts kept together where they
// fit on a line, continuation lines indented below the first.
func (p *page) wrapped(label string, text phrase, separator, style string) {
	indent := strings.Repeat(" ", width(label))
	room := p.Width - width(label)
	var words []part
	for i, x := range text {
		s := x.text
		if p.ASCII {
			s = toASCII(s)
		}
		if x.bad && strings.TrimSpace(s) != "" {
			s = alarm + s
		}
		if i < len(text)-1 {
			s += separator
		}
		words = append(words, part{s, x.bad})
	}
	line, used := p.style(faint, label), 0
	if label == "" {
		line = ""
	}
	put := func(s string, bad bool) {
		if bad {
			line += p.style(red, strings.TrimRight(s, ", ")) + s[len(strings.TrimRight(s, ", ")):]
		} else {
			line += p.style(style, s)
		}
		used += width(s)
	}
	next := func() {
		p.line(line)
		line, used = indent, 0
	}
	for _, x := range words {
		if separator != "" && width(x.text) <= room {
			if used+width(strings.TrimRight(x.text, " ")) > room {
				next()
			}
			put(x.text, x.bad)
			continue
		}
		for _, s := range strings.SplitAfter(x.text, " ") {
			for width(s) > room { // a word longer than a line
				if used > 0 {
					next()
				}
				put(string([]rune(s)[:room]), x.bad)
				s = string([]rune(s)[room:])
			}
			if used > 0 && used+width(strings.TrimRight(s, " ")) > room {
				next()
			}
			put(s, x.bad)
		}
	}
	p.line(line)
}

func (p *page) section(s section, first int, columns map[string]int) {
	p.line("")
	room := p.Width - width(s.name) - 2
	if p.ASCII {
		room -= 2 // by which the mark of a cut gets longer
	}
	p.line(p.style(bold, clean(s.name)) + "  " + p.style(faint, fit(clean(s.about), room)))
	if len(s.rows) > 0 {
		p.table(s, first, columns)
	}
	if s.curve != nil {
		label := p.label("shape", first)
		n := min(p.Width-width(label)-1, 72)
		for i, l := range s.curve.draw(n, 2, p.ASCII) {
			if i > 0 {
				label = strings.Repeat(" ", width(label))
			}
			if p.ASCII {
				l = toASCII(strings.ReplaceAll(l, "╵", "|"))
			}
			p.line(p.style(faint, label) + l)
		}
	}
	for _, f := range s.facts {
		p.wrapped(p.label(f.label, first), f.text, ", ", "")
	}
	for _, n := range s.notes {
		p.wrapped(p.label("note", first), phrase{{clean(n.text), n.bad}}, "", "")
	}
}

// fit cuts text that is too long for a line.
func fit(s string, room int) string {
	if width(s) <= room {
		return s
	}
	return string([]rune(s)[:max(0, room-1)]) + "…"
}

// table writes a section's table with as many columns as the width allows, in
// the order of their importance.
func (p *page) table(s section, first int, columns map[string]int) {
	size := func(c int) int { return columns[s.columns[c]] + gutter }
	room := p.Width - gutter - first
	keep := make([]bool, len(s.columns))
	take := func(c int) {
		if c >= 0 && !keep[c] && size(c) <= room {
			keep[c], room = true, room-size(c)
		}
	}
	for _, name := range statistics {
		take(slices.Index(s.columns, name))
	}
	for c := range s.columns {
		take(c)
	}
	header := []string{pad("", first)}
	rows := make([][]string, len(s.rows))
	for i, x := range s.rows {
		rows[i] = []string{pad(fit(x.name, first), first)}
	}
	for c, name := range s.columns {
		if !keep[c] {
			continue
		}
		header = append(header, pad(strings.Repeat(" ", max(0, (size(c)-gutter-width(name)+1)/2))+name, size(c)-gutter))
		for i, cell := range s.column(c) {
			rows[i] = append(rows[i], cell)
		}
	}
	p.grid(header, rows)
}

// grid writes rows below a header: the first column to the left, all others to
// the right.
func (p *page) grid(header []string, rows [][]string) {
	align := make([]tw.Align, len(header))
	for i := range align {
		align[i] = tw.AlignRight
	}
	align[0] = tw.AlignLeft
	head := make([]any, len(header))
	for i, h := range header {
		head[i] = "  " + p.style(faint, h)
	}
	p.render(tw.CellAlignment{PerColumn: align}, head, rows)
}

// render is the one place that sets the table engine up.
func (p *page) render(align tw.CellAlignment, header []any, rows [][]string) {
	cell := tw.CellConfig{
		Alignment:  align,
		Padding:    tw.CellPadding{Global: tw.PaddingNone},
		Formatting: tw.CellFormatting{AutoFormat: tw.Off, AutoWrap: tw.WrapNone},
	}
	var b strings.Builder
	t := tablewriter.NewTable(&b,
		tablewriter.WithConfig(tablewriter.Config{Header: cell, Row: cell, Behavior: tw.Behavior{TrimSpace: tw.Off}}),
		tablewriter.WithHeaderAutoFormat(tw.Off),
		tablewriter.WithTrimSpace(tw.Off),
		tablewriter.WithEastAsian(tw.Off),
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{
			Borders: tw.BorderNone,
			Settings: tw.Settings{
				Separators: tw.SeparatorsNone,
				Lines:      tw.LinesNone,
			},
		})),
	)
	if len(header) > 0 {
		t.Header(header...)
	}
	for _, row := range rows {
		cells := make([]any, len(row))
		for i, c := range row {
			if p.ASCII {
				c = toASCII(c)
			}
			cells[i] = "  " + c // padding that the engine need not know of
		}
		if err := t.Append(cells...); err != nil {
			p.err = err
			return
		}
	}
	if err := t.Render(); err != nil {
		p.err = err
		return
	}
	for l := range strings.Lines(b.String()) {
		p.line(strings.TrimRight(l, " \n"))
	}
}

func (p *page) verdicts(all []verdict) {
	if len(all) == 0 {
		return
	}
	p.line("")
	p.line(p.style(bold, "assertions"))
	rows := make([][]string, len(all))
	for i, v := range all {
		mark, actual := p.style(green, "✓"), v.actual.String()
		if v.actual.whole == missing {
			actual = "not measured"
		}
		if !v.ok {
			mark, actual = p.style(red, "✗"), p.style(red, actual)
		}
		rows[i] = []string{mark, clean(v.text), actual}
	}
	p.render(tw.CellAlignment{Global: tw.AlignLeft}, nil, rows)
}
