package scenario

import (
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
)

var pause = Scenario{
	Name: "pause",
	Text: "a peer is stopped past the deadline and goes on",
	Metrics: []Metric{
		{"removal", "s", false, 0, "from the stop until every other view has dropped the stopped peer"},
		{"back", "s", false, -1, "from its going on until it is in every view again, without refresh; null: never"},
		{"refresh.back", "s", false, -1, "from its going on until it is in every view again, with refresh; null: never"},
		{"rebirth.back", "s", false, -1, "from a new birth until it is in every view again"},
	},
	Summary:  []string{"removal", "back", "refresh.back", "rebirth.back"},
	Cannot:   needsTwo,
	Expect:   func(c *result.Config) time.Duration { return 3*crashTime(c) + c.Options.Refresh },
	Run:      func(s *Run) error { return s.twice(mesh.Setup{Interval: s.cfg.Timing.Broadcast}, s.pause) },
	Commands: []string{"join", "pause", "resume"},
	About:    func(*result.Options) string { return ", one is stopped past the deadline and goes on" },
	Headline: []Said{{"refresh.back", "had a paused peer back in %v, with refresh", "never had a paused peer back"}},
}

// pause stops a peer, and lets it go on once the others have dropped it.
func (s *Run) pause(refresh time.Duration) error {
	if err := s.joinAndSleep(); err != nil {
		return err
	}
	v := s.N - 1 // not an external one, if there is any of ours
	stopped := s.Clock.Now()
	if err := s.Pause(v); err != nil {
		return mesh.Unmeasured(err.Error())
	}
	s.reach(once("removal", refresh), stopped, s.noticeLimit(), nobody, func(view record.Set) bool { return !view.Has(v) })
	on := s.Clock.Now()
	s.Resume(v)
	limit := s.backLimit(refresh)
	back := func(view record.Set) bool { return view.Has(v) }
	if !s.reach(named("back", refresh), on, limit, v, back) && refresh == 0 && s.ctx.Err() == nil {
		if s.driven() {
			s.note("never back (looked for %v)", limit)
			return s.ctx.Err()
		}
		s.note("without refresh: never back (looked for %v). The server ignores the keep-alives of a removed peer, and nobody tells it", limit)
		again := s.Clock.Now()
		s.Peers[v].Do(mesh.Command{Do: mesh.Rebirth})
		s.reach("rebirth.back", again, s.noticeLimit(), v, back)
	}
	return s.ctx.Err()
}
