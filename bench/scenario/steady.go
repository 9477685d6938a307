package scenario

import "p2plocal/bench/mesh"

// steady: everybody broadcasts.

func steadyScenario(s *stage) error {
	return s.with(mesh.Setup{}, func() error {
		if err := s.JoinAll(s.ctx, 0); err != nil {
			return err
		}
		s.talk(s.opt.Warmup, s.opt.Duration, s.opt.Interval)
		return nil
	})
}
