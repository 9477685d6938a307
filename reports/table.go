package reports

import (
	"strings"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
)

// grid draws a table's cells, in columns of blanks or between Markdown's pipes. The first column
// and those of words are flush left, all others flush right. Text in cells is drawn as it is.
func grid(pipes bool, left []bool, header []string, rows [][]string) (string, error) {
	align := make([]tw.Align, len(left))
	for i := range left {
		align[i] = tw.AlignRight
		if left[i] || i == 0 {
			align[i] = tw.AlignLeft
		}
	}
	cell := tw.CellConfig{
		Alignment:  tw.CellAlignment{PerColumn: align},
		Formatting: tw.CellFormatting{AutoFormat: tw.Off, AutoWrap: tw.WrapNone},
	}
	lines := tw.Renderer(renderer.NewMarkdown())
	gap := ""
	if !pipes {
		gap = strings.Repeat(" ", gutter) // padding that the engine need not know of
		cell.Padding = tw.CellPadding{Global: tw.PaddingNone}
		lines = renderer.NewBlueprint(tw.Rendition{Borders: tw.BorderNone, Settings: tw.Settings{Separators: tw.SeparatorsNone, Lines: tw.LinesNone}})
	}
	var b strings.Builder
	t := tablewriter.NewTable(&b,
		tablewriter.WithConfig(tablewriter.Config{Header: cell, Row: cell, Behavior: tw.Behavior{TrimSpace: tw.Off}}),
		tablewriter.WithHeaderAutoFormat(tw.Off),
		tablewriter.WithTrimSpace(tw.Off),
		tablewriter.WithEastAsian(tw.Off),
		tablewriter.WithRenderer(lines),
	)
	fill := func(row []string) []any {
		cells := make([]any, len(row))
		for i, c := range row {
			cells[i] = gap + c
		}
		return cells
	}
	if header != nil {
		t.Header(fill(header)...)
	}
	for _, row := range rows {
		if err := t.Append(fill(row)...); err != nil {
			return "", err
		}
	}
	err := t.Render()
	return b.String(), err
}
