package scenario

import (
	"context"
	"flag"
	"fmt"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/mlrsearch"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/fuzz/figure"
)

var saturate = Scenario{
	Name: "saturate",
	Text: "a search for the highest rate of broadcasts that loses nothing, or little",
	Metrics: []Metric{
		{"rate_lossless", "messages/s", false, 1, "highest offered load that lost nothing, as the search defines it: the lower bound of the first goal"},
		{"rate_goal", "messages/s", false, 1, "highest offered load that lost no more than the goal -loss-ratio, as the search defines it: the lower bound of that goal"},
		{"latency_due", "s", true, -1, "latency from due time at the lossless rate, over all trials at it"},
		{"latency_due_goal", "s", true, -1, "latency from due time at the rate of the goal -loss-ratio, over all trials at it"},
		{"trials", "1", false, 0, "trials made, at all loads"},
	},
	Summary: []string{"latency_due.p99", "rate_lossless", "rate_goal", "latency_due.p50", "latency_due_goal.p50", "latency_due_goal.p99"},
	Flags: func(fs *flag.FlagSet, o *result.Options) {
		s := &o.Search
		fs.Var((*result.Ratio)(&s.LossRatio), "loss-ratio", "goal loss `ratio` of the second goal, such as 0.5% or 0.005; the first is 0")
		fs.DurationVar(&s.Trial, "trial", s.Trial, "goal final trial `duration`")
		fs.DurationVar(&s.DurationSum, "duration-sum", s.DurationSum, "goal `duration` sum, for which a load must have been tried")
		fs.Var((*result.Ratio)(&s.Exceed), "exceed", "goal exceed `ratio`, the part of that which may lose more")
		fs.Var((*result.Ratio)(&s.Width), "width", "goal width, the relative distance (`ratio`) of lower and upper bound")
		fs.Var((*result.Rate)(&s.Min), "min-load", "lowest load tried, in messages/s (`rate`), which may end in k or M")
		fs.Var((*result.Rate)(&s.Max), "max-load", "highest load tried, in messages/s (`rate`), which may end in k or M")
	},
	Check: func(o *result.Options) error { return o.Search.Validate() },
	Cannot: func(c *result.Config) string {
		switch ours := c.Peers - c.Options.External; {
		case ours < 2:
			return fmt.Sprintf("it takes two peers of ours, one to send to the other, not %d", ours)
		case c.Simulation != nil && c.Simulation.Host.Cores == 0:
			return "no load is too high for a host whose computing costs nothing, want one such as -cores 2"
		}
		return ""
	},
	Expect:   func(c *result.Config) time.Duration { return 45 * c.Options.Search.Trial },
	Run:      saturateScenario,
	About:    func(*result.Options) string { return ", the highest load without loss" },
	Headline: []Said{{"rate_lossless", "carried up to %v without loss", ""}},
	Overruns: true,
}

func saturateScenario(s *Run) error {
	// A trial beyond what the mesh can carry may cost peers their membership. With refresh they are
	// back for the next one.
	refresh := s.cfg.Timing.Heartbeat
	return s.withJoined(mesh.Setup{Refresh: &refresh}, func() error {
		search := &saturation{Run: s, latency: make(map[float64]*record.Histogram)}
		found, err := mlrsearch.Search(s.ctx, s.opt.Search, search.trial)
		s.out.Charts.Trials = found.Trials
		s.count("trials", uint64(len(found.Trials)))
		for i, names := range [][2]string{{"rate_lossless", "latency_due"}, {"rate_goal", "latency_due_goal"}} {
			s.set(names[0], result.Never("messages/s"))
			s.set(names[1], result.Never("s"))
			if i < len(found.Goals) {
				search.goal(found.Goals[i], names[0], names[1])
			}
		}
		if s.ctx.Err() != nil {
			return s.ctx.Err()
		}
		return err
	})
}

