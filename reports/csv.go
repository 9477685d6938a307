package reports

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"

	"p2plocal/bench"
	"p2plocal/bench/result"
)

// CSV writes one row for each run, scenario and flat metric (RFC 4180). A
// figure that was not measured leaves its value empty. The baseline, which
// belongs to a run and no scenario, has an empty scenario; a simulated run has
// "simulated", which is 1, in its place.
func CSV(w io.Writer, results []Named) error {
	c := csv.NewWriter(w)
	c.UseCRLF = true
	c.Write([]string{"result", "run", "seed", "scenario", "peers", "interrupted", "metric", "unit", "value"})
	for _, r := range results {
		for i, run := range r.Runs {
			row := func(scenario string, peers int, interrupted bool, metric, unit string, v *float64) {
				value := ""
				if v != nil {
					value = strconv.FormatFloat(*v, 'g', -1, 64)
				}
				c.Write([]string{cell(r.Name), strconv.Itoa(i + 1), strconv.FormatUint(run.Seed, 10), cell(scenario),
					strconv.Itoa(peers), strconv.FormatBool(interrupted), cell(metric), cell(unit), value})
			}
			flat := func(scenario string, peers int, interrupted bool, name string, m result.Metric) {
				if m.Dist == nil {
					row(scenario, peers, interrupted, name, m.Unit, m.Value)
					return
				}
				for _, f := range result.Fields {
					unit := m.Unit
					if f == "n" {
						unit = "1"
					}
					row(scenario, peers, interrupted, name+"."+f, unit, m.Dist.Field(f))
				}
			}
			if r.Result.Env.Simulated {
				yes := 1.0
				row("", r.Config.Peers, false, "simulated", "1", &yes)
			} else {
				flat("", r.Config.Peers, false, "baseline.round_trip", run.Baseline.RoundTrip)
			}
			for _, s := range run.Scenarios {
				for _, name := range bench.Metrics.Names(s) {
					flat(s.Name, s.Peers, s.Interrupted, name, s.Metrics[name])
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
