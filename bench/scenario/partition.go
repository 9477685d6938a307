package scenario

import (
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
		{"refresh.back", "s", false, -1, "the same with refresh"},
	},
	Summary: []string{"drop", "back", "refresh.back"},
	Cannot: func(c *result.Config) string {
		if o := &c.Options; o.Server != "" || o.ServerExec != "" || o.External > 0 {
			return "only what our own server and peers send can be cut"
		}
		return needsTwo(c)
	},
	Expect: func(c *result.Config) time.Duration { return 3*crashTime(c) + c.Options.Refresh },
	Run: func(s *Run) error {
		for _, refresh := range []time.Duration{0, s.opt.Refresh} {
			what := mesh.Setup{Refresh: &refresh, Interval: s.cfg.Timing.Heartbeat, Divide: true}
			if err := s.with(what, func() error { return s.partition(refresh) }); err != nil {
				return err
			}
		}
		return nil
	},
	About: func(*result.Options) Clause {
		return say(", half of them cut off from the server and the others, each broadcasting with its keep-alives")
	},
	Headline: func(f *Figures) Phrase {
		return f.reached("refresh.back", "had complete views again %v after a partition, with refresh", "never had complete views again after a partition")
	},
	Facts: func(f *Figures) []Fact {
		return []Fact{
			{"removal", f.when("drop", "after the cut no view in the server's half held the other half")},
			{"cut", f.Counted(f.Counted(nil, "cut", "datagrams lost at the cut", false), "cut_messages", "of them messages", false)},
			{"no refresh", f.when("back", "after the links healed every view was complete")},
			{"refresh", f.when("refresh.back", "after the links healed every view was complete")},
		}
	},
	Lossy: true,
}

// partition divides the mesh once and heals it.
func (s *Run) partition(refresh time.Duration) error {
	if err := s.JoinAll(s.ctx, 0); err != nil {
		return err
	}
	if err := s.sleepRandomly(); err != nil {
		return err
	}
	whole := s.Alive
	var cutOff record.Set
	for _, i := range s.choosePeers(s.N / 2) {
		cutOff.Add(i)
	}
	lost := s.lostAtCut()
	cut := s.Clock.Now()
	s.Store.OpenWindow(cut+1, cut+int64(s.noticeLimit()), s.cfg.Timing.Heartbeat)
	s.Store.Divide(cutOff)
	s.Store.Impairing.Store(true)
	s.each(cutOff, s.Depart)
	dropped := s.WaitUntil(s.ctx, s.noticeLimit(), s.Agreed)
	last, stale := cut, 0
	s.EachView(func(i int, slot *record.Slot) {
		if cutOff.Has(i) {
			if view := slot.View(); !apart(view, whole, cutOff) {
				stale++
			}
			return
		}
		at, ok := slot.When(cut, func(view record.Set) bool { return view == s.Alive })
		last, dropped = max(last, at), dropped && ok
	})
	healed := s.Clock.Now()
	s.Store.Impairing.Store(false)
	s.Store.Unite()
	s.each(cutOff, s.Arrive)
	if refresh == 0 {
		lost.datagrams, lost.messages = s.lostAtCut().datagrams-lost.datagrams, s.lostAtCut().messages-lost.messages
		s.seconds("drop", cut, last, dropped)
		s.count("stale", uint64(stale))
		s.count("cut", lost.datagrams)
		s.count("cut_messages", lost.messages)
	}
	name, limit := "back", s.cfg.Timing.Deadline+2*s.cfg.Timing.Reap
	if refresh > 0 {
		name, limit = "refresh.back", 2*refresh+s.noticeLimit()
	}
	back := s.WaitUntil(s.ctx, limit, s.Agreed)
	last = healed
	s.EachView(func(_ int, slot *record.Slot) {
		at, ok := slot.When(healed, func(view record.Set) bool { return view == whole })
		last, back = max(last, at), back && ok
	})
	s.seconds(name, healed, last, back)
	switch {
	case back || s.ctx.Err() != nil:
	case refresh > 0:
		s.warn("with a refresh of %v the views were not complete %v after the links had healed", refresh, limit)
	default:
		s.note("without refresh: never whole again (looked for %v). The server ignores the keep-alives of those whom it has removed, and nobody tells them", limit)
	}
	return s.ctx.Err()
}

// each calls f for the members of a set.
func (s *Run) each(set record.Set, f func(i int)) {
	for i := range s.N {
		if set.Has(i) {
			f(i)
		}
	}
}

// apart reports that a view has nobody of the whole but those who were cut off.
func apart(view, whole, cutOff record.Set) bool {
	for i := range view {
		if view[i]&whole[i]&^cutOff[i] != 0 {
			return false
		}
	}
	return true
}

// lossCount is what the impairment has lost so far.
type lossCount struct{ datagrams, messages uint64 }

func (s *Run) lostAtCut() (n lossCount) {
	for i := range s.Store.Slots {
		n.datagrams += s.Store.Slots[i].Injected.Load()
		n.messages += s.Store.Slots[i].MeasuredInjected.Load()
	}
	return n
}
