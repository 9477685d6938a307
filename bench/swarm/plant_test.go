package swarm

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"p2plocal/bench/faults"
	"p2plocal/core"
	"p2plocal/core/simnet"
	"p2plocal/core/wide"
	"p2plocal/core/wire"
)

// directory is core's server, for copies with a fault planted to stand on.
type directory struct{ *core.Directory }

// forgetful keeps every third announcement to itself.
type forgetful struct {
	directory
	n int
}

func (p *forgetful) Poll(now time.Time) (core.Outgoing, time.Time) {
	out, next := p.directory.Poll(now)
	if !out.Empty() {
		if p.n++; p.n%3 == 0 {
			return p.directory.Poll(now)
		}
	}
	return out, next
}

// lax admits a second name to a port.
type lax struct {
	directory
	extra []core.Member
}

func (p *lax) Step(now time.Time, from netip.AddrPort, datagram []byte) bool {
	if m, err := wire.Parse(datagram); err == nil && m.Type == core.TypeBirth && len(p.extra) == 0 {
		for _, x := range p.directory.Members() {
			if x := wire.EntryOf(x); x.Port == m.Entry.Port && x.Name != m.Entry.Name {
				p.extra = append(p.extra, m.Entry.Member(serverAddr.Addr()))
			}
		}
	}
	return p.directory.Step(now, from, datagram)
}

func (p *lax) Members() []core.Member { return append(p.directory.Members(), p.extra...) }
func (p *lax) Len() int               { return p.directory.Len() + len(p.extra) }

// garbler names one member twice in every third directory, and another not at all.
type garbler struct {
	directory
	n   int
	bad []byte
}

func (p *garbler) Poll(now time.Time) (core.Outgoing, time.Time) {
	out, next := p.directory.Poll(now)
	if p.n++; len(out.Datagram) > 8 && p.n%3 == 0 {
		p.bad = append(p.bad[:0], out.Datagram...)
		copy(p.bad[8:], p.bad[4:8])
		out.Datagram = p.bad
	}
	return out, next
}

// chatty announces a hundred times more for every datagram that it does not like.
type chatty struct {
	directory
	last core.Outgoing
	owed int
}

func (p *chatty) Step(now time.Time, from netip.AddrPort, datagram []byte) bool {
	if _, err := wire.Parse(datagram); err != nil {
		p.owed += 100
	}
	p.directory.Step(now, from, datagram)
	return true
}

func (p *chatty) Poll(now time.Time) (core.Outgoing, time.Time) {
	out, next := p.directory.Poll(now)
	if !out.Empty() {
		p.last = core.Outgoing{Datagram: slices.Clone(out.Datagram), To: slices.Clone(out.To)}
	} else if p.owed > 0 && !p.last.Empty() {
		p.owed--
		return p.last, now
	}
	return out, next
}

// stale is a peer that takes no directory shorter than the one it has.
type stale struct {
	*core.Peer
	most int
}

func (p *stale) Step(now time.Time, from netip.AddrPort, datagram []byte) bool {
	if m, err := wire.Parse(datagram); err == nil && m.Type == core.TypeDirectory && from.Port() == simnet.ServerPort {
		if m.Entries.Len() < p.most {
			return false
		}
		p.most = m.Entries.Len()
	}
	return p.Peer.Step(now, from, datagram)
}

// doctored is a peer of which poll is not what it should be.
type doctored struct {
	*core.Peer
	cfg     core.PeerConfig
	born    time.Time
	n       int       // as poll likes
	next    time.Time // what it last waited for
	numbers uint16    // is added to those of its broadcasts
	poll    func(p *doctored, now time.Time) (core.Outgoing, time.Time)
}

func (p *doctored) Poll(now time.Time) (core.Outgoing, time.Time) {
	out, next := p.poll(p, now)
	if out.Empty() {
		p.next = next
	} else if m, err := wire.Parse(out.Datagram); err == nil && m.Type == core.TypeVanilla {
		_, counter, _ := core.ParseBroadcast(m.Payload)
		m.Payload = core.AppendBroadcast(nil, p.cfg.Self.Name, counter+p.numbers, 0)
		out.Datagram = m.Append(nil)
	}
	return out, next
}

// late reports that it has been stopped, or that its clock has jumped.
func (p *doctored) late(now time.Time) bool {
	return !p.next.IsZero() && now.Sub(p.next) > time.Millisecond
}

// relaunched reports that this is not its first life.
func (p *doctored) relaunched() bool { return p.born.Sub(simnet.Start) > faults.Launching }

func typeOf(out core.Outgoing) core.Type {
	m, _ := wire.Parse(out.Datagram)
	return m.Type
}

