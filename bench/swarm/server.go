package swarm

import (
	"bytes"
	"net/netip"
	"slices"
	"time"

	"p2plocal/core"
	"p2plocal/core/simnet"
	"p2plocal/core/wire"
)

// ledger stands between the server's machine and the Net. It sees what the machine
// takes and sends, keeps a list of its own of who must be a member, and compares.
// It does so when one of the two has changed, and when somebody's removal is
// due: what has not changed is not looked at again.
type ledger struct {
	server
	*judge
	gone func(x wire.Entry, heard time.Duration, why Gap) // hears of removals; "": for silence

	members [256]presence // by name
	size    int           // how many have one
	entries wire.Entries  // scratch: the directory
	named   []wire.Entry  // scratch: those in a datagram
	changed bool          // the list, or what has been announced, since the last comparison
	overdue time.Duration // when the first of the members must have been removed unless it is heard
	asking  int           // how many of the members have been born again and not answered yet

	resumed   time.Duration // when the server was last let go on
	losing    bool          // its queue has overflowed since it last ran
	lost      time.Duration // when it last learnt of that
	look      time.Duration // when it must next look for the silent
	stood     time.Duration // when it last did so a third of a deadline too late, or later
	announced []byte        // the last directory sent to all members
	owed      bool
	since     time.Duration
	excess    float64 // announcements sent in excess of the pace
	excessAt  time.Duration
}

// presence is what the server must know of a member.
type presence struct {
	entry       wire.Entry // without a port: nobody has the name
	heard, born time.Duration
	source      uint16        // of the birth
	proven      bool          // a keep-alive came from there or from its own port
	asked       time.Duration // when it was born again, if that has not been answered yet
}

// launch begins a life of the server, with nobody in it.
func (l *ledger) launch(m server) *ledger {
	for i := range l.members {
		if p := &l.members[i]; p.entry.Port != 0 {
			l.remove(p, GapRestarted)
		}
	}
	l.server, l.announced, l.owed, l.excess = m, nil, false, 0
	l.losing, l.lost, l.stood, l.look = false, 0, 0, l.net.Now()+l.timing.Reap
	return l
}

// has reports that the server must know e.
func (l *ledger) has(e wire.Entry) bool { return e.Port != 0 && l.members[e.Name].entry == e }

// remove takes a member out, and tells why.
func (l *ledger) remove(p *presence, why Gap) {
	l.gone(p.entry, p.heard, why)
	l.answered(p)
	*p = presence{}
	l.size--
	l.changed = true
}

// Step implements core.Machine.
func (l *ledger) Step(now time.Time, from netip.AddrPort, datagram []byte) bool {
	poll := l.server.Step(now, from, datagram)
	m, err := wire.Parse(datagram)
	switch p := &l.members[m.Entry.Name]; {
	case err != nil:
	case m.Type == core.TypeKeepAlive:
		if p.entry.Port != 0 {
			p.heard, p.proven = l.net.Now(), p.proven || from.Port() == p.source || from.Port() == p.entry.Port
		}
	case m.Type != core.TypeBirth || m.Entry.Port == simnet.ServerPort:
	case p.entry == m.Entry:
		p.heard = l.net.Now()
		if p.asked == 0 {
			p.asked = p.heard
			l.asking++
		}
	default:
		l.birth(m.Entry, from.Port())
	}
	return poll
}

func (l *ledger) birth(x wire.Entry, from uint16) {
	now := l.net.Now()
	var rivals []*presence
	for i := range l.members {
		p := &l.members[i]
		if y := p.entry; y.Port == 0 || y.Name != x.Name && y.Port != x.Port {
			continue
		}
		home := from == x.Port && p.source != p.entry.Port // it comes from the port that it names, as the rival did not
		if p.proven || now <= l.expires(p.born, l.timing.Deadline*2/3) && !home {
			return
		}
		rivals = append(rivals, p)
	}
	for _, p := range rivals {
		l.remove(p, GapDisplaced)
	}
	l.members[x.Name] = presence{entry: x, heard: now, born: now, source: from}
	l.size++
	l.changed = true
}

// Poll implements core.Machine.
func (l *ledger) Poll(now time.Time) (core.Outgoing, time.Time) {
	if late := l.net.Now() - l.look; late >= 0 {
		if late >= l.timing.Deadline/3 {
			l.stood = l.net.Now()
		}
		l.look += (late/l.timing.Reap + 1) * l.timing.Reap
	}
	out, next := l.server.Poll(now)
	if out.Empty() {
		l.check()
	} else {
		l.sent(out)
	}
	return out, next
}

