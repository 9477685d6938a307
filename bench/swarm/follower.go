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
	peers  []peer              // in the order of their ports
	gaps   map[Gap]int         // seen in the end
	also   func(*simnet.Event) // hears every event, too; may be nil
}

func newFollower(timing core.Timing, peers int) *follower {
	f := &follower{judge: judge{timing: timing}, peers: make([]peer, peers), gaps: map[Gap]int{}}
	f.ledger.judge, f.ledger.gone, f.listed = &f.judge, f.gone, f.ledger.has
	return f
}

// peer is the one on a port, nil where there can be none.
func (f *follower) peer(port uint16) *peer {
	if i := int(port) - simnet.ServerPort - 1; i >= 0 && i < len(f.peers) {
		return &f.peers[i]
	}
	return nil
}

// trace is the Net's.
func (f *follower) trace(e *simnet.Event) {
	if f.also != nil {
		f.also(e)
	}
	from, to := f.peer(e.From), f.peer(e.To)
	switch toServer := e.To == simnet.ServerPort; {
	case e.What == simnet.Launched || e.What == simnet.Resumed:
		if from != nil {
			from.started = e.At
		} else if e.What == simnet.Resumed {
			f.ledger.since, f.ledger.resumed = e.At, e.At
		}
	case e.From == simnet.ServerPort && to != nil:
		to.sent.notice(e)
	case e.From == simnet.ServerPort:
		for _, port := range e.Ports {
			if p := f.peer(port); p != nil {
				p.sent.notice(e)
			}
		}
	case toServer && e.What == simnet.Overflowed:
		f.ledger.losing = true
		fallthrough
	case toServer, e.What == simnet.Sent && len(e.Ports) == 1 && e.Ports[0] == simnet.ServerPort:
		if from != nil {
			from.notice(e)
		}
	}
}

// gone notes that the server has lost a member, for silence if for no other
// reason. Nobody asks about others than the peers' own entries.
func (f *follower) gone(x wire.Entry, heard time.Duration, why Gap) {
	if p := f.peer(x.Port); p != nil && p.member != nil && p.self == x {
		if why == "" {
			why = p.silence(heard)
		}
		p.absence = absence{why, f.net.Now()}
	}
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
		in, others := all.Contains(p.self), p.Others()
		equal, why := same(others, without(nil, all, p.self.Port)), p.gap(in)
		switch {
		case !in && f.ledger.shutOut(p.self, refresh):
			f.gaps[GapDisplaced]++
		case !p.Joined(), refresh && !in:
			f.fail("heal", "peer %v is still outside", p.self)
		case refresh && !equal:
			f.fail("heal", "peer %v knows %d others, the server %d members", p.self, len(others), all.Len())
		case refresh:
		case !in && why == "":
			f.fail("gap", "the server does not have %v any more, and nothing explains why", p.self)
		case in && !bytes.Equal(p.sent.datagram[4:], all):
			f.fail("gap", "the last directory sent to %v is not the server's", p.self)
		case in && equal:
		case why == "":
			f.fail("gap", "%v knows %d others, the server %d members, and no directory was lost", p.self, len(others), all.Len())
		default:
			f.gaps[why]++
		}
	}
}
