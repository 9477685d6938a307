package scenario

import (
	"fmt"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
)

var relaunch = Scenario{
	Name: "relaunch",
	Text: "killed peers come back, before and after they are missed",
	Metrics: []Metric{
		{"early.admit", "s", true, -1, "relaunched at once, before the reap: birth until its own directory names it"},
		{"early.back", "s", true, -1, "relaunched at once: birth until it is in every view, its own included"},
		{"late.admit", "s", true, -1, "relaunched after the reap: birth until its own directory names it"},
		{"late.back", "s", true, -1, "relaunched after the reap: birth until it is in every view, its own included"},
	},
	Summary:  []string{"early.back.max", "late.back.max"},
	Cannot:   needsTwo,
	Expect:   func(c *result.Config) time.Duration { return crashTime(c) + 2*time.Second },
	Run:      relaunchScenario,
	Commands: []string{"join", "kill"},
	About: func(o *result.Options) string {
		return fmt.Sprintf(", %d killed and back under the same name and port", o.Kill)
	},
	Headline: []Said{{"late.back.max", "had the relaunched back in %v", "never had the relaunched back"}},
}

func relaunchScenario(s *Run) error {
	return s.withJoined(mesh.Setup{Interval: s.cfg.Timing.Broadcast}, func() error {
		for _, round := range []string{"early", "late"} {
			if err := s.sleepRandomly(); err != nil {
				return err
			}
			victims := s.choosePeers(s.opt.Kill)
			if len(victims) == 0 {
				return mesh.Unmeasured("nobody to relaunch and be missed")
			}
			for _, v := range victims {
				s.Kill(v)
			}
			if round == "late" && !s.WaitUntil(s.ctx, s.noticeLimit(), s.Agreed) {
				return mesh.Unmeasured("the killed peers were not missed by all")
			}
			if err := s.relaunch(round, victims); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Run) relaunch(round string, victims []int) error {
	since := s.Clock.Now()
	for _, v := range victims {
		if err := s.Birth(v); err != nil {
			return err
		}
	}
	if !s.WaitUntil(s.ctx, s.noticeLimit(), s.Agreed) && s.ctx.Err() == nil {
		s.warn("%s: not everybody was back in every view within %v", round, s.noticeLimit())
	}
	var admit, back []float64
	before := 0
	for _, v := range victims {
		slot := &s.Store.Slots[v]
		born := max(slot.Born.Load(), since)
		if at := slot.Admitted.Load(); at > 0 {
			admit = append(admit, float64(at-born)/1e9)
		}
		last, already, ok := s.whenAll(s.Alive, born, func(i int, view record.Set) bool { return view.Has(v) && (i != v || view == s.Alive) })
		if before += already; ok && last > 0 {
			back = append(back, float64(last-born)/1e9)
		}
	}
	if round == "late" { // before they are missed, only their own views change
		s.alreadyTrue("late.back", before)
	}
	s.set(round+".admit", result.Samples("s", admit))
	s.set(round+".back", result.Samples("s", back))
	return s.ctx.Err()
}
