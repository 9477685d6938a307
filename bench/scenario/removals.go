package scenario

import (
	"slices"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/record"
	"p2plocal/bench/stat"
	"p2plocal/core"
)

// removals writes down how often the server has removed a live peer of ours since
// began, and how often it is to because of the impairment's losses. The views of
// others do not tell as well: a directory that is lost hides a removal, and the
// next one shows it as another.
func (s *Run) removals(began int64) {
	now := s.Clock.Now()
	removed, present := s.removed(began, now)
	expected := s.expectedRemovals(s.lossToServer(), began, now)
	low, high := expected.Interval()
	s.count("removed", uint64(removed))
	s.value("removed_expected", "1", expected.Mean)
	s.value("removed_low", "1", low)
	s.value("removed_high", "1", high)
	s.value("removal_rate", "1/h", float64(removed)/present*3600)
	s.value("removal_rate_expected", "1/h", expected.Mean/expected.Present*3600)
	if n := float64(removed); n < low || n > high {
		s.warn("the server removed live peers %d times, independent losses make that %.4g times, in 999 of 1,000 runs %.0f to %.0f: something else removes them, or keeps them", removed, expected.Mean, low, high)
	}
}

// removed counts how often the server removed a peer of ours that lived, and the
// seconds in which it had one as a member, added up.
func (s *Run) removed(from, to int64) (times int, present float64) {
	var changes []mesh.Change
	s.Ours.Sock.Do(func(time.Time) { changes = slices.Clone(s.Ours.Changes) })
	var since [core.MaxPeers]int64 // 0: it is no member
	add := func(i int, until int64) {
		if since[i] > 0 {
			present += max(0, float64(min(until, to)-max(since[i], from))/1e9)
		}
		since[i] = 0
	}
	for _, c := range changes {
		i := int(c.Who)
		switch {
		case c.Who >= record.ServerSlot || i < s.External || c.At > to:
		case c.In:
			since[i] = max(1, c.At)
		default:
			add(i, c.At)
			if c.At >= from && s.Roster.Lived(i, c.At-int64(s.Timing.Deadline), c.At) {
				times++
			}
		}
	}
	for i := range since {
		add(i, to)
	}
	return times, present
}

// lossToServer is the part of what our peers send that does not reach the server.
func (s *Run) lossToServer() float64 {
	pass := 1 - s.opt.Impair.Loss
	if v := s.cfg.Simulation; v != nil {
		pass *= 1 - v.Network.Loss
	}
	return 1 - pass
}

// expectedRemovals is the theory for the phases that our peers and the server have.
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
	for i := range s.Store.Slots {
		sent := s.Store.Slots[i].ByType()
		n += sent.Total().Datagrams - sent.Vanilla.Datagrams
	}
	return n
}
