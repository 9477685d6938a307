package scenario

import (
	"strings"
	"testing"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
)

// On a perfect network what partial failures and links that lose come to can be computed.
func TestPartial(t *testing.T) {
	t.Parallel()
	const peers, delay = 20, 20e-6
	cfg := simulated(peers, "rest", "partial")
	r := execute(t, cfg)
	low, high := (cfg.Timing.Deadline - cfg.Timing.Heartbeat).Seconds(), (cfg.Timing.Deadline+cfg.Timing.Reap).Seconds()+2*delay
	each := 1/cfg.Timing.Heartbeat.Seconds() + 2/cfg.Options.Refresh.Seconds() // keep-alives, births, and their directories
	within(t, r, map[string][2]float64{                                        // from, to
		"rest.datagram_rate":           {0.99 * peers * each, 1.01 * peers * each},
		"rest.removed":                 {0, 0},
		"rest.removed_five":            {0, 0},
		"rest.removed_twenty":          {0, 9},
		"partial.dead.detect":          {low, high},
		"partial.dead.views":           {1, 2},
		"partial.dead.changes":         {1, 10},
		"partial.dead.removed":         {0, 0},
		"partial.one_way.views":        {1, 1}, // who hears nobody is heard all the same
		"partial.one_way.changes":      {0, 0},
		"partial.receive.changes":      {0, 0},
		"partial.send.detect":          {0, cfg.Options.RestTime().Seconds()},
		"partial.send.views":           {1, 2},
		"partial.send.changes":         {1, 20},
		"partial.send.disagreement":    {0, 20 * delay},
		"partial.send.removed":         {0, 0},
		"partial.false_positives":      {0, 0},
		"partial.unexplained":          {0, 0},
		"rest.unexplained":             {0, 0},
		"partial.receive.removed":      {0, 0},
		"partial.dead.disagreement":    {0, 10 * delay},
		"partial.one_way.removed":      {0, 0},
		"partial.receive.views":        {1, 1},
		"partial.one_way.disagreement": {0, 0},
	})
}

// Views of a script are as stable as it says.
func TestStability(t *testing.T) {
	t.Parallel()
	b, _, free, err := record.NewStore(4)
	if err != nil {
		t.Fatal(err)
	}
	defer free()
	var s Run
	s.Mesh = &mesh.Mesh{Store: b, N: 4}
	set := func(members ...int) (v record.Set) {
		for _, i := range members {
			v.Add(i)
		}
		return v
	}
	for i, log := range [][]record.View{
		{{At: 1, Set: set(0)}, {At: 5, Set: set(0, 1)}, {At: 20, Set: set(0)}, {At: 30, Set: set(0, 1)}},
		{{At: 2, Set: set(0, 1)}, {At: 20, Set: set(1)}, {At: 32, Set: set(0, 1)}, {At: 99, Set: set(1)}},
		{{At: 3, Set: set(0, 1)}},
		{{At: 3, Set: set(3)}, {At: 15, Set: set(2)}}, // is not asked
	} {
		at := record.NewRecorder(b, record.NewClock(), i)
		for _, v := range log {
			at.See(v.At, v.Set)
		}
	}
	if most, apart, changes := s.stability(set(0, 1, 2), 10, 50); most != 3 || apart != 12*time.Nanosecond || changes != 4 {
		t.Errorf("%d views, apart for %v, %d changes, want 3, 12ns and 4", most, apart, changes)
	}
}

// What a driver's members send each other is impaired as what our own machines send is.
func TestDriverImpaired(t *testing.T) {
	t.Parallel()
	var cfg result.Config
	r, _ := patiently(t, func(times int) *result.Result {
		cfg = patientDriver(t, times, "loss", "partition")
		cfg.Options.Impair.Loss = 0.1
		return execute(t, cfg)
	})
	if why := r.Failure(); why != "" {
		t.Fatal(why)
	}
	within(t, r, map[string][2]float64{ // from, to
		"loss.loss_injected": {0.02, 0.3},
		"loss.loss":          {0.001, 0.9}, // a busy machine loses, too
		"loss.latency.min":   {cfg.Options.Impair.Delay.Seconds(), 1},
		"partition.stale":    {0, 0}, // who hears nobody knows nobody
		"partition.cut":      {1, 1e6},
		"partition.back":     {0, 60},
	})
}

// A driver whose members send past the relays is no measure of anything.
func TestDriverPastRelays(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ old, with, want string }{
		{`.bind(bound[me])`, `.bind(("127.0.0.1", 0))`, "want an address at which a member is bound"},
		{`, addr[other])`, `, bound[other])`, "passed the relays"},
	} {
		t.Run(x.want, func(t *testing.T) {
			t.Parallel()
			cfg := behind(t, x.old, x.with, "rest")
			cfg.Options.Rest = 500 * time.Millisecond
			if r := execute(t, cfg); !strings.Contains(r.Failure(), x.want) {
				t.Errorf("%s: %q, want %q", x.with, r.Failure(), x.want)
			}
		})
	}
}
