package scenario

import (
	"flag"
	"fmt"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
)

var churn = Scenario{
	Name: "churn",
	Text: "peers are killed and join again all the time",
	Metrics: []Metric{
		{"events", "1", false, 0, "deaths and returns"},
		{"disagreement", "ratio", false, -1, "peer-seconds in which a live peer's view differs from the truth, by peer-seconds"},
		{"converge", "s", false, -1, "from the last event until every view equals the truth"},
	},
	Summary: []string{"converge", "disagreement"},
	Flags: func(fs *flag.FlagSet, o *result.Options) {
		fs.Var((*result.Rate)(&o.Churn), "churn", "kills and joins, together, a second (`rate`)")
	},
	Check: func(o *result.Options) error {
		if !(o.Churn > 0 && o.Churn <= 1000) {
			return fmt.Errorf("churn %v a second, want more than 0, at most 1000", o.Churn)
		}
		return nil
	},
	Cannot:   needsTwo,
	Expect:   func(c *result.Config) time.Duration { return c.Options.Duration + c.Timing.Deadline },
	Run:      churnScenario,
	Commands: []string{"join", "kill"},
	About: func(o *result.Options) string {
		return fmt.Sprintf(", %g a second of them killed or joining again, for %s", o.Churn, span(o.Duration))
	},
	Headline: []Said{{"disagreement", "held views that differed from the truth for %v of the churn", ""}},
}

func churnScenario(s *Run) error {
	return s.withJoined(mesh.Setup{Interval: s.cfg.Timing.Broadcast}, func() error {
		from := s.Clock.Now()
		end := from + int64(s.opt.Duration)
		events, last := uint64(0), from
		for due := from; ; {
			due += int64(s.Rng.ExpFloat64() / s.opt.Churn * 1e9)
			if due >= end || !s.Sleep(s.ctx, time.Duration(due-s.Clock.Now())) {
				break
			}
			if err := s.killOrRelaunch(); err != nil {
				return err
			}
			events, last = events+1, s.Clock.Now()
		}
		if s.ctx.Err() == nil {
			s.Sleep(s.ctx, time.Duration(end-s.Clock.Now()))
		}
		to := min(end, s.Clock.Now())
		s.count("events", events)
		whole := s.reach("converge", last, s.noticeLimit(), nobody, s.isTruth)
		s.disagreement(from, to)
		if !whole && s.ctx.Err() == nil {
			s.warn("views still differed %v after the last event", s.noticeLimit())
		}
		return s.ctx.Err()
	})
}

// killOrRelaunch kills a living peer or starts a dead one again. Half of them always live.
func (s *Run) killOrRelaunch() error {
	i := s.Rng.IntN(s.N)
	for s.Alive.Has(i) && s.Alive.Len() <= (s.N+1)/2 {
		i = s.Rng.IntN(s.N)
	}
	if s.Alive.Has(i) {
		s.Kill(i)
		return nil
	}
	return s.Birth(i)
}

// disagreement integrates, over the living peers, the time in which a view was not the truth.
func (s *Run) disagreement(from, to int64) {
	const slices = 120
	width := max((to-from)/slices, 1)
	wrong, total := make([]float64, slices+1), make([]float64, slices+1)
	s.EachView(func(i int, slot *record.Slot) {
		log := slot.Changes()
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
