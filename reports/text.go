package reports

import (
	"cmp"
	"slices"
	"strings"
)

const (
	defaultWidth = 100
	narrowest    = 40
	gutter       = 2  // blank columns between those of a table, and left of everything below a heading
	widestLabel  = 20 // of what stands left of a fact
	leastWords   = 24 // columns for words that may be cut short
	leastName    = 8  // of a row
	widestName   = 16 // of a column whose figures are narrower
)

// A page is text of one width, in colour or not.
type page struct {
	Options
	b       strings.Builder
	first   int      // width of labels and rows' names
	dropped []string // columns for which there was no room
	err     error
}

// text renders a document as a screen of text.
func text(d *Document, o Options) (string, error) {
	if o.Width == 0 {
		o.Width = defaultWidth
	}
	o.Width = max(o.Width, narrowest)
	shown := d.sections(o.All)
	if o.ASCII {
		d, shown = mapped(d, toASCII), mapped(shown, toASCII)
	}
	var last []fact
	for _, h := range d.Heads {
		last = append(last, h.Origin...)
	}
	p := &page{Options: o, first: len("left out")}
	label := func(s string) { p.first = max(p.first, min(width(s), widestLabel)) }
	for _, f := range last {
		label(f.Label)
	}
	for _, s := range shown {
		for _, f := range s.Facts {
			label(f.Label)
		}
		if s.Table != nil && len(s.Facts) > 0 { // which stand in line with its rows
			for _, r := range s.Table.Rows {
				label(r.Name)
			}
		}
	}
	heads := func() {
		for _, h := range d.Heads {
			p.wrapped("", d.heading(h), "", bold)
		}
	}
	heads()
	if len(d.About) > 0 {
		p.wrapped("", d.About, "", faint)
	}
	for _, s := range shown {
		p.section(s)
	}
	if len(p.dropped) > 0 {
		last = append(last, fact{"left out", words("for want of room: " + strings.Join(p.dropped, ", "))})
	}
	if len(last) > 0 {
		p.line("")
	}
	for _, f := range last {
		p.fact(f, faint)
	}
	p.line("")
	heads() // whoever scrolled past the first line sees the verdict in the last
	return p.b.String(), p.err
}

// The styles are ANSI SGR sequences.
const (
	bold  = "1"
	faint = "2"
	red   = "1;31"
	green = "32"
)

var tones = map[tone]string{good: green, bad: red, soft: faint, strong: bold}

func (p *page) style(code, s string) string {
	if !p.Color || code == "" || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p *page) line(s string) { p.b.WriteString(strings.TrimRight(s, " ") + "\n") }

// fit cuts text that is too long for a line.
func (p *page) fit(s string, room int) string {
	mark := "…"
	if p.ASCII {
		mark = toASCII(mark)
	}
	if width(s) <= room {
		return s
	}
	return string([]rune(s)[:max(0, room-width(mark))]) + mark
}

// alarm is what bad news begins with, so that it shows without colour.
const alarm = "!" + glue

// wrapped writes a phrase behind a label. Where there is a separator, parts that fit on a line are
// kept together; further lines are indented below the first.
func (p *page) wrapped(label string, text phrase, separator, style string) {
	p.behind(p.style(faint, label), width(label), text, separator, style)
}

func (p *page) behind(label string, indent int, text phrase, separator, style string) {
	room := p.Width - indent
	var all []rune
	var styles []string // of each
	add := func(s, style string) {
		all, styles = append(all, []rune(s)...), append(styles, slices.Repeat([]string{style}, width(s))...)
	}
	for i, x := range text {
		s, code, then := x.Text, style, separator
		if x.Bad && strings.TrimSpace(s) != "" {
			s, code = alarm+s, red
		}
		if i == len(text)-1 {
			then = ""
		}
		if separator != "" && width(s+strings.TrimRight(then, " ")) <= room { // the blank may hang over
			s = strings.ReplaceAll(s, " ", glue)
		}
		add(s, code)
		add(then, style)
	}
	for {
		end := lineEnd(all, room)
		shown := end // without the blank that hangs over: a terminal would break the line
		for shown > 0 && all[shown-1] == ' ' {
			shown--
		}
		for from, i := 0, 1; i <= shown; i++ {
			if i == shown || styles[i] != styles[from] {
				label += p.style(styles[from], string(all[from:i]))
				from = i
			}
		}
		p.line(label)
		if all, styles = all[end:], styles[end:]; len(all) == 0 {
			return
		}
		label = strings.Repeat(" ", indent)
	}
}

// lineEnd is how many characters go on a line: all, or up to the last blank that fits, which may
// hang over, or up to the last comma, or as many as there is room for.
func lineEnd(text []rune, room int) int {
	if len(text) <= room {
		return len(text)
	}
	comma := 0
	for i := room; i > 0; i-- {
		if text[i] == ' ' {
			return i + 1
		}
		if text[i-1] == ',' {
			comma = max(comma, i)
		}
	}
	return cmp.Or(comma, max(room, 1))
}

// label is what stands left of a fact.
func (p *page) label(s string, size int) string {
	return strings.Repeat(" ", gutter) + pad(s, size) + "  "
}

// fact writes a labelled line, below its label where that is too long.
func (p *page) fact(f fact, style string) {
	label := f.Label
	if width(label) > p.first {
		p.wrapped(strings.Repeat(" ", gutter), words(label), "", faint)
		label = ""
	}
	p.wrapped(p.label(label, p.first), f.Text, ", ", style)
}

