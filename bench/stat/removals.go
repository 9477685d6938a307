package stat

import (
	"math"
	"time"

	"p2plocal/core"
)

// Member is when what concerns one member happens first, from the beginning of
// a time of observation on.
type Member struct {
	Heard time.Duration // the server last heard it; not positive
	Alive time.Duration // its next keep-alive reaches the server, or is lost
	Birth time.Duration // likewise its next birth, where it refreshes
	Look  time.Duration // the server next looks for the silent
}

// Removals is how often a live member is removed in a time of observation.
type Removals struct {
	Mean     float64
	Variance float64
	Present  float64 // seconds that it is a member, on average
}

// Plus is that of both, who are removed independently of each other.
func (r Removals) Plus(s Removals) Removals {
	return Removals{r.Mean + s.Mean, r.Variance + s.Variance, r.Present + s.Present}
}

// weight is the probability of a state, and with it the number of removals so
// far, and its square: E[1; state], E[N; state], E[N²; state].
type weight struct{ p, n, nn float64 }

func (w weight) plus(v weight) weight   { return weight{w.p + v.p, w.n + v.n, w.nn + v.nn} }
func (w weight) times(f float64) weight { return weight{w.p * f, w.n * f, w.nn * f} }
func (w weight) oneMore() weight        { return weight{w.p, w.n + w.p, w.nn + 2*w.n + w.p} }
func (w *weight) take(part float64) (taken weight) {
	taken = w.times(part)
	*w = w.times(1 - part)
	return taken
}

// ExpectedRemovals is the theory of false positives: how often the server removes
// a live member in a time because what that sends is lost, each datagram with the
// probability loss, independently of the others.
//
// A keep-alive comes every Heartbeat and, with refresh, a birth every Refresh.
// Every Reap the server looks, and removes whom it has not heard for longer than
// Deadline. A removed member is at no risk until a birth brings it back, without
// refresh never. The states are when it was last heard, or that it is removed; the
// sum over them is exact for the phases of m, and the variance that of the count
// itself. All datagrams are taken to travel equally long.
func ExpectedRemovals(t core.Timing, loss float64, m Member, observed time.Duration) Removals {
	type state struct {
		heard time.Duration
		weight
	}
	const negligible = 1e-30
	in, out := []state{{m.Heard, weight{p: 1}}}, weight{}
	r, now := Removals{}, time.Duration(0)
	for {
		next := min(m.Alive, m.Look)
		if t.Refresh > 0 {
			next = min(next, m.Birth)
		}
		r.Present += (1 - out.p) * (min(next, observed) - now).Seconds()
		if now = next; now > observed {
			break
		}
		if now == m.Look {
			m.Look += t.Reap
			for len(in) > 0 && now-in[0].heard > t.Deadline {
				out, in = out.plus(in[0].oneMore()), in[1:]
			}
			continue
		}
		var heard weight
		for i := range in {
			heard = heard.plus(in[i].take(1 - loss))
		}
		if now == m.Alive {
			m.Alive += t.Heartbeat
		} else {
			m.Birth += t.Refresh
			heard = heard.plus(out.take(1 - loss))
		}
		if in = append(in, state{now, heard}); len(in) > 1 && in[0].p < negligible {
			in[1].weight, in = in[1].plus(in[0].weight), in[1:]
		}
	}
	sum := out
	for _, s := range in {
		sum = sum.plus(s.weight)
	}
	r.Mean, r.Variance = sum.n, sum.nn-sum.n*sum.n
	return r
}

// Interval is what counts lie between, in all but one of 1,000 observations: that
// of a Poisson count with as much variance for its mean.
func (r Removals) Interval() (low, high float64) {
	const tail, z = 0.0005, 3.2905
	if r.Mean <= 0 {
		return 0, 0
	}
	unit := math.Max(r.Variance, 1e-9*r.Mean) / r.Mean
	mean := r.Mean / unit
	if mean > 500 {
		half := z * math.Sqrt(r.Variance)
		return math.Max(0, math.Floor(r.Mean-half)), math.Ceil(r.Mean + half)
	}
	below, term, k := 0.0, math.Exp(-mean), 0.0
	for low = -1; below < 1-tail; k++ {
		if below += term; low < 0 && below > tail {
			low = k
		}
		term *= mean / (k + 1)
	}
	return math.Floor(low * unit), math.Ceil((k - 1) * unit)
}
