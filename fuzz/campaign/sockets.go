package campaign

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
	"p2plocal/fuzz/gateway"
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/target"
)

// What a campaign uses its ports for, counted from the first. They stay the same when the
// target is restarted, so that a datagram that names one means the same again.
const (
	mostMembers  = 10
	probers      = 15
	proberPort   = mostMembers
	outsiderPort = proberPort + probers
	strangerPort = outsiderPort + 1
	peerPort     = strangerPort + 1 // of a peer that the campaign starts
	ownPort      = peerPort + 1     // of the server's own peers
	homePort     = ownPort + ownPeers
	PortsUsed    = homePort + 1
)

// The ports that are chosen from, and behind them those that hostile births name: no
// system's for sockets that ask for any, and none of the catalogue's.
const (
	firstPort = 22000
	places    = 5000 / PortsUsed
	sparePort = 27000
	spares    = 5000
)

// endpoint is one of the campaign's sockets, and how its trial has fared with it so far.
type endpoint struct {
	socket target.Socket
	entry  wire.Entry // as which it takes part
	life
}

type life struct {
	joined  bool         // a directory has named it
	since   time.Time    // when one first did
	view    wire.Entries // the last directory that it got
	viewAt  time.Time    // when that came
	same    bool         // that said nothing new
	seen    []wire.Entry // members that its directories have named
	waits   bool         // for the answer to a question
	asked   int          // directories that it has asked for and that may say nothing new
	rest    time.Time    // when it last asked
	heard   int          // messages from the peer under attack
	machine core.Machine // its own; nil: none
	passed  uint64       // the last mark that it has read
}

// packet is a datagram that has come to an endpoint.
type packet struct {
	at   time.Time // when the kernel had it
	to   *endpoint
	from netip.AddrPort
	data []byte
}

// sockets are all that the campaign has; the first ones take part in the mesh.
type sockets struct {
	members  []*endpoint
	probers  []*endpoint
	outsider *endpoint // that nobody tells of in good faith
	home     *endpoint // the server of the peer under attack
	sources  [hostile.FromDouble + 1]*endpoint
	leads    []*endpoint // wide: of silent members, whose addresses are where they are born from
	all      []*endpoint
	inbox    chan packet
	closed   chan struct{}
}

// open binds the ports; if none are given, the first that are free from a place that the seed
// chooses.
func (c *campaign) open() error {
	c.inbox, c.closed = make(chan packet, 1024), make(chan struct{})
	c.translate()
	if c.Ports != 0 {
		return c.bindAll()
	}
	var err error
	for i := range uint64(places) {
		c.Ports = uint16(firstPort + PortsUsed*((c.Seed+i)%places))
		if err = c.bindAll(); err == nil || !errors.Is(err, syscall.EADDRINUSE) {
			return err
		}
	}
	return fmt.Errorf("no %d ports in a row are free from %d on: %w", PortsUsed, firstPort, err)
}

func (c *campaign) bindAll() (err error) {
	host := c.Target.Addr()
	bind := func(at netip.AddrPort) *endpoint {
		var s target.Socket
		if err == nil {
			s, err = c.Host.Listen(at)
		}
		if err != nil {
			return nil
		}
		p := &endpoint{socket: s}
		c.all = append(c.all, p)
		return p
	}
	port := func(n int) *endpoint { return bind(netip.AddrPortFrom(host, c.Ports+uint16(n))) }
	members := mostMembers
	if c.Role == hostile.Peer {
		members = 3
	}
	for i := range members {
		c.members = append(c.members, port(i))
	}
	for i := range probers {
		c.probers = append(c.probers, port(proberPort+i))
	}
	c.outsider, c.sources[hostile.FromStranger] = port(outsiderPort), port(strangerPort)
	if c.Role == hostile.Peer {
		c.sources[hostile.FromMember] = c.members[0]
		at := netip.AddrPortFrom(host, c.Ports+homePort)
		if !target.HasServer(c.PeerExec) {
			at = netip.AddrPortFrom(host, target.StandardPort)
		}
		c.home = bind(at)
		c.sources[hostile.FromServer] = c.home
		if c.gate != nil && c.home != nil {
			c.home.socket.(*gateway.Socket).Heal = true
		}
	}
	for range wideLeads {
		if c.gate != nil && c.Role == hostile.Server {
			c.leads = append(c.leads, bind(netip.AddrPortFrom(host, 0)))
		}
	}
	if err != nil {
		c.release()
		return fmt.Errorf("the ports from %d on are busy: %w", c.Ports, err)
	}
	if c.Role == hostile.Peer && host.IsLoopback() { // every address of 127/8 is this host's own, on most systems
		c.sources[hostile.FromElsewhere] = bind(onAnother(c.server()))
		c.sources[hostile.FromDouble] = bind(onAnother(c.members[0].socket.Addr()))
	}
	for _, p := range c.all {
		go c.read(p)
	}
	return nil
}