func (p *page) section(s section) {
	p.line("")
	if s.Name != "" {
		p.heading(s.Name, s.About)
	}
	if s.Table != nil && len(s.Table.Rows) > 0 {
		p.table(s.Table)
	}
	for _, f := range s.Facts {
		p.fact(f, "")
	}
	for _, a := range s.Accounts {
		p.account(a)
	}
}

// heading writes a section's name, and behind it what it is about.
func (p *page) heading(name, about string) {
	label := name + "  "
	switch {
	case about == "":
		p.wrapped("", words(name), "", bold)
	case width(label) > p.Width/2:
		p.wrapped("", words(name), "", bold)
		p.wrapped(strings.Repeat(" ", gutter), words(about), "", faint)
	default:
		p.behind(p.style(bold, label), width(label), words(about), "", faint)
	}
}

// table writes a table with as many columns as the width allows.
func (p *page) table(t *table) {
	header, rows := append([]column{{Name: t.Corner, Left: true}}, t.Columns...), t.Rows
	cell := func(r row, c int) quantity {
		if c > 0 {
			return r.Cells[c-1]
		}
		return word(r.Name, map[bool]tone{true: strong}[r.Marked])
	}
	size, room := p.sizes(header, rows, cell)
	var lines [][]string
	var names [][]string // the lines of each column's name
	var left []bool
	high := 1
	for c, column := range header {
		if size[c] < 0 {
			continue
		}
		if column.Words {
			size[c] += max(room, 0)
		}
		names, left = append(names, p.nameLines(column.Name, size[c])), append(left, column.Left)
		high = max(high, len(names[len(names)-1]))
	}
	for l := range high { // names end in the last line above the figures
		var line []string
		for _, n := range names {
			text := ""
			if at := l - (high - len(n)); at >= 0 {
				text = n[at]
			}
			line = append(line, p.style(faint, text))
		}
		lines = append(lines, line)
	}
	for _, r := range rows {
		var line []string
		for c := range header {
			if size[c] < 0 {
				continue
			}
			q := cell(r, c)
			text := p.fit(q.Text, size[c])
			if c == 0 {
				text = pad(text, size[c])
			}
			line = append(line, p.style(tones[q.Tone], text))
		}
		lines = append(lines, line)
	}
	s, err := grid(false, left, lines[0], lines[1:])
	if err != nil {
		p.err = err
	}
	for l := range strings.Lines(s) {
		p.line(strings.TrimRight(l, " \n"))
	}
}

// nameLines is a column's name in lines of at most room characters.
func (p *page) nameLines(name string, room int) (lines []string) {
	for rest := []rune(name); len(rest) > 0; {
		end := lineEnd(rest, room)
		line := strings.TrimRight(string(rest[:end]), " ")
		if end < len(rest) && rest[end-1] != ' ' { // a word that is too long
			return append(lines, p.fit(string(rest), room))
		}
		lines, rest = append(lines, line), rest[end:]
	}
	return lines
}

// sizes are how wide each column is, -1: left out, and the room that they leave. What is too wide has names of
// columns broken at blanks, stands no longer in line with labels, and then leaves columns out.
func (p *page) sizes(header []column, rows []row, cell func(row, int) quantity) (size []int, room int) {
	longestWord := func(name string) (n int) {
		for word := range strings.FieldsSeq(name) {
			n = max(n, width(word))
		}
		return n
	}
	for _, try := range []struct{ aligned, broken bool }{{true, false}, {false, false}, {false, true}} {
		size, room = make([]int, len(header)), p.Width
		for c, column := range header {
			name := width(column.Name)
			if try.broken {
				name = longestWord(column.Name)
			}
			size[c] = min(name, widestName)
			for _, r := range rows {
				size[c] = max(size[c], width(cell(r, c).Text))
			}
			switch {
			case c == 0 && try.aligned:
				size[c] = min(max(size[c], p.first), p.Width/2)
			case c == 0:
				size[c] = min(size[c], p.Width/2)
			case column.Words:
				size[c] = min(size[c], leastWords)
			}
			room -= gutter + size[c]
		}
		if room >= 0 {
			return size, room
		}
	}
	drop := func(c int) {
		room, size[c] = room+gutter+size[c], -1
		if !header[c].Words && !slices.Contains(p.dropped, header[c].Name) {
			p.dropped = append(p.dropped, header[c].Name)
		}
	}
	for rank := len(statistics) + len(header); room < 0 && rank > 0; rank-- {
		for c, column := range header {
			if column.Rank == rank {
				drop(c)
			}
		}
	}
	if short := min(-room, size[0]-leastName); short > 0 { // the names may be cut
		room, size[0] = room+short, size[0]-short
	}
	for c := len(header) - 1; c > 1 && room < 0; c-- {
		if size[c] >= 0 {
			drop(c)
		}
	}
	return size, room
}

// account tells of one case that went wrong.
func (p *page) account(a account) {
	p.line("")
	p.line(p.style(tones[a.Outcome.Tone], a.Outcome.String()) + "  " + p.style("", a.ID+"  "+a.Level))
	indent := strings.Repeat(" ", gutter)
	p.wrapped(indent, words(a.Title), "", bold)
	p.wrapped(indent, words(a.Rule), "", faint)
	for _, l := range a.Lines {
		switch label := p.label(l.Label, len("received")); {
		case l.Full && !p.All:
		case strings.HasPrefix(l.Text, "  "):
			p.line(label + p.fit(l.Text, p.Width-width(label)))
		default:
			p.wrapped(label, words(l.Text), "", "")
		}
	}
}
