package campaign

import (
	"slices"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
	"p2plocal/fuzz/gateway"
	"p2plocal/fuzz/hostile"
)

// A campaign against the wide dialect is the same over a gateway: what the campaign itself has to say and to
// hear is translated, and what is hostile is of the wide dialect. There a peer's address is where
// its birth came from, so each silent member has a socket of its own.

const wideLeads = 24 // as many as are silent at a time

// translate puts a gateway of its own under the campaign's sockets.
func (c *campaign) translate() {
	if !c.Wide {
		return
	}
	on := c.Host
	if g, ok := on.(*gateway.Host); ok { // of the campaign that is narrowed down beside
		on = g.Host
	}
	c.gate = gateway.New(on, c.Keys)
	c.Host = c.gate
}

// healing is how much longer a peer takes that has believed a directory forged in its server's
// name: its next keep-alive says which version it has, and one more may be lost.
func (c *campaign) healing() time.Duration {
	if c.gate == nil || c.Role != hostile.Peer {
		return 0
	}
	return 2 * heartbeat
}

// source is where a shot of a batch comes from.
func (c *campaign) source(s hostile.Shot, of []hostile.Shot) *endpoint {
	if len(c.leads) > 0 && s.From == hostile.FromStranger && len(of) > 0 && of[0].Case == leadCase {
		return c.leads[int(of[0].Datagram[2])%len(c.leads)]
	}
	return c.sources[s.From]
}

// message is a well-formed datagram as the exact protocol has it.
func (c *campaign) message(datagram []byte, from *endpoint) (wire.Message, error) {
	if c.gate == nil || from == nil {
		return wire.Parse(datagram)
	}
	return c.gate.Message(datagram, from.socket.Addr())
}

// birthplace reports that hostile births may let somebody in at a port: at the ports that they
// name, in the wide dialect at those that they come from.
func (c *campaign) birthplace(port uint16) bool {
	if c.gate == nil {
		return port >= sparePort && port < sparePort+spares
	}
	return slices.ContainsFunc(append(c.leads, c.sources[hostile.FromStranger]), func(p *endpoint) bool { return p.socket.Addr().Port() == port })
}

// mayAnswerWide is mayAnswer for the wide dialect.
func (c *campaign) mayAnswerWide(d []byte) bool {
	m, err := c.message(d, c.sources[hostile.FromStranger])
	if err != nil {
		return false
	}
	named := func(p *endpoint) bool { return p.entry.Name == m.Entry.Name }
	return m.Type == core.TypeDirectory || m.Type == core.TypeBirth && (slices.ContainsFunc(c.members, named) || slices.ContainsFunc(c.probers, named))
}

// onWire is what was sent last, as it went out, before it was sealed.
func onWire(p *endpoint, datagram []byte) []byte {
	if s, ok := p.socket.(*gateway.Socket); ok {
		return s.Sent().Data
	}
	return datagram
}
