package swarm

import (
	"bytes"
	"math"
	"net/netip"
	"time"

	"p2plocal/core"
	"p2plocal/core/simnet"
	"p2plocal/core/wire"
)

// member is what the checker reads of a peer's machine.
type member interface {
	core.Machine
	Others() []core.Member
	Joined() bool
	Counters() core.Counters
}

// watched stands between a peer and the Net and holds what the peer does against
// timers of the checker's own. These run by the peer's clock, which alone says
// when something is due: it may drift and jump.
type watched struct {
	member
	*judge
	ledger *ledger
	self   wire.Entry

	took   []byte // the datagram of the last directory it took
	joined bool   // that or one before has named it
	fresh  bool   // it has taken one since it was last looked at
	stale  bool   // when one named it first, the server did not have it any more

	launched, lastSent time.Duration // when it was, and when it last sent the server something, by the Net's clock

	birth, alive, tick timer
	counter            uint16        // of the next tick
	wake               time.Duration // what it last waited for

	born, living []byte // its birth and its keep-alive
	text, out    []byte // scratch: a broadcast
}

// timer is when something is due by the peer's clock, since Start, and how
// often.
type timer struct{ due, every time.Duration }

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

// watch follows a peer from its launch on, at now by its clock.
func watch(l *ledger, m member, self wire.Entry, now time.Time) *watched {
	t, at := &l.timing, now.Sub(simnet.Start)
	return &watched{member: m, judge: l.judge, ledger: l, self: self, launched: l.net.Now(), lastSent: -1,
		birth:  timer{at, t.Retry},
		alive:  timer{at + t.Heartbeat, t.Heartbeat},
		tick:   timer{at + t.Broadcast, t.Broadcast},
		wake:   at,
		born:   wire.Message{Type: core.TypeBirth, Entry: self}.Append(nil),
		living: wire.Message{Type: core.TypeKeepAlive, Entry: self}.Append(nil),
	}
}

// all is the last directory it took.
func (w *watched) all() wire.Entries { return wire.Entries(w.took[min(4, len(w.took)):]) }

// Step implements core.Machine.
func (w *watched) Step(now time.Time, from netip.AddrPort, datagram []byte) {
	w.member.Step(now, from, datagram)
	if len(datagram) < 2 || datagram[0] != byte(core.TypeDirectory) || from != serverAddr {
		return
	}
	if !bytes.Equal(datagram, w.took) {
		m, err := wire.Parse(datagram)
		if err != nil || m.Type != core.TypeDirectory {
			return
		}
		w.took = append(w.took[:0], datagram...)
	}
	w.fresh = true
	if !w.joined && w.all().Contains(w.self) {
		w.joined = true
		w.stale = !w.ledger.has(w.self)
		w.birth = timer{never, w.timing.Refresh}
		if w.birth.every > 0 {
			w.birth.due = now.Sub(simnet.Start) + w.birth.every
		}
	}
}

// Poll implements core.Machine.
func (w *watched) Poll(now time.Time) (core.Outgoing, time.Time) {
	at := now.Sub(simnet.Start)
	stopped := at > w.wake+time.Microsecond // or its clock has jumped
	w.wake = max(w.wake, at)
	out, next := w.member.Poll(now)
	switch {
	case out.Empty():
		w.idle(at, next)
	case bytes.Equal(out.Datagram, w.living):
		w.sent("keep-alive", &w.alive, at)
		w.toServer(out)
	case bytes.Equal(out.Datagram, w.born):
		w.sent("birth", &w.birth, at)
		w.toServer(out)
	default:
		w.sent("broadcast", &w.tick, at)
		w.broadcast(out)
	}
	if stopped || w.fresh && !out.Empty() { // directories often come in series
		w.view()
	}
	return out, next
}

// sent takes note that something has been sent, and must have been due.
func (w *watched) sent(what string, t *timer, now time.Duration) {
	switch {
	case t.due == never:
		w.fail("timers", "peer %v sends a %s, and none is due any more", w.self, what)
	case now < t.due:
		w.fail("timers", "peer %v sends a %s %v early by its clock", w.self, what, t.due-now)
	}
	t.turn(now)
}

func (w *watched) toServer(out core.Outgoing) {
	w.lastSent = w.net.Now()
	if len(out.To) != 1 || out.To[0] != serverAddr {
		w.fail("timers", "peer %v sends a birth or a keep-alive to %v", w.self, out.To)
	}
}

// idle checks that nothing is due any more, and that the peer does not mean to
// sleep longer than until something is. A broadcast to nobody is one, too.
func (w *watched) idle(now time.Duration, next time.Time) {
	if w.tick.due <= now && w.alone() {
		w.tick.turn(now)
		w.counter++
	}
	w.wake = never
	if !next.IsZero() {
		w.wake = next.Sub(simnet.Start)
	}
	w.by(now, "birth", w.birth.due)
	w.by(now, "keep-alive", w.alive.due)
	w.by(now, "broadcast", w.tick.due)
}

func (w *watched) by(now time.Duration, what string, due time.Duration) {
	switch {
	case due <= now:
		w.fail("timers", "peer %v sends no %s, due %v ago by its clock", w.self, what, now-due)
	case due < w.wake:
		w.fail("timers", "peer %v sleeps longer than until its next %s, due in %v by its clock", w.self, what, due-now)
	}
}

// alone reports that the directory taken names nobody else.
func (w *watched) alone() bool {
	all := w.all()
	return all.Len() == 0 || all.Len() == 1 && all.At(0).Port == w.self.Port
}

// broadcast checks a broadcast's number and who gets it: all of the directory
// taken, in its order.
func (w *watched) broadcast(out core.Outgoing) {
	w.text = core.AppendBroadcast(w.text[:0], core.Name(w.self.Name.String()), w.counter, 0)
	w.out = wire.Message{Type: core.TypeVanilla, Payload: w.text}.Append(w.out[:0])
	if !bytes.Equal(out.Datagram, w.out) {
		w.fail("counter", "peer %v sends %.40q, and its next broadcast is %q", w.self, out.Datagram, w.text)
	}
	w.counter++
	all, n := w.all(), 0
	for i := range all.Len() {
		port := all.At(i).Port
		switch {
		case port == w.self.Port:
		case n == len(out.To) || out.To[n].Port() != port:
			n = math.MaxInt32
		default:
			n++
		}
		if n > len(out.To) {
			break
		}
	}
	if n != len(out.To) {
		w.fail("view", "peer %v took a directory of %d and broadcasts to %v", w.self, all.Len(), out.To)
	}
	w.view()
}

// view checks that a peer knows the last directory it took, and its counters.
func (w *watched) view() {
	w.fresh = false
	if others := w.Others(); !known(others, w.all(), w.self.Port) {
		w.fail("view", "peer %v took a directory of %d and knows %d others", w.self, w.all().Len(), len(others))
	}
	if w.Joined() != w.joined {
		w.fail("view", "peer %v has been named by a directory: %t, and believes %t", w.self, w.joined, w.Joined())
	}
	w.account(w.self.Port, w.Counters())
}
