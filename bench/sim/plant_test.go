package sim

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"p2plocal/core"
	"p2plocal/core/coretest"
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
	extra core.Entries
	all   core.Entries
}

func (p *lax) Step(now time.Time, from netip.AddrPort, datagram []byte) {
	if m, err := core.Parse(datagram); err == nil && m.Type == core.TypeBirth && len(p.extra) == 0 {
		e := p.directory.Entries()
		for i := range e.Len() {
			if x := e.At(i); x.Port == m.Entry.Port && x.Name != m.Entry.Name {
				p.extra = p.extra.Append(m.Entry)
			}
		}
	}
	p.directory.Step(now, from, datagram)
}

func (p *lax) Entries() core.Entries {
	p.all = append(append(p.all[:0], p.directory.Entries()...), p.extra...)
	return p.all
}

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

// chatty announces once more for every datagram that it does not like.
type chatty struct {
	directory
	last core.Outgoing
	owed int
}

func (p *chatty) Step(now time.Time, from netip.AddrPort, datagram []byte) {
	if _, err := core.Parse(datagram); err != nil {
		p.owed++
	}
	p.directory.Step(now, from, datagram)
}

func (p *chatty) Poll(now time.Time) (core.Outgoing, time.Time) {
	out, next := p.directory.Poll(now)
	if !out.Empty() {
		p.last = core.Outgoing{Datagram: slices.Clone(out.Datagram), Ports: slices.Clone(out.Ports)}
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

func (p *stale) Step(now time.Time, from netip.AddrPort, datagram []byte) {
	if m, err := core.Parse(datagram); err == nil && m.Type == core.TypeDirectory && from.Port() == coretest.ServerPort {
		if m.Entries.Len() < p.most {
			return
		}
		p.most = m.Entries.Len()
	}
	p.Peer.Step(now, from, datagram)
}

// stuck is a peer whose broadcasts all have the number of its first.
type stuck struct {
	*core.Peer
	first []byte
}

func (p *stuck) Poll(now time.Time) (core.Outgoing, time.Time) {
	out, next := p.Peer.Poll(now)
	if m, err := core.Parse(out.Datagram); err == nil && m.Type == core.TypeVanilla {
		if p.first == nil {
			p.first = slices.Clone(out.Datagram)
		}
		out.Datagram = p.first
	}
	return out, next
}

// amnesiac is a peer that forgets the others a second after it heard of them.
type amnesiac struct {
	*core.Peer
	took, now time.Time
}

func (p *amnesiac) Step(now time.Time, from netip.AddrPort, datagram []byte) {
	p.took, p.now = now, now
	p.Peer.Step(now, from, datagram)
}

func (p *amnesiac) Poll(now time.Time) (core.Outgoing, time.Time) {
	p.now = now
	return p.Peer.Poll(now)
}

func (p *amnesiac) Others() core.Entries {
	if p.now.Sub(p.took) > time.Second {
		return nil
	}
	return p.Peer.Others()
}

// sparing is a peer whose broadcasts leave one member out.
type sparing struct{ *core.Peer }

func (p *sparing) Poll(now time.Time) (core.Outgoing, time.Time) {
	out, next := p.Peer.Poll(now)
	if m, err := core.Parse(out.Datagram); err == nil && m.Type == core.TypeVanilla && len(out.Ports) > 1 {
		out.Ports = out.Ports[1:]
	}
	return out, next
}

// mute is a peer that is not born again.
type mute struct {
	*core.Peer
	born bool
}

func (p *mute) Poll(now time.Time) (core.Outgoing, time.Time) {
	out, next := p.Peer.Poll(now)
	if m, err := core.Parse(out.Datagram); err == nil && m.Type == core.TypeBirth {
		if p.born {
			return p.Peer.Poll(now)
		}
		p.born = true
	}
	return out, next
}

// careless is a server that stops counting keep-alives at 100.
type careless struct{ directory }

func (p *careless) Counters() core.Counters {
	c := p.directory.Counters()
	c.KeepAlives = min(c.KeepAlives, 100)
	return c
}

// deaf is a server that does not hear of what its queue had no room for.
type deaf struct{ directory }

func (p *deaf) Lost(time.Time) {}

func newDirectory(cfg core.DirectoryConfig, now time.Time) directory {
	return directory{must(core.NewDirectory(cfg, now))}
}

func newPeer(cfg core.PeerConfig, now time.Time) *core.Peer { return must(core.NewPeer(cfg, now)) }

// late is a server with other timing than the one it is checked by.
func late(deadline time.Duration) Machines {
	return Machines{Peer: Core.Peer, Server: func(cfg core.DirectoryConfig, now time.Time) core.Machine {
		cfg.Timing.Deadline = deadline
		return newDirectory(cfg, now)
	}}
}

// The checker sees: against every invariant, a fault planted in a copy of a machine
// is found within 1,000 seeds, under the invariant's name, and shrinks to a scenario that still shows it.
func TestPlantedFaults(t *testing.T) {
	serverOf := func(f func(directory) core.Machine) Machines {
		return Machines{Peer: Core.Peer, Server: func(cfg core.DirectoryConfig, now time.Time) core.Machine {
			return f(newDirectory(cfg, now))
		}}
	}
	peerOf := func(f func(*core.Peer) core.Machine) Machines {
		return Machines{Server: Core.Server, Peer: func(cfg core.PeerConfig, now time.Time) core.Machine {
			return f(newPeer(cfg, now))
		}}
	}
	type plant struct {
		name      string
		machines  Machines
		invariant string
	}
	planted := []plant{
		{"reaps too early", late(1400 * time.Millisecond), "early-reap"},
		{"reaps too late", late(1600 * time.Millisecond), "late-reap"},
		{"does not hear of losses", serverOf(func(d directory) core.Machine { return &deaf{d} }), "early-reap"},
		{"forgets announcements", serverOf(func(d directory) core.Machine { return &forgetful{directory: d} }), "announce"},
		{"names a member twice", serverOf(func(d directory) core.Machine { return &garbler{directory: d} }), "directory"},
		{"admits a port twice", serverOf(func(d directory) core.Machine { return &lax{directory: d} }), "membership"},
		{"sends without bound", serverOf(func(d directory) core.Machine { return &chatty{directory: d} }), "bounded"},
		{"keeps a stale view", peerOf(func(p *core.Peer) core.Machine { return &stale{Peer: p} }), "view"},
		{"leaves one out", peerOf(func(p *core.Peer) core.Machine { return &sparing{p} }), "view"},
		{"counter is stuck", peerOf(func(p *core.Peer) core.Machine { return &stuck{Peer: p} }), "counter"},
		{"counts carelessly", serverOf(func(d directory) core.Machine { return &careless{directory: d} }), "books"},
		{"forgets what it knew", peerOf(func(p *core.Peer) core.Machine { return &amnesiac{Peer: p} }), "gap"},
		{"never born again", peerOf(func(p *core.Peer) core.Machine { return &mute{Peer: p} }), "heal"},
	}
	for _, known := range Invariants {
		if !slices.ContainsFunc(planted, func(p plant) bool { return p.invariant == known[0] }) {
			t.Errorf("no fault is planted against %s", known[0])
		}
	}
	for _, tt := range planted {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= 1000; seed++ {
				s := Draw(seed)
				f := Simulate(s, tt.machines, 0, nil).Finding
				if f == nil || f.Invariant != tt.invariant {
					continue
				}
				small := Shrink(s, tt.machines)
				again := Simulate(small, tt.machines, 0, nil).Finding
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
