package scenario

import (
	"cmp"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
)

var partition = Scenario{
	Name: "partition",
	Text: "two halves that cannot hear each other, the server in one of them, until that half has dropped the other; then all links heal",
	Metrics: []Metric{
		{"drop", "s", false, 0, "from the cut until no view in the server's half has a peer of the other half"},
		{"stale", "1", false, -1, "peers of the other half whose view still has a peer of the server's half when the links heal: only the server's directories change a view, and none reach them"},
		{"cut", "1", false, 0, "datagrams lost at the cut, accounted as lost on purpose"},
		{"cut_messages", "1", false, 0, "messages among them, one for each receiver, without refresh"},
		{"back", "s", false, -1, "from the healing of all links until every view is complete, without refresh; null: never"},
		{"refresh.back", "s", false, -1, "from the healing of all links until every view is complete, with refresh; null: never"},
	},
	Summary: []string{"drop", "back", "refresh.back"},
	Cannot:  func(c *result.Config) string { return cmp.Or(onlyOurs(c), needsTwo(c)) },
	Expect:  func(c *result.Config) time.Duration { return 3*crashTime(c) + c.Options.Refresh },
	Run: func(s *Run) error {
		with := mesh.Setup{Interval: Bearable(s.cfg.Peers, s.cfg.Timing.Heartbeat), Divide: true}
		if s.driven() { // whose messages cannot be seen in what is cut
			with.Interval = 0
		}
		return s.twice(with, s.partition)
	},
	About: func(*result.Options) string {
		return ", half of them cut off from the server and the others, each broadcasting with its keep-alives"
	},
	Commands: []string{"join", "bind"},
	Headline: []Said{{"refresh.back", "had complete views again %v after a partition, with refresh", "never had complete views again after a partition"}},
	Lossy:    true,
}

// partition divides the mesh once and heals it.
func (s *Run) partition(refresh time.Duration) error {
	if err := s.joinAndSleep(); err != nil {
		return err
	}
	var cutOff record.Set
	for _, i := range s.choosePeers(s.N / 2) {
		cutOff.Add(i)
	}
	lost, lostMessages := s.Store.Sum(injected), s.Store.Sum(measuredInjected)
	cut := s.Clock.Now()
	s.Control(func(b *record.Store) {
		b.OpenWindow(cut+1, cut+int64(s.noticeLimit()), s.cfg.Timing.Heartbeat)
		b.Divide(cutOff)
		b.Impairing.Store(true)
	})
	s.Tell("cut", -1, "%s cut off from the rest", result.Plural(uint64(cutOff.Len()), "peer"))
	for i := range cutOff.All() {
		s.Depart(i)
	}
	s.reach(once("drop", refresh), cut, s.noticeLimit(), nobody, s.isTruth)
	stale := func() (n int) {
		for i := range cutOff.All() {
			for j := range s.Store.Slots[i].View().All() {
				if s.Alive.Has(j) {
					n++
					break
				}
			}
		}
		return n
	}
	if s.driven() { // whose halves may be alike, and drop each other at about the same time
		s.WaitUntil(s.ctx, s.cfg.Timing.Deadline, func() bool { return stale() == 0 })
	}
	left := stale()
	healed := s.Clock.Now()
	s.Control(func(b *record.Store) {
		b.Impairing.Store(false)
		b.Unite()
	})
	s.Tell("heal", -1, "the links have healed")
	for i := range cutOff.All() {
		s.Arrive(i)
	}
	if refresh == 0 {
		s.count("stale", uint64(left))
		s.count("cut", s.Store.Sum(injected)-lost)
	}
	if refresh == 0 && !s.driven() { // in whose datagrams the messages cannot be seen
		s.count("cut_messages", s.Store.Sum(measuredInjected)-lostMessages)
	}
	limit := s.backLimit(refresh)
	switch {
	case s.reach(named("back", refresh), healed, limit, nobody, s.isTruth) || s.ctx.Err() != nil:
	case refresh > 0:
		s.warn("with a refresh of %v the views were not complete %v after the links had healed", refresh, limit)
	case s.driven():
		s.warn("the views were not complete %v after the links had healed", limit)
	default:
		s.note("without refresh: never whole again (looked for %v). The server ignores the keep-alives of those whom it has removed, and nobody tells them", limit)
	}
	return s.ctx.Err()
}
