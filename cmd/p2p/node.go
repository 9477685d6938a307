package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"time"

	"p2plocal/cmd/internal/cli"
	"p2plocal/core"
	"p2plocal/core/udp"
)

// node is one machine on its socket.
type node struct {
	out     *printer
	opened  time.Time
	socket  *udp.Socket
	granted int        // receive buffer in bytes; 0: unknown
	host    netip.Addr // where the machine's ports are
	machine interface {
		core.Machine
		Counters() core.Counters
	}
	peer      *core.Peer    // the machine, if it is one
	interval  time.Duration // between the peer's broadcasts, when it does broadcast
	broadcast bool          // and whether it does
}

// open makes the machine that o describes and binds its socket.
func open(o *options, out *printer, stderr io.Writer) (*node, error) {
	n := &node{out: out, opened: time.Now()}
	at, hello := o.listen, started{}
	if o.peer != nil {
		if err := n.newPeer(o); err != nil {
			return nil, cli.UsageError{Err: err}
		}
		at = netip.AddrPortFrom(o.server.Addr(), o.peer.Port)
		hello.peerOf = &peerOf{entryOf(*o.peer), o.server.String()}
	}
	var err error
	if n.socket, err = udp.Listen(at, o.readBuffer); err != nil {
		return nil, err
	}
	if n.host = at.Addr(); n.host.IsUnspecified() {
		n.host = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if o.peer == nil {
		if err := n.newDirectory(o); err != nil {
			n.socket.Close()
			return nil, err
		}
	}
	n.granted = n.socket.BufferGranted()
	hello.Address, hello.BufferGranted = n.socket.Addr().String(), n.granted
	if n.granted > 0 && n.granted < o.readBuffer {
		fmt.Fprintf(stderr, "p2p: the kernel grants a receive buffer of %d bytes, not %d: a burst may overflow it (net.core.rmem_max is the limit)\n",
			n.granted, o.readBuffer)
	}
	if t := o.timing; o.peer != nil && t.Heartbeat >= t.Deadline {
		fmt.Fprintf(stderr, "p2p: warning: with -heartbeat %v this peer is silent for longer than a server's -deadline of %v allows, and will be culled again and again\n", t.Heartbeat, t.Deadline)
	}
	out.event(n.opened, hello)
	return n, nil
}

// refuse prints a datagram that a machine has dropped.
func (n *node) refuse(now time.Time, from netip.AddrPort, datagram []byte, why error) {
	n.out.often(now, why.Error(), func() event {
		return refused{why.Error(), from.String(), len(datagram), hex.EncodeToString(datagram[:min(len(datagram), glimpse)])}
	})
}

func (n *node) newDirectory(o *options) error {
	var members, announced ports
	// say prints a directory that is not the last one printed.
	say := func(now time.Time) {
		if members != announced {
			if !n.out.quiet { // under a flood of births this comes a hundred times a second
				n.out.event(now, members.since(&announced, true))
			}
			announced = members
		}
	}
	d, err := core.NewDirectory(core.DirectoryConfig{
		Port:        n.socket.Addr().Port(),
		Timing:      *o.timing,
		SourceCheck: o.sourceCheck,
		Observer: core.Observer{
			Dropped: n.refuse,
			Born: func(now time.Time, e core.Entry) {
				members[e.Name] = e.Port
				n.out.event(now, born{entryOf(e)})
			},
			Repeated: func(now time.Time, e core.Entry) {
				n.out.often(now, "repeated birth", func() event { return repeated{entryOf(e)} })
			},
			Conflict: func(now time.Time, e, holder core.Entry) {
				n.out.often(now, "birth with a name or port that is taken", func() event { return conflict{entryOf(e), entryOf(holder)} })
			},
			Unknown: func(now time.Time, from netip.AddrPort, name core.Name) {
				n.out.often(now, "keep-alive of nobody in the directory", func() event { return unknown{name.String(), from.String()} })
			},
			Replaced: func(now time.Time, e, by core.Entry) {
				members[e.Name] = 0
				n.out.often(now, "birth that replaced one without a keep-alive", func() event { return replaced{entryOf(e), entryOf(by)} })
			},
			Reaped: func(now time.Time, e core.Entry, silence time.Duration) {
				members[e.Name] = 0
				n.out.event(now, culled{entryOf(e), milliseconds(silence)})
				if members == (ports{}) {
					say(now) // nobody is left to be told
				}
			},
			Sent: func(now, _ time.Time, _ core.Outgoing) { say(now) },
		},
	}, n.opened)
	n.machine = d
	return err
}

func (n *node) newPeer(o *options) error {
	var known ports
	self := *o.peer
	p, err := core.NewPeer(core.PeerConfig{
		Self:   self,
		Server: o.server,
		Timing: *o.timing,
		Observer: core.Observer{
			Dropped: n.refuse,
			Directory: func(now time.Time, all core.Entries) {
				var heard ports
				for i := range all.Len() {
					heard[all.At(i).Name] = all.At(i).Port
				}
				e := heard.since(&known, false)
				if heard == known {
					n.out.often(now, "directory without a change", func() event { return e })
				} else {
					n.out.event(now, e)
				}
				known = heard
			},
			Message: func(now time.Time, from core.Entry, text []byte) {
				n.out.event(now, message{entryOf(from), payloadOf(text)})
			},
			Unanswered: func(now time.Time, waited time.Duration) {
				n.out.event(now, unanswered{milliseconds(waited), o.server.String()})
			},
		},
	}, n.opened)
	n.machine, n.peer = p, p
	n.interval, n.broadcast = o.timing.Broadcast, o.timing.Broadcast > 0
	if !n.broadcast {
		n.interval = core.DefaultTiming().Broadcast
	}
	return err
}

// ports is a directory as a table: the port of each name, 0 for none.
type ports [128]uint16

// since is p as an event that tells what is new compared with old.
func (p *ports) since(old *ports, sent bool) directory {
	d := directory{Peers: []entry{}, Added: []entry{}, Removed: []entry{}, sent: sent}
	for i := range p {
		was, is := entry{string(rune(i)), old[i]}, entry{string(rune(i)), p[i]}
		if is.Port != 0 {
			d.Peers = append(d.Peers, is)
		}
		if is != was && is.Port != 0 {
			d.Added = append(d.Added, is)
		}
		if is != was && was.Port != 0 {
			d.Removed = append(d.Removed, was)
		}
	}
	return d
}
