package scenario

import (
	"flag"
	"slices"
	"sync/atomic"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/bench/stat"
)

var loss = Scenario{
	Name: "loss",
	Text: "steady and crash again, under an impairment of every link",
	Metrics: []Metric{
		{"injected", "1", false, 0, "datagrams that the impairment lost on purpose"},
		{"loss_injected", "ratio", false, 0, "injected loss among the measured messages, or behind a driver among all datagrams and segments, from the impairment's own log"},
		{"duplicated_injected", "1", false, 0, "measured messages that the impairment sent twice, from its own log"},
		{"reordered_injected", "1", false, 0, "measured messages that the impairment sent after a later one, from its own log"},
		{"delay_injected", "s", true, 0, "how long the impairment held each measured message that it let go, lateness included, from its own log; what latency is longer is the way from socket to socket"},
		{"removed", "1", false, -1, "false positives: times that our server removed a live peer (of ours) under the impairment, by its own account"},
		{"removed_expected", "1", false, 0, "what removed would be if losses were independent, for this timing, with refresh or without: the mean over many runs"},
		{"removed_low", "1", false, 0, "what removed is at least in 999 of 1,000 runs, if losses are independent"},
		{"removed_high", "1", false, 0, "what removed is at most in 999 of 1,000 runs, if losses are independent"},
		{"removal_rate", "1/h", false, -1, "false positives for each hour that the server had a live peer as a member"},
		{"removal_rate_expected", "1/h", false, 0, "what the rate of false positives would be if losses were independent"},
		{"overhead", "messages/s", false, -1, "datagrams a second of the whole mesh that are no broadcasts: keep-alives, births, directories"},
		{"unnoticed", "ratio", false, -1, "survivors whose view still had a killed peer when the scenario gave up waiting, by all who had it when it died"},
		{"peer_seconds", "s", false, 0, "time that live peers spent under the impairment, added up"},
		{"detect", "s", true, -1, "of each survivor, from the kill until its view has dropped the killed peer, under the impairment"},
		{"detect_silence", "s", true, -1, "of each survivor, from the killed peer's last sign of life until its view has dropped it, under the impairment: lost keep-alives have the silence begin earlier than the kill"},
		{"converge", "s", false, -1, "from the kill until the last survivor's view has dropped all killed peers, under the impairment; null: some survivor never noticed, its directory being lost"},
	},
	Broadcasts: true,
	Summary:    slices.Concat([]string{"converge"}, broadcastSummary, []string{"detect.p50", "detect.max", "detect_silence.max"}),
	Flags: func(fs *flag.FlagSet, o *result.Options) {
		fs.Var(&o.Impair, "impair", "what every link does, a `list`: the part of datagrams lost and doubled (dup), how long all are held, and the part held back for another delay+jitter (reorder), which is overtaken by what is sent meanwhile")
	},
	Check:    func(o *result.Options) error { return o.Impair.Validate() },
	Expect:   func(c *result.Config) time.Duration { return steadyTime(c) + crashTime(c) },
	Run:      lossScenario,
	Commands: []string{"join", "kill", "broadcast", "bind"},
	About:    func(o *result.Options) string { return " under " + o.Impair.String() },
	Headline: []Said{{"loss_injected", "over links that lost %v", ""}},
	Lossy:    true,
}

func lossScenario(s *Run) error {
	return s.withJoined(mesh.Setup{Impair: s.opt.Impair}, func() error {
		s.Control(func(b *record.Store) { b.Impairing.Store(true) }) // from here on: a join that loses a directory stays incomplete without refresh
		began, before := s.Clock.Now(), s.overhead()
		s.measureWindow(s.opt.Warmup, s.opt.Duration, s.opt.Interval)
		if s.N > 1 && s.ctx.Err() == nil {
			noticed, unnoticed := s.crash(s.choosePeers(s.opt.Kill))
			s.value("unnoticed", "ratio", float64(unnoticed)/float64(noticed+unnoticed))
		}
		if s.Ours != nil && s.External == 0 {
			s.value("overhead", "messages/s", float64(s.overhead()-before)*1e9/float64(s.Clock.Now()-began))
		}
		s.impairmentFigures(began)
		return s.ctx.Err()
	})
}

