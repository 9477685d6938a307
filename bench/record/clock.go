package record

import (
	"sync/atomic"
	"time"
)

// A Clock turns times into nanoseconds of a monotonic clock that all
// processes on the machine share, where the system has one, and back. A virtual
// network's is the network's own, whatever a node on it takes the time for.
type Clock struct {
	base time.Time
	ns   int64
	net  func() time.Duration  // of a virtual network, since its start; nil: this machine
	line *atomic.Pointer[Line] // to another host's clock; nil: this machine's
}

// Line is how far another host's clock is ahead of this one's, in ns: Offset when this one shows
// At, and Rate more for each ns that passes.
type Line struct {
	At     int64   `json:"at"`
	Offset int64   `json:"offset"`
	Rate   float64 `json:"rate"`
}

// Ahead is by how much, at a time of this clock.
func (l Line) Ahead(at int64) int64 { return l.Offset + int64(l.Rate*float64(at-l.At)) }

// Along is the clock that a line leads to, which may be drawn anew meanwhile.
func (c Clock) Along(l *atomic.Pointer[Line]) Clock {
	c.line = l
	return c
}

// VirtualClock begins at zero.
func VirtualClock(net func() time.Duration, zero int64) Clock { return Clock{net: net, ns: zero} }

// NewClock is this machine's.
func NewClock() Clock {
	best := Clock{base: time.Now()}
	for width, i := time.Duration(1<<62), 0; i < 16; i++ { // the tightest of a few readings
		before := time.Now()
		ns, ok := Monotonic()
		if !ok {
			break
		}
		if w := time.Since(before); w < width {
			width, best = w, Clock{base: before.Add(w / 2), ns: ns}
		}
	}
	return best
}

// At is the time that the clock shows at t, which a machine's owner says it is.
func (c Clock) At(t time.Time) int64 {
	if c.net != nil {
		return c.ns + int64(c.net())
	}
	ns := c.ns + int64(t.Sub(c.base))
	if c.line != nil {
		ns += c.line.Load().Ahead(ns)
	}
	return ns
}

// Time is when the clock shows ns, as somebody tells the time to whom it is now.
func (c Clock) Time(now time.Time, ns int64) time.Time {
	return now.Add(time.Duration(ns - c.At(now)))
}

func (c Clock) Now() int64 {
	if c.net != nil {
		return c.ns + int64(c.net())
	}
	return c.At(time.Now())
}
