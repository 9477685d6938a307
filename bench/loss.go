package bench

// loss: steady and crash again, under an impairment of every link.

func lossScenario(s *stage) error {
	return s.with(setup{impair: s.opt.Impair, interval: 0}, func() error {
		if err := s.joinAll(s.ctx, 0); err != nil {
			return err
		}
		s.board.Impairing.Store(true) // from here on: a join that loses a directory stays incomplete without refresh
		began, before := s.clock.Now(), s.overhead()
		s.talk(s.opt.Warmup, s.opt.Duration, s.opt.Interval)
		if s.n > 1 && s.ctx.Err() == nil {
			noticed, unnoticed := s.crash(s.victims(s.opt.Kill))
			s.value("unnoticed", "ratio", float64(unnoticed)/float64(noticed+unnoticed))
		}
		if s.ours != nil && s.external == 0 {
			s.value("overhead", "messages/s", float64(s.overhead()-before)*1e9/float64(s.clock.Now()-began))
		}
		s.impaired(began)
		return s.ctx.Err()
	})
}

// impaired writes down what the impairment's own log says, since it began.
func (s *stage) impaired(began int64) {
	var injected, measured, sent, doubled, reordered uint64
	for i := range s.board.Slots {
		seat := &s.board.Slots[i]
		injected += seat.Injected.Load()
		measured += seat.MeasuredInjected.Load()
		doubled += seat.MeasuredDuplicated.Load()
		reordered += seat.MeasuredReordered.Load()
	}
	for i := s.external; i < s.n; i++ {
		for j := s.external; j < s.n; j++ {
			sent += uint64(s.board.Pairs[i][j].Sent.Load())
		}
	}
	s.count("injected", injected)
	s.count("duplicated_injected", doubled)
	s.count("reordered_injected", reordered)
	s.value("loss_injected", "ratio", float64(measured)/float64(sent))
	s.set("delay_injected", s.board.Held.Distribution())
	s.keep("delay_injected", s.board.Held.HDR())
	seconds := s.roster.Lifetime(began, s.clock.Now(), s.external, s.n)
	s.value("peer_seconds", "s", seconds)
	if s.ours != nil {
		s.removals(began)
	}
	if s.ours == nil || s.external > 0 {
		s.note("the impairment is on what our peers send; what comes from others is not impaired")
	}
}
