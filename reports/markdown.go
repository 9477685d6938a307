package reports

import (
	"fmt"
	"strings"
)

// markdown renders a document as GitHub shows it, for a pull request.
func markdown(d *Document, all bool) (string, error) {
	var b strings.Builder
	var failed error
	pipes := func(header []string, left []bool, rows [][]string) {
		for _, cells := range append(rows, header) {
			for i := range cells {
				cells[i] = escape(cells[i])
			}
		}
		s, err := grid(true, left, header, rows)
		if err != nil {
			failed = err
		}
		b.WriteString("\n" + s)
	}
	for i, h := range d.Heads {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "**%s**\n", escaped(d.heading(h), ""))
	}
	if len(d.About) > 0 {
		fmt.Fprintf(&b, "\n%s\n", escaped(d.About, ""))
	}
	for _, s := range d.Sections {
		if s.Full && !all || s.Brief && all {
			continue
		}
		if s.Name != "" {
			fmt.Fprintf(&b, "\n### %s\n", escape(s.Name))
		}
		if about := d.about(s); about != "" {
			fmt.Fprintf(&b, "\n%s\n", escape(about))
		}
		if s.Table != nil && len(s.Table.visible(all)) > 0 {
			header, left, rows := s.Table.cells(all)
			pipes(header, left, rows)
		}
		if s.Curve != nil {
			fmt.Fprintf(&b, "\n```\n%s\n```\n", strings.Join(s.Curve.draw(72, 2, false), "\n"))
		}
		if len(s.Facts)+len(s.Notes) > 0 {
			b.WriteString("\n")
		}
		for _, f := range s.Facts {
			fmt.Fprintf(&b, "- %s: %s\n", escape(f.Label), escaped(f.Text, ", "))
		}
		for _, n := range s.Notes {
			fmt.Fprintf(&b, "- note: %s\n", escaped(phrase{n}, ""))
		}
		for _, a := range s.Accounts {
			fmt.Fprintf(&b, "\n**%s** `%s` %s\n\n%s (%s)\n", escape(a.Outcome.String()), strings.ReplaceAll(a.ID, "`", "'"), escape(a.Level), escape(a.Title), escape(a.Rule))
			b.WriteString("\n")
			for _, l := range a.Lines {
				if all || !l.Full {
					fmt.Fprintf(&b, "    %-9s %s\n", l.Label, l.Text)
				}
			}
		}
	}
	for _, h := range d.Heads {
		if len(h.Verdicts) == 0 {
			continue
		}
		b.WriteString("\n### assertions\n")
		var rows [][]string
		for _, v := range h.Verdicts {
			rows = append(rows, []string{v.Text, v.Checked(), map[bool]string{true: "✅", false: "❌"}[v.OK]})
		}
		pipes([]string{"assertion", "actual", ""}, []bool{true, false, false}, rows)
	}
	var lines []string
	for _, h := range d.Heads {
		for _, f := range h.Origin {
			lines = append(lines, escape(f.Label)+": "+escaped(f.Text, ", "))
		}
	}
	if len(lines) > 0 {
		fmt.Fprintf(&b, "\n<sub>%s</sub>\n", strings.Join(lines, "<br>"))
	}
	return b.String(), failed
}

// cells are a table's texts, with the rows' names in the first column.
func (t *table) cells(all bool) (header []string, left []bool, rows [][]string) {
	header, left = []string{t.Corner}, []bool{true}
	for _, c := range t.Columns {
		header, left = append(header, c.Name), append(left, c.Left)
	}
	for _, x := range t.visible(all) {
		rows = append(rows, append([]string{x.Name}, strung(x.Cells)...))
	}
	return header, left, rows
}

// escaped is a phrase with its bad parts marked.
func escaped(p phrase, separator string) string {
	parts := make([]string, len(p))
	for i, x := range p {
		if parts[i] = escape(x.Text); x.Bad {
			parts[i] = "⚠️ " + parts[i]
		}
	}
	return strings.Join(parts, separator)
}

// escape takes the meaning from everything that Markdown, or HTML within it,
// might see in text. Entities do it where a backslash shows in some places.
func escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		if strings.ContainsRune("&<>|`*_~@\\[]#$", r) {
			fmt.Fprintf(&b, "&#%d;", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}
