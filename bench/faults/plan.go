package faults

import (
	"p2plocal/core/simnet"
	"p2plocal/core/wire"
)

// Plan enters the scenario's fault of a number in a Net's calendar.
func (s Script) Plan(n *simnet.Net, number int) {
	f := s.Faults[number]
	begin, end := s.Actions(n, f)
	n.At(f.At, begin)
	if end != nil {
		n.At(f.Until, end)
	}
}

// Actions are what a fault does as it begins and as it ends; nil: it has no end. A flood's are
// a matter of the mesh that has a sender.
func (s Script) Actions(n *simnet.Net, f Fault) (begin, end func()) {
	x := n.Node(f.A)
	switch f.Verb {
	case Link:
		return func() { n.SetFault(f.A, f.B, &f.Net) }, func() { n.SetFault(f.A, f.B, nil) }
	case Cut:
		return func() { n.Cut(f.A, f.B) }, func() { n.Heal(f.A, f.B) }
	case Divide:
		between := func(do func(from, to uint16)) {
			for _, a := range n.Nodes() {
				for _, b := range n.Nodes() {
					if a.Port() >= f.A != (b.Port() >= f.A) {
						do(a.Port(), b.Port())
					}
				}
			}
		}
		return func() { between(n.Cut) }, func() { between(n.Heal) }
	case Pause:
		return x.Pause, x.Resume
	case Crash:
		return x.Kill, x.Launch
	case Drift:
		return func() { x.DriftClock(f.N) }, func() { x.DriftClock(0) }
	case Jump:
		return func() { x.JumpClock(f.Jump) }, nil
	}
	return func() {
		h := newHostile(s, f)
		for range f.N {
			from, datagram := h.next()
			n.Inject(from, f.A, datagram)
		}
	}, nil
}

// PeerEntry is the i-th peer's.
func PeerEntry(i int) wire.Entry {
	return wire.Entry{Name: wire.Name(' ' + i), Port: simnet.ServerPort + 1 + uint16(i)}
}
