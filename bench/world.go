package bench

import (
	"context"
	"net/netip"
	"time"

	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/core/udp"
)

// A world is where a mesh lives: this machine and its time, or a virtual
// network with a virtual clock. What scenarios do to a mesh goes through it, so
// that they are the same in both.
type world interface {
	clock() record.Clock
	sleep(ctx context.Context, d time.Duration) bool // false: ctx ended it
	glance(ctx context.Context, until int64) bool    // lets time pass between two looks at a condition, no further than until; false: ctx ended it

	startServer(ctx context.Context, m *mesh) error // makes m's server
	addPeer(m *mesh, i int) error                   // adds to m's peers and socks
	inhabited(m *mesh)                              // all have been added; nobody is born yet
	attack(a assault) (attacker, error)             // sends hostile datagrams until it is stopped
	accounts(m *mesh) result.Accounts
	stop() // after everybody's
}

// socket is what a seat has its datagrams from: a udp.Socket that is served,
// or a node of a virtual network.
type socket interface {
	Addr() netip.AddrPort
	Do(f func(now time.Time)) // as udp.Socket's
	Stats() udp.Stats
	Close() error // waits until it is no longer served
}

// attacker is a sender of hostile datagrams at work.
type attacker interface {
	stop() (volley, error)
}