func (l *ledger) sent(out core.Outgoing) {
	m, err := wire.Parse(out.Datagram)
	if err != nil || m.Type != core.TypeDirectory {
		l.fail("directory", "the server sent %q: %v", out.Datagram, err)
		return
	}
	l.named = without(l.named[:0], m.Entries, 0)
	if slices.EqualFunc(out.To, l.named, on) && !bytes.Equal(l.announced, m.Entries) {
		l.announced, l.changed = append(l.announced[:0], m.Entries...), true
	}
	for _, e := range l.named {
		if l.asking > 0 && l.has(e) && slices.ContainsFunc(out.To, func(a netip.AddrPort) bool { return on(a, e) }) {
			l.answered(&l.members[e.Name])
		}
	}
	now := l.net.Now()
	l.excess = max(0, l.excess-(now-l.excessAt).Seconds()*core.Rate) + float64(len(out.To))
	l.excessAt = now
	if l.excess > core.Burst+core.MaxPeers { // answers are charged, but do not wait
		l.fail("bounded", "%.0f directories beyond %d a second", l.excess, core.Rate)
	}
}

func (l *ledger) answered(p *presence) {
	if p.asked > 0 {
		p.asked = 0
		l.asking--
	}
}

// longestHeld is how long pacing may make an announcement to all wait for itself and for
// a round of answers.
const longestHeld = 2 * core.MaxPeers * time.Second / core.Rate

// check looks at what holds whenever the server has done everything at an instant.
func (l *ledger) check() {
	now := l.net.Now()
	if l.losing {
		l.losing, l.lost = false, now
	}
	if late := now - l.since; l.owed && late > longestHeld {
		l.fail("announce", "a change has been waiting for %v", late)
	}
	for i := 0; l.asking > 0 && i < len(l.members); i++ {
		p := &l.members[i]
		if late := now - max(p.asked, l.resumed); p.asked > 0 && late > core.AnswerGap {
			l.fail("answer", "%v was born again %v ago, and has not been answered", p.entry, late)
		}
	}
	// A removal shows in the length at once, though pacing may hold its news.
	if l.changed || now > l.overdue || l.Len() != l.size {
		l.compare(now)
	}
}

// compare holds the directory against the list and the last announcement.
func (l *ledger) compare(now time.Duration) {
	l.changed, l.overdue = false, never
	l.account(simnet.ServerPort, l.Counters())
	l.entries = wire.EntriesOf(l.entries[:0], l.Members())
	for i := range l.entries.Len() {
		e := l.entries.At(i)
		if !l.has(e) {
			l.fail("membership", "%v is a member, and must not be", e)
			continue
		}
		heard := l.members[e.Name].heard
		due := l.due(heard)
		if now > due {
			l.fail("late-removal", "%v has been silent for %v", e, now-heard)
		}
		l.overdue = min(l.overdue, due)
	}
	if l.entries.Len() != l.size {
		l.removed(now)
	}
	if bytes.Equal(l.announced, l.entries) || l.entries.Len() == 0 {
		l.owed = false
	} else if !l.owed {
		l.owed, l.since = true, now
	}
}

// expires is when a silence since a time has lasted for a deadline. What the
// server has lost may have broken it, for core.Patience deadlines at most, and what was not
// sent while the server itself stood still.
func (l *ledger) expires(since, deadline time.Duration) time.Duration {
	expires := min(max(since, l.lost)+deadline, since+core.Patience*deadline)
	if l.stood > since {
		expires = max(expires, l.stood+deadline)
	}
	return expires
}

// due is when somebody heard last at a time must have been removed.
func (l *ledger) due(heard time.Duration) time.Duration {
	return max(l.expires(heard, l.timing.Deadline), l.resumed) + l.timing.Reap
}

// removed strikes those out who are no longer in the directory.
func (l *ledger) removed(now time.Duration) {
	for i := range l.members {
		p := &l.members[i]
		e, heard := p.entry, p.heard
		if e.Port == 0 || l.entries.Contains(e) {
			continue
		}
		if silent := now - heard; now <= l.expires(heard, l.timing.Deadline) {
			l.fail("early-removal", "%v was removed, heard %v ago", e, silent)
		} else if due := l.due(heard); now > due {
			l.fail("late-removal", "%v was removed %v too late, heard %v ago", e, now-due, silent)
		}
		l.remove(p, "")
	}
	l.changed = false
}

// shutOut reports that another entry has the name or the port of e, for good.
// One that is not proven stays only where e is not born again.
func (l *ledger) shutOut(e wire.Entry, reborn bool) bool {
	for _, p := range l.members {
		if x := p.entry; x.Port != 0 && x != e && (x.Name == e.Name || x.Port == e.Port) && (p.proven || !reborn) {
			return true
		}
	}
	return false
}
