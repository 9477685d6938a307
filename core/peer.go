package core

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// PeerConfig describes a peer.
type PeerConfig struct {
	Self    Entry          // its name, and the port that it receives on and sends from
	Server  netip.AddrPort // where the directory server is; all peers are on that host
	Timing  Timing         // all but Reap count
	Size    int            // bytes that a broadcast's text is filled up to; 0: as it is
	Observe func(Event)    // optional: hears what the peer does, and must not call it
}

// Peer is one member of the mesh (PROTOCOL.md, "Peer").
type Peer struct {
	account
	cfg PeerConfig

	online   bool
	joined   bool // a directory has named it since it was born
	overdue  bool // Unanswered has been told
	bornAt   time.Time
	birth    time.Time // when its next birth is due; zero: never
	alive    time.Time // when its next keep-alive is due
	tick     time.Time // when its next broadcast is due; zero: never
	schedule Schedule  // of its broadcasts
	counter  uint16

	others Entries  // the last directory without itself, names in its order
	ports  []uint16 // the others' ports
	server []uint16 // the server's port, as an Outgoing wants it

	text   []byte // scratch: a broadcast's text
	out    []byte // scratch: the datagram handed out
	outbox []letter
}

// letter is a message that somebody asked this peer to send.
type letter struct {
	asked    time.Time
	datagram []byte
	ports    []uint16
}

// NewPeer starts a peer's life at now: its birth is due at once.
func NewPeer(cfg PeerConfig, now time.Time) (*Peer, error) {
	switch err := cfg.Timing.Validate(); {
	case err != nil:
		return nil, err
	case !cfg.Self.Name.Valid():
		return nil, fmt.Errorf(`name "%v" is not one printable ASCII character`, cfg.Self.Name)
	case cfg.Self.Port == 0:
		return nil, fmt.Errorf("port 0 of peer %s, want 1 to 65535", cfg.Self.Name)
	case !cfg.Server.Addr().Is4() || cfg.Server.Port() == 0:
		return nil, fmt.Errorf("server address %v, want an IPv4 address and a port", cfg.Server)
	case cfg.Self.Port == cfg.Server.Port():
		return nil, fmt.Errorf("port %d of peer %s is the server's own", cfg.Self.Port, cfg.Self.Name)
	case cfg.Size < 0 || cfg.Size > MaxPayload:
		return nil, fmt.Errorf("text of %d bytes, want 0 to %d", cfg.Size, MaxPayload)
	}
	p := &Peer{cfg: cfg, server: []uint16{cfg.Server.Port()}}
	p.observe = cfg.Observe
	p.Connect(now)
	return p, nil
}

// Connect makes the peer be born, as at its start: its timers begin anew.
// What it knows of others and its counter stay.
func (p *Peer) Connect(now time.Time) {
	t := p.cfg.Timing
	p.online, p.joined, p.overdue = true, false, false
	p.bornAt, p.birth, p.alive = now, now, now.Add(t.Heartbeat)
	p.Broadcast(Schedule{First: now.Add(t.Broadcast), Interval: t.Broadcast, Size: p.cfg.Size})
}

// Disconnect makes the peer fall silent. It goes on hearing.
func (p *Peer) Disconnect() { p.online, p.joined, p.outbox = false, false, nil }

// Online reports that the peer is not disconnected, Joined that a directory
// has named it since it was born.
func (p *Peer) Online() bool { return p.online }
func (p *Peer) Joined() bool { return p.joined }

// Schedule says when a peer broadcasts.
type Schedule struct {
	First    time.Time     // when the first broadcast is due
	Interval time.Duration // from one to the next; 0: no broadcasts
	End      time.Time     // none is due from here on; zero: they go on
	Size     int           // bytes that the text is filled up to
}

// Broadcast makes the peer broadcast by a schedule from now on. Only its Size
// outlasts a Connect.
func (p *Peer) Broadcast(s Schedule) {
	p.schedule, p.tick = s, s.First
	if s.Interval == 0 {
		p.tick = time.Time{}
	}
	p.cfg.Size = min(max(s.Size, 0), MaxPayload)
}

// Others is the last directory heard, without this peer itself, valid until
// the next Step.
func (p *Peer) Others() Entries { return p.others }

