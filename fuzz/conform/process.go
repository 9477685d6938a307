package conform

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"p2plocal/fuzz/target"
)

// process is a target that was started here.
type process struct {
	target.Program
	release func() // of its port

	mu       sync.Mutex
	out      bytes.Buffer // all that it has printed, up to outputMost
	onOutput func()       // it has printed something
	ending   bool         // it is to end
}

const outputMost = 8 << 20

// launch has a target started by start, with its input and output to hand. The
// port, which is reserved for it, is free again when it is stopped.
func launch(c target.Command, release func(), start func(target.Command) (target.Program, error)) (_ *process, err error) {
	p := &process{release: release}
	c.Input, c.Output = true, p
	if p.Program, err = start(c); err != nil {
		release()
		return nil, err
	}
	return p, nil
}

// Write takes the target's output.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	if p.out.Len() < outputMost {
		p.out.Write(b)
	}
	notify := p.onOutput
	p.mu.Unlock()
	if notify != nil {
		notify()
	}
	return len(b), nil
}

func (p *process) watchOutput(notify func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.onOutput = notify
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// died is closed once it has ended, unless it is to.
func (p *process) died() <-chan struct{} {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ending {
		return nil
	}
	return p.Done()
}

// scheduled is Waited, of no process nothing.
func (p *process) scheduled() (waited time.Duration, runs int64) {
	if p == nil {
		return 0, 0
	}
	return p.Waited()
}

// expectEnd says that it is to end now.
func (p *process) expectEnd() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ending = true
}

// ends waits for its end.
func (p *process) ends(within time.Duration) bool {
	select {
	case <-p.Done():
		return true
	case <-time.After(within):
		return false
	}
}

func (p *process) stop() {
	p.Kill()
	p.release()
}

// startServer runs a server's command and waits until its port is bound.
func startServer(ctx context.Context, on target.Host, line string, c Case) (p *process, at netip.AddrPort, err error) {
	const tries = 3 // somebody else may be faster with a port
	for range tries {
		var release func()
		if at, release, err = target.ServerAddr(on, line, loopback); err != nil {
			return nil, at, err
		}
		p, err = launch(target.Command{Line: line, Listen: at, Fill: c.fill()}, release, func(c target.Command) (target.Program, error) {
			return target.StartServer(ctx, on, c, 4*startup)
		})
		if err == nil || ctx.Err() != nil || !errors.Is(err, target.ErrEnded) {
			return p, at, err
		}
	}
	return nil, at, err
}
