package mesh

import (
	"context"
	"time"

	"p2plocal/bench/faults"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
)

// A World is where a mesh lives: this machine and its time, or a virtual
// network with a virtual clock. What scenarios do to a mesh goes through it, so
// that they are the same in both.
type World interface {
	Clock() record.Clock
	Sleep(ctx context.Context, d time.Duration) bool // false: ctx ended it
	Step(ctx context.Context, until int64) bool      // lets time pass between two looks at a condition, no further than until; false: ctx ended it

	startServer(ctx context.Context, m *Mesh) error // makes m's server
	addPeer(m *Mesh, i int) error                   // adds to m's peers and socks
	populated(m *Mesh)                              // all have been added; nobody is born yet
	Attack(a Attack) (attacker, error)              // sends hostile datagrams until it is stopped
	network(m *Mesh, f faults.Fault) (begin, end func() error, err error)
	Accounts(m *Mesh) result.Accounts
	Stop() // after everybody's
}

// attacker is a sender of hostile datagrams at work.
type attacker interface {
	Stop() (AttackResult, error)
}
