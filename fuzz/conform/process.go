package conform

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"p2plocal/fuzz/target"
)

// startServer runs a server's command and waits until its port is bound.
func startServer(ctx context.Context, on target.Host, line string, c Case) (p target.Program, at netip.AddrPort, err error) {
	const tries = 3 // somebody else may be faster with a port
	for range tries {
		var release func()
		if at, release, err = target.ServerAddr(on, line, loopback); err != nil {
			return nil, at, err
		}
		p, err = target.StartServer(ctx, on, target.Command{Line: line, Listen: at, Fill: c.fill(), Input: true}, 4*startup)
		release()
		if err == nil || ctx.Err() != nil || !errors.Is(err, target.ErrEnded) {
			return p, at, err
		}
	}
	return nil, at, err
}

const outputMost = 8 << 20 // bytes of what a target prints that are kept

// Write takes what the target prints.
func (l *trial) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.out.Len() < outputMost {
		l.out.Write(b)
	}
	l.wake()
	return len(b), nil
}

func (l *trial) output() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.String()
}

// died is closed once the target has ended, unless it is to.
func (l *trial) died() <-chan struct{} {
	if l.target == nil || l.ending {
		return nil
	}
	return l.target.Done()
}

// scheduled is how long the target has waited for a processor, and how often it got one.
func (l *trial) scheduled() (waited time.Duration, runs int64) {
	if l.target == nil {
		return 0, 0
	}
	return l.target.Waited()
}
