package swarm

import (
	"math/bits"
	"time"

	"p2plocal/core"
	"p2plocal/core/simnet"
)

// launching is the time within which all peers are launched.
const launching = 2 * time.Second

// dice is SplitMix64 (Steele, Lea, Flood 2014): the same numbers on every
// platform and Go version.
type dice uint64

func (d *dice) next() uint64 {
	*d += 0x9E3779B97F4A7C15
	z := uint64(*d)
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// below is a number from 0 to n-1; between is a duration from a to b.
func (d *dice) below(n int) int { return int(d.below64(uint64(n))) }

func (d *dice) below64(n uint64) uint64 {
	hi, _ := bits.Mul64(d.next(), n)
	return hi
}

func (d *dice) between(a, b time.Duration) time.Duration {
	const grain = 100 * time.Microsecond // so that schedules read well
	return (a + time.Duration(d.below64(uint64(b-a)+1))) / grain * grain
}

func (d *dice) percent(most int) float64 { return float64(d.below(most)+1) / 100 }

// Draw makes the scenario of a seed. Each seed has a mixture of its own, with
// some kinds of fault left out altogether (Groce et al., "Swarm testing",
// ISSTA 2012): what always comes with everything else hides.
func Draw(seed uint64) Scenario {
	d := dice(seed)
	s := Default()
	s.Seed = seed
	s.Peers = 2 + d.below(14)
	if d.below(32) == 0 {
		s.Peers = 2 + d.below(core.MaxPeers-1)
	}
	if d.below(2) == 0 {
		s.Refresh = d.between(time.Second, 5*time.Second)
	}
	if d.below(4) == 0 {
		s.Queue = 1 + d.below(40)
	}
	if d.below(2) == 0 {
		s.Network = drawNet(&d)
	}
	var verbs []Verb
	for _, v := range []Verb{Link, Cut, Pause, Crash, Drift, Jump, Hostile} {
		if d.below(2) == 0 {
			verbs = append(verbs, v)
		}
	}
	if len(verbs) == 0 {
		return s
	}
	for range 1 + d.below(10) {
		s.Faults = append(s.Faults, drawFault(&d, s, verbs[d.below(len(verbs))]))
	}
	return s
}

func drawNet(d *dice) simnet.Fault {
	f := simnet.Fault{Delay: d.between(0, time.Millisecond)}
	if d.below(2) == 0 {
		f.Loss = d.percent(30)
	}
	if d.below(2) == 0 {
		f.Jitter, f.Tail = d.between(0, 20*time.Millisecond), d.below(2) == 0
	}
	if d.below(3) == 0 {
		f.Duplicate = d.percent(20)
	}
	if d.below(3) == 0 {
		f.Reorder, f.Hold = d.percent(20), d.between(0, 800*time.Millisecond)
	}
	if d.below(3) == 0 {
		f.Worsen, f.Recover, f.Bad = d.percent(10), d.percent(50), d.percent(100)
	}
	return f
}

func drawFault(d *dice, s Scenario, v Verb) Fault {
	anybody := func() uint16 { return simnet.ServerPort + uint16(d.below(s.Peers+1)) }
	aPeer := func() uint16 { return simnet.ServerPort + 1 + uint16(d.below(s.Peers)) }
	f := Fault{Verb: v, At: d.between(0, s.Calm-time.Second)}
	length := 6 * time.Second
	if d.below(4) == 0 {
		length = 20 * time.Second
	}
	f.Until = min(s.Calm, f.At+d.between(10*time.Millisecond, length))
	f.A = anybody()
	switch v {
	case Link, Cut:
		f.B = anybody()
		if d.below(2) == 0 {
			f.A = 0
		} else if d.below(2) == 0 {
			f.B = 0
		}
		if v == Link {
			f.Net = drawNet(d)
		}
	case Drift:
		f.A, f.N = aPeer(), d.below(100_001)-50_000
	case Jump:
		f.A, f.Jump, f.Until = aPeer(), d.between(0, 5*time.Second)-time.Second, 0
	case Hostile:
		f.N, f.Until = 1+d.below(60), 0
	}
	return f
}
