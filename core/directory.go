package core

import (
	"fmt"
	"iter"
	"net/netip"
	"time"
)

// Bounds of a server with Rules, where names are not limited to MaxPeers.
const (
	MaxMembers = 1 << 16
	maxRetries = MostTaken // queued; further ones are dropped
)

// A reap that is late by this fraction of a deadline means that the server itself was suspended,
// and perhaps its peers with it.
const standstill = 3

// Patience is how many deadlines an entry may be silent while datagrams are lost.
const Patience = 4

// DirectoryConfig describes a directory server.
type DirectoryConfig struct {
	Addr        netip.AddrPort // the server's own, which no peer may claim
	Codec       Codec          // nil: the protocol's own, all peers on the server's host
	Rules       *Rules         // nil: the protocol's own
	Timing      Timing         // only Reap and Deadline count, with Rules also Heartbeat
	SourceCheck bool           // refuse a birth or keep-alive from another address than it names
	Observe     func(*Event)   // optional: hears what the server does, and must not call it
}

// Directory is the directory server (PROTOCOL.md, "Server").
type Directory struct {
	account
	cfg DirectoryConfig

	register
	pace     pacer
	delivery delivery

	retries           []Message         // owed
	retrying          [1]netip.AddrPort // scratch
	retrySpace, token []byte            // likewise

	nextReap time.Time
	lost     time.Time // when datagrams were last known to be lost
	stood    time.Time // when the server last resumed after a suspension

	nextAnswer time.Time        // when the next answer that is owed may go; zero: none is
	answering  []netip.AddrPort // scratch
}

// NewDirectory starts a server's life at now, with nobody in it.
func NewDirectory(cfg DirectoryConfig, now time.Time) (*Directory, error) {
	if err := cfg.Timing.Validate(); err != nil {
		return nil, err
	}
	if cfg.Addr.Port() == 0 {
		return nil, fmt.Errorf("the server's own address is %v, want one with a port", cfg.Addr)
	}
	if cfg.Codec == nil {
		cfg.Codec = &Exact{cfg.Addr.Addr()}
	}
	d := &Directory{cfg: cfg, nextReap: now.Add(cfg.Timing.Reap)}
	d.codec, d.rules, d.pace.rules, d.observe = cfg.Codec, cfg.Rules, cfg.Rules, cfg.Observe
	if d.rules == nil {
		d.slots = make([]slot, MaxPeers)
	} else {
		d.byName, d.delivery.version.Incarnation = map[Name]int{}, d.rules.Incarnation
	}
	return d, nil
}

// Silences yields the members, and for how long each has been silent.
func (d *Directory) Silences(now time.Time) iter.Seq2[Member, time.Duration] {
	return func(yield func(Member, time.Duration) bool) {
		for i, m := range d.members {
			if !yield(m, now.Sub(d.slotOf(i).stamp)) {
				return
			}
		}
	}
}

// Step implements Machine.
func (d *Directory) Step(now time.Time, from netip.AddrPort, datagram []byte) (poll bool) {
	if err := d.open(datagram); err != nil {
		d.drop(Malformed, now, from, datagram, err)
		return false
	}
	switch v := &d.incoming; v.Type {
	case TypeKeepAlive:
		s := d.named(v)
		switch {
		case !d.knows(s, from):
			d.nobody(Unknown, now, from)
			return d.rules != nil
		case d.cfg.SourceCheck && d.codec.EntryAddr(from) != s.addr:
			d.drop(Stranger, now, from, datagram, ErrStranger)
		default:
			d.counters.Events[Alive]++
			s.stamp = now
			s.proven = s.proven || from == s.source || d.codec.EntryAddr(from) == s.addr
			if d.rules != nil && v.Version != d.delivery.version && !d.coming() && now.Sub(d.delivery.listed) > AnswerGap {
				d.ask(now, s) // the directory that it lacks was lost
				return true
			}
		}
	case TypeBirth:
		d.admit(now, from, datagram)
		return true
	default:
		d.drop(Misdirected, now, from, datagram, ErrMisdirected)
	}
	return false
}

// admit checks a birth, and takes it in.
func (d *Directory) admit(now time.Time, from netip.AddrPort, datagram []byte) {
	v, m := &d.incoming, &d.incoming.Member
	if d.rules != nil {
		if !d.rules.Valid(v.Token, now, from) {
			d.nobody(Unvalidated, now, from)
			return
		}
		if d.Len() == MaxMembers && d.named(v) == nil {
			d.drop(Rejected, now, from, datagram, ErrFull)
			return
		}
		d.pace.came()
		*m = Member{v.name(), from}
	}
	switch {
	case m.Addr == d.cfg.Addr:
		d.drop(Rejected, now, from, datagram, ErrRejected)
	case d.cfg.SourceCheck && d.codec.EntryAddr(from) != m.Addr:
		d.drop(Stranger, now, from, datagram, ErrStranger)
	default:
		d.birth(now, from, *m)
	}
}

