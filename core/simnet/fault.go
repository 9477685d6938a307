package simnet

import (
	"fmt"
	"math/bits"
	"time"
)

// Fault is what happens to datagrams on a link. The zero value is a perfect link:
// everything arrives, once, at the same instant.
type Fault struct {
	Loss      float64       `json:"loss"`      // probability that a datagram is lost
	Delay     time.Duration `json:"delay"`     // one way
	Jitter    time.Duration `json:"jitter"`    // on top, different for each datagram: from 0 up to this, so later ones may overtake
	Tail      bool          `json:"tail"`      // Jitter is exponentially distributed, with this mean, instead of evenly
	Duplicate float64       `json:"duplicate"` // probability that a datagram comes a second time
	Reorder   float64       `json:"reorder"`   // probability that a datagram is held up by Hold
	Hold      time.Duration `json:"hold"`      // on top of Delay and Jitter

	// Bursts: the Gilbert-Elliott model. Before each datagram a good link turns
	// bad with probability Worsen and a bad one good with probability Recover;
	// while it is bad the loss is Bad.
	Worsen  float64 `json:"worsen"`
	Recover float64 `json:"recover"`
	Bad     float64 `json:"bad"`
}

// Validate names the first invalid value.
func (f Fault) Validate() error {
	for _, x := range Properties(&f) {
		switch {
		case x.P != nil && !(*x.P >= 0 && *x.P <= 1):
			return fmt.Errorf("%s probability %v, want 0 to 1", x.Key, *x.P)
		case x.D != nil && (*x.D < 0 || *x.D > time.Hour):
			return fmt.Errorf("%s %v, want 0 to 1h", x.Key, *x.D)
		}
	}
	return nil
}

// path is a Fault in integers. Floating-point arithmetic may be fused on some
// platforms; integers give the same run on all.
type path struct {
	plain                    bool // nothing but a constant delay
	tail                     bool
	delay, jitter, hold      time.Duration
	loss, duplicate, reorder chance
	worsen, recover, bad     chance
}

func (f Fault) path() path {
	if err := f.Validate(); err != nil {
		panic("simnet: " + err.Error())
	}
	p := path{
		tail: f.Tail, delay: f.Delay, jitter: f.Jitter, hold: f.Hold,
		loss: chanceOf(f.Loss), duplicate: chanceOf(f.Duplicate), reorder: chanceOf(f.Reorder),
		worsen: chanceOf(f.Worsen), recover: chanceOf(f.Recover), bad: chanceOf(f.Bad),
	}
	p.plain = p.jitter == 0 && p.loss == 0 && p.duplicate == 0 && p.reorder == 0 && p.worsen == 0
	return p
}

// lost decides whether one datagram is lost; bad is the link's state.
func (p *path) lost(d *dice, bad *bool) bool {
	if p.worsen > 0 {
		if *bad {
			*bad = !d.hit(p.recover)
		} else {
			*bad = d.hit(p.worsen)
		}
		if *bad {
			return d.hit(p.bad)
		}
	}
	return d.hit(p.loss)
}

// travel is how long one datagram takes.
func (p *path) travel(d *dice) time.Duration {
	t := p.delay
	switch {
	case p.jitter == 0:
	case p.tail:
		t += scale(p.jitter, d.exponential())
	default:
		t += scale(p.jitter, d.next()>>32)
	}
	if d.hit(p.reorder) {
		t += p.hold
	}
	return t
}

// scale is t * factor / 2^32.
func scale(t time.Duration, factor uint64) time.Duration {
	hi, lo := bits.Mul64(uint64(t), factor)
	return time.Duration(hi<<32 | lo>>32)
}

// chance is a probability times 2^32.
type chance uint64

func chanceOf(p float64) chance { return chance(p * (1 << 32)) }

// dice are the random numbers that decide the fate of one datagram on one link:
// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number
// generators", 2014), begun at a hash of the seed, the link and the datagram's number.
// So no datagram's fate depends on another's, and removing one fault from a run changes as
// little of the rest as possible.
type dice uint64

func newDice(seed uint64, from, to uint16, nth uint32) dice {
	return dice(seed ^ mix(uint64(nth)<<32|uint64(from)<<16|uint64(to)))
}

func (d *dice) next() uint64 {
	*d += 0x9E3779B97F4A7C15
	return mix(uint64(*d))
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// hit is true with probability p. It draws no number where there is no doubt.
func (d *dice) hit(p chance) bool { return p > 0 && chance(d.next()>>32) < p }

// exponential is an exponentially distributed number of mean 1, times 2^32:
// -ln(u) for an even u in (0, 1], with log2 of u's mantissa by a parabola
// that is off by less than 0.01.
func (d *dice) exponential() uint64 {
	u := d.next() | 1
	zeros := bits.LeadingZeros64(u)
	f := u << zeros << 1 >> 32                 // the mantissa is 1 + f/2^32
	log := f + (f*(1<<32-f)>>32)*11/32         // log2 of it, times 2^32
	minus := uint64(zeros+1)<<32 - log         // -log2(u), times 2^32, at most 64
	hi, lo := bits.Mul64(minus, 0xB17217F7<<1) // ln 2, times 2^33
	return hi<<31 | lo>>33
}

// SetFault gives the links from one port to another, or with 0 from or to
// every node that has been added, a fault of their own from now on; nil: the Net's again. It
// panics if the fault is invalid.
func (n *Net) SetFault(from, to uint16, f *Fault) {
	var p *path
	if f != nil {
		q := f.path()
		p = &q
	}
	n.eachLink(from, to, func(l *link) { l.path, l.bad = p, false })
}

// SetDefault replaces Config.Fault from now on.
func (n *Net) SetDefault(f Fault) { n.path = f.path() }

// Cut lets nothing through from one port to another, or with 0 from or to
// every node that has been added, until Heal is called with the same. Cuts may overlap:
// a link works when all of its cuts have healed. What is on its way arrives.
func (n *Net) Cut(from, to uint16) { n.eachLink(from, to, func(l *link) { l.cuts++ }) }

// Heal undoes one Cut.
func (n *Net) Heal(from, to uint16) {
	n.eachLink(from, to, func(l *link) { l.cuts = max(l.cuts-1, 0) })
}

func (n *Net) eachLink(from, to uint16, f func(*link)) {
	for _, x := range n.nodes {
		if from != 0 && x.port != from {
			continue
		}
		for _, y := range n.nodes {
			if to == 0 || y.port == to {
				f(n.link(x, y.port))
			}
		}
	}
}
