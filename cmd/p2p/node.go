package main

import (
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
	at, isPeer := o.listen, o.peer.Name != ""
	if isPeer {
		if err := n.newPeer(o); err != nil {
			return nil, cli.UsageError{Err: err}
		}
		at = o.peer.Addr
	}
	var err error
	if n.socket, err = udp.Listen(at, o.readBuffer); err != nil {
		return nil, err
	}
	if !isPeer {
		if err := n.newDirectory(o); err != nil {
			n.socket.Close()
			return nil, err
		}
	}
	granted := n.socket.Stats().ReceiveBuffer
	hello := started(n.socket.Addr().String(), granted)
	if isPeer {
		hello = hello.as(entryOf(o.peer), o.server.String())
	}
	if granted > 0 && granted < o.readBuffer {
		fmt.Fprintf(stderr, "p2p: the kernel grants a receive buffer of %d bytes, not %d: a burst may overflow it (net.core.rmem_max is the limit)\n",
			granted, o.readBuffer)
	}
	if warning := cli.TimingWarning(*o.timing); isPeer && warning != "" {
		fmt.Fprintf(stderr, "p2p: %s\n", warning)
	}
	out.event(n.opened, hello)
	return n, nil
}

// refuse prints a datagram that a machine has dropped.
func (n *node) refuse(e *core.Event) {
	why := e.Err.Error()
	n.out.often(e.At, why, func() event { return refused(why, e.Peer.Addr.String(), e.Data) })
}

func (n *node) newDirectory(o *options) error {
	var members, announced ports
	// say prints a directory that is not the last one printed.
	say := func(now time.Time) {
		if members != announced {
			if !n.out.quiet { // under a flood of births this comes a hundred times a second
				n.out.event(now, members.since(&announced, "sent"))
			}
			announced = members
		}
	}
	addr := n.socket.Addr()
	if addr.Addr().IsUnspecified() { // then the mesh is on this host
		addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), addr.Port())
	}
	d, err := core.NewDirectory(core.DirectoryConfig{
		Addr:        addr,
		Timing:      *o.timing,
		SourceCheck: o.sourceCheck,
		Observe: func(e *core.Event) {
			switch e.Kind {
			case core.Born:
				members.set(e.Peer)
				n.out.event(e.At, born(entryOf(e.Peer)))
			case core.Repeated:
				n.out.often(e.At, "repeated birth", func() event { return repeated(entryOf(e.Peer)) })
			case core.Conflict:
				n.out.often(e.At, "birth with a name or port that is taken", func() event { return conflict(entryOf(e.Peer), entryOf(e.Other)) })
			case core.Unknown:
				n.out.often(e.At, "keep-alive of nobody in the directory", func() event { return unknown(string(e.Peer.Name), e.Peer.Addr.String()) })
			case core.Replaced:
				members.remove(e.Peer)
				n.out.often(e.At, "birth that replaced one without a keep-alive", func() event { return replaced(entryOf(e.Peer), entryOf(e.Other)) })
			case core.Removed:
				members.remove(e.Peer)
				n.out.event(e.At, removed(entryOf(e.Peer), e.Elapsed))
				if members == (ports{}) {
					say(e.At) // nobody is left to be told
				}
			case core.Sent:
				say(e.At)
			default:
				n.refuse(e)
			}
		},
	}, n.opened)
	n.machine = d
	return err
}

func (n *node) newPeer(o *options) error {
	var known ports
	p, err := core.NewPeer(core.PeerConfig{
		Self:   o.peer,
		Server: o.server,
		Timing: *o.timing,
		Observe: func(e *core.Event) {
			switch e.Kind {
			case core.Listed:
				var heard ports
				for x := range e.All.Each() {
					heard.set(x)
				}
				d := heard.since(&known, "received")
				if heard == known {
					n.out.often(e.At, "directory without a change", func() event { return d })
				} else {
					n.out.event(e.At, d)
				}
				known = heard
			case core.Heard:
				n.out.event(e.At, message(entryOf(e.Peer), e.Data))
			case core.Unanswered:
				n.out.event(e.At, unanswered(e.Elapsed, o.server.String()))
			case core.Sent:
			default:
				n.refuse(e)
			}
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

func (p *ports) set(m core.Member)    { p[m.Name[0]] = m.Addr.Port() }
func (p *ports) remove(m core.Member) { p[m.Name[0]] = 0 }

// since is p as an event that tells what is new compared with old.
func (p *ports) since(old *ports, verb string) event {
	all, added, gone := []entry{}, []entry{}, []entry{}
	for i := range p {
		was, is := entry{string(rune(i)), old[i]}, entry{string(rune(i)), p[i]}
		if is.Port != 0 {
			all = append(all, is)
		}
		if is != was && is.Port != 0 {
			added = append(added, is)
		}
		if is != was && was.Port != 0 {
			gone = append(gone, was)
		}
	}
	return directory(verb, all, added, gone)
}
