package reports

import (
	"fmt"
	"strings"
)

// markdown renders a document as GitHub shows it, for a pull request.
func markdown(d *Document, all bool) (string, error) {
	var b strings.Builder
	for i, h := range d.Heads {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "**%s**\n", escaped(d.heading(h), ""))
	}
	if len(d.About) > 0 {
		fmt.Fprintf(&b, "\n%s\n", escaped(d.About, ""))
	}
	for _, s := range d.sections(all) {
		if err := s.markdown(&b, all); err != nil {
			return "", err
		}
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
	return b.String(), nil
}

func (s section) markdown(b *strings.Builder, all bool) error {
	if s.Name != "" {
		fmt.Fprintf(b, "\n### %s\n", escape(s.Name))
	}
	if s.About != "" {
		fmt.Fprintf(b, "\n%s\n", escape(s.About))
	}
	if s.Table != nil && len(s.Table.Rows) > 0 {
		header, left, rows := s.Table.cells()
		text, err := grid(true, left, header, rows)
		if err != nil {
			return err
		}
		b.WriteString("\n" + text)
	}
	if len(s.Facts) > 0 {
		b.WriteString("\n")
	}
	for _, f := range s.Facts {
		fmt.Fprintf(b, "- %s: %s\n", escape(f.Label), escaped(f.Text, ", "))
	}
	for _, a := range s.Accounts {
		fmt.Fprintf(b, "\n**%s** %s %s\n\n%s (%s)\n\n", escape(a.Outcome.String()), escape(a.ID), escape(a.Level), escape(a.Title), escape(a.Rule))
		for _, l := range a.Lines {
			if all || !l.Full {
				fmt.Fprintf(b, "    %-9s %s\n", l.Label, l.Text)
			}
		}
	}
	return nil
}

// cells are a table's texts, escaped, with the rows' names in the first column.
func (t *table) cells() (header []string, left []bool, rows [][]string) {
	header, left = []string{escape(t.Corner)}, []bool{true}
	for _, c := range t.Columns {
		header, left = append(header, escape(c.Name)), append(left, c.Left)
	}
	for _, x := range t.Rows {
		cells := []string{escape(x.Name)}
		for _, q := range x.Cells {
			cells = append(cells, escape(q.String()))
		}
		rows = append(rows, cells)
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
