package scenario

import (
	"flag"
	"fmt"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
)

var rest = Scenario{
	Name: "rest",
	Text: "all have joined and nothing happens, at first over links that lose nothing, then 5 % and 20 % of the datagrams",
	Metrics: []Metric{
		{"datagram_rate", "messages/s", false, -1, "datagrams that the whole mesh sent a second, while nothing was lost"},
		{"byte_rate", "bytes/s", false, -1, "UDP payload that the whole mesh sent a second, while nothing was lost, or behind a driver what the mesh says that it sent"},
		{"removed", "1", false, -1, "false positives while nothing was lost"},
		{"removed_five", "1", false, -1, "false positives while 5 % was lost: datagrams, or segments of a stream, which are sent again after 200 ms, 400 ms and so on"},
		{"removed_twenty", "1", false, -1, "false positives while 20 % was lost"},
	},
	Summary: []string{"datagram_rate", "byte_rate", "removed", "removed_five", "removed_twenty"},
	Flags: func(fs *flag.FlagSet, o *result.Options) {
		fs.DurationVar(&o.Rest, "rest", o.Rest, "`time` that each of the three takes, and partial's failures (default 10s)")
	},
	Check: func(o *result.Options) error {
		if o.Rest < 0 {
			return fmt.Errorf("rest of %v, want more than 0", o.Rest)
		}
		return nil
	},
	Cannot:   onlyOurs,
	Expect:   func(c *result.Config) time.Duration { return 3*c.Options.RestTime() + 2*time.Second },
	Commands: []string{"join", "bind"},
	Run: func(s *Run) error {
		return s.with(mesh.Setup{Divide: true, Refresh: &s.opt.Refresh}, s.rest)
	},
	About:    func(o *result.Options) string { return fmt.Sprintf(", doing nothing for 3 × %s", span(o.RestTime())) },
	Headline: []Said{{"removed_twenty", "removed live peers %v over links that lost 20 %%", ""}},
	Lossy:    true,
}

func (s *Run) rest() error {
	if err := s.joinAndSleep(); err != nil {
		return err
	}
	s.meterOn()
	removed := s.removedSoFar()
	for _, level := range []struct {
		percent int
		name    string
	}{{0, "removed"}, {5, "removed_five"}, {20, "removed_twenty"}} {
		for i := range s.Store.Used() {
			s.Store.Lose(i, float64(level.percent)/100, 0)
		}
		s.Store.Impairing.Store(level.percent > 0)
		since := s.Clock.Now()
		datagrams, bytes := s.sentSoFar()
		if !s.Sleep(s.ctx, s.opt.RestTime()) {
			return s.ctx.Err()
		}
		if level.percent == 0 {
			s.meterOff()
			seconds := float64(s.Clock.Now()-since) / 1e9
			nowDatagrams, nowBytes := s.sentSoFar()
			s.rate("datagram_rate", "messages/s", datagrams, nowDatagrams, seconds)
			s.rate("byte_rate", "bytes/s", bytes, nowBytes, seconds)
		}
		now := s.removedSoFar()
		s.count(level.name, uint64(max(now-removed, 0)))
		removed = now
	}
	return nil
}

// rate records what was sent a second, as far as it is known.
func (s *Run) rate(name, unit string, before, now *int64, seconds float64) {
	if before != nil && now != nil {
		s.value(name, unit, float64(*now-*before)/seconds)
	}
}
