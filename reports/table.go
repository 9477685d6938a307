package reports

import (
	"regexp"
	"slices"
	"strings"
)

// sgr is what colours text on a terminal, and takes no room.
var sgr = regexp.MustCompile("\x1b\\[[0-9;]*m")

// grid lays cells out in lines, in columns of blanks or between Markdown's pipes.
// The first column and those that are left stand to the left, all others to the
// right. What cells hold is drawn as it is.
func grid(pipes bool, left []bool, header []string, rows [][]string) (lines []string) {
	size := make([]int, len(header))
	all := slices.Concat([][]string{header}, rows)
	for _, row := range all {
		for c, cell := range row {
			size[c] = max(size[c], width(sgr.ReplaceAllString(cell, "")))
		}
	}
	if pipes {
		rule := make([]string, len(header))
		for c := range rule {
			if size[c] = max(size[c], 3); left[c] {
				rule[c] = ":" + strings.Repeat("-", size[c]-1)
			} else {
				rule[c] = strings.Repeat("-", size[c]-1) + ":"
			}
		}
		all = slices.Insert(all, 1, rule)
	}
	for _, row := range all {
		cells := make([]string, len(row))
		for c, cell := range row {
			blanks := strings.Repeat(" ", size[c]-width(sgr.ReplaceAllString(cell, "")))
			if cells[c] = blanks + cell; left[c] {
				cells[c] = cell + blanks
			}
		}
		if gap := strings.Repeat(" ", gutter); pipes {
			lines = append(lines, "| "+strings.Join(cells, " | ")+" |")
		} else {
			lines = append(lines, gap+strings.Join(cells, gap))
		}
	}
	return lines
}