// leavingOut is poll with some of what would go out left out.
func leavingOut(kind core.Type, which func(p *doctored) bool) func(*doctored, time.Time) (core.Outgoing, time.Time) {
	return func(p *doctored, now time.Time) (core.Outgoing, time.Time) {
		out, next := p.Peer.Poll(now)
		if !out.Empty() && typeOf(out) == kind {
			if p.n++; which(p) {
				return p.Peer.Poll(now)
			}
		}
		return out, next
	}
}

// counting is poll with other numbers.
func counting(number func(p *doctored, now time.Time, out core.Outgoing)) func(*doctored, time.Time) (core.Outgoing, time.Time) {
	return func(p *doctored, now time.Time) (core.Outgoing, time.Time) {
		out, next := p.Peer.Poll(now)
		number(p, now, out)
		return out, next
	}
}

// amnesiac is a peer that forgets the others a second after it heard of them.
type amnesiac struct {
	*core.Peer
	took, now time.Time
}

func (p *amnesiac) Step(now time.Time, from netip.AddrPort, datagram []byte) bool {
	p.took, p.now = now, now
	return p.Peer.Step(now, from, datagram)
}

func (p *amnesiac) Poll(now time.Time) (core.Outgoing, time.Time) {
	p.now = now
	return p.Peer.Poll(now)
}

func (p *amnesiac) Others() []core.Member {
	if p.now.Sub(p.took) > time.Second {
		return nil
	}
	return p.Peer.Others()
}

// sparing is a peer whose broadcasts leave one member out.
type sparing struct{ *core.Peer }

func (p *sparing) Poll(now time.Time) (core.Outgoing, time.Time) {
	out, next := p.Peer.Poll(now)
	if m, err := wire.Parse(out.Datagram); err == nil && m.Type == core.TypeVanilla && len(out.To) > 1 {
		out.To = out.To[1:]
	}
	return out, next
}

// silent is a server that answers no repeated birth.
type silent struct{ directory }

func (p *silent) Poll(now time.Time) (core.Outgoing, time.Time) {
	out, next := p.directory.Poll(now)
	if !out.Empty() && len(out.To) < p.Len() {
		return p.directory.Poll(now)
	}
	return out, next
}

// nostalgic is a server that answers repeated births with the largest
// directory there has been.
type nostalgic struct {
	directory
	best []byte
}

func (p *nostalgic) Poll(now time.Time) (core.Outgoing, time.Time) {
	out, next := p.directory.Poll(now)
	if len(out.Datagram) > len(p.best) {
		p.best = slices.Clone(out.Datagram)
	}
	if !out.Empty() && len(out.To) < p.Len() {
		out.Datagram = p.best
	}
	return out, next
}

// partial sends every third announcement twice to one member, and not to another.
type partial struct {
	directory
	n int
}

func (p *partial) Poll(now time.Time) (core.Outgoing, time.Time) {
	out, next := p.directory.Poll(now)
	if len(out.To) > 1 {
		if p.n++; p.n%3 == 0 {
			out.To = slices.Clone(out.To)
			out.To[0] = out.To[1]
		}
	}
	return out, next
}

// negligent is a server that owes no answer any more, ever, to those to whom it owed one
// when it announced.
type negligent struct {
	directory
	asked, ignored map[uint16]bool
}

func (p *negligent) Step(now time.Time, from netip.AddrPort, datagram []byte) bool {
	if m, err := wire.Parse(datagram); err == nil && m.Type == core.TypeBirth {
		p.asked[m.Entry.Port] = slices.Contains(p.Members(), m.Entry.Member(serverAddr.Addr()))
	}
	return p.directory.Step(now, from, datagram)
}

func (p *negligent) Poll(now time.Time) (core.Outgoing, time.Time) {
	out, next := p.directory.Poll(now)
	switch {
	case out.Empty():
		clear(p.asked) // all is sent
	case len(out.To) == p.Len():
		for port, asked := range p.asked {
			p.ignored[port] = p.ignored[port] || asked
		}
	case p.ignored[out.To[0].Port()]:
		return p.Poll(now)
	}
	return out, next
}

// careless is a server that stops counting keep-alives at 100.
type careless struct{ directory }

func (p *careless) Counters() core.Counters {
	c := p.directory.Counters()
	c.Events[core.Alive] = min(c.Events[core.Alive], 100)
	return c
}

// deaf is a server that does not hear of what its queue had no room for.
type deaf struct{ directory }

func (p *deaf) Lost(time.Time) {}

func newDirectory(cfg core.DirectoryConfig, now time.Time) directory {
	return directory{simnet.Must(core.NewDirectory(cfg, now))}
}

func newPeer(cfg core.PeerConfig, now time.Time) *core.Peer {
	return simnet.Must(core.NewPeer(cfg, now))
}

