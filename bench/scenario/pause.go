package scenario

import (
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/record"
)

// pause: a peer's process is stopped for longer than the deadline.

func pauseScenario(s *stage) error {
	for _, refresh := range []time.Duration{0, s.opt.Refresh} {
		if err := s.with(mesh.Setup{Refresh: &refresh, Interval: s.cfg.Timing.Broadcast}, func() error { return s.pause(refresh) }); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) pause(refresh time.Duration) error {
	if err := s.JoinAll(s.ctx, 0); err != nil {
		return err
	}
	if err := s.ageRandomly(); err != nil {
		return err
	}
	v := s.N - 1 // not an external one, if there is any of ours
	stopped := s.Clock.Now()
	if err := s.Peers[v].Pause(); err != nil {
		return cannot(err.Error())
	}
	s.Depart(v)
	culled := s.WaitUntil(s.ctx, s.patience(), s.Agreed)
	last := stopped
	s.EachView(func(i int, seat *record.Slot) {
		if s.Alive.Has(i) {
			at, ok := seat.When(stopped, func(view record.Set) bool { return !view.Has(v) })
			last, culled = max(last, at), culled && ok
		}
	})
	if refresh == 0 {
		s.seconds("cull", stopped, last, culled)
	}
	on := s.Clock.Now()
	s.Peers[v].Resume()
	s.Arrive(v)
	if refresh > 0 {
		s.backIn("refresh.back", v, on, 2*refresh+s.patience())
		return s.ctx.Err()
	}
	if patience := s.cfg.Timing.Deadline + 2*s.cfg.Timing.Reap; !s.backIn("back", v, on, patience) && s.ctx.Err() == nil {
		s.note("without refresh: never back (looked for %v). The server ignores the keep-alives of a culled peer, and nobody tells it", patience)
		again := s.Clock.Now()
		s.Peers[v].Rejoin()
		s.backIn("rebirth.back", v, again, s.patience())
	}
	return s.ctx.Err()
}

// backIn waits until v is in every other view, and writes down when that was.
func (s *stage) backIn(metric string, v int, since int64, patience time.Duration) bool {
	in := func() bool {
		ok := true
		s.EachView(func(i int, seat *record.Slot) { ok = ok && (i == v || !s.Alive.Has(i) || seat.View().Has(v)) })
		return ok
	}
	s.WaitUntil(s.ctx, patience, in)
	at, ok := s.everywhere(v, since, false)
	s.seconds(metric, since, at, ok)
	return ok
}