// server is the directory server, ours where a peer is under attack.
func (c *campaign) server() netip.AddrPort {
	if c.home != nil {
		return c.home.socket.Addr()
	}
	return c.Target
}

// onAnother is the same port of another loopback address.
func onAnother(a netip.AddrPort) netip.AddrPort {
	b := a.Addr().As4()
	b[3] ^= 2
	return netip.AddrPortFrom(netip.AddrFrom4(b), a.Port())
}

func (c *campaign) read(p *endpoint) {
	target.Read(p.socket, func(at time.Time, from netip.AddrPort, b []byte) {
		at = time.Now().Add(-max(0, time.Since(at))) // so that nobody who sets the clock reorders anything
		select {
		case c.inbox <- packet{at, p, from, b}:
		case <-c.closed: // and soon the socket, too
		}
	})
}

func (c *campaign) release() {
	for _, p := range c.all {
		p.socket.Close()
	}
	c.all, c.members, c.probers, c.home, c.leads = nil, nil, nil, nil, nil
	c.sources = [hostile.FromDouble + 1]*endpoint{}
}

func (c *campaign) close() {
	close(c.closed)
	c.release()
}

// reset has all endpoints begin anew.
func (c *campaign) reset() {
	for _, p := range c.all {
		p.life = life{passed: p.passed}
	}
	for i, p := range c.members {
		if p.entry.Name == 0 {
			p.entry = wire.Entry{Name: wire.Name('~' - i), Port: p.socket.Addr().Port()}
		}
	}
}

// names are what names are used for; those that others have in a running mesh are left out.
type names struct {
	pool  []wire.Name // the catalogue's, in turn
	loose []wire.Name // all random batches'
	own   [ownPeers]wire.Entry
}

const (
	ownPeers   = 2
	looseNames = 8
	peerName   = wire.Name('T') // of a peer that the campaign starts
)

// assign gives out the names once the members are in.
func (n *names) assign(t *trial) {
	taken := map[wire.Name]bool{}
	for e := range t.members[0].view.Each() {
		taken[e.Name] = true
	}
	for _, p := range t.members {
		taken[p.entry.Name] = true
	}
	if t.Role == hostile.Peer {
		taken[peerName] = true
	}
	var free []wire.Name
	least := wire.Name(' ')
	if t.gate != nil {
		least = gateway.FirstName
	}
	for name := wire.Name('~'); name >= least; name-- {
		if !taken[name] {
			free = append(free, name)
		}
	}
	take := func(k int) (some []wire.Name) {
		k = min(k, len(free))
		some, free = free[:k:k], free[k:]
		return some
	}
	for i, name := range take(probers) {
		t.probers[i].entry = wire.Entry{Name: name, Port: t.probers[i].socket.Addr().Port()}
	}
	t.probers = slices.DeleteFunc(t.probers, func(p *endpoint) bool { return p.entry.Name == 0 })
	for i, name := range take(ownPeers) {
		n.own[i] = wire.Entry{Name: name, Port: t.Ports + ownPort + uint16(i)}
	}
	n.loose, n.pool = take(looseNames), free
}
