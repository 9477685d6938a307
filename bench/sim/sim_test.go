package sim

import (
	"context"
	"testing"
	"time"
)

func TestSwarmIsClean(t *testing.T) {
	tally := Swarm(context.Background(), 1, 300, 2, Core, func(s Scenario, f *Finding) {
		t.Errorf("seed %d: %v", s.Seed, f)
	}, time.Minute, nil)
	t.Logf("%+v", tally)
	if tally.Seeds != 300 || tally.Virtual < 299*time.Minute && !t.Failed() {
		t.Errorf("%+v", tally)
	}
}
