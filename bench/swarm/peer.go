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

// peer stands between a peer's machine and the Net and holds what the peer does
// against timers of the checker's own. These run by the peer's clock, which alone
// says when something is due: it may drift and jump.
type peer struct {
	*judge
	self         wire.Entry
	born, living []byte // its birth and its keep-alive
	text, out    []byte // scratch: a broadcast
	life

	// Through all lives:
	started  time.Duration // when it was last resumed or launched
	lost     time.Duration // when a datagram of its to the server was last lost
	underWay int           // those on their way to the server, or waiting there
	sent     delivery      // of the last directory
	absence  absence
}

// life is what begins anew with every launch.
type life struct {
	member
	took   []byte       // the last directory it took
	others []wire.Entry // in that, without itself
	joined bool         // that or one before has named it
	fresh  bool         // it has taken one since it was last looked at
	stale  bool         // when one named it first, the server did not have it any more

	launched, lastSent time.Duration // when it was, and when it last sent the server something, by the Net's clock

	birth, alive, tick timer
	counter            uint16        // of the next tick
	wake               time.Duration // what it last waited for
}

// delivery is what has become of the last directory sent to a peer.
type delivery struct {
	datagram               []byte
	lost, taken, overtaken bool
}

// absence is why the server no longer has a peer, and since when.
type absence struct {
	why Gap // "": nothing that has happened explains it
	at  time.Duration
}

// timer is when something is due by the peer's clock, since Start, and how often.
type timer struct {
	what       string
	due, every time.Duration
}

// turn is taken at now. Several that were missed are worth no more than one:
// that holds for broadcasts, too, since their interval is longer than the
// deadline, beyond which they are given up.
func (t *timer) turn(now time.Duration) {
	if t.every == 0 {
		t.due = never
		return
	}
	t.due += max(0, now-t.due)/t.every*t.every + t.every
}

// launch begins a life, at now by the peer's clock.
func (p *peer) launch(j *judge, m member, self wire.Entry, now time.Time) *peer {
	t, at := &j.timing, now.Sub(simnet.Start)
	p.judge, p.self = j, self
	p.born = wire.Message{Type: core.TypeBirth, Entry: self}.Append(nil)
	p.living = wire.Message{Type: core.TypeKeepAlive, Entry: self}.Append(nil)
	p.life = life{member: m, launched: j.net.Now(), lastSent: -1, wake: at, birth: timer{"birth", at, t.Retry},
		alive: timer{"keep-alive", at + t.Heartbeat, t.Heartbeat}, tick: timer{"broadcast", at + t.Broadcast, t.Broadcast}}
	return p
}

// Step implements core.Machine.
func (p *peer) Step(now time.Time, from netip.AddrPort, datagram []byte) bool {
	poll := p.member.Step(now, from, datagram)
	if len(datagram) < 2 || datagram[0] != byte(core.TypeDirectory) || from != serverAddr {
		return poll
	}
	if !bytes.Equal(datagram, p.took) { // few are anything new
		m, err := wire.Parse(datagram)
		if err != nil || m.Type != core.TypeDirectory {
			return poll
		}
		p.took, p.others = append(p.took[:0], datagram...), without(p.others[:0], m.Entries, p.self.Port)
		if !p.joined && m.Entries.Contains(p.self) {
			p.joined, p.stale = true, !p.listed(p.self)
			p.birth.due, p.birth.every = never, p.timing.Refresh
			if p.birth.every > 0 {
				p.birth.due = now.Sub(simnet.Start) + p.birth.every
			}
		}
	}
	p.fresh = true
	return poll
}

// Poll implements core.Machine.
func (p *peer) Poll(now time.Time) (core.Outgoing, time.Time) {
	at := now.Sub(simnet.Start)
	stopped := at > p.wake+time.Microsecond // or its clock has jumped
	p.wake = max(p.wake, at)
	out, next := p.member.Poll(now)
	look := p.fresh // but not at each of the directories that often come in series
	switch {
	case out.Empty():
		p.idle(at, next)
		look = false
	case bytes.Equal(out.Datagram, p.living):
		p.toServer(out, &p.alive, at)
		look = false
	case bytes.Equal(out.Datagram, p.born):
		p.toServer(out, &p.birth, at)
	default:
		p.broadcast(out, at)
	}
	if stopped || look {
		p.view()
	}
	return out, next
}

// due checks that what a peer sends is due.
func (p *peer) due(t *timer, now time.Duration) {
	switch {
	case t.due == never:
		p.fail("timers", "peer %v sends a %s, and none is due any more", p.self, t.what)
	case now < t.due:
		p.fail("timers", "peer %v sends a %s %v early by its clock", p.self, t.what, t.due-now)
	}
	t.turn(now)
}

