package swarm

import (
	"time"

	"p2plocal/bench/faults"
	"p2plocal/core"
	"p2plocal/core/simnet"
)

// Draw makes the scenario of a seed. Each seed has a mixture of its own, with
// some kinds of fault left out altogether (Groce et al., "Swarm testing",
// ISSTA 2012): what always comes with everything else hides.
func Draw(seed uint64) faults.Script {
	d, s := drawMesh(seed)
	if d.Below(4) == 0 {
		s.Queue = 1 + d.Below(40)
	}
	if d.Below(2) == 0 {
		s.Network = drawNet(d)
	}
	var verbs []faults.Verb
	for _, v := range []faults.Verb{faults.Link, faults.Cut, faults.Pause, faults.Crash, faults.Drift, faults.Jump, faults.Hostile} {
		if d.Below(2) == 0 {
			verbs = append(verbs, v)
		}
	}
	if len(verbs) == 0 {
		return s
	}
	for range 1 + d.Below(10) {
		s.Faults = append(s.Faults, drawFault(d, s, verbs[d.Below(len(verbs))]))
	}
	return s
}

// drawAttack makes the scenario of a seed in which nothing goes wrong but that hostile datagrams
// come, every second time to the server.
func drawAttack(seed uint64) faults.Script {
	d, s := drawMesh(seed)
	for range 1 + d.Below(20) {
		f := drawFault(d, s, faults.Hostile)
		if f.N *= 1 + d.Below(10); d.Below(2) == 0 {
			f.A = simnet.ServerPort
		}
		s.Faults = append(s.Faults, f)
	}
	return s
}

// drawMesh makes one without a fault, and what the rest is drawn with.
func drawMesh(seed uint64) (*faults.Dice, faults.Script) {
	d := faults.Dice(seed)
	s := faults.Default()
	s.Seed = seed
	s.Peers = 2 + d.Below(14)
	if d.Below(32) == 0 {
		s.Peers = 2 + d.Below(core.MaxPeers-1)
	}
	if d.Below(2) == 0 {
		s.Refresh = d.Between(time.Second, 5*time.Second)
	}
	return &d, s
}

func drawNet(d *faults.Dice) simnet.Fault {
	f := simnet.Fault{Delay: d.Between(0, time.Millisecond)}
	if d.Below(2) == 0 {
		f.Loss = d.Percent(30)
	}
	if d.Below(2) == 0 {
		f.Jitter, f.Tail = d.Between(0, 20*time.Millisecond), d.Below(2) == 0
	}
	if d.Below(3) == 0 {
		f.Duplicate = d.Percent(20)
	}
	if d.Below(3) == 0 {
		f.Reorder, f.Hold = d.Percent(20), d.Between(0, 800*time.Millisecond)
	}
	if d.Below(3) == 0 {
		f.Worsen, f.Recover, f.Bad = d.Percent(10), d.Percent(50), d.Percent(100)
	}
	return f
}

func drawFault(d *faults.Dice, s faults.Script, v faults.Verb) faults.Fault {
	anybody := func() uint16 { return simnet.ServerPort + uint16(d.Below(s.Peers+1)) }
	aPeer := func() uint16 { return simnet.ServerPort + 1 + uint16(d.Below(s.Peers)) }
	f := faults.Fault{Verb: v, At: d.Between(0, s.Calm-time.Second)}
	length := 6 * time.Second
	if d.Below(4) == 0 {
		length = 20 * time.Second
	}
	f.Until = min(s.Calm, f.At+d.Between(10*time.Millisecond, length))
	f.A = anybody()
	switch v {
	case faults.Link, faults.Cut:
		f.B = anybody()
		if d.Below(2) == 0 {
			f.A = 0
		} else if d.Below(2) == 0 {
			f.B = 0
		}
		if v == faults.Link {
			f.Net = drawNet(d)
		}
	case faults.Drift:
		f.A, f.N = aPeer(), d.Below(100_001)-50_000
	case faults.Jump:
		f.A, f.Jump, f.Until = aPeer(), d.Between(0, 5*time.Second)-time.Second, 0
	case faults.Hostile:
		f.N, f.Until = 1+d.Below(60), 0
	}
	return f
}