// Send queues one vanilla message to one peer of the directory, or with to 0
// to all of them.
func (p *Peer) Send(now time.Time, to Name, text []byte) error {
	if len(text) > MaxPayload {
		return fmt.Errorf("text of %d bytes, want at most %d", len(text), MaxPayload)
	}
	if slices.Contains(text, 0) {
		return fmt.Errorf("text %q has a zero byte in it", text)
	}
	ports := slices.Clone(p.ports)
	if to != 0 {
		i := slices.IndexFunc(ports, func(port uint16) bool { return p.named(port) == to })
		if i < 0 {
			return fmt.Errorf(`no peer "%v" in the directory`, to)
		}
		ports = ports[i : i+1]
	}
	if !p.online {
		return fmt.Errorf("peer %s is disconnected", p.cfg.Self.Name)
	}
	if len(ports) > 0 {
		p.outbox = append(p.outbox, letter{now, Message{Type: TypeVanilla, Payload: text}.Append(nil), ports})
	}
	return nil
}

// named is the name of the peer on port, 0 where the directory has none.
func (p *Peer) named(port uint16) Name {
	if i := slices.Index(p.ports, port); i >= 0 {
		return p.others.At(i).Name
	}
	return 0
}

// Step implements Machine.
func (p *Peer) Step(now time.Time, from netip.AddrPort, datagram []byte) {
	var m Message
	if !p.open(&m, now, from, datagram) {
		return
	}
	switch m.Type {
	case TypeDirectory:
		if from != p.cfg.Server {
			p.drop(Stranger, now, from, datagram, ErrStranger)
			return
		}
		p.take(now, m.Entries)
		if p.count(Listed) {
			p.observe(Event{Kind: Listed, At: now, From: from, All: m.Entries})
		}
	case TypeVanilla:
		var name Name
		if from.Addr() == p.cfg.Server.Addr() {
			name = p.named(from.Port())
		}
		if name == 0 {
			p.drop(Stranger, now, from, datagram, ErrStranger)
			return
		}
		if p.count(Heard) {
			p.observe(Event{Kind: Heard, At: now, From: from, Peer: Entry{name, from.Port()}, Data: m.Payload})
		}
	default:
		p.drop(Misdirected, now, from, datagram, ErrMisdirected)
	}
}

// take replaces what the peer knows by a new directory.
func (p *Peer) take(now time.Time, all Entries) {
	p.others, p.ports = p.others[:0], p.ports[:0]
	for i := range all.Len() {
		e := all.At(i)
		if e == p.cfg.Self && p.online && !p.joined {
			p.joined, p.birth = true, time.Time{}
			if p.cfg.Timing.Refresh > 0 {
				p.birth = now.Add(p.cfg.Timing.Refresh)
			}
		}
		if e.Port != p.cfg.Self.Port {
			p.others = p.others.Append(e)
			p.ports = append(p.ports, e.Port)
		}
	}
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
		p.alive = after(now, was, t.Heartbeat) // several missed ones are worth no more than one
		p.out = Message{Type: TypeKeepAlive, Entry: p.cfg.Self}.Append(p.out[:0])
		return p.send(now, was, p.out, p.server), now
	}
	if len(p.outbox) > 0 {
		l := p.outbox[0]
		if p.outbox = p.outbox[1:]; len(p.outbox) == 0 {
			p.outbox = nil
		}
		return p.send(now, l.asked, l.datagram, l.ports), now
	}
	if due(now, p.tick) && now.Sub(p.tick) > t.Deadline {
		// Not busy but suspended, and for so long that the mesh has culled it:
		// what it has missed is not worth flooding the others with.
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
		p.count(Broadcast)
		p.text = AppendBroadcast(p.text[:0], p.cfg.Self.Name, p.counter, p.cfg.Size)
		p.counter++
		if len(p.ports) > 0 {
			p.out = Message{Type: TypeVanilla, Payload: p.text}.Append(p.out[:0])
			return p.send(now, was, p.out, p.ports), now
		}
	}
	return Outgoing{}, earliest(p.alive, earliest(p.birth, p.tick))
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
		if p.count(Unanswered) {
			p.observe(Event{Kind: Unanswered, At: now, Since: p.bornAt})
		}
	}
	p.out = Message{Type: TypeBirth, Entry: p.cfg.Self}.Append(p.out[:0])
	return p.send(now, was, p.out, p.server)
}
