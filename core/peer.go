package core

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// PeerConfig describes a peer.
type PeerConfig struct {
	Self    Member         // its name, and the address that it receives on and sends from
	Server  netip.AddrPort // where the directory server is
	Codec   Codec          // nil: the protocol's own, all peers on the server's host
	Rules   *Rules         // nil: the protocol's own
	Timing  Timing         // all but Reap count
	Size    int            // bytes that a broadcast's text is filled up to; 0: as it is
	Observe func(*Event)   // optional: hears what the peer does, and must not call it
}

// Peer is one member of the mesh (PROTOCOL.md, "Peer").
type Peer struct {
	view
	account
	online   bool
	joined   bool      // a directory has named it since it was born
	overdue  bool      // Unanswered has been told
	birth    time.Time // when its next birth is due; zero: never
	alive    time.Time // when its next keep-alive is due
	queue    []queued  // messages to send
	tick     time.Time // when its next broadcast is due; zero: never
	schedule Schedule  // of its broadcasts
	counter  uint16
	ruled

	cfg    PeerConfig
	bornAt time.Time
	server []netip.AddrPort // the server, as an Outgoing wants it

	text []byte  // scratch: a broadcast's text
	out  []byte  // scratch: the datagram handed out
	sign Message // likewise: of its last birth or keep-alive
}

// view is what a peer knows of the mesh: the last directory that it received.
type view struct {
	known  roster   // those in it without the peer itself, in its order; by others
	names  []Name   // theirs
	stale  bool     // known is older than list
	list   []byte   // the directory, as it came in one datagram,
	whole  *Listing // or of pages
	listed []Member // known, as asked for since
}

// queued is a message that this peer was asked to send.
type queued struct {
	asked    time.Time
	datagram []byte
	to       []netip.AddrPort
}

// NewPeer starts a peer's life at now: its birth is due at once.
func NewPeer(cfg PeerConfig, now time.Time) (*Peer, error) {
	if cfg.Codec == nil {
		cfg.Codec = &Exact{cfg.Server.Addr()}
	}
	if err := cfg.Codec.Check(cfg.Self, cfg.Server); err != nil {
		return nil, err
	}
	switch err := cfg.Timing.Validate(); {
	case err != nil:
		return nil, err
	case cfg.Size < 0 || cfg.Size > cfg.Codec.MaxText():
		return nil, fmt.Errorf("text of %d bytes, want 0 to %d", cfg.Size, cfg.Codec.MaxText())
	}
	cfg.Self.Addr = cfg.Codec.EntryAddr(cfg.Self.Addr)
	p := &Peer{cfg: cfg, server: []netip.AddrPort{cfg.Server}}
	p.codec, p.rules, p.observe = cfg.Codec, cfg.Rules, cfg.Observe
	if p.sign.Member = cfg.Self; p.rules != nil {
		p.sign.Incarnation = p.rules.Incarnation
	}
	p.Connect(now)
	return p, nil
}

// Connect makes the peer be born, as at its start: its timers begin anew.
// What it knows of others and its counter stay.
func (p *Peer) Connect(now time.Time) {
	t := p.cfg.Timing
	p.online, p.joined, p.overdue, p.token = true, false, false, p.token[:0]
	p.bornAt, p.birth, p.alive = now, now, now.Add(t.Heartbeat)
	p.Broadcast(Schedule{First: now.Add(t.Broadcast), Interval: t.Broadcast, Size: p.cfg.Size})
}

// Disconnect makes the peer fall silent. It goes on hearing.
func (p *Peer) Disconnect() { p.online, p.joined, p.queue = false, false, nil }

// Online reports that the peer is not disconnected, Joined that a directory
// has named it since it was born.
func (p *Peer) Online() bool { return p.online }
func (p *Peer) Joined() bool { return p.joined }

// Schedule is when a peer broadcasts.
type Schedule struct {
	First    time.Time     // when the first broadcast is due
	Interval time.Duration // from one to the next; 0: no broadcasts
	End      time.Time     // none is due from here on; zero: they go on
	Size     int           // bytes that the text is filled up to
	Owed     bool          // send all, however late; otherwise those missed in a suspension are skipped
}