// impairmentFigures records what the impairment's own log says since it began.
func (s *Run) impairmentFigures(began int64) {
	sent, _ := s.Store.Messages()
	s.count("injected", s.Store.Sum(injected))
	if d := s.Driven(); d != nil { // in whose datagrams the messages cannot be seen
		s.value("loss_injected", "ratio", float64(s.Store.Sum(injected))/float64(d.Impaired))
	} else {
		s.count("duplicated_injected", s.Store.Sum(func(slot *record.Slot) *atomic.Uint64 { return &slot.MeasuredDuplicated }))
		s.count("reordered_injected", s.Store.Sum(func(slot *record.Slot) *atomic.Uint64 { return &slot.MeasuredReordered }))
		s.value("loss_injected", "ratio", float64(s.Store.Sum(measuredInjected))/float64(sent))
		s.distribution("delay_injected", &s.Store.Held)
	}
	seconds := s.Roster.Lifetime(began, s.Clock.Now(), s.External, s.N)
	s.value("peer_seconds", "s", seconds)
	if s.Ours != nil {
		s.removals(began)
	}
	if !s.driven() && (s.Ours == nil || s.External > 0) {
		s.note("the impairment is on what our peers send; what comes from others is not impaired")
	}
}

// removals records how often the server has removed live peers of ours since began, and how often
// it would because of the impairment's losses. The views of others do not tell: a lost directory
// hides a removal, and the next one shows it as another.
func (s *Run) removals(began int64) {
	now := s.Clock.Now()
	removed, present := s.Ours.Removals(&s.Roster, s.External, began, now)
	expected := s.expectedRemovals(s.lossToServer(), began, now)
	low, high := expected.Interval()
	s.count("removed", uint64(removed))
	s.value("removed_expected", "1", expected.Mean)
	s.value("removed_low", "1", low)
	s.value("removed_high", "1", high)
	s.value("removal_rate", "1/h", float64(removed)/present*3600)
	s.value("removal_rate_expected", "1/h", expected.Mean/expected.Present*3600)
	if n := float64(removed); n < low || n > high {
		s.warn("the server removed live peers %s, independent losses make that %.4g on average, in 999 of 1,000 runs %.0f to %.0f: something else removes them, or keeps them", result.Plural(uint64(removed), "time"), expected.Mean, low, high)
	}
}

// lossToServer is the part of what our peers send that does not reach the server.
func (s *Run) lossToServer() float64 {
	pass := 1 - s.opt.Impair.Loss
	if v := s.cfg.Simulation; v != nil {
		pass *= 1 - v.Network.Loss
	}
	return 1 - pass
}

// expectedRemovals is what the theory says for the phases that our peers and the server have.
func (s *Run) expectedRemovals(loss float64, from, to int64) (sum stat.Removals) {
	t := s.Timing
	delay := s.Impair.Delay + s.Impair.Jitter/2
	known := make(map[stat.Member]stat.Removals) // of those who live to the end
	next := func(since int64, every time.Duration) time.Duration {
		if every == 0 {
			return 0
		}
		return (every - time.Duration(from-since)%every).Round(every / 1000)
	}
	for i := s.External; i < s.N; i++ {
		born, end := s.Roster.Life(i, from, to)
		if end <= from {
			continue
		}
		alive := next(born, t.Heartbeat)
		member := stat.Member{Heard: alive - t.Heartbeat, Alive: alive + delay, Birth: next(born, t.Refresh) + delay, Look: next(s.Ours.Started, t.Reap)}
		r, ok := known[member]
		if !ok || end < to {
			r = stat.ExpectedRemovals(t, loss, member, time.Duration(end-from))
		}
		if end == to {
			known[member] = r
		}
		sum = sum.Plus(r)
	}
	return sum
}

// overhead is how many datagrams other than broadcasts have been sent.
func (s *Run) overhead() (n uint64) {
	for _, slot := range s.Store.Used() {
		sent := slot.ByType()
		n += sent.Total().Datagrams - sent.Vanilla.Datagrams
	}
	return n
}
