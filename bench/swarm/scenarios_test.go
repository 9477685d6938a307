package swarm

import (
	"strings"
	"testing"
	"time"

	"p2plocal/bench/faults"
	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
)

// Whatever happens to a mesh in whatever scenario, every datagram is accounted for.
func TestScenariosUnderFaults(t *testing.T) { scenariosUnderFaults(t, 40) } // some three of each scenario; TestLongScenariosUnderFaults has more

func scenariosUnderFaults(t *testing.T, seeds uint64) {
	t.Parallel()
	for seed := range seeds {
		drawn := Draw(seed)
		name := scenario.Known[seed%uint64(len(scenario.Known))]
		cfg := scenario.Simulated(drawn.Peers, name)
		cfg.Seed, cfg.Timing.Refresh, cfg.Options.Refresh = seed, drawn.Refresh, time.Second
		cfg.Options.Duration, cfg.Options.Churn = 30*time.Second, 2
		cfg.Options.Garbage.Rate = 5000
		cfg.Options.Search.Trial, cfg.Options.Search.DurationSum = 50*time.Millisecond, 50*time.Millisecond
		cfg.Options.Search.LossRatio, cfg.Options.Search.Width, cfg.Options.Search.Min, cfg.Options.Search.Max = 0.5, 0.5, 100, 2000
		cfg.Simulation.Network, cfg.Simulation.Queue, cfg.Simulation.Faults = drawn.Network, drawn.Queue, faults.Lines(drawn.Faults)
		if seed%3 == 0 || name == "saturate" {
			cfg.Simulation.Host = result.HostOf(1)
		}
		r, err := scenario.Execute(t.Context(), cfg, result.Tool{}, new(scenario.Status))
		if err != nil {
			t.Fatal(err)
		}
		s := r.Runs[0].Scenarios[0]
		if s.Accounts.Unexplained != 0 || s.Accounts.Taken == 0 {
			var script strings.Builder
			drawn.Write(&script)
			t.Errorf("seed %d, %s: %+v under\n%s", seed, name, *s.Accounts, script.String())
		}
	}
}
