package result

import (
	_ "embed"
	"strconv"
	"strings"
)

//go:embed testdata/definitions.txt
var fixture string

// metrics are some definitions as scenarios have them: a line for each, with
// its unit and its better direction; a star marks a distribution.
var metrics = func() *Definitions {
	var all []Definition
	for line := range strings.Lines(fixture) {
		words := strings.Fields(line)
		name, dist := strings.CutSuffix(words[0], "*")
		better, _ := strconv.Atoi(words[2])
		all = append(all, Definition{Name: name, Unit: words[1], Dist: dist, Better: better, Text: "of a test"})
	}
	return NewDefinitions(all)
}()
