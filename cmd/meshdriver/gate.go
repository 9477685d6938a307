package main

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
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

// dial opens a stream from where a member is bound, by which a relay knows whose it is.
// It ends with the member, and is counted where that is wanted.
func (l *life) dial(to string, most time.Duration, sent, received *atomic.Int64) (net.Conn, error) {
	l.gate.pass()
	d := net.Dialer{Timeout: most}
	if l.at.Bind.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: l.at.Bind.Addr().AsSlice()}
	}
	c, err := d.Dial("tcp", to)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		c.Close()
	}
	l.streams = append(l.streams, c)
	return &gated{Conn: c, gate: &l.gate, sent: sent, received: received}, nil
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
