package fuzz

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"p2plocal/core"
)

// control is core's own server on another port, in this process. What it does
// not do in time, the machine does not.
type control struct {
	socket *core.Socket
	stop   context.CancelFunc
	done   chan struct{}
	guests int
}

func newControl(host netip.Addr) (*control, error) {
	socket, err := core.Listen(netip.AddrPortFrom(host, 0), core.ReadBuffer)
	if err != nil {
		return nil, err
	}
	d, err := core.NewDirectory(core.DirectoryConfig{Port: socket.Addr().Port(), Timing: core.DefaultTiming()}, time.Now())
	if err != nil {
		socket.Close()
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	c := &control{socket: socket, stop: stop, done: make(chan struct{})}
	go func() { socket.Serve(ctx, host, d); close(c.done) }()
	return c, nil
}

func (c *control) leave() {
	c.stop()
	<-c.done
}

// admits says that a fresh peer was let in within limit.
func (c *control) admits(limit time.Duration) bool {
	begun := time.Now()
	c.guests++
	var got atomic.Uint64
	guest, err := join(c.socket.Addr(), core.Entry{Name: core.Name(' ' + c.guests%core.MaxPeers)}, limit, &got)
	if err != nil {
		return false
	}
	defer guest.leave()
	select {
	case <-guest.joined:
		return time.Since(begun) <= limit
	case <-time.After(limit):
		return false
	}
}
