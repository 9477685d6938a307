package simnet

import (
	"fmt"
	"time"

	"p2plocal/core"
)

// Node is a port of a Net and the machine that runs there, if any: a process
// with its socket and its clock.
type Node struct {
	net    *Net
	index  int // in net.nodes
	port   uint16
	launch func(now time.Time) core.Machine

	machine core.Machine // nil: not running
	ready   bool         // stands in net.ready, waits for a core or has one
	again   bool         // has got something to do since
	ask     bool         // the machine is to be polled: not only datagrams have come
	paused  bool
	queue   queue
	limit   int
	lost    uint64        // datagrams that found the queue full
	told    uint64        // of them, those that the machine has been told of
	wake    time.Duration // its next alarm; 0: none
	nth     uint32        // of its Outgoings

	clock clock
	next  time.Time     // what the machine last waited for, in its own time
	due   time.Duration // when that is

	links []link // to the nodes, by index; nil while all are alike
}

// link is what is particular to the way from one node to another.
type link struct {
	path *path // nil: as the whole Net
	cuts int   // partitions that lie across it
	bad  bool  // state of Fault.Bad
}

// Port is the node's UDP port.
func (x *Node) Port() uint16 { return x.port }

// Machine is what runs on the node, nil while nothing does.
func (x *Node) Machine() core.Machine { return x.machine }

// Running reports that the node has been launched and not killed since, Paused that
// it is stopped.
func (x *Node) Running() bool { return x.machine != nil }
func (x *Node) Paused() bool  { return x.paused }

// Launch starts the node, or kills it and starts it anew.
func (x *Node) Launch() {
	if x.machine != nil {
		x.Kill()
	}
	x.net.trace(Launched, x.port, 0, nil, nil)
	x.machine, x.told = x.launch(x.Time()), x.lost
	x.net.rouse(x)
}

// Kill ends the node without a word. What waits for it is lost, as Unreachable.
func (x *Node) Kill() {
	x.net.trace(Killed, x.port, 0, nil, nil)
	for x.queue.n > 0 {
		x.net.discard(&x.net.stats.Unreachable, Unreachable, x.queue.pop(), x.port)
	}
	x.machine, x.paused, x.wake = nil, false, 0
}

// Pause stops the node as SIGSTOP does: datagrams go on waiting for it.
// Resume lets it go on.
func (x *Node) Pause() {
	if x.machine != nil && !x.paused {
		x.net.trace(Paused, x.port, 0, nil, nil)
		x.paused = true
	}
}

func (x *Node) Resume() {
	if x.paused {
		x.net.trace(Resumed, x.port, 0, nil, nil)
		x.paused = false
		x.net.rouse(x)
	}
}

// Do runs f, which may change the machine from outside, with the node's time
// of day, and has the machine polled at this instant.
func (x *Node) Do(f func(now time.Time)) {
	f(x.Time())
	x.net.rouse(x)
}

// Overflowed is how many datagrams have found the node's queue full.
func (x *Node) Overflowed() uint64 { return x.lost }

// Waiting is how many datagrams wait for it.
func (x *Node) Waiting() int { return x.queue.n }

// SetQueue sets how many datagrams may wait for the node; 0: any number.
func (x *Node) SetQueue(limit int) { x.limit = limit }

// Time is what the node's clock shows.
func (x *Node) Time() time.Time {
	n := x.net
	t := x.clock.read(n.now)
	if t != n.now {
		return Start.Add(t)
	}
	if n.dated != t { // many nodes often run at one instant
		n.dated, n.date = t, Start.Add(t)
	}
	return n.date
}

// JumpClock puts the node's clock forward by d, or for a negative d lets it
// stand still until that much time has passed: a machine's time must not run
// backwards.
func (x *Node) JumpClock(d time.Duration) {
	x.clock.set(x.net.now, d, x.clock.ppm)
	x.next = time.Time{}
	x.net.rouse(x)
}

// DriftClock makes the node's clock run ppm parts in a million faster than the
// Net's, from now on. It panics unless -500000 <= ppm <= 500000.
func (x *Node) DriftClock(ppm int) {
	if ppm < -million/2 || ppm > million/2 {
		panic(fmt.Sprintf("simnet: a clock's drift of %d ppm, want -500000 to 500000", ppm))
	}
	x.clock.set(x.net.now, 0, time.Duration(ppm))
	x.next = time.Time{}
	x.net.rouse(x)
}

// work is what a node does whenever it runs.
func (x *Node) work() {
	n := x.net
	now := x.Time()
	for x.queue.n > 0 {
		number := x.queue.pop()
		f := &n.flights[number]
		if x.machine.Step(now, Addr(f.from), f.data) {
			x.ask = true
		}
		n.stats.Taken++
		n.trace(Taken, f.from, x.port, nil, f.data)
		n.release(number)
		n.lag += n.cfg.Host.Take
	}
	if x.lost > x.told { // as udp.Socket tells it: after what waited, before deadlines
		x.told = x.lost
		if m, ok := x.machine.(interface{ Lost(time.Time) }); ok {
			m.Lost(now)
		}
	} else if !x.ask && x.wake > n.now+n.lag {
		return
	}
	x.ask = false
	wake := n.now + time.Microsecond
	for range pollMost {
		if n.lag > 0 {
			now = Start.Add(x.clock.read(n.now + n.lag))
		}
		out, next := x.machine.Poll(now)
		if out.Empty() {
			if next != x.next { // most servers' next is the same for long
				x.next, x.due = next, 0
				if !next.IsZero() {
					x.due = x.clock.when(next.Sub(Start))
				}
			}
			wake = 0
			if !next.IsZero() {
				wake = max(x.due, n.now+1)
			}
			break
		}
		n.ports = n.ports[:0]
		for _, a := range out.To {
			n.ports = append(n.ports, a.Port())
		}
		n.send(x, x.port, x.nth, out.Datagram, n.ports)
		x.nth = (x.nth + 1) &^ (1 << 31)
	}
	if wake != x.wake {
		x.wake = wake
		if wake > 0 {
			n.schedule(event{at: wake, kind: alarm, number: int32(x.index)})
		}
	}
}

const million = 1_000_000

// clock turns the Net's time into a node's. It runs evenly from a point on,
// and never backwards.
type clock struct {
	since, base time.Duration // the Net's time at that point, and the node's
	ppm         time.Duration // faster
	last        time.Duration // as last read
}

func (c *clock) linear(t time.Duration) time.Duration {
	d := t - c.since
	if c.ppm == 0 {
		return c.base + d
	}
	return c.base + d + d/million*c.ppm + d%million*c.ppm/million
}

func (c *clock) read(t time.Duration) time.Duration {
	c.last = max(c.last, c.linear(t))
	return c.last
}

func (c *clock) set(t, jump, ppm time.Duration) {
	c.read(t)
	c.base, c.since, c.ppm = c.linear(t)+jump, t, ppm
}

// when is the first time of the Net's at which the clock shows at least v.
func (c *clock) when(v time.Duration) time.Duration {
	d := v - c.base
	if c.ppm == 0 {
		return c.since + d
	}
	t := c.since + d/(million+c.ppm)*million + d%(million+c.ppm)*million/(million+c.ppm)
	for c.linear(t) < v {
		t++
	}
	for c.linear(t-1) >= v {
		t--
	}
	return t
}
