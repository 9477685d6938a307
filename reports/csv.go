package reports

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"
)

// writeCSV writes every figure behind a document, or else what its tables hold
// (RFC 4180).
func writeCSV(w io.Writer, d *Document) error {
	c := csv.NewWriter(w)
	c.UseCRLF = true
	put := func(cells ...string) { c.Write(cells) }
	if d.records != nil {
		d.records(put)
	} else {
		put("section", "row", "column", "value")
		for _, s := range d.Sections {
			if s.Table == nil {
				continue
			}
			for _, x := range s.Table.Rows {
				for i, q := range x.Cells {
					put(cell(s.Name), cell(x.Name), cell(s.Table.Columns[i].Name), cell(strings.ReplaceAll(q.String(), glue, " ")))
				}
			}
		}
	}
	c.Flush()
	return c.Error()
}

// cell keeps a spreadsheet from taking text for a formula: what begins like
// one gets an apostrophe in front.
func cell(s string) string {
	s = clean(s)
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// precise is a figure to the last digit, or nothing where it was not measured.
func precise(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'g', -1, 64)
}
