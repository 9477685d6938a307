package reports

import (
	"fmt"
	"io"
	"strings"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"

	"p2plocal/bench/result"
)

// Markdown writes a result as GitHub renders it, for a pull request.
func Markdown(w io.Writer, r *result.Result) error {
	d := newDigest(r)
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**\n", escaped(d.headline, ""))
	for _, s := range d.sections {
		fmt.Fprintf(&b, "\n### %s\n\n%s\n", escape(clean(s.name)), escape(clean(s.about)))
		if len(s.rows) > 0 {
			rows := make([][]string, len(s.rows))
			for i, x := range s.rows {
				rows[i] = []string{x.name}
				for _, q := range x.cells {
					rows[i] = append(rows[i], q.String())
				}
			}
			if err := pipes(&b, append([]string{"metric"}, s.columns...), rows); err != nil {
				return err
			}
		}
		if s.curve != nil {
			fmt.Fprintf(&b, "\n```\n%s\n```\n", strings.Join(s.curve.draw(72, 2, false), "\n"))
		}
		b.WriteString("\n")
		for _, f := range s.facts {
			fmt.Fprintf(&b, "- %s: %s\n", f.label, escaped(f.text, ", "))
		}
		for _, n := range s.notes {
			fmt.Fprintf(&b, "- note: %s\n", escaped(phrase{{clean(n.text), n.bad}}, ""))
		}
	}
	if err := markdownVerdicts(&b, d.verdicts); err != nil {
		return err
	}
	fmt.Fprintf(&b, "\n<sub>machine: %s<br>seed: %s</sub>\n", escaped(d.machine, ", "), escaped(d.origin, ", "))
	_, err := io.WriteString(w, strings.ReplaceAll(b.String(), glue, " "))
	return err
}

func markdownVerdicts(b *strings.Builder, all []verdict) error {
	if len(all) == 0 {
		return nil
	}
	b.WriteString("\n### assertions\n")
	rows := make([][]string, len(all))
	for i, v := range all {
		mark, actual := "✅", v.actual.String()
		if !v.ok {
			mark = "❌"
		}
		if v.actual.whole == missing {
			actual = "not measured"
		}
		rows[i] = []string{clean(v.text), actual, mark}
	}
	return pipes(b, []string{"assertion", "actual", ""}, rows)
}

// pipes writes a table, the first column to the left, the others to the right.
func pipes(b *strings.Builder, header []string, rows [][]string) error {
	align := make([]tw.Align, len(header))
	for i := range align {
		align[i] = tw.AlignRight
	}
	align[0] = tw.AlignLeft
	cell := tw.CellConfig{
		Alignment:  tw.CellAlignment{PerColumn: align},
		Formatting: tw.CellFormatting{AutoFormat: tw.Off, AutoWrap: tw.WrapNone},
	}
	t := tablewriter.NewTable(b,
		tablewriter.WithConfig(tablewriter.Config{Header: cell, Row: cell}),
		tablewriter.WithHeaderAutoFormat(tw.Off),
		tablewriter.WithEastAsian(tw.Off),
		tablewriter.WithRenderer(renderer.NewMarkdown()),
	)
	fill := func(row []string) []any {
		cells := make([]any, len(row))
		for i, c := range row {
			cells[i] = escape(c)
		}
		return cells
	}
	t.Header(fill(header)...)
	for _, row := range rows {
		if err := t.Append(fill(row)...); err != nil {
			return err
		}
	}
	b.WriteString("\n")
	return t.Render()
}

// escaped is a phrase with the bad parts in bold.
func escaped(p phrase, separator string) string {
	parts := make([]string, len(p))
	for i, x := range p {
		if parts[i] = escape(x.text); x.bad {
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
		switch {
		case strings.ContainsRune("&<>|`*_~@\\[]#$", r):
			fmt.Fprintf(&b, "&#%d;", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
