package stat

import (
	"os"
	"strconv"
	"strings"

	"p2plocal/bench/result"
)

// metrics are some definitions as scenarios have them: a line for each, with
// its unit and its better direction; a star marks a distribution.
var metrics = func() *result.Definitions {
	var all []result.Definition
	fixture, err := os.ReadFile("../result/testdata/definitions.txt")
	if err != nil {
		panic(err)
	}
	for line := range strings.Lines(string(fixture)) {
		words := strings.Fields(line)
		name, dist := strings.CutSuffix(words[0], "*")
		better, _ := strconv.Atoi(words[2])
		all = append(all, result.Definition{Name: name, Unit: words[1], Dist: dist, Better: better, Text: "of a test"})
	}
	return result.NewDefinitions(all)
}()

// runsOf makes one run for each value of one scalar metric; nil: not measured.
func runsOf(name, unit string, values ...any) []result.Run {
	d, _, _ := metrics.Define(name)
	scenario, _, _ := strings.Cut(d.Name, ".")
	var runs []result.Run
	for _, v := range values {
		m := result.Never(unit)
		if v != nil {
			m = result.Scalar(unit, v.(float64))
		}
		runs = append(runs, result.Run{Scenarios: []result.Scenario{{Name: scenario, Peers: 80, Metrics: map[string]result.Metric{name: m}}}})
	}
	return runs
}
