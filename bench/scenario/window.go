package scenario

import (
	"context"
	"iter"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/fuzz/figure"
)

// stopBroadcasts ends all broadcasting.
func (s *Run) stopBroadcasts() {
	for i, p := range s.Peers {
		if s.Alive.Has(i) {
			p.Do(mesh.Command{Do: mesh.Broadcast, Broadcasts: &mesh.Broadcasts{Size: s.opt.Payload}})
		}
	}
}

// startDelay is the time between the order to broadcast and the first due time.
const startDelay = 100 * time.Millisecond

// measureWindow has everybody broadcast through a measured window and records how that went.
func (s *Run) measureWindow(warmup, duration, interval time.Duration) {
	s.finishWindow(s.window(warmup, duration, interval, true))
}

// finishWindow ends the broadcasting and records what became of the window.
func (s *Run) finishWindow(w window) {
	s.meterOff()
	s.stopBroadcasts()
	s.WaitUntil(s.ctx, 10*time.Second+2*(s.Impair.Delay+s.Impair.Jitter), func() bool {
		return s.Store.Sum(func(slot *record.Slot) *atomic.Uint64 { return &slot.MeasuredHeld }) == 0
	})
	s.Drain(10 * time.Second)
	s.messages(w)
	s.chartLatency()
}

// window is a measured stretch of broadcasting.
type window struct {
	from, to int64
	interval time.Duration
	ticks    uint64 // that the schedule has in it
}

// window has everybody broadcast through one. Broadcasts that are owed are sent however late a
// standstill makes them; others are given up after the deadline.
func (s *Run) window(warmup, duration, interval time.Duration, owed bool) window {
	start := s.Clock.Now() + int64(startDelay)
	ticked := s.ticked()
	w := window{from: start + int64(warmup), to: start + int64(warmup+duration), interval: interval}
	s.Control(func(b *record.Store) { b.OpenWindow(w.from, w.to, interval) })
	s.SpreadBroadcasts(start, interval)
	for i, p := range s.Peers {
		if s.Alive.Has(i) {
			p.Do(mesh.Command{Do: mesh.Broadcast, Broadcasts: &mesh.Broadcasts{First: s.Schedule[i], End: w.to, Interval: interval, Size: s.opt.Payload, Owed: owed}})
		}
	}
	if s.Sleep(s.ctx, time.Duration(w.from-s.Clock.Now())) {
		s.meterOn()
		s.Sleep(s.ctx, time.Duration(w.to-s.Clock.Now()))
	}
	if s.ctx.Err() != nil {
		w.to = max(min(w.to, s.Clock.Now()+1), w.from) // with what was due at this instant
		s.Control(func(b *record.Store) { b.To.Store(w.to) })
	}
	for i := s.External; i < s.N; i++ {
		w.ticks += ticksWithin(s.Schedule[i], int64(interval), w.from, w.to)
	}
	// Late ones may still come, until they are given up.
	ctx := context.WithoutCancel(s.ctx)
	limit := min(s.cfg.Timing.Deadline+100*time.Millisecond, 2*time.Second)
	if owed {
		limit = 10 * time.Second
	}
	s.WaitUntil(ctx, limit, func() bool { return s.ticked()-ticked >= w.ticks })
	return w
}

// ticksWithin counts first, first+interval, … within [from, to).
func ticksWithin(first, interval, from, to int64) uint64 {
	count := func(t int64) int64 { return max(t-first+interval-1, 0) / interval } // those before t
	return uint64(count(to) - count(from))
}

// ticked is how many broadcasts of the window have been sent.
func (s *Run) ticked() uint64 {
	return s.Store.Sum(func(slot *record.Slot) *atomic.Uint64 { return &slot.Ticks })
}

