package bench

import (
	"time"

	"p2plocal/bench/record"
	"p2plocal/bench/result"
)

// churn: peers die and return.

func churnScenario(s *stage) error {
	return s.with(setup{interval: s.cfg.Timing.Broadcast}, func() error {
		if err := s.joinAll(s.ctx, 0); err != nil {
			return err
		}
		from := s.clock.Now()
		end := from + int64(s.opt.Duration)
		events, last := uint64(0), from
		for due := from; ; {
			due += int64(s.rng.ExpFloat64() / s.opt.Churn * 1e9)
			if due >= end || !s.world.sleep(s.ctx, time.Duration(due-s.clock.Now())) {
				break
			}
			if err := s.flip(); err != nil {
				return err
			}
			events, last = events+1, s.clock.Now()
		}
		if s.ctx.Err() == nil {
			s.world.sleep(s.ctx, time.Duration(end-s.clock.Now()))
		}
		to := min(end, s.clock.Now())
		whole := s.until(s.ctx, s.patience(), s.agreed)
		s.count("events", events)
		s.disagreement(from, to)
		converged := last
		s.seen(func(i int, seat *record.Slot) {
			if s.alive.Has(i) {
				at, ok := seat.When(last, func(v record.Set) bool { return v == s.alive })
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
	for i := range s.n {
		if s.alive.Has(i) {
			living++
		}
	}
	i := s.rng.IntN(s.n)
	for s.alive.Has(i) && living <= (s.n+1)/2 {
		i = s.rng.IntN(s.n)
	}
	if s.alive.Has(i) {
		s.kill(i)
		return nil
	}
	return s.birth(i)
}

// disagreement integrates, over the living peers, the time in which a view
// was not the truth.
func (s *stage) disagreement(from, to int64) {
	const slices = 120
	width := max((to-from)/slices, 1)
	wrong, total := make([]float64, slices+1), make([]float64, slices+1)
	s.seen(func(i int, seat *record.Slot) {
		log := seat.Changes()
		k := -1
		for r, truth := range s.roster.Marks {
			end := to
			if r+1 < len(s.roster.Marks) {
				end = min(to, s.roster.Marks[r+1].At)
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
