package target

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// StandardPort is where a server listens whose command has neither {addr} nor {port}.
const StandardPort = 3000

// What becomes of a server that does not bind its port.
var (
	ErrUnbound = errors.New("has not bound UDP port")
	ErrEnded   = errors.New("ended at once")
)

// ServerAddr chooses where a server's command is to listen: a free port of the
// host, or the standard one for a command that cannot be told. The port is nobody
// else's of this process until release.
func ServerAddr(on Host, line string, host netip.Addr) (at netip.AddrPort, release func(), err error) {
	if HasListen(line) {
		port, release, err := on.Reserve(host)
		return netip.AddrPortFrom(host, port), release, err
	}
	at = netip.AddrPortFrom(host, StandardPort)
	u, err := on.Listen(at)
	if err != nil {
		return at, nil, fmt.Errorf("%q has no {port} or {addr}, so that its server listens on port %d: %w", line, StandardPort, err)
	}
	u.Close()
	return at, func() {}, nil
}

// StartServer starts a server's command on a host and waits until it has bound the
// port of c.Listen, for a time that its waits for a processor lengthen.
func StartServer(ctx context.Context, on Host, c Command, within time.Duration) (Program, error) {
	p, err := on.Start(c)
	if err != nil {
		return nil, err
	}
	if err := waitBound(ctx, on, p, c.Listen, within); err != nil {
		p.Kill()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("server %q %w", c.Line, err)
	}
	return p, nil
}

func waitBound(ctx context.Context, on Host, p Program, at netip.AddrPort, within time.Duration) error {
	const longest = 20 * time.Millisecond
	for started, pause := time.Now(), time.Millisecond; !on.Bound(at); pause = min(2*pause, longest) {
		select {
		case <-p.Done():
			return fmt.Errorf("%w: %s", ErrEnded, p.Ended())
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		if took := time.Since(started); took > within {
			if waited, _ := p.Waited(); took-waited <= within {
				continue
			}
			return fmt.Errorf("%w %d within %v", ErrUnbound, at.Port(), within)
		}
	}
	return nil
}
