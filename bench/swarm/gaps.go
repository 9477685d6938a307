package swarm

import (
	"bytes"
	"time"

	"p2plocal/core"
	"p2plocal/core/simnet"
)

// Gap is why a peer's view may differ from the server's for good, in a mesh
// without refresh, or why it may be outside. These are all that the exact
// protocol is known to leave.
type Gap string

const (
	GapLost      Gap = "lost"      // the last directory; the next one comes with the next change, and there is none
	GapOvertaken Gap = "overtaken" // an older directory came after the last one, and counts as newer; perhaps after a relaunch

	// The server does not have the peer any more, and a member is not born again.
	GapRestarted Gap = "restarted" // the server came back knowing nobody
	GapStopped   Gap = "stopped"   // the peer was dead or paused, or its clock stood still, until it was removed
	GapUnheard   Gap = "unheard"   // what the peer sent was lost or late until it was removed
	GapDisplaced Gap = "displaced" // another was born with its name or port, and with refresh, too: has them still
)

// Gaps are all of them.
var Gaps = []Gap{GapLost, GapOvertaken, GapRestarted, GapStopped, GapUnheard, GapDisplaced}

// delivery is what has become of the last directory sent to a port.
type delivery struct {
	last                   core.Entries
	lost, taken, overtaken bool
}

// gap is the one that the delivery explains; "": none.
func (p *delivery) gap() Gap {
	switch {
	case p.overtaken:
		return GapOvertaken
	case p.lost && !p.taken:
		return GapLost
	}
	return ""
}

// deliveries follows every port's.
type deliveries map[uint16]*delivery

func (g deliveries) of(port uint16) *delivery {
	p := g[port]
	if p == nil {
		p = &delivery{}
		g[port] = p
	}
	return p
}

// observe takes what the network does to the server's directories.
func (g deliveries) observe(e simnet.Event) {
	if e.From != simnet.ServerPort || e.What >= simnet.Launched {
		return
	}
	m, err := core.Parse(e.Datagram)
	if err != nil || m.Type != core.TypeDirectory {
		return
	}
	if e.What == simnet.Sent {
		for _, port := range e.Ports {
			p := g.of(port)
			p.last = append(p.last[:0], m.Entries...)
			p.lost, p.taken, p.overtaken = false, false, false // of those with the same content, too
		}
		return
	}
	p := g.of(e.To)
	same := bytes.Equal(p.last, m.Entries)
	switch e.What {
	case simnet.Taken:
		p.taken, p.overtaken = p.taken || same, p.taken && !same
	case simnet.Lost, simnet.Cut, simnet.Overflowed, simnet.Unreachable:
		p.lost = p.lost || same
	}
}

// absence is why the server no longer has a peer, and since when.
type absence struct {
	why Gap // "": nothing that has happened explains it
	at  time.Duration
}

// gone takes note that the server has lost a member. Only of the peers' own
// entries does anybody ask.
func (c *checker) gone(e core.Entry, why Gap) { c.absent[e] = absence{why, c.net.Now()} }

// silence explains why the server has not heard a member that it removes since
// a time. What it sent must have been lost or be on its way; or it can have sent
// nothing: the timers see to it that a peer that runs does.
func (c *checker) silence(e core.Entry, heard time.Duration) Gap {
	w, x := c.peers[e.Port], c.net.Node(e.Port)
	switch {
	case w == nil || w.self != e:
		return "" // a ghost
	case !x.Running() || x.Paused() || c.started[e.Port] >= heard:
		return GapStopped
	case w.lastSent <= heard && x.Time().Sub(simnet.Start) < w.alive.due:
		return GapStopped
	case w.lastSent > heard && (c.uplinks[e.Port].last > heard || c.uplinks[e.Port].underWay > 0):
		return GapUnheard
	}
	return ""
}

// uplink is what has become of a peer's datagrams to the server.
type uplink struct {
	last     time.Duration // when one was last lost
	underWay int           // on their way, or waiting
}

// follow counts what a port sends to the server, and what becomes of it.
func (c *checker) follow(e simnet.Event) {
	switch {
	case e.What == simnet.Sent:
		if len(e.Ports) != 1 || e.Ports[0] != simnet.ServerPort {
			return
		}
	case e.To != simnet.ServerPort:
		return
	}
	m := c.uplinks[e.From]
	switch e.What {
	case simnet.Sent, simnet.Duplicated:
		m.underWay++
	case simnet.Lost, simnet.Cut, simnet.Overflowed, simnet.Unreachable:
		m.last = e.At
		m.underWay--
	case simnet.Taken:
		m.underWay--
	}
	c.uplinks[e.From] = m
}

// outside is the gap of a peer that has been a member and is none in the end.
// If it never was one in its present life, it believes a directory from before.
func (c *checker) outside(self core.Entry) Gap {
	a, w := c.absent[self], c.peers[self.Port]
	switch {
	case a.at < w.launched && w.stale:
		return GapOvertaken
	case a.at < w.launched:
		return ""
	}
	return a.why
}

// gap checks at the end of a mesh without refresh that a peer's view is the
// server's, or that a known gap explains why not.
func (c *checker) gap(self core.Entry, others, all core.Entries) {
	p := c.deliveries.of(self.Port)
	switch {
	case !all.Contains(self): // end has seen to it that it has been a member
		why := c.outside(self)
		if why == "" {
			c.fail("gap", "the server does not have %v any more, and nothing explains why", self)
		}
		c.gaps[why]++
	case !bytes.Equal(p.last, all):
		c.fail("gap", "the last directory sent to %v is not the server's", self)
	case known(others, all, self.Port):
	case p.gap() == "":
		c.fail("gap", "%v knows %d others, the server %d members, and no directory was lost", self, others.Len(), all.Len())
	default:
		c.gaps[p.gap()]++
	}
}
