package main

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"p2plocal/cmd/internal/cli"
	"p2plocal/core"
	"p2plocal/core/udp"
	"p2plocal/core/wide"
)

// node is one machine on its socket.
type node struct {
	out       *printer
	opened    time.Time
	socket    *udp.Socket
	machine   wide.Machine
	peer      *core.Peer // the machine, if it is one
	wide      bool
	interval  time.Duration // between the peer's broadcasts, when it does broadcast
	broadcast bool          // and whether it does
}

// open makes the machine that o describes and binds its socket.
func open(o *options, out *printer, stderr io.Writer) (*node, error) {
	n := &node{out: out, opened: time.Now(), wide: o.Wide}
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
		hello = hello.as(n.entry(o.peer), o.server.String())
	}
	if granted > 0 && granted < o.readBuffer {
		fmt.Fprintf(stderr, "p2p: the kernel grants a receive buffer of %d bytes, not %d: a burst may overflow it (net.core.rmem_max is the limit)\n",
			granted, o.readBuffer)
	}
	if a := n.socket.Addr(); !isPeer && a.Addr().Is6() && a.Addr().IsUnspecified() { // a mesh is of one family: members send to each other
		fmt.Fprintf(stderr, "p2p: %v hears IPv6 alone; for a mesh on IPv4 say -listen 0.0.0.0:%d\n", a, a.Port())
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
	var members, announced listing
	// say prints a directory that is not the last one printed.
	say := func(now time.Time) {
		if !slices.Equal(members, announced) {
			if !n.out.quiet { // under a flood of births this comes a hundred times a second
				n.out.event(now, n.listed(announced, members, "sent"))
			}
			announced = slices.Clone(members)
		}
	}
	addr := n.socket.Addr()
	if addr.Addr().IsUnspecified() && !n.wide { // then the mesh is on this host
		addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), addr.Port())
	}
	cfg := core.DirectoryConfig{
		Addr:        addr,
		Timing:      *o.timing,
		SourceCheck: o.sourceCheck,
		Observe: func(e *core.Event) {
			switch e.Kind {
			case core.Born:
				members.set(e.Peer)
				n.out.event(e.At, born(n.entry(e.Peer)))
			case core.Repeated:
				n.out.often(e.At, "repeated birth", func() event { return repeated(n.entry(e.Peer)) })
			case core.Conflict:
				n.out.often(e.At, "birth with a name or port that is taken", func() event { return conflict(n.entry(e.Peer), n.entry(e.Other)) })
			case core.Unknown:
				n.out.often(e.At, "keep-alive of nobody in the directory", func() event { return unknown(string(e.Peer.Name), e.Peer.Addr.String()) })
			case core.Replaced:
				members.remove(e.Peer)
				n.out.often(e.At, "birth that replaced one without a keep-alive", func() event { return replaced(n.entry(e.Peer), n.entry(e.Other)) })
			case core.Removed:
				members.remove(e.Peer)
				n.out.event(e.At, removed(n.entry(e.Peer), e.Elapsed))
				if len(members) == 0 {
					say(e.At) // nobody is left to be told
				}
			case core.Sent:
				say(e.At)
			case core.Unvalidated: // counted
			default:
				n.refuse(e)
			}
		},
	}
	var err error
	n.machine, err = wide.ServerOf(cfg, n.identity(o), n.opened)
	return err
}

// identity is one of its own in the wide dialect; nil: it is the exact one.
func (n *node) identity(o *options) *wide.Identity {
	if !n.wide {
		return nil
	}
	return new(wide.NewIdentity(o.Keys))
}

func (n *node) newPeer(o *options) error {
	var known listing
	cfg := core.PeerConfig{
		Self:   o.peer,
		Server: o.server,
		Timing: *o.timing,
		Observe: func(e *core.Event) {
			switch e.Kind {
			case core.Listed:
				var heard listing
				for x := range e.All.Each() {
					heard.set(x)
				}
				d := n.listed(known, heard, "received")
				if slices.Equal(heard, known) {
					n.out.often(e.At, "directory without a change", func() event { return d })
				} else {
					n.out.event(e.At, d)
				}
				known = heard
			case core.Heard:
				n.out.event(e.At, message(n.entry(e.Peer), e.Data))
			case core.Unanswered:
				n.out.event(e.At, unanswered(e.Elapsed, o.server.String()))
			case core.Sent, core.Retried, core.Paged:
			default:
				n.refuse(e)
			}
		},
	}
	var err error
	n.machine, n.peer, err = wide.PeerOf(cfg, n.identity(o), n.opened)
	n.interval, n.broadcast = o.timing.Broadcast, o.timing.Broadcast > 0
	if !n.broadcast {
		n.interval = core.DefaultTiming().Broadcast
	}
	return err
}

// entry is m in print. With Rules a peer's host is not that of the mesh.
func (n *node) entry(m core.Member) entry {
	e := entryOf(m)
	if n.wide {
		e.Host = m.Addr.Addr().String()
	}
	return e
}

// listing is a directory in the order of its names.
type listing []core.Member

func byName(a core.Member, name core.Name) int { return strings.Compare(string(a.Name), string(name)) }

func (l *listing) set(m core.Member) {
	if i, found := slices.BinarySearchFunc(*l, m.Name, byName); found {
		(*l)[i] = m
	} else {
		*l = slices.Insert(*l, i, m)
	}
}

func (l *listing) remove(m core.Member) {
	if i, found := slices.BinarySearchFunc(*l, m.Name, byName); found {
		*l = slices.Delete(*l, i, i+1)
	}
}

// listed is a listing as an event that tells what is new compared with an old one.
func (n *node) listed(old, now listing, verb string) event {
	all, added, gone := []entry{}, []entry{}, []entry{}
	for _, m := range now {
		all = append(all, n.entry(m))
		if i, found := slices.BinarySearchFunc(old, m.Name, byName); !found || old[i] != m {
			added = append(added, n.entry(m))
		}
	}
	for _, m := range old {
		if i, found := slices.BinarySearchFunc(now, m.Name, byName); !found || now[i] != m {
			gone = append(gone, n.entry(m))
		}
	}
	return directory(verb, all, added, gone)
}