// Broadcast makes the peer broadcast by a schedule from now on. Only its Size
// outlasts a Connect.
func (p *Peer) Broadcast(s Schedule) {
	p.schedule, p.tick = s, s.First
	if s.Interval == 0 {
		p.tick = time.Time{}
	}
	p.cfg.Size = min(max(s.Size, 0), p.codec.MaxText())
}

// Others are the last directory heard, without this peer itself, valid until the next
// call.
func (p *Peer) Others() []Member {
	if addrs := p.others().addrs; len(p.listed) < len(addrs) {
		p.listed = slices.Grow(p.listed, len(addrs))
		for i, name := range p.names {
			p.listed = append(p.listed, Member{name, addrs[i]})
		}
	}
	return p.listed
}

// Send queues one vanilla message to one peer of the directory, or with to ""
// to all of them.
func (p *Peer) Send(now time.Time, to Name, text []byte) error {
	if most := p.codec.MaxText(); len(text) > most {
		return fmt.Errorf("text of %d bytes, want at most %d", len(text), most)
	}
	if slices.Contains(text, 0) {
		return fmt.Errorf("text %q has a zero byte in it", text)
	}
	addrs := slices.Clone(p.others().addrs)
	if to != "" {
		i := slices.Index(p.names, to)
		if i < 0 {
			return fmt.Errorf("no peer %q in the directory", string(to))
		}
		addrs = addrs[i : i+1]
	}
	if !p.online {
		return fmt.Errorf("peer %s is disconnected", p.cfg.Self.Name)
	}
	if len(addrs) > 0 {
		p.queue = append(p.queue, queued{now, p.vanilla(nil, to, text), addrs})
	}
	return nil
}

// Step implements Machine.
func (p *Peer) Step(now time.Time, from netip.AddrPort, datagram []byte) (poll bool) {
	if err := p.open(datagram); err != nil {
		p.drop(Malformed, now, from, datagram, err)
		return false
	}
	switch v := &p.incoming; v.Type {
	case TypeDirectory:
		if from != p.cfg.Server {
			p.drop(Stranger, now, from, datagram, ErrStranger)
			return false
		}
		all := Members{codec: p.codec, list: v.List, n: v.Len}
		if p.rules != nil {
			whole, err := p.collect(v)
			v.List = nil
			if whole == nil {
				if err != nil {
					p.drop(Malformed, now, from, datagram, err)
				} else if p.count(Paged, now) {
					p.event.Data = datagram
					p.tell()
				}
				return false
			}
			all = Members{n: len(whole.names) / 2, whole: whole}
		}
		v.List = nil // it keeps nothing
		poll = p.take(now, all)
		if p.count(Listed, now) {
			p.event.All, p.event.Data = all, datagram
			p.tell()
			p.event.All = Members{}
		}
	case TypeVanilla:
		text := v.Text
		v.Text = nil
		others := p.others()
		i := others.find(from)
		if i < 0 {
			p.drop(Stranger, now, from, datagram, ErrStranger)
			return false
		}
		if p.rules != nil && !p.fresh(v) {
			p.drop(Stranger, now, from, datagram, ErrStale)
			return false
		}
		if p.count(Heard, now) {
			p.event.Peer.Name, p.event.Peer.Addr, p.event.Data = p.names[i], from, text
			p.tell()
		}
	case TypeRetry:
		switch v := &p.incoming; {
		case from != p.cfg.Server:
			p.drop(Stranger, now, from, datagram, ErrStranger)
		case v.Incarnation != p.rules.Incarnation || v.Seq-p.answered-1 >= p.seq-p.answered,
			v.Version.Incarnation == p.held.Incarnation && v.Version.Number < p.held.Number:
			p.drop(Stranger, now, from, datagram, ErrStale)
		default:
			p.beToldAgain(now, v)
			poll = true
			if p.count(Retried, now) {
				p.tell()
			}
		}
	default:
		p.drop(Misdirected, now, from, datagram, ErrMisdirected)
	}
	return poll
}

// take replaces the peer's view by a new directory, and reports that the peer joins by it.
func (p *Peer) take(now time.Time, all Members) (joins bool) {
	named := all.whole != nil && p.adopt(all.whole)
	if joins = p.online && !p.joined && (named || all.whole == nil && all.Contains(p.cfg.Self)); joins {
		p.joined, p.birth = true, time.Time{}
		if p.cfg.Timing.Refresh > 0 {
			p.birth = now.Add(p.cfg.Timing.Refresh)
		}
	}
	if all.whole == nil && !bytes.Equal(p.list, all.list) { // the answer to a refresh is usually the same again
		p.list, p.stale = append(p.list[:0], all.list...), true
	}
	return joins
}

