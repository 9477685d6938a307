package scenario

import "testing"

// On a perfect network the figures of a partition can be computed, and what is
// lost at the cut is accounted for.
func TestPartition(t *testing.T) {
	t.Parallel()
	const peers, delay = 10, 20e-6
	cfg := simulated(peers, "partition")
	r := execute(t, cfg)
	s := r.Runs[0].Scenarios[0]
	if v := s.Metrics["partition.back"]; v.Value != nil {
		t.Errorf("whole again %v s after the cut without refresh, want never", *v.Value)
	}
	within(t, r, map[string][2]float64{ // from, to
		"partition.drop":            {cfg.Timing.Deadline.Seconds() - cfg.Timing.Heartbeat.Seconds(), (cfg.Timing.Deadline + cfg.Timing.Reap).Seconds() + 2*delay},
		"partition.stale":           {peers / 2, peers / 2},
		"partition.refresh.back":    {0, cfg.Options.Refresh.Seconds() + 2*delay},
		"partition.cut_messages":    {1, flat(t, r, "partition.cut") - 1}, // the rest are keep-alives
		"partition.cut":             {1, float64(s.Accounts.Injected) - 1},
		"partition.false_positives": {0, 0},
		"partition.unexplained":     {0, 0},
	})
}
