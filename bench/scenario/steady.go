package scenario

import (
	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
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
