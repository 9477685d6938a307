package scenario

import (
	"context"
	"testing"
	"time"

	"p2plocal/bench/result"
)

// Who ends a mesh to play with cuts nothing short, but of one that was to go on for some time, or of anything else.
func TestPlayEndsByHand(t *testing.T) {
	for _, x := range []struct {
		name        string
		play        time.Duration
		interrupted bool
	}{{Play, 0, false}, {Play, 900 * time.Hour, true}, {"steady", 0, true}} {
		ctx, end := context.WithCancel(t.Context())
		c := Simulated(5, x.name)
		c.Options.Play, c.Options.Duration = x.play, 1000*time.Hour
		status := &Status{Begun: func(*Progress) { time.AfterFunc(200*time.Millisecond, end) }}
		r, err := Execute(ctx, c, result.Tool{}, status)
		end()
		if err != nil || r.Interrupted != x.interrupted || r.Runs[0].Scenarios[0].Interrupted != x.interrupted {
			t.Errorf("%s for %v: interrupted %v, %v, want %v", x.name, x.play, r.Interrupted, err, x.interrupted)
		}
	}
}
