package scenario

import (
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
	"p2plocal/core/simnet"
)

var steady = Scenario{
	Name:       "steady",
	Text:       "everybody broadcasts through a measured window",
	Broadcasts: true,
	Summary:    broadcastSummary,
	Expect:     steadyTime,
	Run:        steadyScenario,
	About: func(o *result.Options) Clause {
		phases := ""
		if o.InStep {
			phases = ", all in step"
		}
		return say(", each broadcasts every %v for %v%s", o.Interval, o.Duration, phases)
	},
	Headline: func(f *Figures) Phrase { return f.lostMessages(true) },
}

func steadyScenario(s *Run) error {
	return s.withJoined(mesh.Setup{}, func() error {
		s.measureWindow(s.opt.Warmup, s.opt.Duration, s.opt.Interval)
		return nil
	})
}

// MeasuredHost is DefaultHost with a wake-up that the runs have measured, less
// one datagram sent and one taken: what a datagram of the steady scenario cost in
// CPU time or, where that is not among them, half a bare round trip.
func MeasuredHost(c *result.Config, runs []result.Run) simnet.Host {
	h := result.DefaultHost
	var costs, trips []float64
	for _, r := range runs {
		if d := r.Baseline.RoundTrip.Dist; d != nil && d.P50 != nil {
			trips = append(trips, *d.P50/2)
		}
		for _, s := range r.Scenarios {
			cpu, rate := s.Metrics["steady.cpu"].Value, s.Metrics["steady.rate"].Value
			if cpu != nil && rate != nil {
				costs = append(costs, *cpu/(*rate+float64(c.Peers)/c.Timing.Heartbeat.Seconds()))
			}
		}
	}
	if len(costs) == 0 {
		costs = trips
	}
	if len(costs) > 0 {
		each := time.Duration(result.Median(costs) * 1e9)
		h.Wake = max(each-h.Send-h.Take, 0).Round(100 * time.Nanosecond)
	}
	return h
}
