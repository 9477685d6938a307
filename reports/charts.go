package reports

import (
	"maps"
	"slices"
	"strings"

	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
)

// maxCells is how many cells all heat maps together may have, so that the page
// stays small: some 9 bytes a cell.
const maxCells = 50_000

// drawn is what page.js draws: the results' own figures.
type drawn struct {
	Results []drawnResult `json:"results"`
	Compare []*compared   `json:"compare,omitempty"` // what is chosen
	Trimmed bool          `json:"trimmed,omitempty"` // some heat maps are left out
}

type drawnResult struct {
	Name      string          `json:"name"`
	Runs      int             `json:"runs"`
	Scenarios []drawnScenario `json:"scenarios"`
}

type drawnScenario struct {
	Name         string              `json:"name"`
	Peers        int                 `json:"peers"`
	Charts       result.Charts       `json:"charts"`                  // of the first run
	Names        []string            `json:"names,omitempty"`         // of the heat maps' peers
	Percentiles  map[string][]bounds `json:"percentiles,omitempty"`   // of all runs
	RateLossless *float64            `json:"rate_lossless,omitempty"` // messages/s
}

// bounds is one tick of HDR's percentile axis: so large a part of the samples
// was at most V seconds.
type bounds struct {
	Q float64 `json:"q"`
	V float64 `json:"v"`
}

func newDrawn(results []Named) *drawn {
	var d drawn
	cells := 0
	for _, r := range results {
		out := drawnResult{Name: r.Name, Runs: len(r.Runs), Scenarios: []drawnScenario{}}
		for _, s := range scenario.FiguresOf(r.Result) {
			x := drawnScenario{Name: s.Name, Peers: s.Peers, Charts: named(s.Charts), RateLossless: s.Value("rate_lossless"), Percentiles: make(map[string][]bounds)}
			for _, name := range []string{"latency", "latency_due"} {
				x.Percentiles[name] = percentiles(s, name)
			}
			maps.DeleteFunc(x.Percentiles, func(_ string, p []bounds) bool { return len(p) == 0 })
			if p := x.Charts.Pairs; p != nil {
				if cells += len(p.Sent); cells > maxCells {
					x.Charts.Pairs, d.Trimmed = nil, true
				}
				for _, r := range p.Names {
					x.Names = append(x.Names, peerName(string(r)))
				}
			}
			out.Scenarios = append(out.Scenarios, x)
		}
		d.Results = append(d.Results, out)
	}
	if len(results) > 1 {
		all, _ := compareEach(results)
		d.Compare = slices.DeleteFunc(all, func(c *compared) bool { return !chosen(c.Metric) })
	}
	return mapped(&d, clean)
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