// knows reports that a keep-alive is from the member whose slot it names.
func (d *Directory) knows(s *slot, from netip.AddrPort) bool {
	return s != nil && s.addr.IsValid() && (d.rules == nil || s.addr == from && s.incarnation == d.incoming.Incarnation)
}

// nobody counts a datagram of one who is not a member. Its answer, with Rules, is a retry.
func (d *Directory) nobody(k Kind, now time.Time, from netip.AddrPort) {
	if d.count(k, now) {
		d.event.Peer = Member{d.incoming.name(), from}
		d.tell()
	}
	d.retry(now, from)
}

// retry queues the retry that, with Rules, answers what came from an address.
func (d *Directory) retry(now time.Time, to netip.AddrPort) {
	if v := &d.incoming; d.rules != nil && len(d.retries) < maxRetries {
		d.pace.expect(now)
		d.retries = append(d.retries, Message{Type: TypeRetry, Member: Member{Addr: to}, Incarnation: v.Incarnation, Seq: v.Seq})
	}
}

func (d *Directory) birth(now time.Time, from netip.AddrPort, e Member) {
	s, held := d.named(&d.incoming), netip.AddrPort{}
	if s != nil {
		held = s.addr
	}
	if held == e.Addr && s.incarnation == d.incoming.Incarnation {
		if s.stamp = now; d.rules == nil || !d.coming() {
			d.ask(now, s)
		}
		if d.count(Repeated, now) {
			d.event.Peer = e
			d.tell()
		}
		return
	}
	rivals := [...]netip.AddrPort{held, e.Addr} // whoever has the name, whoever has the address
	for _, addr := range rivals {
		if i := d.find(addr); i >= 0 && !d.yields(now, i, d.codec.EntryAddr(from) == e.Addr) {
			if d.count(Conflict, now) {
				d.event.Peer, d.event.Other = e, d.members[i]
				d.tell()
			}
			return
		}
	}
	for _, addr := range rivals {
		if i := d.find(addr); i >= 0 {
			d.replace(now, i, e)
		}
	}
	d.add(&d.incoming, e.Name, slot{stamp: now, born: now, source: from, addr: e.Addr, incarnation: d.incoming.Incarnation})
	d.change(now)
	if d.count(Born, now) {
		d.event.Peer = e
		d.tell()
	}
}

// yields reports that member i gives way to a birth that wants its name or address: when it
// has not been proven for so long that a real peer would have sent two keep-alives, or at once
// where the new birth comes from the address that it names and its own did not. With Rules,
// where every birth comes from the address that it names, a member yields its address at once,
// and its name to itself or when it has missed two keep-alives.
func (d *Directory) yields(now time.Time, i int, home bool) bool {
	s := d.slotOf(i)
	if r := d.rules; r != nil {
		return s.addr == d.incoming.Member.Addr || r.Keyed && s.incarnation == d.incoming.Incarnation ||
			d.silent(now, s.stamp, 2*d.cfg.Timing.Heartbeat)
	}
	return !s.proven && (home && d.codec.EntryAddr(s.source) != s.addr || d.silent(now, s.born, d.cfg.Timing.Deadline*2/3))
}

// silent reports that a member last heard at since is overdue. Where datagrams have been lost
// its deadline counts from the last loss, up to Patience deadlines in all, and after a
// suspension of the server from its end.
func (d *Directory) silent(now, since time.Time, deadline time.Duration) bool {
	if d.lost.After(since) && now.Sub(since) <= Patience*deadline {
		since = d.lost
	}
	if d.stood.After(since) {
		since = d.stood
	}
	return now.Sub(since) > deadline
}

func (d *Directory) replace(now time.Time, i int, by Member) {
	e := d.members[i]
	d.leave(now, i)
	if d.count(Replaced, now) {
		d.event.Peer, d.event.Other = e, by
		d.tell()
	}
}

// leave takes member i out.
func (d *Directory) leave(now time.Time, i int) {
	d.remove(i)
	d.change(now)
}

// change makes an announcement due.
func (d *Directory) change(now time.Time) {
	d.delivery.stale = true
	d.pace.change(now)
}

// coming reports that a directory to all is under way or owed.
func (d *Directory) coming() bool { return d.pace.owes() || d.delivery.toAll && d.delivery.underWay() }

// ask owes one member the directory, AnswerGap after the last that it asked for.
func (d *Directory) ask(now time.Time, s *slot) {
	if s.asked.IsZero() {
		s.asked = now
		d.nextAnswer = earliest(d.nextAnswer, s.answerAt())
	}
}