// saturation tries loads, and keeps the latencies at each.
type saturation struct {
	*Run
	latency map[float64]*record.Histogram // of all trials at a load, from due time
}

// goal records what was found for one goal: the rate, and the latency at it. What gave way beyond
// it, the trials tell.
func (s *saturation) goal(g mlrsearch.Goal, rate, latency string) {
	if g.Lower != nil {
		s.value(rate, "messages/s", *g.Lower)
		if h := s.latency[*g.Lower]; h != nil {
			s.distribution(latency, h)
		}
	}
	if g.Note != "" && s.ctx.Err() == nil {
		s.note("goal loss ratio %v: %s", g.LossRatio, g.Note)
	}
}

// leastBroadcasts is how many a trial must hold: at the lowest loads a short one would have none,
// or one more than its share.
const leastBroadcasts = 10

// trial has everybody broadcast so often that together they send load messages a second, for d or
// as long as a few broadcasts take, and waits until all of it has been taken in.
func (s *saturation) trial(ctx context.Context, load float64, d time.Duration) (mlrsearch.Trial, error) {
	if ctx.Err() != nil {
		return mlrsearch.Trial{}, ctx.Err()
	}
	if !s.WaitUntil(ctx, s.noticeLimit(), s.Agreed) {
		return mlrsearch.Trial{}, fmt.Errorf("the mesh was not whole again %v after a trial", s.noticeLimit())
	}
	senders := s.N - s.External
	interval := time.Duration(float64(senders*(senders-1)) / load * 1e9)
	d = max(d, leastBroadcasts*interval/time.Duration(senders))
	before, drops := s.standing(), s.kernelDrops()
	s.Store.Due.Reset()
	s.Store.Latency.Reset()
	s.Store.Timer.Reset()
	began := s.Clock.Now()
	w := s.window(0, d, max(interval, 1), false)
	s.meterOff()
	s.stopBroadcasts()
	s.Drain(2 * time.Second)
	after := s.standing()
	due := float64((w.ticks) * uint64(senders-1))
	delivered := float64(after.delivered - before.delivered)
	h := s.Store.Due.HDR()
	t := mlrsearch.Trial{Offered: load, Seconds: d.Seconds(), Delivered: delivered / d.Seconds(),
		Loss: max(due-delivered, 0) / max(due, 1), P50: float64(h.ValueAtQuantile(50)) / 1e9, P99: float64(h.ValueAtQuantile(99)) / 1e9}
	if s.latency[load] == nil {
		s.latency[load] = new(record.Histogram)
	}
	s.latency[load].Add(&s.Store.Due)
	if t.Loss > 0 { // what it costs a mesh to be asked for more than it can do is no false removal
		s.Roster.Forget(began, s.Clock.Now()+int64(s.Timing.Deadline+s.Timing.Refresh+s.Timing.Reap))
	}
	switch missed := w.ticks - min(w.ticks, after.ticks-before.ticks); {
	case t.Loss == 0:
	case missed > 0:
		t.Cause = fmt.Sprintf("late senders: %s of %s were given up", figure.Grouped(missed), result.Plural(w.ticks, "broadcast"))
	case s.kernelDrops() > drops:
		t.Cause = fmt.Sprintf("full buffers: %s lost at the receivers", result.Plural(s.kernelDrops()-drops, "datagram"))
	case after.sent-before.sent < uint64(due):
		t.Cause = "incomplete views: peers were dropped"
	default:
		t.Cause = "unknown"
	}
	return t, ctx.Err()
}

// standing is how far the measured messages have come.
type standing struct{ ticks, sent, delivered uint64 }

func (s *saturation) standing() standing {
	sent, delivered := s.Store.Messages()
	return standing{s.ticked(), sent, delivered}
}

func (s *Run) kernelDrops() (n uint64) {
	for _, p := range s.Peers {
		if sock := p.Socket(); sock != nil {
			n += sock.Stats().Drops
		}
	}
	return n
}
