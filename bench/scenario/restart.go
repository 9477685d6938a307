package scenario

import (
	"fmt"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
)

var restart = Scenario{
	Name: "restart",
	Text: "the server is killed and started again, knowing nobody",
	Metrics: []Metric{
		{"whole", "s", false, -1, "from the server's return until it and all views know everybody again, without refresh; null: never"},
		{"refresh.whole", "s", false, -1, "from the server's return until it and all views know everybody again, with refresh; null: never"},
		{"server_startup", "s", false, -1, "from the order to start a server that is not ours until its port is bound; its return is when it is"},
		{"stranded", "1", false, -1, "peers that the returned server still does not know at the end, without refresh"},
	},
	Summary: []string{"whole", "refresh.whole"},
	Cannot: func(c *result.Config) string {
		if c.Options.Server != "" {
			return fmt.Sprintf("the server at %s was not started here", c.Options.Server)
		}
		return needsTwo(c)
	},
	Expect: func(c *result.Config) time.Duration {
		return 2*time.Second + 4*c.Options.Refresh + c.Timing.Deadline + c.Timing.Reap
	},
	Run:      func(s *Run) error { return s.twice(mesh.Setup{}, s.restart) },
	About:    func(*result.Options) string { return ", the server is killed and started again" },
	Headline: []Said{{"refresh.whole", "knew each other again %v after the server's restart, with refresh", "never knew each other again after the server's restart"}},
}

// restart has all but one peer join, kills the server for a second and, when it is back, has the
// last one join: that one shows whom the server knows.
func (s *Run) restart(refresh time.Duration) error {
	probe := s.N - 1
	for i := range probe {
		if err := s.Birth(i); err != nil {
			return err
		}
	}
	if !s.WaitUntil(s.ctx, s.opt.TimeoutTime(), s.Agreed) {
		return mesh.NotWhole(s.opt.TimeoutTime())
	}
	// How soon refresh heals depends on its phase to the server's return.
	if refresh > 0 && !s.Sleep(s.ctx, time.Duration(s.Rng.Int64N(int64(refresh)))) {
		return s.ctx.Err()
	}
	killed := s.Clock.Now()
	if err := s.KillServer(); err != nil {
		return mesh.Unmeasured(err.Error())
	}
	if !s.Sleep(s.ctx, time.Second) {
		return s.ctx.Err()
	}
	ordered := s.Clock.Now()
	if err := s.RestartServer(); err != nil {
		return err
	}
	back := s.Clock.Now()
	s.ServerForgot(killed)
	if s.Ours == nil {
		s.seconds("server_startup", ordered, back, true)
	}
	if err := s.Birth(probe); err != nil {
		return err
	}
	limit := 3*s.opt.Refresh + s.cfg.Timing.Deadline + s.cfg.Timing.Reap
	if refresh > 0 {
		limit += 10 * time.Second // as in noticeLimit: what never comes is waited for in the other case
	}
	whole := s.reach(named("whole", refresh), back, limit, nobody, s.isTruth)
	known := s.Store.Slots[probe].View().Len()
	switch {
	case s.ctx.Err() != nil:
		return s.ctx.Err()
	case refresh == 0:
		s.count("stranded", uint64(s.N-known))
		if !whole {
			s.note("without refresh: never whole again (looked for %v). The returned server knows %d of %d, those born since: keep-alives do not tell it who they are from", limit, known, s.N)
		}
	case !whole:
		why := ""
		if s.External > 0 {
			why = ": external peers are born again only if their command has them do so"
		}
		s.warn("with a refresh of %v the mesh was not whole %v after the server's return%s", refresh, limit, why)
	}
	return nil
}
