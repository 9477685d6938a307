package bench

import (
	"slices"
	"time"

	"p2plocal/bench/record"
	"p2plocal/bench/stat"
	"p2plocal/core"
)

// change is one of the server's directory: who comes or goes, and when.
type change struct {
	at  int64
	who uint8 // by the board's index
	in  bool
}

// observe notes the server's changes beside what a recorder wants.
func (l *localServer) observe(e core.Event) {
	if e.Kind == core.Born || e.Kind == core.Removed {
		l.changes = append(l.changes, change{l.rec.Clock.At(e.At), l.rec.Index[e.Peer.Port], e.Kind == core.Born})
	}
	l.rec.Observe(e)
}

// removals writes down how often the server has removed a live peer of ours since
// began, and how often it is to because of the impairment's losses. The views of
// others do not tell as well: a directory that is lost hides a removal, and the
// next one shows it as another.
func (s *stage) removals(began int64) {
	now := s.clock.Now()
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
		s.bad("the server removed live peers %d times, independent losses make that %.4g times, in 999 of 1,000 runs %.0f to %.0f: something else removes them, or keeps them", removed, expected.Mean, low, high)
	}
}

// removed counts how often the server removed a peer of ours that lived, and the
// seconds in which it had one as a member, added up.
func (m *mesh) removed(from, to int64) (times int, present float64) {
	var changes []change
	m.ours.sock.Do(func(time.Time) { changes = slices.Clone(m.ours.changes) })
	var since [core.MaxPeers]int64 // 0: it is no member
	add := func(i int, until int64) {
		if since[i] > 0 {
			present += max(0, float64(min(until, to)-max(since[i], from))/1e9)
		}
		since[i] = 0
	}
	for _, c := range changes {
		i := int(c.who)
		switch {
		case c.who >= record.ServerSlot || i < m.external || c.at > to:
		case c.in:
			since[i] = max(1, c.at)
		default:
			add(i, c.at)
			if c.at >= from && m.roster.Lived(i, c.at-int64(m.timing.Deadline), c.at) {
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
func (s *stage) lossToServer() float64 {
	pass := 1 - s.opt.Impair.Loss
	if v := s.cfg.Simulation; v != nil {
		pass *= 1 - v.Network.Loss
	}
	return 1 - pass
}

// expectedRemovals is the theory for the phases that our peers and the server have.
func (m *mesh) expectedRemovals(loss float64, from, to int64) (sum stat.Removals) {
	t := m.timing
	delay := m.impair.Delay + m.impair.Jitter/2
	known := make(map[stat.Member]stat.Removals) // of those who live to the end
	next := func(since int64, every time.Duration) time.Duration {
		if every == 0 {
			return 0
		}
		return (every - time.Duration(from-since)%every).Round(every / 1000)
	}
	for i := m.external; i < m.n; i++ {
		born, end := m.roster.Life(i, from, to)
		if end <= from {
			continue
		}
		alive := next(born, t.Heartbeat)
		member := stat.Member{Heard: alive - t.Heartbeat, Alive: alive + delay, Birth: next(born, t.Refresh) + delay, Look: next(m.ours.started, t.Reap)}
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
func (m *mesh) overhead() (n uint64) {
	for i := range m.board.Slots {
		sent := m.board.Slots[i].ByType()
		n += sent.Total().Datagrams - sent.Vanilla.Datagrams
	}
	return n
}
