package sim

import (
	"bytes"

	"p2plocal/core"
	"p2plocal/core/coretest"
)

// Gap is why a peer's view may differ from the server's for good, in a mesh
// without refresh. These are all that the exact protocol is known to leave.
type Gap string

const (
	GapLost      Gap = "lost"      // the last directory; the next one comes with the next change, and there is none
	GapOvertaken Gap = "overtaken" // an older directory came after the last one, and counts as newer; perhaps after a relaunch
	GapOutside   Gap = "outside"   // the server, restarted or without a sign of life, knows it no more, and a member is not born again
)

// Gaps are all of them.
var Gaps = []Gap{GapLost, GapOvertaken, GapOutside}

// post is what has become of the last directory sent to a port.
type post struct {
	last                   core.Entries
	lost, taken, overtaken bool
}

// gap is the one that the post explains; "": none.
func (p *post) gap() Gap {
	switch {
	case p.overtaken:
		return GapOvertaken
	case p.lost && !p.taken:
		return GapLost
	}
	return ""
}

// posts follows every port's.
type posts map[uint16]*post

func (g posts) of(port uint16) *post {
	p := g[port]
	if p == nil {
		p = &post{}
		g[port] = p
	}
	return p
}

// hear takes what the network does to the server's directories.
func (g posts) hear(e coretest.Event) {
	if e.From != coretest.ServerPort || e.What >= coretest.Launched {
		return
	}
	m, err := core.Parse(e.Datagram)
	if err != nil || m.Type != core.TypeDirectory {
		return
	}
	if e.What == coretest.Sent {
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
	case coretest.Taken:
		p.taken, p.overtaken = p.taken || same, p.taken && !same
	case coretest.Lost, coretest.Cut, coretest.Overflowed, coretest.Unreachable:
		p.lost = p.lost || same
	}
}

// gap checks at the end of a mesh without refresh that a peer's view is the
// server's, or that a known gap explains why not.
func (c *checker) gap(self core.Entry, others, all core.Entries) {
	p := c.posts.of(self.Port)
	switch {
	case !contains(all, self):
		c.gaps[GapOutside]++ // end has seen to it that it has been a member, or is shut out
	case !bytes.Equal(p.last, all):
		c.fail("gap", "the last directory sent to %v is not the server's", self)
	case known(others, all, self.Port):
	case p.gap() == "":
		c.fail("gap", "%v knows %d others, the server %d members, and no directory was lost", self, others.Len(), all.Len())
	default:
		c.gaps[p.gap()]++
	}
}
