package mesh

import (
	"context"
	"time"

	"p2plocal/bench/faults"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
)

// A World is where a mesh lives: this machine and its time, or a virtual network with a virtual
// clock. What scenarios do to a mesh goes through it, so that they are the same in both.
type World interface {
	Clock() record.Clock
	Sleep(ctx context.Context, d time.Duration) bool // false: ctx ended it
	Step(ctx context.Context, until int64) bool      // lets time pass between two looks at a condition, no further than until; false: ctx ended it

	startServer(ctx context.Context, m *Mesh) error  // makes m's server
	addPeer(m *Mesh, i int) error                    // adds to m's peers
	plan(m *Mesh, at time.Duration, do func() error) // has something happen that long after the mesh began
	Attack(a Attack) (attacker, error)               // sends hostile datagrams until it is stopped
	network(m *Mesh, f faults.Fault) (action, error) // what a fault does to the links
	Accounts(m *Mesh) result.Accounts
	Stop() // after everybody's
}

// attacker is a sender of hostile datagrams at work.
type attacker interface {
	Stop() (AttackResult, error)
}

// Sleep is time.Sleep unless ctx ends it; then it is false.
func Sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	default:
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// sleepUnless is Sleep that a condition ends, too.
func sleepUnless(ctx context.Context, d time.Duration, so func() bool) bool {
	const look = 100 * time.Millisecond
	for end := time.Now().Add(d); !so(); {
		left := time.Until(end)
		if left <= look {
			return Sleep(ctx, max(left, 0))
		} else if !Sleep(ctx, look) {
			return false
		}
	}
	return false
}
