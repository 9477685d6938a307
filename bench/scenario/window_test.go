package scenario

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
)

// A tick is due in a window that it opens, and not in one that it ends: with
// -in-step all of them fall on its bounds.
func TestTicksWithin(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		first, interval, from, to int64
		want                      uint64
	}{
		{0, 10, 0, 30, 3},  // 0, 10, 20
		{0, 10, 10, 30, 2}, // 10, 20
		{0, 10, 10, 31, 3}, // and 30
		{0, 10, 11, 30, 1},
		{0, 10, 9, 30, 2},
		{0, 10, 10, 10, 0},
		{5, 10, 0, 30, 3}, // 5, 15, 25
		{5, 10, 5, 25, 2},
		{5, 10, 0, 5, 0},
		{5, 10, 0, 6, 1},
		{50, 10, 0, 30, 0},
		{-25, 10, 0, 30, 3}, // it has begun before: 5, 15, 25
	} {
		if got := ticksWithin(test.first, test.interval, test.from, test.to); got != test.want {
			t.Errorf("%+v: %d", test, got)
		}
	}
}

// inMesh runs something on a mesh all of whose peers have joined.
func inMesh(t *testing.T, cfg result.Config, run func(s *Run)) *Run {
	t.Helper()
	s := newRun(t.Context(), &cfg, cfg.Seed, Find("steady"), new(Status), Progress{})
	if err := s.withJoined(mesh.Setup{}, func() error { run(s); return nil }); err != nil {
		t.Fatal(err)
	}
	return s
}

// A window begins after the warm-up, and waits for what is late: as long as that may still be
// sent.
func TestWindowTimes(t *testing.T) {
	t.Parallel()
	const warmup, duration, interval = 3 * time.Second, 2 * time.Second, 500 * time.Millisecond
	for _, x := range []struct {
		deadline time.Duration
		owed     bool
		limit    time.Duration
	}{
		{1500 * time.Millisecond, false, 1600 * time.Millisecond},
		{5 * time.Second, false, 2 * time.Second},
		{1500 * time.Millisecond, true, 10 * time.Second},
	} {
		for _, late := range []bool{false, true} {
			cfg := simulated(4, "steady")
			cfg.Timing.Deadline = x.deadline
			inMesh(t, cfg, func(s *Run) {
				s.window(0, duration, interval, false) // one before it changes nothing
				if late {
					s.Peers[2].Do(mesh.Command{Do: mesh.Pause})
				}
				began := s.Clock.Now()
				w := s.window(warmup, duration, interval, x.owed)
				if from := time.Duration(w.from - began); from != startDelay+warmup || w.to-w.from != int64(duration) || w.ticks != 4*uint64(duration/interval) {
					t.Errorf("the window is from %v for %v, with %d ticks", from, time.Duration(w.to-w.from), w.ticks)
				}
				waited := time.Duration(s.Clock.Now() - w.to)
				if !late && waited != 0 || late && (waited < x.limit || waited > x.limit+50*time.Millisecond) {
					t.Errorf("deadline %v, owed %v, one peer late %v: it has waited for %v, want %v", x.deadline, x.owed, late, waited, x.limit)
				}
				s.Peers[2].Do(mesh.Command{Do: mesh.Resume})
			})
		}
	}
}

// When broadcasts are stopped, nobody sends any more.
func TestWindowStops(t *testing.T) {
	t.Parallel()
	inMesh(t, simulated(4, "steady"), func(s *Run) {
		s.Store.OpenWindow(0, 1<<62, time.Second)
		for _, p := range s.Peers {
			p.Do(mesh.Command{Do: mesh.Broadcast, Broadcasts: &mesh.Broadcasts{First: s.Clock.Now(), Interval: 100 * time.Millisecond}})
		}
		s.Sleep(s.ctx, time.Second)
		s.stopBroadcasts()
		before := s.ticked()
		s.Sleep(s.ctx, time.Second)
		if after := s.ticked(); before == 0 || after != before {
			t.Errorf("%d broadcasts before, %d after", before, after-before)
		}
	})
}

// CPU time is metered within the window, and not while the mesh comes together or warms up.
func TestWindowIsMetered(t *testing.T) {
	t.Parallel()
	cfg := quick(3, "steady")
	inMesh(t, cfg, func(s *Run) {
		const warmup, duration = time.Second, 200 * time.Millisecond
		s.measureWindow(warmup, duration, cfg.Options.Interval)
		if most := time.Duration(s.Clock.Now() - s.Store.From.Load()); !s.usage.on.at.IsZero() || s.usage.over <= 0 || s.usage.over > most { // on a busy machine it begins late
			t.Errorf("metered for %v, and still so: %v; want more than nothing, and at most %v", s.usage.over, !s.usage.on.at.IsZero(), most)
		}
	})
}

