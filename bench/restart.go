package bench

import (
	"time"

	"p2plocal/bench/record"
)

// restart: the server dies and comes back.

func restartScenario(s *stage) error {
	for _, refresh := range []time.Duration{0, s.opt.Refresh} {
		if err := s.with(setup{refresh: &refresh}, func() error { return s.restart(refresh) }); err != nil {
			return err
		}
	}
	return nil
}

// restart has all but one join, lets the server die for a second and, when it
// is back, the last one be born: it shows whom the server knows.
func (s *stage) restart(refresh time.Duration) error {
	probe := s.n - 1
	for i := range probe {
		if err := s.birth(i); err != nil {
			return err
		}
	}
	if !s.until(s.ctx, joinPatience, s.agreed) {
		return errNotWhole
	}
	if err := s.mesh.server.kill(); err != nil {
		return cannot(err.Error())
	}
	if !s.world.sleep(s.ctx, time.Second) {
		return s.ctx.Err()
	}
	back := s.clock.Now()
	s.forgotten()
	if err := s.mesh.server.restart(); err != nil {
		return err
	}
	if err := s.birth(probe); err != nil {
		return err
	}
	patience := 3*s.opt.Refresh + s.cfg.Timing.Deadline + s.cfg.Timing.Reap
	if refresh > 0 {
		patience += 10 * time.Second // as in patience: what never comes is waited for in the other case
	}
	whole := s.until(s.ctx, patience, s.agreed)
	if s.ctx.Err() != nil {
		return s.ctx.Err()
	}
	last := back
	s.seen(func(i int, seat *record.Slot) {
		at, ok := seat.When(back, func(v record.Set) bool { return v == s.alive })
		last, whole = max(last, at), whole && ok
	})
	if refresh > 0 {
		s.seconds("refresh.whole", back, last, whole)
		if !whole && s.ctx.Err() == nil {
			why := ""
			if s.external > 0 {
				why = ": external peers are born again only if their command has them do so"
			}
			s.bad("with a refresh of %v the mesh was not whole %v after the server's return%s", refresh, patience, why)
		}
		return s.ctx.Err()
	}
	s.seconds("whole", back, last, whole)
	known := 0
	view := s.board.Slots[probe].View()
	for i := range s.n {
		if view.Has(i) {
			known++
		}
	}
	s.count("stranded", uint64(s.n-known))
	if !whole && s.ctx.Err() == nil {
		s.note("without refresh: never whole again (looked for %v). The returned server knows %d of %d, those born since: keep-alives do not tell it who they are from", patience, known, s.n)
	}
	return s.ctx.Err()
}