// late is a server with other timing than the one it is checked by.
func late(deadline time.Duration) Machines {
	return Machines{Peer: Core.Peer, Server: func(cfg core.DirectoryConfig, _ *wide.Identity, now time.Time) core.Machine {
		cfg.Timing.Deadline = deadline
		return newDirectory(cfg, now)
	}}
}

func serverOf(f func(directory) core.Machine) Machines {
	return Machines{Peer: Core.Peer, Server: func(cfg core.DirectoryConfig, _ *wide.Identity, now time.Time) core.Machine {
		return f(newDirectory(cfg, now))
	}}
}

// The checker sees: against every invariant, a fault planted in a copy of a machine
// is found within 1,000 seeds, under the invariant's name. The first against each shrinks to a scenario that still shows it.
func TestPlantedFaults(t *testing.T) {
	peerOf := func(f func(*core.Peer) core.Machine) Machines {
		return Machines{Server: Core.Server, Peer: func(cfg core.PeerConfig, _ *wide.Identity, now time.Time) core.Machine {
			return f(newPeer(cfg, now))
		}}
	}
	doctor := func(poll func(*doctored, time.Time) (core.Outgoing, time.Time)) Machines {
		return Machines{Server: Core.Server, Peer: func(cfg core.PeerConfig, _ *wide.Identity, now time.Time) core.Machine {
			return &doctored{Peer: newPeer(cfg, now), cfg: cfg, born: now, poll: poll}
		}}
	}
	type plant struct {
		PeerName  string
		machines  Machines
		invariant string
	}
	planted := []plant{
		{"reaps too early", late(1400 * time.Millisecond), "early-removal"},
		{"reaps too late", late(1600 * time.Millisecond), "late-removal"},
		{"does not hear of losses", serverOf(func(d directory) core.Machine { return &deaf{d} }), "early-removal"},
		{"forgets announcements", serverOf(func(d directory) core.Machine { return &forgetful{directory: d} }), "announce"},
		{"announces not to all", serverOf(func(d directory) core.Machine { return &partial{directory: d} }), "announce"},
		{"names a member twice", serverOf(func(d directory) core.Machine { return &garbler{directory: d} }), "directory"},
		{"admits a port twice", serverOf(func(d directory) core.Machine { return &lax{directory: d} }), "membership"},
		{"sends without bound", serverOf(func(d directory) core.Machine { return &chatty{directory: d} }), "bounded"},
		{"keeps a stale view", peerOf(func(p *core.Peer) core.Machine { return &stale{Peer: p} }), "view"},
		{"leaves one out", peerOf(func(p *core.Peer) core.Machine { return &sparing{p} }), "view"},
		{"forgets what it knew", peerOf(func(p *core.Peer) core.Machine { return &amnesiac{Peer: p} }), "view"},
		{"forgets the others when it has been stopped", doctor(func(p *doctored, now time.Time) (core.Outgoing, time.Time) {
			if p.late(now) {
				p.Step(now, serverAddr, wire.Message{Type: core.TypeDirectory}.Append(nil))
			}
			return p.Peer.Poll(now)
		}), "view"},
		{"falls silent for good", doctor(leavingOut(core.TypeKeepAlive, func(p *doctored) bool { return p.n > 40 })), "timers"},
		{"half of the keep-alives", doctor(leavingOut(core.TypeKeepAlive, func(p *doctored) bool { return p.n%2 == 0 })), "timers"},
		{"leaves out a broadcast", doctor(leavingOut(core.TypeVanilla, func(p *doctored) bool { return p.n == 8 })), "timers"},
		{"is born once in its life", doctor(leavingOut(core.TypeBirth, func(p *doctored) bool { return p.n > 1 })), "timers"},
		{"is not born when it is relaunched", doctor(leavingOut(core.TypeBirth, func(p *doctored) bool { return p.n == 1 && p.relaunched() })), "timers"},
		{"is early by a microsecond", doctor(func(p *doctored, now time.Time) (core.Outgoing, time.Time) {
			out, next := p.Peer.Poll(now.Add(time.Microsecond))
			return out, next.Add(-time.Microsecond)
		}), "timers"},
		{"is late by a microsecond", doctor(func(p *doctored, now time.Time) (core.Outgoing, time.Time) {
			return p.Peer.Poll(now.Add(-time.Microsecond))
		}), "timers"},
		{"oversleeps", doctor(func(p *doctored, now time.Time) (core.Outgoing, time.Time) {
			out, next := p.Peer.Poll(now)
			return out, next.Add(time.Millisecond)
		}), "timers"},
		{"begins anew when it has been stopped", doctor(func(p *doctored, now time.Time) (core.Outgoing, time.Time) {
			if p.late(now) {
				p.Peer = newPeer(p.cfg, now)
			}
			return p.Peer.Poll(now)
		}), "timers"},
		{"sends what it missed, one by one", doctor(func(p *doctored, now time.Time) (core.Outgoing, time.Time) {
			if p.late(now) && p.n == 0 {
				p.n = int(now.Sub(p.next) / p.cfg.Timing.Heartbeat)
			}
			if p.n > 0 {
				p.n--
				return core.Outgoing{Datagram: wire.Message{Type: core.TypeKeepAlive, Entry: wire.EntryOf(p.cfg.Self)}.Append(nil), To: []netip.AddrPort{serverAddr}}, now
			}
			return p.Peer.Poll(now)
		}), "timers"},
		{"counter is stuck", doctor(counting(func(p *doctored, _ time.Time, out core.Outgoing) {
			if typeOf(out) == core.TypeVanilla {
				p.numbers = -uint16(p.n)
				p.n++
			}
		})), "counter"},
		{"counter leaves one out", doctor(counting(func(p *doctored, _ time.Time, out core.Outgoing) {
			if typeOf(out) == core.TypeVanilla {
				if p.n++; p.n == 8 {
					p.numbers = 1
				}
			}
		})), "counter"},
		{"counter begins anew when it has been stopped", doctor(counting(func(p *doctored, now time.Time, out core.Outgoing) {
			if p.late(now) {
				p.numbers = -uint16(p.n)
			}
			if typeOf(out) == core.TypeVanilla {
				p.n++
			}
		})), "counter"},
		{"counter goes on when it is relaunched", doctor(counting(func(p *doctored, _ time.Time, _ core.Outgoing) {
			if p.relaunched() {
				p.numbers = 5
			}
		})), "counter"},
		{"counts carelessly", serverOf(func(d directory) core.Machine { return &careless{directory: d} }), "accounts"},
		{"answers no repeated birth", serverOf(func(d directory) core.Machine { return &silent{d} }), "answer"},
		{"forgets whom it owes an answer", serverOf(func(d directory) core.Machine {
			return &negligent{d, map[uint16]bool{}, map[uint16]bool{}}
		}), "answer"},
		{"answers with an old directory for ever", serverOf(func(d directory) core.Machine { return &nostalgic{directory: d} }), "heal"},
		{"answers with an old directory", serverOf(func(d directory) core.Machine { return &nostalgic{directory: d} }), "gap"},
	}
	for _, known := range Invariants {
		if !slices.ContainsFunc(planted, func(p plant) bool { return p.invariant == known[0] }) {
			t.Errorf("no fault is planted against %s", known[0])
		}
	}
	for i, tt := range planted {
		first := !slices.ContainsFunc(planted[:i], func(p plant) bool { return p.invariant == tt.invariant })
		t.Run(tt.PeerName, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= 1000; seed++ {
				s := Draw(seed)
				f := Exact(tt.machines)(t.Context(), s, 0, nil).Finding
				if f == nil || f.Invariant != tt.invariant {
					continue
				}
				if !first { // shrinking takes most of the time
					t.Logf("seed %d: %v", seed, f)
					return
				}
				small := Shrink(t.Context(), s, Exact(tt.machines))
				again := Exact(tt.machines)(t.Context(), small, 0, nil).Finding
				if again == nil || again.Invariant != tt.invariant || len(small.Faults) > len(s.Faults) || small.Peers > s.Peers {
					t.Errorf("shrunk to %v: %v", small, again)
				}
				t.Logf("seed %d: %v; %d peers and %d faults shrink to %d and %v", seed, f, s.Peers, len(s.Faults), small.Peers, small.Faults)
				return
			}
			t.Errorf("1,000 seeds do not find %q", tt.invariant)
		})
	}
}

// Where nothing but hostile datagrams comes, no invariant breaks; and what one of them breaks is found
// and shrunk to few.
func TestAttack(t *testing.T) {
	t.Parallel()
	for _, m := range []Meshes{{Hostile: true}, {Hostile: true, Wide: true}} {
		if tally := Swarm(t.Context(), 1, 40, m); tally.Seeds != 40 || len(tally.Findings) > 0 {
			t.Errorf("%+v: %+v", m, tally)
		}
	}
	of := Meshes{Hostile: true}
	wrong := Exact(serverOf(func(d directory) core.Machine { return &chatty{directory: d} }))
	for seed := uint64(1); ; seed++ {
		s := of.Draw(seed)
		if f := wrong(t.Context(), s, 0, nil).Finding; f == nil || f.Invariant != "bounded" || len(s.Faults) < 5 {
			continue
		}
		if small := Shrink(t.Context(), s, wrong); len(small.Faults) != 1 || small.Faults[0].N > 20 {
			t.Errorf("seed %d shrinks to %v", seed, small.Faults)
		}
		return
	}
}
