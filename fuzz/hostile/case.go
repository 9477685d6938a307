// Package hostile makes input that no sound implementation of the protocol may
// fall over: one catalogue of named cases, seeded generators and mutations, floods,
// and the file format in which findings are kept.
package hostile

import (
	"fmt"
	"net/netip"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
)

// Role is what a case attacks.
type Role uint8

const (
	Server Role = iota
	Peer
)

func (r Role) String() string { return [...]string{"server", "peer"}[r] }

// Prefix is what the names of a role's cases begin with.
func (r Role) Prefix() string { return [...]string{"srv/", "peer/"}[r] }

// Origin is where a case's datagram comes from.
type Origin uint8

const (
	FromStranger  Origin = iota // an address that no directory names
	FromServer                  // the directory server's
	FromMember                  // the first of Env.Members
	FromSelf                    // the attacked peer's own
	FromElsewhere               // the server's port, on another host
	FromDouble                  // the first member's port, on another host
)

// Step is one datagram of a case.
type Step struct {
	At       time.Duration // after the case's start
	From     Origin
	Datagram []byte
	Fate     core.Kind // what must become of it: Malformed to Heard
}

// Case is one hostile input: a datagram or a sequence of them.
type Case struct {
	Name  string // role/type/what, such as srv/birth/port-zero
	Why   string // what makes it hostile, or what it must not do
	Role  Role
	Steps []Step
	Rest  time.Duration // after the last step, until which Left is in the directory
	Left  []wire.Entry  // who is in the server's directory then, beside the members
}

// Span is how long the case takes.
func (c Case) Span() time.Duration { return c.Steps[len(c.Steps)-1].At + c.Rest }

// Env is the mesh that a catalogue is made for.
type Env struct {
	Server  netip.AddrPort
	Members []wire.Entry // at least two, in the directory and kept there by keep-alives
	Self    wire.Entry   // the attacked peer; for the server one more spare entry
	Spare   []wire.Entry // at least four, with names and ports that nobody else has

	Wide func(wire.Name) string // names in the wide dialect, whose catalogue it then is; nil: the exact one
}

// DefaultEnv is the mesh of the unit tests and the corpora: the server on 3000, A and B
// on 3101 and 3102, the attacked peer S on 3119, and 92 spare names with the
// ports after it.
func DefaultEnv() Env {
	e := Env{
		Server:  netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 3000),
		Members: []wire.Entry{{Name: 'A', Port: 3101}, {Name: 'B', Port: 3102}},
		Self:    wire.Entry{Name: 'S', Port: 3119},
	}
	for n := wire.Name(' '); n.Valid(); n++ {
		if n != 'A' && n != 'B' && n != 'S' {
			e.Spare = append(e.Spare, wire.Entry{Name: n, Port: 3120 + uint16(len(e.Spare))})
		}
	}
	return e
}

// Validate says what the environment lacks.
func (e Env) Validate() error {
	if len(e.Members) < 2 || len(e.Spare) < 4 {
		return fmt.Errorf("%d members and %d spare entries, want at least 2 and 4", len(e.Members), len(e.Spare))
	}
	return nil
}

// Address is where an origin's datagrams come from in the virtual network of tests.
func (e Env) Address(o Origin) netip.AddrPort {
	var (
		here  = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		other = netip.AddrFrom4([4]byte{127, 0, 0, 2})
	)
	return [...]netip.AddrPort{
		FromStranger:  netip.AddrPortFrom(here, 40000),
		FromServer:    e.Server,
		FromMember:    netip.AddrPortFrom(here, e.Members[0].Port),
		FromSelf:      netip.AddrPortFrom(here, e.Self.Port),
		FromElsewhere: netip.AddrPortFrom(other, e.Server.Port()),
		FromDouble:    netip.AddrPortFrom(other, e.Members[0].Port),
	}[o]
}
