package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// saturate: the highest rate of broadcasts that loses nothing, or little.

func saturateScenario(s *stage) error {
	if s.cfg.Peers-s.opt.External < 2 {
		s.bad("nobody to send to: fewer than two peers of ours")
		return cannot("one peer")
	}
	// A trial beyond what the mesh can do may cost peers their membership. With
	// refresh they are back for the next one.
	refresh := s.cfg.Timing.Heartbeat
	return s.with(setup{refresh: &refresh}, func() error {
		if err := s.joinAll(s.ctx, 0); err != nil {
			return err
		}
		search := &saturation{stage: s, latency: make(map[float64]*hdrhistogram.Histogram)}
		found, err := MLRSearch(s.ctx, s.opt.Search, search.trial)
		s.out.Charts.Trials = found.Trials
		s.count("trials", uint64(len(found.Trials)))
		for i, name := range []string{"rate_lossless", "rate_goal"} {
			s.set(name, never("messages/s"))
			if i >= len(found.Goals) {
				continue
			}
			g := found.Goals[i]
			if g.Lower != nil {
				s.value(name, "messages/s", *g.Lower)
			}
			if g.Note != "" && s.ctx.Err() == nil {
				s.note("goal loss ratio %v: %s", g.LossRatio, g.Note)
			}
			if i == 0 && g.Lower != nil && search.latency[*g.Lower] != nil {
				s.set("latency_due", Metric{Unit: "s", Dist: distribution(search.latency[*g.Lower], 0)})
			}
		}
		if s.ctx.Err() != nil {
			return s.ctx.Err()
		}
		return err
	})
}

// saturation tries loads, and keeps the latencies of each.
type saturation struct {
	*stage
	latency map[float64]*hdrhistogram.Histogram
}

// trial has everybody broadcast so often that together they send load
// messages a second, for d, and waits until all of it has been taken in.
func (s *saturation) trial(ctx context.Context, load float64, d time.Duration) (Trial, error) {
	if ctx.Err() != nil {
		return Trial{}, ctx.Err()
	}
	if !s.until(ctx, s.patience(), s.agreed) {
		return Trial{}, fmt.Errorf("the mesh was not whole again %v after a trial", s.patience())
	}
	senders := s.n - s.external
	interval := time.Duration(float64(senders*(senders-1)) / load * 1e9)
	before, drops := s.stand(), s.kernelDrops()
	s.board.due.reset()
	s.board.latency.reset()
	s.board.timer.reset()
	w := s.window(0, d, max(interval, 1))
	s.hush()
	s.settled(2 * time.Second)
	after := s.stand()
	due := float64((w.ticks) * uint64(senders-1))
	delivered := float64(after.delivered - before.delivered)
	h := s.board.due.hdr()
	t := Trial{Offered: load, Seconds: d.Seconds(), Delivered: delivered / d.Seconds(),
		Loss: max(due-delivered, 0) / max(due, 1), P50: float64(h.ValueAtQuantile(50)) / 1e9, P99: float64(h.ValueAtQuantile(99)) / 1e9}
	if s.latency[load] == nil {
		s.latency[load] = h
	} else {
		s.latency[load].Merge(h)
	}
	switch missed := w.ticks - min(w.ticks, after.ticks-before.ticks); {
	case t.Loss == 0:
	case missed > 0:
		t.Cause = fmt.Sprintf("senders: %d of %d broadcasts never sent", missed, w.ticks)
	case s.kernelDrops() > drops:
		t.Cause = fmt.Sprintf("receivers: %d datagrams lost in full socket buffers", s.kernelDrops()-drops)
	case after.sent-before.sent < uint64(due):
		t.Cause = "membership: views were not complete"
	default:
		t.Cause = "unknown"
	}
	return t, ctx.Err()
}

// standing is how far the measured messages have come.
type standing struct{ ticks, sent, delivered uint64 }

func (s *saturation) stand() (t standing) {
	for i := range s.board.seats {
		seat := &s.board.seats[i]
		t.ticks += seat.ticks.Load()
		t.sent += seat.messages.Load()
		t.delivered += seat.delivered.Load()
	}
	return t
}

func (m *mesh) kernelDrops() (n uint64) {
	for _, s := range m.socks {
		if s != nil {
			drops, _ := s.KernelDrops()
			n += drops
		}
	}
	return n
}
