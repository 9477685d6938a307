package scenario

import (
	"fmt"

	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
)

var steady = Scenario{
	Name:       "steady",
	Text:       "everybody broadcasts through a measured window",
	Broadcasts: true,
	Summary:    broadcastSummary,
	Expect:     steadyTime,
	Run: func(s *Run) error {
		return s.withJoined(mesh.Setup{}, func() error {
			s.measureWindow(s.opt.Warmup, s.opt.Duration, s.opt.Interval)
			return nil
		})
	},
	Commands: []string{"join", "broadcast"},
	About: func(o *result.Options) string {
		phases := ""
		if o.InStep {
			phases = ", all in step"
		}
		return fmt.Sprintf(", each broadcasts every %s for %s%s", span(o.Interval), span(o.Duration), phases)
	},
}
