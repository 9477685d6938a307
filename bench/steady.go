package bench

// steady: everybody broadcasts.

func steadyScenario(s *stage) error {
	return s.with(setup{}, func() error {
		if err := s.joinAll(s.ctx, 0); err != nil {
			return err
		}
		s.talk(s.opt.Warmup, s.opt.Duration, s.opt.Interval)
		return nil
	})
}
