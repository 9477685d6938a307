package result

import (
	"fmt"
	"io"
	"maps"
	"strings"
	"unicode"

	"golang.org/x/perf/benchfmt"
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
	return defs.NewGoBench(w).Write(r, "")
}

// GoBench writes several results into one file.
type GoBench struct {
	defs *Definitions
	out  *benchfmt.Writer
	more []benchfmt.Config
	told map[string]bool // the units that a reader knows already
}

// NewGoBench has a line of configuration for each key and value.
func (defs *Definitions) NewGoBench(w io.Writer, config ...[2]string) *GoBench {
	g := &GoBench{defs: defs, out: benchfmt.NewWriter(w), told: make(map[string]bool)}
	for _, c := range config {
		g.more = append(g.more, benchfmt.Config{Key: c[0], Value: []byte(oneLine(c[1])), File: true})
	}
	return g
}

// Write writes one result; the suffix ends its benchmarks' names.
func (g *GoBench) Write(r *Result, suffix string) error {
	for _, run := range r.Runs {
		for _, s := range run.Scenarios {
			line := benchfmt.Result{
				Name:  benchfmt.Name(fmt.Sprintf("Mesh/scenario=%s/peers=%d%s", word(s.Name), s.Peers, suffix)),
				Iters: 1,
			}
			simulated := ""
			if r.Env.Simulated && r.Config.Simulation != nil {
				simulated = r.Config.Simulation.String()
			}
			for _, c := range []struct{ key, value string }{{"goos", r.Env.OS}, {"goarch", r.Env.Arch}, {"cpu", r.Env.CPU}, {"simulated", simulated}} {
				if v := oneLine(c.value); v != "" {
					line.Config = append(line.Config, benchfmt.Config{Key: c.key, Value: []byte(v), File: true})
				}
			}
			line.Config = append(line.Config, g.more...)
			flat := s.Flat()
			for _, name := range g.defs.Sorted(maps.Keys(flat)) {
				v := flat[name]
				if _, field, _ := g.defs.Define(name); v.Value == nil || field == "n" {
					continue
				}
				unit := goUnit(strings.TrimPrefix(name, s.Name+"."), v.Unit)
				line.Values = append(line.Values, benchfmt.Value{Value: *v.Value, Unit: unit})
				if way, ok := map[int]string{-1: "lower", 1: "higher"}[g.defs.Better(name)]; ok && !g.told[unit] {
					g.told[unit] = true
					err := g.out.Write(&benchfmt.UnitMetadata{
						UnitMetadataKey: benchfmt.UnitMetadataKey{Unit: unit, Key: "better"}, OrigUnit: unit, Value: way})
					if err != nil {
						return err
					}
				}
			}
			if len(line.Values) == 0 {
				continue // a line without a value is none
			}
			if err := g.out.Write(&line); err != nil {
				return err
			}
		}
	}
	return nil
}

// goUnit is a metric's name without its scenario, which the benchmark's name
// has, and its unit as benchstat knows it.
func goUnit(name, unit string) string {
	known := map[string]string{"s": "-sec", "bytes": "-B", "1": ""}
	if ending, ok := known[unit]; ok {
		return word(name) + ending
	}
	return word(name + "-" + unit)
}

// word is s without what would end a word of the format.
func word(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return '_'
		}
		return r
	}, s)
}

// oneLine is s without what would end a line of the format, or reach a
// terminal raw.
func oneLine(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s))
}
