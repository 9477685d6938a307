package scenario

import (
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
)

// Play is not one of all: it measures whatever somebody does to the mesh.
const Play = "play"

var play = Scenario{
	Name:       Play,
	Text:       "everybody broadcasts, from before they join, until it is ended: a mesh to play with (meshbench play)",
	Broadcasts: true,
	Summary:    broadcastSummary,
	Expect:     func(c *result.Config) time.Duration { return c.Options.Play },
	Run:        playScenario,
	Commands:   []string{"join", "broadcast"},
}

// endless reports that the run goes on until somebody ends it, which cuts nothing short.
func endless(c *result.Config) bool {
	return c.Options.Play == 0 && len(c.Scenarios) == 1 && c.Scenarios[0] == Play
}

func playScenario(s *Run) error {
	return s.with(mesh.Setup{Interval: s.opt.Interval}, func() error {
		const forever = 1000 * time.Hour
		w := window{from: s.Clock.Now(), interval: s.opt.Interval}
		w.to = w.from + int64(forever)
		if s.opt.Play > 0 {
			w.to = w.from + int64(s.opt.Play)
		}
		s.Store.OpenWindow(w.from, w.to, w.interval)
		s.SpreadBroadcasts(w.from, w.interval)
		err := s.joinAll()
		if err == nil {
			s.Sleep(s.ctx, time.Duration(w.to-s.Clock.Now()))
		}
		w.to = s.Clock.Now()
		s.Store.To.Store(w.to)
		w.ticks = s.ticked() // what a schedule would have asked for of peers that come and go is not known
		s.finishWindow(w)
		return err
	})
}
