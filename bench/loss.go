package bench

// loss: steady and crash again, under an impairment of every link.

func lossScenario(s *stage) error {
	return s.with(setup{impair: s.opt.Impair, interval: 0}, func() error {
		if err := s.joinAll(s.ctx, 0); err != nil {
			return err
		}
		s.board.impairing.Store(true) // from here on: a join that loses a directory stays incomplete without refresh
		began := s.clock.now()
		s.talk(s.opt.Warmup, s.opt.Duration, s.opt.Interval)
		seconds := float64(s.n) * float64(s.clock.now()-began) / 1e9
		var injected, measured, sent, doubled, reordered uint64
		for i := range s.board.seats {
			seat := &s.board.seats[i]
			injected += seat.injected.Load()
			measured += seat.mInjected.Load()
			doubled += seat.mDoubled.Load()
			reordered += seat.mReordered.Load()
			sent += seat.messages.Load()
		}
		s.count("injected", injected)
		s.count("duplicated_injected", doubled)
		s.count("reordered_injected", reordered)
		s.value("loss_injected", "ratio", float64(measured)/float64(sent))
		p := s.opt.Impair.Loss
		s.value("false_culls_expected", "1", 2*p*p*p*(1-p)*seconds)
		s.value("peer_seconds", "s", seconds)
		s.note("every link under %v", s.opt.Impair)
		if s.n > 1 && s.ctx.Err() == nil {
			s.crash(s.victims(s.opt.Kill))
		}
		return s.ctx.Err()
	})
}
