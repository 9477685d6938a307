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
	Headline: func(f *Figures) Phrase {
		sent, ok := f.Total("sent")
		lost, _ := f.Total("lost")
		var p Phrase
		switch {
		case !ok:
			return nil
		case sent == 0:
			return p.Add("sent no message in the window")
		case lost == 0:
			p = p.Add("lost none of %s messages", Count(sent))
		default:
			p = p.AddIf(true, "lost %s of %s messages", Count(lost), Count(sent))
		}
		if v := f.Value("latency.p99"); v != nil {
			p = p.Add(" (p99 %v)", Quantity{*v, "s"})
		}
		return p
	},
}

func steadyScenario(s *Run) error {
	return s.with(mesh.Setup{}, func() error {
		if err := s.JoinAll(s.ctx, 0); err != nil {
			return err
		}
		s.measureWindow(s.opt.Warmup, s.opt.Duration, s.opt.Interval)
		return nil
	})
}
