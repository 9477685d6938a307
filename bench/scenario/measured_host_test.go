package scenario

import (
	"testing"
	"time"

	"p2plocal/bench/result"
)

// A host's wake-up is what the runs leave for it.
func TestMeasuredHost(t *testing.T) {
	t.Parallel()
	cfg := simulated(10, "steady") // whose keep-alives are 20 a second
	trip := 20e-6
	run := result.Run{Baseline: result.Baseline{RoundTrip: result.Metric{Unit: "s", Dist: &result.Distribution{N: 100, P50: &trip}}}}
	if h := MeasuredHost(&cfg, []result.Run{run}); h.Cores != 1 || h.Wake != 7200*time.Nanosecond {
		t.Errorf("%+v from a round trip of 20 µs, want half of it less 2.8 µs", h)
	}
	run.Scenarios = []result.Scenario{{Metrics: map[string]result.Metric{"steady.cpu": result.Scalar("cores", 0.01), "steady.rate": result.Scalar("messages/s", 980)}}}
	if h := MeasuredHost(&cfg, []result.Run{run}); h.Wake != 7200*time.Nanosecond {
		t.Errorf("%+v from 10 ms a second for 1,000 datagrams", h)
	}
	if h := MeasuredHost(&cfg, nil); h != result.DefaultHost {
		t.Errorf("%+v from nothing, want %+v", h, result.DefaultHost)
	}
}