// others are the members of the last directory but this peer. Directories often come in
// series, so one is taken apart only when it is first needed.
func (p *Peer) others() *roster {
	if p.stale {
		p.stale = false
		p.names, p.listed = p.names[:0], p.listed[:0]
		p.known.clear()
		var e Member
		for list := p.list; len(list) > 0; {
			if e, list = p.codec.Next(list, e); e.Addr != p.cfg.Self.Addr {
				p.known.add(e.Addr)
				p.names = append(p.names, e.Name)
			}
		}
	}
	return &p.known
}

// Poll implements Machine.
func (p *Peer) Poll(now time.Time) (Outgoing, time.Time) {
	if !p.online {
		return Outgoing{}, time.Time{}
	}
	t := &p.cfg.Timing
	if due(now, p.birth) {
		return p.beBorn(now), now
	}
	if due(now, p.alive) {
		was := p.alive
		p.alive = after(now, was, t.Heartbeat) // one makes up for several missed
		return p.toServer(now, was, TypeKeepAlive), now
	}
	if len(p.queue) > 0 {
		q := p.queue[0]
		if p.queue = p.queue[1:]; len(p.queue) == 0 {
			p.queue = nil
		}
		return p.send(now, q.asked, TypeVanilla, q.datagram, q.to), now
	}
	if !p.schedule.Owed && due(now, p.tick) && now.Sub(p.tick) > t.Deadline {
		// The peer was suspended for so long that the mesh has removed it: it does not flood
		// the others with what it has missed.
		missed := now.Sub(p.tick) / p.schedule.Interval
		p.counters.Events[Skipped] += uint64(missed)
		p.tick = p.tick.Add(missed * p.schedule.Interval)
	}
	for due(now, p.tick) {
		if end := p.schedule.End; !end.IsZero() && !p.tick.Before(end) {
			p.tick = time.Time{}
			break
		}
		was := p.tick
		p.tick = was.Add(p.schedule.Interval)
		p.counters.Events[Broadcast]++
		p.text = AppendBroadcast(p.text[:0], p.cfg.Self.Name, p.counter, p.cfg.Size)
		p.counter++
		if others := p.others(); len(others.addrs) > 0 {
			p.out = p.vanilla(p.out[:0], "", p.text)
			return p.send(now, was, TypeVanilla, p.out, others.addrs), now
		}
	}
	return Outgoing{}, earliest(p.alive, earliest(p.birth, p.tick))
}

// vanilla appends a vanilla message to one other or, with to "", to all.
func (p *Peer) vanilla(b []byte, to Name, text []byte) []byte {
	v := &p.outgoing
	v.Type, v.Member.Name, v.Version, v.Text = TypeVanilla, to, p.held, text
	return p.codec.Append(b, v)
}

// beBorn sends the birth and plans the next: a retry until a directory names
// this peer, then a refresh if it is to have any.
func (p *Peer) beBorn(now time.Time) Outgoing {
	was := p.birth
	p.birth = time.Time{}
	t := &p.cfg.Timing
	switch {
	case !p.joined && t.Retry > 0:
		p.birth = after(now, was, t.Retry)
	case p.joined && t.Refresh > 0:
		p.birth = after(now, was, t.Refresh)
	}
	if !p.joined && t.Retry > 0 && now.Sub(p.bornAt) >= t.Retry && !p.overdue {
		p.overdue = true
		if p.count(Unanswered, now) {
			p.event.Elapsed = now.Sub(p.bornAt)
			p.tell()
		}
	}
	return p.toServer(now, was, TypeBirth)
}

func (p *Peer) toServer(now, due time.Time, t Type) Outgoing {
	v := &p.sign
	v.Type = t
	if p.rules != nil {
		p.seq++
		v.Seq, v.Version = p.seq, Version{}
		if p.joined {
			v.Version = p.held
		}
		if t == TypeBirth {
			if v.Token = p.token; len(v.Token) > 0 {
				p.shown = p.seq
			}
		}
	}
	p.out = p.codec.Append(p.out[:0], v)
	return p.send(now, due, t, p.out, p.server)
}
