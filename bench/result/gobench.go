package result

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"strings"
	"unicode"
)

// WriteGoBench writes a result in the Go benchmark format, which benchstat
// reads: a line for each run and scenario, such as
//
//	BenchmarkMesh/scenario=steady/peers=80 1 0.000335 latency.p50-sec …
//
// Units are base units, so that benchstat picks the prefix, and say which way
// is better. What was not measured has no value in its line, and how many
// samples a distribution has is no benchmark.
func (defs *Definitions) WriteGoBench(w io.Writer, r *Result) error {
	var b bytes.Buffer
	config := [][2]string{{"goos", r.Env.OS}, {"goarch", r.Env.Arch}, {"cpu", r.Env.CPU}}
	if r.Env.Simulated && r.Config.Simulation != nil {
		config = append(config, [2]string{"simulated", r.Config.Simulation.String()})
	}
	for _, c := range config {
		if v := strings.TrimSpace(printable(c[1], ' ')); v != "" {
			fmt.Fprintf(&b, "%s: %s\n", c[0], v)
		}
	}
	told := make(map[string]bool) // the units that a reader knows already
	for _, run := range r.Runs {
		for _, s := range run.Scenarios {
			flat, values := s.Flat(), ""
			for _, name := range defs.Sorted(maps.Keys(flat)) {
				v := flat[name]
				if _, field, _ := defs.Define(name); v.Value == nil || field == "n" {
					continue
				}
				unit := goUnit(strings.TrimPrefix(name, s.Name+"."), v.Unit)
				values += fmt.Sprintf(" %v %s", *v.Value, unit)
				if way, ok := map[int]string{-1: "lower", 1: "higher"}[defs.Better(name)]; ok && !told[unit] {
					told[unit] = true
					fmt.Fprintf(&b, "Unit %s better=%s\n", unit, way)
				}
			}
			if values != "" { // a line without a value is none
				fmt.Fprintf(&b, "BenchmarkMesh/scenario=%s/peers=%d 1%s\n", printable(s.Name, '_'), s.Peers, values)
			}
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// goUnit is a metric's name without its scenario, which the benchmark's name
// has, and its unit as benchstat knows it.
func goUnit(name, unit string) string {
	if ending, ok := map[string]string{"s": "-sec", "bytes": "-B", "1": ""}[unit]; ok {
		return printable(name, '_') + ending
	}
	return printable(name+"-"+unit, '_')
}

// printable is s with something else for what would end a line of the format, or,
// where that is no blank, a word of it.
func printable(s string, other rune) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || unicode.IsSpace(r) {
			return other
		}
		return r
	}, s)
}