func (p *peer) toServer(out core.Outgoing, t *timer, now time.Duration) {
	p.due(t, now)
	p.lastSent = p.net.Now()
	if len(out.To) != 1 || out.To[0] != serverAddr {
		p.fail("timers", "peer %v sends a %s to %v", p.self, t.what, out.To)
	}
}

// broadcast checks a broadcast's number and who gets it: all of the directory
// taken, in its order.
func (p *peer) broadcast(out core.Outgoing, now time.Duration) {
	p.due(&p.tick, now)
	p.text = core.AppendBroadcast(p.text[:0], core.Name(p.self.Name.String()), p.counter, 0)
	p.out = wire.Message{Type: core.TypeVanilla, Payload: p.text}.Append(p.out[:0])
	if !bytes.Equal(out.Datagram, p.out) {
		p.fail("counter", "peer %v sends %.40q, and its next broadcast is %q", p.self, out.Datagram, p.text)
	}
	p.counter++
	if !slices.EqualFunc(out.To, p.others, on) {
		p.fail("view", "peer %v took a directory of %d others and broadcasts to %v", p.self, len(p.others), out.To)
	}
}

// idle checks that nothing is due any more, and that the peer does not mean to
// sleep longer than until something is. A broadcast to nobody is one, too.
func (p *peer) idle(now time.Duration, next time.Time) {
	if p.tick.due <= now && len(p.others) == 0 {
		p.tick.turn(now)
		p.counter++
	}
	p.wake = never
	if !next.IsZero() {
		p.wake = next.Sub(simnet.Start)
	}
	for _, t := range [...]*timer{&p.birth, &p.alive, &p.tick} {
		switch {
		case t.due <= now:
			p.fail("timers", "peer %v sends no %s, due %v ago by its clock", p.self, t.what, now-t.due)
		case t.due < p.wake:
			p.fail("timers", "peer %v sleeps longer than until its next %s, due in %v by its clock", p.self, t.what, t.due-now)
		}
	}
}

// view checks that a peer knows the last directory it took, and its counters.
func (p *peer) view() {
	p.fresh = false
	if others := p.Others(); !same(others, p.others) {
		p.fail("view", "peer %v took a directory of %d others and knows %d", p.self, len(p.others), len(others))
	}
	if p.Joined() != p.joined {
		p.fail("view", "peer %v has been named by a directory: %t, and believes %t", p.self, p.joined, p.Joined())
	}
	p.account(p.self.Port, p.Counters())
}

// notice notes what the network does to a datagram of the peer's to the server.
func (p *peer) notice(e *simnet.Event) {
	switch e.What {
	case simnet.Sent, simnet.Duplicated:
		p.underWay++
	case simnet.Lost, simnet.Cut, simnet.Overflowed, simnet.Unreachable:
		p.lost = e.At
		p.underWay--
	case simnet.Taken:
		p.underWay--
	}
}

// notice notes what the network does to a directory for the peer.
func (d *delivery) notice(e *simnet.Event) {
	switch same := bytes.Equal(d.datagram, e.Datagram); e.What {
	case simnet.Sent:
		*d = delivery{datagram: append(d.datagram[:0], e.Datagram...)} // of those with the same content, too
	case simnet.Taken:
		d.taken, d.overtaken = d.taken || same, d.taken && !same
	case simnet.Lost, simnet.Cut, simnet.Overflowed, simnet.Unreachable:
		d.lost = d.lost || same
	}
}

// silence explains why the server has not heard a peer since a time. What it sent
// must have been lost or be on its way; or it can have sent nothing: the timers
// ensure that a peer that runs does.
func (p *peer) silence(heard time.Duration) Gap {
	x := p.net.Node(p.self.Port)
	switch {
	case !x.Running() || x.Paused() || p.started >= heard,
		p.lastSent <= heard && x.Time().Sub(simnet.Start) < p.alive.due:
		return GapStopped
	case p.lastSent > heard && (p.lost > heard || p.underWay > 0):
		return GapUnheard
	}
	return ""
}

// gap explains why the peer's view is not the server's in the end, or why it is
// not in there, though it has been a member. If it never was one in its present
// life, it believes a directory from before.
func (p *peer) gap(in bool) Gap {
	switch d := &p.sent; {
	case in && d.overtaken, !in && p.absence.at < p.launched && p.stale:
		return GapOvertaken
	case in && d.lost && !d.taken:
		return GapLost
	case in, p.absence.at < p.launched:
		return ""
	}
	return p.absence.why
}