// messages records what became of the window's messages.
func (s *Run) messages(w window) {
	var duplicated, reordered, late, theirs, theirsLost uint64
	heard, unheard := make([]int, s.External), make([]int, s.External) // by how many of ours
	var jitter []float64
	sent, delivered := s.Store.Messages()
	for _, slot := range s.Store.Used() {
		duplicated, reordered, late = duplicated+slot.Repeats, reordered+slot.Reordered, late+slot.Late.Load()
	}
	for i, j := range s.pairs() {
		switch p := s.Store.Pair(i, j); {
		case i >= s.External && p.Delivered > 1:
			jitter = append(jitter, correctedJitter(p.Jitter, p.Delivered)/1e9)
		case i < s.External && p.Order.Started:
			heard[i]++
			theirs += uint64(p.Delivered)
			theirsLost += uint64(p.Order.High-p.First) + 1 - min(uint64(p.Delivered), uint64(p.Order.High-p.First)+1)
		case i < s.External && j >= s.External:
			unheard[i]++
		}
	}
	ticked := s.ticked()
	if s.N < 2 {
		ticked = w.ticks // to nobody
	}
	s.count("due", w.ticks*uint64(max(s.N-s.External-1, 0)))
	s.fates(sent, delivered, sent-min(sent, delivered))
	s.distribution("latency", &s.Store.Latency)
	s.distribution("latency_due", &s.Store.Due)
	s.count("duplicated", duplicated)
	s.count("reordered", reordered)
	s.count("late", late)
	s.count("missed", w.ticks-min(w.ticks, ticked))
	s.value("rate", "messages/s", float64(delivered)/(float64(w.to-w.from)/1e9))
	s.distribution("timer_error", &s.Store.Timer)
	s.set("jitter", result.Samples("s", jitter))
	if w.ticks > ticked {
		s.warn("due but never sent: %s", result.Plural(w.ticks-ticked, "broadcast"))
	}
	if n := s.Store.Sum(func(slot *record.Slot) *atomic.Uint64 { return &slot.Strangers }); n > 0 {
		s.note("among the lost: %s that arrived where the directory view did not have their sender: the protocol refuses a stranger's", result.Plural(n, "message"))
	}
	if s.External > 0 {
		s.note("external peers: %s of their messages arrived here, %s are missing by their counters", figure.Grouped(theirs), figure.Grouped(theirsLost))
		s.partlyHeard(heard, unheard)
	}
}

// partlyHeard names external peers that some of ours have heard and others have not.
func (s *Run) partlyHeard(heard, unheard []int) {
	var partial []string
	ways := 0
	for i, n := range unheard {
		if n > 0 && heard[i] > 0 {
			partial, ways = append(partial, record.QuoteName(i)), ways+n
		}
	}
	if ways > 0 {
		s.warn("external peers that sent messages to some of ours and none to others: %s (to %s in all): who is not in a peer's view is a stranger to it",
			strings.Join(partial, " "), result.Plural(uint64(ways), "peer"))
	}
}

// fates records what became of messages, also while the window is still open.
func (s *Run) fates(sent, delivered, lost uint64) {
	s.count("sent", sent)
	s.count("delivered", delivered)
	s.count("lost", lost)
	s.value("loss", "ratio", float64(lost)/float64(sent)) // none sent: null
}

// pairs are all senders and receivers, where what happened between them was counted.
func (s *Run) pairs() iter.Seq2[int, int] {
	return func(yield func(int, int) bool) {
		for k := range s.N * s.N {
			if s.N <= record.PairedPeers && !yield(k/s.N, k%s.N) {
				return
			}
		}
	}
}

// correctedJitter corrects RFC 3550's estimate for its start at 0, of which a part (15/16)^(n-1) is
// left after n messages: otherwise a few messages would show next to no jitter.
func correctedJitter(estimate float64, n uint32) float64 {
	return estimate / (1 - math.Pow(15.0/16, float64(n-1)))
}

func steadyTime(c *result.Config) time.Duration {
	return c.Options.Warmup + c.Options.Duration + startDelay + 200*time.Millisecond
}
