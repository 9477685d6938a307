package bench

import (
	"time"

	"p2plocal/core/simnet"
)

// A clock turns times into nanoseconds of a monotonic clock that all
// processes on the machine share, where the system has one, and back. A virtual
// network's is the network's own, whatever a node on it takes the time for.
type clock struct {
	base time.Time
	ns   int64
	net  *simnet.Net // nil: this machine
}

func newClock() clock {
	best := clock{base: time.Now()}
	for width, i := time.Duration(1<<62), 0; i < 16; i++ { // the tightest of a few readings
		before := time.Now()
		ns, ok := monotonic()
		if !ok {
			break
		}
		if w := time.Since(before); w < width {
			width, best = w, clock{base: before.Add(w / 2), ns: ns}
		}
	}
	return best
}

// at is the time that the clock shows at t, which a machine's owner says it is.
func (c clock) at(t time.Time) int64 {
	if c.net != nil {
		return c.ns + int64(c.net.Clock())
	}
	return c.ns + int64(t.Sub(c.base))
}

// time is when the clock shows ns, as somebody tells the time to whom it is now.
func (c clock) time(now time.Time, ns int64) time.Time {
	return now.Add(time.Duration(ns - c.at(now)))
}

func (c clock) now() int64 {
	if c.net != nil {
		return c.ns + int64(c.net.Clock())
	}
	return c.at(time.Now())
}
