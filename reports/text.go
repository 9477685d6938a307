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
	leastName    = 7  // and for a name over a column of words
	widestName   = 16
)

// A page writes text of one width, in colour or not.
type page struct {
	Options
	b       strings.Builder
	first   int            // width of labels and rows' names
	columns map[string]int // width of the columns of aligned tables, by name
	dropped []string       // columns for which there was no room
	err     error
}

// text renders a document as a screen of text.
func text(d *Document, o Options) (string, error) {
	if o.Width == 0 {
		o.Width = defaultWidth
	}
	o.Width = max(o.Width, narrowest)
	p := &page{Options: o, columns: make(map[string]int)}
	shown := d.sections(o.All)
	if o.ASCII {
		d, shown = mapped(d, toASCII), mapped(shown, toASCII)
	}
	heads := d.heads(o.All)
	p.measure(heads, shown)
	for _, h := range heads {
		p.wrapped("", d.heading(h), "", bold)
	}
	if len(d.About) > 0 {
		p.wrapped("", d.About, "", faint)
	}
	for _, s := range shown {
		p.section(s)
	}
	var last []fact
	for _, h := range heads {
		last = append(last, h.Origin...)
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
	for _, h := range heads { // whoever scrolled past the first line sees the verdict in the last
		p.wrapped("", d.heading(h), "", bold)
	}
	return p.b.String(), p.err
}

// measure finds how wide the first columns, labels and aligned columns of the
// same name are, in all sections alike.
func (p *page) measure(heads []head, shown []section) {
	p.first = len("left out")
	label := func(f fact) { p.first = max(p.first, min(width(f.Label), widestLabel)) }
	for _, h := range heads {
		for _, f := range h.Origin {
			label(f)
		}
	}
	for _, s := range shown {
		for _, f := range s.Facts {
			label(f)
		}
		if s.Table == nil || !s.Table.Aligned {
			continue
		}
		for _, x := range s.Table.Rows {
			p.first = max(p.first, min(width(x.Name), widestLabel))
		}
		for c, column := range s.Table.Columns {
			for _, cell := range s.Table.column(c, true) {
				p.columns[column.Name] = max(p.columns[column.Name], width(column.Name), width(cell))
			}
		}
	}
}

// column is column c's cells.
func (t *table) column(c int, all bool) []string {
	var cells []quantity
	for _, x := range t.visible(all) {
		cells = append(cells, x.Cells[c])
	}
	if t.Aligned {
		return aligned(cells)
	}
	return strung(cells)
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

// wrapped writes a phrase behind a label, its parts kept together where there
// is a separator and they fit on a line, continuation lines indented below the
// first.
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

// lineEnd is how many characters go on a line: all, or up to the last blank that
// fits, which may hang over the end, or as many as there is room for.
func lineEnd(text []rune, room int) int {
	if len(text) <= room {
		return len(text)
	}
	for i := room; i > 0; i-- {
		if text[i] == ' ' {
			return i + 1
		}
	}
	return max(room, 1)
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
	if s.Table != nil && len(s.Table.visible(p.All)) > 0 {
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
	rows := t.visible(p.All)
	first := p.first
	if !t.Aligned {
		first = width(t.Corner)
		for _, x := range rows {
			first = max(first, width(x.Name))
		}
		first = min(first, p.Width/2)
	}
	cells := make([][]string, len(t.Columns))
	for c := range t.Columns {
		cells[c] = t.column(c, p.All)
	}
	size, room := p.sizes(t, cells, p.Width-gutter-first)
	header, left := []string{pad(p.style(faint, p.fit(t.Corner, first)), first)}, []bool{true}
	lines := make([][]string, len(rows))
	for i, x := range rows {
		code := ""
		if x.Marked {
			code = bold
		}
		lines[i] = []string{p.style(code, pad(p.fit(x.Name, first), first))}
	}
	for c, column := range t.Columns {
		if size[c] < 0 {
			continue
		}
		name := column.Name
		switch {
		case t.Aligned:
			name = pad(strings.Repeat(" ", max(0, (size[c]-width(name)+1)/2))+name, size[c])
		case column.Minor && column.Rank == 0:
			name = p.fit(name, size[c])
		case column.Minor:
			size[c] += room
		}
		header, left = append(header, p.style(faint, name)), append(left, column.Left)
		for i, cell := range cells[c] {
			if column.Minor && column.Rank > 0 {
				cell = p.fit(cell, size[c])
			}
			lines[i] = append(lines[i], p.style(tones[rows[i].Cells[c].Tone], cell))
		}
	}
	p.grid(left, header, lines)
}

// sizes are how wide the columns of a table can be, those of high rank left out
// first, as -1; and the room that is left.
func (p *page) sizes(t *table, cells [][]string, room int) ([]int, int) {
	size := make([]int, len(t.Columns))
	order := make([]int, len(t.Columns))
	need := make(map[int]int) // of all columns of a rank: those that are not 0 come together or not at all
	for c, column := range t.Columns {
		order[c], size[c] = c, width(column.Name)
		for _, cell := range cells[c] {
			size[c] = max(size[c], width(cell))
		}
		switch {
		case column.Minor && column.Rank == 0:
			size[c] = min(size[c], leastName)
		case column.Minor:
			size[c] = min(size[c], leastWords)
		case t.Aligned:
			size[c] = p.columns[column.Name]
		}
		if column.Rank > 0 {
			need[column.Rank] += size[c] + gutter
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(t.Columns[a].Rank, t.Columns[b].Rank) })
	for _, c := range order {
		column := t.Columns[c]
		if wide := size[c] + gutter; max(wide, need[column.Rank]) <= room {
			room -= wide
			need[column.Rank] -= wide
			continue
		}
		size[c] = -1
		if !column.Minor && column.Name != "" && !slices.Contains(p.dropped, column.Name) {
			p.dropped = append(p.dropped, column.Name)
		}
	}
	for c, column := range t.Columns {
		if size[c] >= 0 && column.Minor && column.Rank == 0 {
			more := min(room, max(0, min(width(column.Name), widestName)-size[c]))
			size[c], room = size[c]+more, room-more
		}
	}
	return size, room
}

func (p *page) grid(left []bool, header []string, rows [][]string) {
	s, err := grid(false, left, header, rows)
	if err != nil {
		p.err = err
	}
	for l := range strings.Lines(s) {
		p.line(strings.TrimRight(l, " \n"))
	}
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
