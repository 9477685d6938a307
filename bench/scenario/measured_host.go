package scenario

import (
	"time"

	"p2plocal/bench/result"
	"p2plocal/core/simnet"
)

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