// Poll implements Machine.
func (d *Directory) Poll(now time.Time) (Outgoing, time.Time) {
	if late := now.Sub(d.nextReap); late >= 0 {
		if late >= d.cfg.Timing.Deadline/standstill {
			d.stood = now
		}
		d.reap(now)
		d.nextReap = after(now, d.nextReap, d.cfg.Timing.Reap)
	}
	if len(d.retries) > 0 {
		return d.sendRetry(now), now
	}
	if d.delivery.underWay() {
		if out := d.nextPage(now); !out.Empty() {
			return out, now
		}
	}
	next := d.nextReap
	if d.pace.owes() {
		room, settled := d.roomAt(), d.pace.settledAt(d.Len())
		switch {
		case now.Before(room):
			next = earliest(next, room)
			if !d.pace.held {
				d.pace.held = true
				d.counters.Events[Held]++
			}
		case now.Before(settled):
			next = earliest(next, settled)
		default:
			if out := d.announce(now); !out.Empty() {
				return out, now
			}
		}
	}
	if !d.nextAnswer.IsZero() {
		if !now.Before(d.nextAnswer) {
			if out := d.answer(now); !out.Empty() {
				return out, now
			}
		}
		next = earliest(next, d.nextAnswer)
	}
	return Outgoing{}, next
}

// roomAt is when pacing lets an announcement go.
func (d *Directory) roomAt() time.Time { return d.pace.roomAt(d.Len() * len(d.delivery.ends)) }

// Announces reports that Poll would give out an announcement. A driver may put that off for a
// moment, so that births that are about to come in are in it, too.
func (d *Directory) Announces(now time.Time) bool {
	return d.pace.owes() && !now.Before(d.roomAt()) && !now.Before(d.pace.settledAt(d.Len()))
}

// Accepts are the shapes of datagrams that a server has a use for. A driver may keep
// all others from it.
func (d *Directory) Accepts() []Shape { return d.codec.Accepts() }

// Lost tells the server that the kernel has dropped datagrams that were meant for it. A member
// that seems silent may have sent one of them.
func (d *Directory) Lost(now time.Time) { d.lost = now }

// reap removes every entry that has been silent for longer than its deadline.
func (d *Directory) reap(now time.Time) {
	for i := 0; i < d.Len(); {
		e, stamp := d.members[i], d.slotOf(i).stamp
		if !d.silent(now, stamp, d.cfg.Timing.Deadline) {
			i++
			continue
		}
		d.leave(now, i)
		if d.count(Removed, now) {
			d.event.Peer, d.event.Elapsed = e, now.Sub(stamp)
			d.tell()
		}
	}
}

// announce sends the directory to all members, which also answers those who asked.
func (d *Directory) announce(now time.Time) Outgoing {
	since := d.pace.changed
	d.pace.changed, d.pace.held = time.Time{}, false
	if d.Len() == 0 {
		return Outgoing{}
	}
	if !d.nextAnswer.IsZero() {
		for i := range d.Len() {
			d.slotOf(i).asked = time.Time{}
		}
		d.nextAnswer = time.Time{}
	}
	d.counters.Events[Announced]++
	d.pace.expected = 0
	return d.list(now, since, true)
}

// answer sends the directory to those who asked and whose AnswerGap is over.
func (d *Directory) answer(now time.Time) Outgoing {
	since := d.nextAnswer
	d.nextAnswer, d.answering = time.Time{}, d.answering[:0]
	for i := range d.Len() {
		s := d.slotOf(i)
		switch {
		case s.asked.IsZero():
		case now.Before(s.answerAt()):
			d.nextAnswer = earliest(d.nextAnswer, s.answerAt())
		default:
			s.asked, s.answered = time.Time{}, now
			d.answering = append(d.answering, s.addr)
		}
	}
	if len(d.answering) == 0 { // it was owed to a member that has been removed
		return Outgoing{}
	}
	return d.list(now, since, false)
}

// list begins to send the directory to everybody or to those answering.
func (d *Directory) list(now, due time.Time, toAll bool) Outgoing {
	l := &d.delivery
	if l.stale {
		l.stale = false
		l.version.Number++
		l.datagrams, l.ends = d.codec.AppendDirectory(l.datagrams[:0], l.ends[:0], l.version, d.members)
	}
	l.begin(due, toAll)
	d.pace.charge(now, len(d.receivers())*len(l.ends))
	return d.nextPage(now)
}

func (d *Directory) receivers() []netip.AddrPort {
	if d.delivery.toAll {
		return d.addrs
	}
	return d.answering
}

// nextPage sends the next datagram of the directory that is being sent, if there is one.
func (d *Directory) nextPage(now time.Time) Outgoing {
	page, to := d.delivery.next(now, d.receivers())
	if len(to) == 0 {
		return Outgoing{}
	}
	return d.send(now, d.delivery.owed, TypeDirectory, page, to)
}

// sendRetry sends the last retry that is owed.
func (d *Directory) sendRetry(now time.Time) Outgoing {
	last := len(d.retries) - 1
	v := &d.retries[last]
	d.retries = d.retries[:last]
	d.token = d.rules.Token(d.token[:0], now, v.Member.Addr)
	v.Version, v.Token = d.delivery.version, d.token
	d.retrying[0] = v.Member.Addr
	d.retrySpace = d.codec.Append(d.retrySpace[:0], v)
	return d.send(now, now, TypeRetry, d.retrySpace, d.retrying[:])
}