// Who is alone misses nothing: there is nobody to send to.
func TestWindowOfOne(t *testing.T) {
	t.Parallel()
	r := execute(t, simulated(1, "steady"))
	if due, missed := flat(t, r, "steady.due"), flat(t, r, "steady.missed"); due != 0 || missed != 0 || len(r.Runs[0].Scenarios[0].Notes) != 0 {
		t.Errorf("%v due, %v missed, notes %v", due, missed, r.Runs[0].Scenarios[0].Notes)
	}
}

// A broadcast that was due and not sent is missed, and said, also of two; what is expected
// of its time is what it takes.
func TestWindowOfAPairThatMisses(t *testing.T) {
	t.Parallel()
	cfg := simulated(2, "steady")
	s := inMesh(t, cfg, func(s *Run) {
		s.measureWindow(0, 2*time.Second, time.Second)
		s.out.Notes = nil
		s.messages(window{from: 0, to: 1e9, ticks: s.ticked() + 3})
	})
	if n := s.out.Notes; len(n) != 1 || n[0].Text != "due but never sent: 3 broadcasts" || !n[0].Bad || *s.out.Metrics["steady.missed"].Value != 3 {
		t.Errorf("notes %v, want 3 broadcasts", n)
	}
	whole := execute(t, cfg)
	if took, expected := whole.Runs[0].Scenarios[0].Seconds, steadyTime(&cfg).Seconds(); math.Abs(took-expected) > 0.2 {
		t.Errorf("%v s, expected were %v", took, expected)
	}
}

// What external peers send is told apart: what of it has come, and what their counters lack.
func TestWindowOfExternalPeers(t *testing.T) {
	t.Parallel()
	cfg := simulated(3, "steady")
	ticks := uint64(0)
	var twice string
	s := inMesh(t, cfg, func(s *Run) {
		s.measureWindow(0, 10*time.Second, time.Second)
		ticks = s.ticked()
		s.External = 1
		defer func() { s.External = 0 }()
		p := s.Store.Pair(0, 1)
		p.First, p.Order.High, p.Order.Started, p.Delivered = 5, 9, true, 9 // all of them, and some twice
		s.messages(window{from: 0, to: 1e9, ticks: ticks})
		twice = s.out.Notes[0].Text
		for j, x := range []struct {
			first, high uint16
			delivered   uint32
		}{{}, {5, 9, 3}, {65534, 1, 4}} {
			p := s.Store.Pair(0, j)
			p.First, p.Order.High, p.Order.Started, p.Delivered = x.first, x.high, j > 0, x.delivered
		}
		for j := range 3 {
			s.Store.Pair(1, j).Delivered = uint32(j) // of which one is none, and one alone has no jitter
		}
		s.out.Notes = nil
		s.Store.Pair(0, 2).Delivered += 1000
		s.messages(window{from: 0, to: 1e9, ticks: ticks})
		s.Store.Pair(0, 2).Order.Started = false
		s.messages(window{from: 0, to: 1e9, ticks: ticks})
		s.Store.Pair(0, 2).Order.Started, s.Store.Pair(0, 1).Order.Started = true, false
		s.messages(window{from: 0, to: 1e9, ticks: ticks})
	})
	stranger := "external peers that sent messages to some of ours and none to others: A (to 1 peer in all): who is not in a peer's view is a stranger to it"
	if n := s.out.Notes; len(n) != 5 || n[2].Text != stranger || !n[2].Bad || n[4].Text != stranger {
		t.Errorf("notes %v, want at last %s", n, stranger)
	}
	want := "external peers: 1,007 of their messages arrived here, 2 are missing by their counters"
	if n := s.out.Notes; len(n) == 0 || n[0].Text != want {
		t.Errorf("notes %v, want %s", n, want)
	}
	if want := "external peers: 19 of their messages arrived here, 0 are missing by their counters"; twice != want {
		t.Errorf("note %s, want %s", twice, want)
	}
	if due := *s.out.Metrics["steady.due"].Value; due != float64(ticks) || ticks == 0 { // by each of two to the other
		t.Errorf("%v due, want %v", due, ticks)
	}
	if n := s.out.Metrics["steady.jitter"].Dist.N; n != 3 { // from 1 to 2, from 2 to 0 and 1
		t.Errorf("%d pairs have a jitter", n)
	}
}

// Named is who was heard by some and not by others: neither who was heard by all nor who was heard by nobody.
func TestWindowNamesThePartlyHeard(t *testing.T) {
	t.Parallel()
	s := inMesh(t, simulated(5, "steady"), func(s *Run) {
		s.partlyHeard([]int{2, 0, 0}, []int{0, 2, 0})
		s.partlyHeard([]int{1, 2, 0}, []int{1, 0, 2})
	})
	want := "external peers that sent messages to some of ours and none to others: A (to 1 peer in all): who is not in a peer's view is a stranger to it"
	if n := s.out.Notes; len(n) != 1 || n[0].Text != want {
		t.Errorf("notes %v, want %s", n, want)
	}
}

