// Package clock tells how far the clock of another host is ahead of this one's, and within what bound
// that is certain: by exchanges of four times over UDP, as the kernel stamps the datagrams.
package clock

import (
	"fmt"
	"time"

	"p2plocal/bench/record"
)

// Exchange is a datagram and its answer: when they were sent and received, by this host's clock
// (Sent, Received) and by the other's (There, Back), in ns.
type Exchange struct{ Sent, There, Back, Received int64 }

// precision is that of the times of an exchange, in ns.
const precision = 1000

// ahead is by how much the other clock is ahead, and within what: whatever the two ways took, neither
// was less than nothing.
func (e Exchange) ahead() (ahead, within int64) {
	return ((e.There - e.Sent) + (e.Back - e.Received)) / 2, ((e.Received-e.Sent)-(e.Back-e.There))/2 + precision
}

func (e Exchange) at() int64 { return e.Sent + (e.Received-e.Sent)/2 }

// Estimate is a line to another clock, and how far from it that clock is at most until Until, if it
// goes on as it has gone.
type Estimate struct {
	record.Line
	Bound int64 `json:"bound"` // ns
	Until int64 `json:"-"`     // by this host's clock
}

// straying is how much a clock gains on another at most for each ns that passes: 100 millionths.
const straying = 100e-6

// parts are what the time of the exchanges is divided into; of each the quickest one counts.
const parts = 16

// Fit draws a line through exchanges, in the order of time: by least squares through the quickest of
// each slice of time, the quicker the heavier. It is to last for a while after the last one.
func Fit(all []Exchange, last time.Duration) (e Estimate, err error) {
	if len(all) == 0 {
		return e, fmt.Errorf("no exchange with the other clock")
	}
	first, end := all[0].at(), all[len(all)-1].at()
	width := (end-first)/parts + 1
	var best [parts]*Exchange
	for i := range all {
		x := &all[i]
		of := &best[min(max((x.at()-first)/width, 0), parts-1)]
		_, within := x.ahead()
		if *of == nil {
			*of = x
		} else if _, w := (*of).ahead(); within < w {
			*of = x
		}
	}
	// Relative to the last one, for the sake of precision.
	zero, _ := all[len(all)-1].ahead()
	var n, t, o, tt, to float64
	for _, x := range best {
		if x != nil {
			ahead, within := x.ahead()
			weight := 1 / float64(within*within+1)
			dt, do := float64(x.at()-end), float64(ahead-zero)
			n, t, o, tt, to = n+weight, t+weight*dt, o+weight*do, tt+weight*dt*dt, to+weight*dt*do
		}
	}
	offset := o / n
	if spread := n*tt - t*t; spread > n*n { // ns²: more than one time
		e.Rate = (n*to - t*o) / spread
		offset = (o - e.Rate*t) / n
	}
	if e.Rate > straying || e.Rate < -straying { // too few exchanges to tell
		e.Rate = max(-straying, min(e.Rate, straying))
		offset = (o - e.Rate*t) / n
	}
	e.At, e.Offset, e.Until = end, zero+int64(offset), end+int64(last)
	e.Bound = e.bound(best[:], all)
	return e, nil
}

// bound is how far from the line the clock is at most at e.Until: from the line it strays by a line,
// too, of which two places are known to be near, an early one and a late one.
func (e Estimate) bound(best []*Exchange, all []Exchange) int64 {
	var early, late *Exchange
	for i, x := range best {
		half := &early
		if i >= parts/2 {
			half = &late
		}
		if x != nil && (*half == nil || e.most(*x) < e.most(**half)) {
			*half = x
		}
	}
	one := early
	if one == nil || late != nil {
		one = late
	}
	strays := straying + max(e.Rate, -e.Rate)
	if early != nil && late != nil {
		strays = min(strays, float64(e.most(*early)+e.most(*late))/float64(late.at()-early.at()))
	}
	bound := e.most(*one) + int64(strays*float64(e.Until-one.at()))
	for _, x := range all {
		if _, within := x.ahead(); e.most(x)-2*within > bound { // at least so far off: it has not gone by a line, but jumped
			bound = e.most(x)
		}
	}
	return bound
}

// most is how far from the line the other clock was at most, at an exchange.
func (e Estimate) most(x Exchange) int64 {
	ahead, within := x.ahead()
	off := ahead - e.Ahead(x.at())
	return max(off, -off) + within
}
