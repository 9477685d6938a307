package swarm

import (
	"bytes"
	"time"

	"p2plocal/core"
	"p2plocal/core/simnet"
	"p2plocal/core/wire"
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

// peer is what the checker follows of one peer, through all its lives.
type peer struct {
	*watched  // its machine, once it has been launched
	directory delivery
	uplink    uplink
	started   time.Duration // when it was last resumed or launched
	absence   absence
}

// peer is the one on a port, nil where there can be none.
func (c *checker) peer(port uint16) *peer {
	if i := int(port) - simnet.ServerPort - 1; i >= 0 && i < len(c.peers) {
		return &c.peers[i]
	}
	return nil
}

// delivery is what has become of the last directory sent to a peer.
type delivery struct {
	last                   wire.Entries
	lost, taken, overtaken bool
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

// followDirectory notes what the network does to the server's directories.
func (c *checker) followDirectory(e simnet.Event) {
	if e.From != simnet.ServerPort || e.What >= simnet.Launched {
		return
	}
	m, err := wire.Parse(e.Datagram)
	if err != nil || m.Type != core.TypeDirectory {
		return
	}
	if e.What == simnet.Sent {
		for _, port := range e.Ports {
			if p := c.peer(port); p != nil {
				p.directory = delivery{last: append(p.directory.last[:0], m.Entries...)} // of those with the same content, too
			}
		}
		return
	}
	p := c.peer(e.To)
	if p == nil {
		return
	}
	d := &p.directory
	same := bytes.Equal(d.last, m.Entries)
	switch e.What {
	case simnet.Taken:
		d.taken, d.overtaken = d.taken || same, d.taken && !same
	case simnet.Lost, simnet.Cut, simnet.Overflowed, simnet.Unreachable:
		d.lost = d.lost || same
	}
}

// absence is why the server no longer has a peer, and since when.
type absence struct {
	why Gap // "": nothing that has happened explains it
	at  time.Duration
}

// gone notes that the server has lost a member. Nobody asks about others than the
// peers' own entries.
func (c *checker) gone(e wire.Entry, why Gap) {
	if p := c.peer(e.Port); p != nil && p.watched != nil && p.self == e {
		p.absence = absence{why, c.net.Now()}
	}
}

// silence explains why the server has not heard a member that it removes since
// a time. What it sent must have been lost or be on its way; or it can have sent
// nothing: the timers ensure that a peer that runs does.
func (c *checker) silence(e wire.Entry, heard time.Duration) Gap {
	p, x := c.peer(e.Port), c.net.Node(e.Port)
	switch {
	case p == nil || p.watched == nil || p.self != e:
		return "" // a ghost
	case !x.Running() || x.Paused() || p.started >= heard:
		return GapStopped
	case p.lastSent <= heard && x.Time().Sub(simnet.Start) < p.alive.due:
		return GapStopped
	case p.lastSent > heard && (p.uplink.last > heard || p.uplink.underWay > 0):
		return GapUnheard
	}
	return ""
}

// uplink is what has become of a peer's datagrams to the server.
type uplink struct {
	last     time.Duration // when one was last lost
	underWay int           // on their way, or waiting
}

// followUplink counts what a peer sends to the server, and what becomes of it.
func (c *checker) followUplink(e simnet.Event) {
	p := c.peer(e.From)
	switch {
	case p == nil:
		return
	case e.What == simnet.Launched, e.What == simnet.Resumed:
		p.started = e.At
		return
	case e.What == simnet.Sent:
		if len(e.Ports) != 1 || e.Ports[0] != simnet.ServerPort {
			return
		}
	case e.To != simnet.ServerPort:
		return
	}
	switch e.What {
	case simnet.Sent, simnet.Duplicated:
		p.uplink.underWay++
	case simnet.Lost, simnet.Cut, simnet.Overflowed, simnet.Unreachable:
		p.uplink.last = e.At
		p.uplink.underWay--
	case simnet.Taken:
		p.uplink.underWay--
	}
}

// outside is the gap of a peer that has been a member and is none in the end.
// If it never was one in its present life, it believes a directory from before.
func (c *checker) outside(self wire.Entry) Gap {
	p := c.peer(self.Port)
	switch {
	case p.absence.at < p.launched && p.stale:
		return GapOvertaken
	case p.absence.at < p.launched:
		return ""
	}
	return p.absence.why
}

// gap checks at the end of a mesh without refresh that a peer's view is the
// server's, or that a known gap explains why not.
func (c *checker) gap(self wire.Entry, others, all wire.Entries) {
	d := &c.peer(self.Port).directory
	switch {
	case !all.Contains(self): // end has checked that it has been a member
		why := c.outside(self)
		if why == "" {
			c.fail("gap", "the server does not have %v any more, and nothing explains why", self)
		}
		c.gaps[why]++
	case !bytes.Equal(d.last, all):
		c.fail("gap", "the last directory sent to %v is not the server's", self)
	case known(others, all, self.Port):
	case d.gap() == "":
		c.fail("gap", "%v knows %d others, the server %d members, and no directory was lost", self, others.Len(), all.Len())
	default:
		c.gaps[d.gap()]++
	}
}
