package scenario

import (
	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
)

// relaunch: the killed come back, before and after they are missed.

func relaunchScenario(s *stage) error {
	return s.with(mesh.Setup{Interval: s.cfg.Timing.Broadcast}, func() error {
		if err := s.JoinAll(s.ctx, 0); err != nil {
			return err
		}
		for _, round := range []string{"early", "late"} {
			if err := s.ageRandomly(); err != nil {
				return err
			}
			victims := s.victims(s.opt.Kill)
			if len(victims) == 0 {
				return cannot("nobody to relaunch and be missed")
			}
			for _, v := range victims {
				s.Kill(v)
			}
			if round == "late" && !s.WaitUntil(s.ctx, s.patience(), s.Agreed) {
				return cannot("the killed peers were not missed by all")
			}
			if err := s.comeBack(round, victims); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *stage) comeBack(round string, victims []int) error {
	since := s.Clock.Now()
	for _, v := range victims {
		if err := s.Birth(v); err != nil {
			return err
		}
	}
	if !s.WaitUntil(s.ctx, s.patience(), s.Agreed) && s.ctx.Err() == nil {
		s.bad("%s: not everybody was back in every view within %v", round, s.patience())
	}
	var admit, back []float64
	for _, v := range victims {
		seat := &s.Store.Slots[v]
		born := max(seat.Born.Load(), since)
		if at := seat.Admitted.Load(); at > 0 {
			admit = append(admit, float64(at-born)/1e9)
		}
		if at, ok := s.everywhere(v, born, true); ok {
			back = append(back, float64(at-born)/1e9)
		}
	}
	s.set(round+".admit", result.Samples("s", admit))
	s.set(round+".back", result.Samples("s", back))
	return s.ctx.Err()
}
