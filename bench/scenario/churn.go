package scenario

import (
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
)

// churn: peers die and return.

func churnScenario(s *stage) error {
	return s.with(mesh.Setup{Interval: s.cfg.Timing.Broadcast}, func() error {
		if err := s.JoinAll(s.ctx, 0); err != nil {
			return err
		}
		from := s.Clock.Now()
		end := from + int64(s.opt.Duration)
		events, last := uint64(0), from
		for due := from; ; {
			due += int64(s.Rng.ExpFloat64() / s.opt.Churn * 1e9)
			if due >= end || !s.World.Sleep(s.ctx, time.Duration(due-s.Clock.Now())) {
				break
			}
			if err := s.flip(); err != nil {
				return err
			}
			events, last = events+1, s.Clock.Now()
		}
		if s.ctx.Err() == nil {
			s.World.Sleep(s.ctx, time.Duration(end-s.Clock.Now()))
		}
		to := min(end, s.Clock.Now())
		whole := s.WaitUntil(s.ctx, s.patience(), s.Agreed)
		s.count("events", events)
		s.disagreement(from, to)
		converged := last
		s.EachView(func(i int, seat *record.Slot) {
			if s.Alive.Has(i) {
				at, ok := seat.When(last, func(v record.Set) bool { return v == s.Alive })
				converged, whole = max(converged, at), whole && ok
			}
		})
		s.seconds("converge", last, converged, whole)
		if !whole && s.ctx.Err() == nil {
			s.bad("views still differed %v after the last event", s.patience())
		}
		return s.ctx.Err()
	})
}

// flip kills a living peer or has a dead one return. Half of them live always.
func (s *stage) flip() error {
	living := 0
	for i := range s.N {
		if s.Alive.Has(i) {
			living++
		}
	}
	i := s.Rng.IntN(s.N)
	for s.Alive.Has(i) && living <= (s.N+1)/2 {
		i = s.Rng.IntN(s.N)
	}
	if s.Alive.Has(i) {
		s.Kill(i)
		return nil
	}
	return s.Birth(i)
}

// disagreement integrates, over the living peers, the time in which a view
// was not the truth.
func (s *stage) disagreement(from, to int64) {
	const slices = 120
	width := max((to-from)/slices, 1)
	wrong, total := make([]float64, slices+1), make([]float64, slices+1)
	s.EachView(func(i int, seat *record.Slot) {
		log := seat.Changes()
		k := -1
		for r, truth := range s.Roster.Marks {
			end := to
			if r+1 < len(s.Roster.Marks) {
				end = min(to, s.Roster.Marks[r+1].At)
			}
			at := max(truth.At, from)
			if !truth.Set.Has(i) {
				continue
			}
			for at < end {
				for k+1 < len(log) && log[k+1].At <= at {
					k++
				}
				until := min(end, from+((at-from)/width+1)*width)
				if k+1 < len(log) {
					until = min(until, log[k+1].At)
				}
				slice := min((at-from)/width, slices)
				total[slice] += float64(until - at)
				if k < 0 || log[k].Set != truth.Set {
					wrong[slice] += float64(until - at)
				}
				at = until
			}
		}
	})
	var sumWrong, sumTotal float64
	for i := range total {
		sumWrong, sumTotal = sumWrong+wrong[i], sumTotal+total[i]
		if total[i] > 0 {
			s.out.Charts.Disagreement = append(s.out.Charts.Disagreement, result.Point{T: float64(i) * float64(width) / 1e9, V: wrong[i] / total[i]})
		}
	}
	s.value("disagreement", "ratio", sumWrong/sumTotal)
}
