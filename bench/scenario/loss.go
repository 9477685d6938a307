package scenario

import "p2plocal/bench/mesh"

// loss: steady and crash again, under an impairment of every link.

func lossScenario(s *stage) error {
	return s.with(mesh.Setup{Impair: s.opt.Impair, Interval: 0}, func() error {
		if err := s.JoinAll(s.ctx, 0); err != nil {
			return err
		}
		s.Store.Impairing.Store(true) // from here on: a join that loses a directory stays incomplete without refresh
		began, before := s.Clock.Now(), s.overhead()
		s.talk(s.opt.Warmup, s.opt.Duration, s.opt.Interval)
		if s.N > 1 && s.ctx.Err() == nil {
			noticed, unnoticed := s.crash(s.victims(s.opt.Kill))
			s.value("unnoticed", "ratio", float64(unnoticed)/float64(noticed+unnoticed))
		}
		if s.Ours != nil && s.External == 0 {
			s.value("overhead", "messages/s", float64(s.overhead()-before)*1e9/float64(s.Clock.Now()-began))
		}
		s.impaired(began)
		return s.ctx.Err()
	})
}

// impaired writes down what the impairment's own log says, since it began.
func (s *stage) impaired(began int64) {
	var injected, measured, sent, doubled, reordered uint64
	for i := range s.Store.Slots {
		seat := &s.Store.Slots[i]
		injected += seat.Injected.Load()
		measured += seat.MeasuredInjected.Load()
		doubled += seat.MeasuredDuplicated.Load()
		reordered += seat.MeasuredReordered.Load()
	}
	for i := s.External; i < s.N; i++ {
		for j := s.External; j < s.N; j++ {
			sent += uint64(s.Store.Pairs[i][j].Sent.Load())
		}
	}
	s.count("injected", injected)
	s.count("duplicated_injected", doubled)
	s.count("reordered_injected", reordered)
	s.value("loss_injected", "ratio", float64(measured)/float64(sent))
	s.set("delay_injected", s.Store.Held.Distribution())
	s.keep("delay_injected", s.Store.Held.HDR())
	seconds := s.Roster.Lifetime(began, s.Clock.Now(), s.External, s.N)
	s.value("peer_seconds", "s", seconds)
	if s.Ours != nil {
		s.removals(began)
	}
	if s.Ours == nil || s.External > 0 {
		s.note("the impairment is on what our peers send; what comes from others is not impaired")
	}
}
