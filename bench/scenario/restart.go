package scenario

import (
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/record"
)

// restart: the server dies and comes back.

func restartScenario(s *stage) error {
	for _, refresh := range []time.Duration{0, s.opt.Refresh} {
		if err := s.with(mesh.Setup{Refresh: &refresh}, func() error { return s.restart(refresh) }); err != nil {
			return err
		}
	}
	return nil
}

// restart has all but one join, lets the server die for a second and, when it
// is back, the last one be born: it shows whom the server knows.
func (s *stage) restart(refresh time.Duration) error {
	probe := s.N - 1
	for i := range probe {
		if err := s.Birth(i); err != nil {
			return err
		}
	}
	if !s.WaitUntil(s.ctx, mesh.JoinTimeout, s.Agreed) {
		return mesh.ErrNotWhole
	}
	// How soon refresh heals depends on its phase to the server's return.
	if refresh > 0 && !s.World.Sleep(s.ctx, time.Duration(s.Rng.Int64N(int64(refresh)))) {
		return s.ctx.Err()
	}
	if err := s.Mesh.Server.Kill(); err != nil {
		return cannot(err.Error())
	}
	if !s.World.Sleep(s.ctx, time.Second) {
		return s.ctx.Err()
	}
	back := s.Clock.Now()
	s.ServerForgot()
	if err := s.Mesh.Server.Restart(); err != nil {
		return err
	}
	if err := s.Birth(probe); err != nil {
		return err
	}
	patience := 3*s.opt.Refresh + s.cfg.Timing.Deadline + s.cfg.Timing.Reap
	if refresh > 0 {
		patience += 10 * time.Second // as in patience: what never comes is waited for in the other case
	}
	whole := s.WaitUntil(s.ctx, patience, s.Agreed)
	if s.ctx.Err() != nil {
		return s.ctx.Err()
	}
	last := back
	s.EachView(func(i int, seat *record.Slot) {
		at, ok := seat.When(back, func(v record.Set) bool { return v == s.Alive })
		last, whole = max(last, at), whole && ok
	})
	if refresh > 0 {
		s.seconds("refresh.whole", back, last, whole)
		if !whole && s.ctx.Err() == nil {
			why := ""
			if s.External > 0 {
				why = ": external peers are born again only if their command has them do so"
			}
			s.bad("with a refresh of %v the mesh was not whole %v after the server's return%s", refresh, patience, why)
		}
		return s.ctx.Err()
	}
	s.seconds("whole", back, last, whole)
	known := 0
	view := s.Store.Slots[probe].View()
	for i := range s.N {
		if view.Has(i) {
			known++
		}
	}
	s.count("stranded", uint64(s.N-known))
	if !whole && s.ctx.Err() == nil {
		s.note("without refresh: never whole again (looked for %v). The returned server knows %d of %d, those born since: keep-alives do not tell it who they are from", patience, known, s.N)
	}
	return s.ctx.Err()
}
