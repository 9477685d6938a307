package main

import (
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"p2plocal/bench/driver"
)

// gate is what a member's traffic passes, and is held at while it is paused.
type gate struct {
	shut sync.RWMutex // held for writing meanwhile
	held atomic.Bool
}

// pass waits until the member is not paused.
func (g *gate) pass() {
	g.shut.RLock()
	defer g.shut.RUnlock()
}

func (g *gate) hold(on bool) {
	if g.held.CompareAndSwap(!on, on) {
		if on {
			g.shut.Lock()
		} else {
			g.shut.Unlock()
		}
	}
}

// noise is what fills messages up: zeros a library compresses away, which no text of anybody's is.
var noise = sync.OnceValue(func() []byte {
	b := make([]byte, 1<<16)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
})

// dial opens a stream from where a member is bound, by which a relay knows whose it is.
func dial(from driver.Place, to string, most time.Duration) (net.Conn, error) {
	d := net.Dialer{Timeout: most}
	if from.Bind.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: from.Bind.Addr().AsSlice()}
	}
	return d.Dial("tcp", to)
}

// gated is a stream through a gate. What it sends and receives is counted where
// that is wanted.
type gated struct {
	net.Conn
	gate           *gate
	sent, received *atomic.Int64
}

func (c *gated) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.gate.pass()
	if c.received != nil {
		c.received.Add(int64(n))
	}
	return n, err
}

func (c *gated) Write(b []byte) (int, error) {
	c.gate.pass()
	n, err := c.Conn.Write(b)
	c.sent.Add(int64(n))
	return n, err
}
