package reports

import (
	"fmt"
	"slices"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"

	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
)

// drawn is what page.js draws: the result's own figures.
type drawn struct {
	Runs      int             `json:"runs"`
	Scenarios []drawnScenario `json:"scenarios"`
}

type drawnScenario struct {
	Name         string              `json:"name"`
	Peers        int                 `json:"peers"`
	Charts       result.Charts       `json:"charts"`                  // of the only run
	Each         []result.Charts     `json:"each"`                    // of each run, what is not in Charts
	Names        []string            `json:"names,omitempty"`         // of the heat maps' peers
	Percentiles  map[string][]bounds `json:"percentiles,omitempty"`   // of all runs
	RateLossless *float64            `json:"rate_lossless,omitempty"` // messages/s
}

// bounds is one tick of HDR's percentile axis: this part of the samples was at most V seconds.
type bounds struct {
	Q float64 `json:"q"`
	V float64 `json:"v"`
}

func newDrawn(r *result.Result) *drawn {
	out := drawn{Runs: len(r.Runs), Scenarios: []drawnScenario{}}
	for _, s := range scenario.FiguresOf(r) {
		x := drawnScenario{Name: s.Name, Peers: s.Peers, RateLossless: s.Value("rate_lossless"), Percentiles: make(map[string][]bounds)}
		if !s.Repeated() { // of several runs these would show one
			c := named(s.Charts)
			x.Charts = result.Charts{Views: c.Views, Converged: c.Converged, Pairs: c.Pairs}
			if c.Pairs != nil {
				for _, r := range c.Pairs.Names {
					x.Names = append(x.Names, peerName(string(r)))
				}
			}
		}
		for _, run := range s.All {
			c := named(run.Charts)
			x.Each = append(x.Each, result.Charts{Latency: c.Latency, Noticed: c.Noticed, Ideal: c.Ideal, Disagreement: c.Disagreement, Trials: c.Trials})
		}
		for _, name := range []string{"latency", "latency_due"} {
			if p := percentiles(s, name); len(p) > 0 {
				x.Percentiles[name] = p
			}
		}
		out.Scenarios = append(out.Scenarios, x)
	}
	return mapped(&out, clean)
}

// named are charts whose peers have names that one can see.
func named(c result.Charts) result.Charts {
	c.Views, c.Noticed = slices.Clone(c.Views), slices.Clone(c.Noticed)
	for i := range c.Views {
		c.Views[i].Peer = peerName(c.Views[i].Peer)
	}
	for i := range c.Noticed {
		c.Noticed[i].Peer, c.Noticed[i].Of = peerName(c.Noticed[i].Peer), peerName(c.Noticed[i].Of)
	}
	return c
}

// peerName is a peer's name in a chart, quoted where it is not plain.
func peerName(s string) string {
	if c := clean(s); c != s || strings.ContainsAny(s, " '\"`,.\u00a0") || s == "" {
		return "'" + c + "'"
	}
	return s
}

// percentiles are the ticks that have ten samples or more beyond them.
func percentiles(s *scenario.Figures, name string) (out []bounds) {
	h := decode(s.All, s.Name+"."+name)
	if h == nil {
		return nil
	}
	n := float64(h.TotalCount())
	for _, b := range h.CumulativeDistributionWithTicks(5) {
		if q := b.Quantile / 100; n*(1-q) >= 10-1e-9 {
			out = append(out, bounds{q, float64(b.ValueAt) / 1e9})
		}
	}
	return out
}

// timesOf are a scenario's generic charts: what it took of the machine over time, and how its
// figures vary over the runs.
func timesOf(s *scenario.Figures) (charts []chart) {
	cpu := chart{ID: "s-" + s.Name + "-cpu", Title: "CPU over time", Says: "Of the benchmark's process, with all its peers and the measurement.",
		X: axis{Label: "time", Unit: "s"}, Y: axis{Label: "CPU", Unit: "cores"}}
	memory := cpu
	memory.ID, memory.Title, memory.Y = "s-"+s.Name+"-memory", "Memory over time", axis{Label: "memory", Unit: "bytes"}
	spread := chart{ID: "s-" + s.Name + "-runs", Title: "Run by run", Says: "Each figure of each run, relative to its median over the runs.",
		X: axis{Label: "run", Unit: "1"}, Y: axis{Label: "relative to the median", Unit: "ratio"}}
	for k, run := range s.All {
		of := series{Name: fmt.Sprintf("run %d", k+1), Kind: curves, Color: k}
		for _, u := range run.Charts.Usage {
			cpu.add(of, point{X: u.T, Y: u.CPU})
			memory.add(of, point{X: u.T, Y: u.Memory})
		}
		for _, flat := range s.Of().Summary {
			v, median := run.Flat()[s.Name+"."+flat].Value, s.Value(flat)
			if s.Repeated() && v != nil && median != nil && *median > 0 {
				spread.add(series{Name: flatLabel(flat), Kind: curves, Color: len(spread.Series)}, point{X: float64(k + 1), Y: *v / *median})
			}
		}
	}
	for _, c := range []chart{spread, cpu, memory} {
		if slices.ContainsFunc(c.Series, func(s series) bool { return len(s.Points) > 1 }) {
			charts = append(charts, c)
		}
	}
	return charts
}

// decode merges the histograms of all runs; nil: there are none, or they are empty.
func decode(all []result.Scenario, name string) *hdrhistogram.Histogram {
	var sum *hdrhistogram.Histogram
	for _, s := range all {
		h, err := hdrhistogram.Decode([]byte(s.Histograms[name]))
		switch {
		case err != nil || h.TotalCount() == 0:
		case sum == nil:
			sum = h
		default:
			sum.Merge(h)
		}
	}
	return sum
}
