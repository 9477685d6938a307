package swarm

import (
	"bytes"
	"time"

	"p2plocal/core"
	"p2plocal/core/simnet"
	"p2plocal/core/wire"
)

// follower is the checker as a whole. It follows what becomes of the datagrams
// between the server and the peers, and so knows why a view may differ.
type follower struct {
	judge
	ledger ledger
	peers  [core.MaxPeers]peer // in the order of their ports
	gaps   map[Gap]int         // seen in the end
}

// peer is what is followed of one peer, through all its lives.
type peer struct {
	*watched  // its machine, once it has been launched
	directory delivery
	started   time.Duration // when it was last resumed or launched
	absence   absence

	lost     time.Duration // when a datagram of its to the server was last lost
	underWay int           // those on their way, or waiting
}

// delivery is what has become of the last directory sent to a peer.
type delivery struct {
	last                   []byte
	lost, taken, overtaken bool
}

// absence is why the server no longer has a peer, and since when.
type absence struct {
	why Gap // "": nothing that has happened explains it
	at  time.Duration
}

func newFollower(timing core.Timing) *follower {
	f := &follower{judge: judge{timing: timing}, gaps: map[Gap]int{}}
	f.ledger.judge, f.ledger.gone = &f.judge, f.gone
	return f
}

// peer is the one on a port, nil where there can be none.
func (f *follower) peer(port uint16) *peer {
	if i := int(port) - simnet.ServerPort - 1; i >= 0 && i < len(f.peers) {
		return &f.peers[i]
	}
	return nil
}

// launch begins a life of a peer, at now by its clock.
func (f *follower) launch(m member, self wire.Entry, now time.Time) *watched {
	w := watch(&f.ledger, m, self, now)
	f.peer(self.Port).watched = w
	return w
}

// trace is the Net's.
func (f *follower) trace(e *simnet.Event) {
	switch {
	case e.What >= simnet.Launched:
		f.process(e)
	case e.From == simnet.ServerPort:
		f.directory(e)
	case e.To == simnet.ServerPort, e.What == simnet.Sent && len(e.Ports) == 1 && e.Ports[0] == simnet.ServerPort:
		f.uplink(e)
	}
}

// process notes what happens to the server's process or a peer's.
func (f *follower) process(e *simnet.Event) {
	switch p := f.peer(e.From); {
	case e.What != simnet.Launched && e.What != simnet.Resumed:
	case p != nil:
		p.started = e.At
	case e.From == simnet.ServerPort && e.What == simnet.Resumed:
		f.ledger.since, f.ledger.resumed = e.At, e.At
	}
}

// directory notes what the network does to the server's directories.
func (f *follower) directory(e *simnet.Event) {
	if e.What == simnet.Sent {
		for _, port := range e.Ports {
			if p := f.peer(port); p != nil {
				p.directory = delivery{last: append(p.directory.last[:0], e.Datagram...)} // of those with the same content, too
			}
		}
		return
	}
	p := f.peer(e.To)
	if p == nil {
		return
	}
	d := &p.directory
	switch same := bytes.Equal(d.last, e.Datagram); e.What {
	case simnet.Taken:
		d.taken, d.overtaken = d.taken || same, d.taken && !same
	case simnet.Lost, simnet.Cut, simnet.Overflowed, simnet.Unreachable:
		d.lost = d.lost || same
	}
}

// uplink counts what goes to the server, and what becomes of it.
func (f *follower) uplink(e *simnet.Event) {
	if e.What == simnet.Overflowed {
		f.ledger.losing = true
	}
	p := f.peer(e.From)
	if p == nil {
		return
	}
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

// gap is the one that the delivery explains; "": none.
func (d *delivery) gap() Gap {
	switch {
	case d.overtaken:
		return GapOvertaken
	case d.lost && !d.taken:
		return GapLost
	}
	return ""
}

// gone notes that the server has lost a member, for silence if for no other
// reason. Nobody asks about others than the peers' own entries.
func (f *follower) gone(member presence, why Gap) {
	if p := f.peer(member.entry.Port); p != nil && p.watched != nil && p.self == member.entry {
		if why == "" {
			why = f.silence(p, member.heard)
		}
		p.absence = absence{why, f.net.Now()}
	}
}

// silence explains why the server has not heard a peer since a time. What it sent
// must have been lost or be on its way; or it can have sent nothing: the timers
// ensure that a peer that runs does.
func (f *follower) silence(p *peer, heard time.Duration) Gap {
	x := f.net.Node(p.self.Port)
	switch {
	case !x.Running() || x.Paused() || p.started >= heard,
		p.lastSent <= heard && x.Time().Sub(simnet.Start) < p.alive.due:
		return GapStopped
	case p.lastSent > heard && (p.lost > heard || p.underWay > 0):
		return GapUnheard
	}
	return ""
}

// outside is the gap of a peer that has been a member and is none in the end.
// If it never was one in its present life, it believes a directory from before.
func (p *peer) outside() Gap {
	switch {
	case p.absence.at < p.launched && p.stale:
		return GapOvertaken
	case p.absence.at < p.launched:
		return ""
	}
	return p.absence.why
}

// end checks what must hold when the faults are long over. One gap is the
// protocol's own, with refresh and without: a ghost that was born with
// somebody's name and has proven itself by a keep-alive is kept alive by that
// peer's own keep-alives, which name no port, and shuts it out for good.
func (f *follower) end() {
	f.ledger.compare(f.net.Now())
	all, refresh := f.ledger.entries, f.timing.Refresh > 0
	for i := range f.net.Nodes()[1:] {
		p := &f.peers[i]
		p.view()
		self, others := p.self, p.Others()
		in := all.Contains(self)
		switch {
		case !in && f.ledger.shutOut(self, refresh):
			f.gaps[GapDisplaced]++
		case !p.Joined(), refresh && !in:
			f.fail("heal", "peer %v is still outside", self)
		case known(others, all, self.Port) && in && (refresh || bytes.Equal(wire.Entries(p.directory.last[4:]), all)):
		case refresh:
			f.fail("heal", "peer %v knows %d others, the server %d members", self, len(others), all.Len())
		default:
			f.gap(p, in, all)
		}
	}
}

// gap checks at the end of a mesh without refresh that a known gap explains why
// a peer's view is not the server's.
func (f *follower) gap(p *peer, in bool, all wire.Entries) {
	why := p.directory.gap()
	switch {
	case !in: // end has checked that it has been a member
		if why = p.outside(); why == "" {
			f.fail("gap", "the server does not have %v any more, and nothing explains why", p.self)
		}
	case !bytes.Equal(p.directory.last[4:], all):
		f.fail("gap", "the last directory sent to %v is not the server's", p.self)
	case why == "":
		f.fail("gap", "%v knows %d others, the server %d members, and no directory was lost", p.self, len(p.Others()), all.Len())
	}
	f.gaps[why]++
}
