package faults

import (
	"p2plocal/core/simnet"
	"p2plocal/core/wire"
)

// Plan enters the scenario's fault of a number in a Net's calendar.
func (s Script) Plan(n *simnet.Net, number int) {
	f := s.Faults[number]
	x := n.Node(f.A)
	during := func(begin, end func()) {
		n.At(f.At, begin)
		n.At(f.Until, end)
	}
	switch f.Verb {
	case Link:
		during(func() { n.SetFault(f.A, f.B, &f.Net) }, func() { n.SetFault(f.A, f.B, nil) })
	case Cut:
		during(func() { n.Cut(f.A, f.B) }, func() { n.Heal(f.A, f.B) })
	case Pause:
		during(x.Pause, x.Resume)
	case Crash:
		during(x.Kill, x.Launch)
	case Drift:
		during(func() { x.DriftClock(f.N) }, func() { x.DriftClock(0) })
	case Jump:
		n.At(f.At, func() { x.JumpClock(f.Jump) })
	case Hostile:
		n.At(f.At, func() {
			h := newHostile(s, f)
			for range f.N {
				from, datagram := h.next()
				n.Inject(from, f.A, datagram)
			}
		})
	}
}

// PeerEntry is the i-th peer's.
func PeerEntry(i int) wire.Entry {
	return wire.Entry{Name: wire.Name(' ' + i), Port: simnet.ServerPort + 1 + uint16(i)}
}