// Messages that receivers did not want are told among the lost, and only where there are some.
func TestWindowTellsOfStrangers(t *testing.T) {
	t.Parallel()
	s := inMesh(t, simulated(3, "steady"), func(s *Run) {
		s.measureWindow(0, 2*time.Second, time.Second)
		s.Store.Slots[1].Strangers.Store(1)
		s.messages(window{from: 0, to: 1e9, ticks: s.ticked()})
	})
	if n := s.out.Notes; len(n) != 1 || !strings.HasPrefix(n[0].Text, "among the lost: 1 message that arrived where the directory view did not have their sender") {
		t.Errorf("notes %v, want one of a stranger's message", n)
	}
}

// A window that is interrupted ends then, also for those who still record.
func TestWindowInterrupted(t *testing.T) {
	t.Parallel()
	inMesh(t, simulated(3, "steady"), func(s *Run) {
		ctx, cancel := context.WithCancel(s.ctx)
		cancel()
		before := s.ctx
		s.ctx = ctx
		w := s.window(time.Second, 2*time.Second, time.Second, true)
		s.ctx = before
		if recorded := s.Store.To.Load(); w.to != w.from || w.ticks != 0 || recorded != w.to {
			t.Errorf("it lasts %v, with %d ticks, and is recorded for %v, want nothing of it", time.Duration(w.to-w.from), w.ticks, time.Duration(recorded-w.from))
		}
	})
}

// What is owed at a window's end, because its sender stood still, is waited for.
func TestWindowWaitsForTheOwed(t *testing.T) {
	t.Parallel()
	cfg := simulated(4, "steady")
	cfg.Options.Warmup, cfg.Options.Duration = 0, 5*time.Second
	cfg.Simulation.Faults = []string{"2s-12s pause 3003"}
	r := execute(t, cfg)
	if missed, latest := flat(t, r, "steady.missed"), flat(t, r, "steady.latency_due.max"); missed != 0 || latest < 6 {
		t.Errorf("%v missed, the latest after %v s", missed, latest)
	}
}

// What comes twice, overtaken or late is told as the network's own log has it.
func TestWindowOfAPoorNetwork(t *testing.T) {
	t.Parallel()
	cfg := simulated(5, "steady")
	const interval = 100 * time.Millisecond
	cfg.Options.Warmup, cfg.Options.Interval, cfg.Options.Duration = 0, interval, 20*time.Second
	cfg.Simulation.Faults = []string{"1s-1h link * * jitter=150ms duplicate=0.1"} // when all have joined
	cfg.Timing.Refresh = time.Second
	var log bytes.Buffer
	cfg.Simulation.Trace = &log
	r := execute(t, cfg)
	var want struct{ duplicated, reordered, late int }
	sent, taken, high := map[string]time.Duration{}, map[string]bool{}, map[string]int{}
	for line := range strings.Lines(log.String()) {
		word := strings.Fields(line)
		if len(word) < 5 || word[3] != "vanilla" {
			continue
		}
		at, _ := time.ParseDuration(word[0] + "s")
		var n int
		if _, counter, ok := strings.Cut(word[4], "_broadcast_"); !ok {
			t.Fatal(line)
		} else if _, err := fmt.Sscanf(counter, "%x", &n); err != nil {
			t.Fatal(err)
		}
		way, key := word[2], word[2]+word[4]
		switch word[1] {
		case "sent":
			sent[word[4]] = at
		case "taken":
			switch {
			case taken[key]:
				want.duplicated++
				continue
			case n < high[way]:
				want.reordered++
			}
			taken[key], high[way] = true, max(high[way], n)
			if at-sent[word[4]] > interval {
				want.late++
			}
		}
	}
	for metric, n := range map[string]int{"steady.duplicated": want.duplicated, "steady.reordered": want.reordered, "steady.late": want.late} {
		if got := flat(t, r, metric); n == 0 || got != float64(n) {
			t.Errorf("%s is %v, want %d", metric, got, n)
		}
	}
}

// A steady scenario takes as long as it says.
func TestWindowTakesItsTime(t *testing.T) {
	t.Parallel()
	cfg := simulated(3, "steady")
	cfg.Options.Warmup, cfg.Options.Duration = 3*time.Second, 7*time.Second
	if said, took := Find("steady").Expect(&cfg).Seconds(), execute(t, cfg).Runs[0].Scenarios[0].Seconds; took < 10 || said < took-0.5 || said > took+0.5 {
		t.Errorf("%v s, of %v that were expected", took, said)
	}
}
