package mesh

import (
	"net/netip"
	"time"

	"p2plocal/core"
	"p2plocal/core/simnet"
)

// virtualAttacker is a sender of hostile datagrams on a virtual network.
type virtualAttacker struct {
	datagrams [][]byte
	to        [1]netip.AddrPort
	train     int     // datagrams at once, all alike
	period    float64 // of a train, in ns
	start     time.Time
	stopped   bool
	trains    int // begun
	left      int // of the present one
	sent      uint64
	heard     uint64 // datagrams that came for it
}

// Attack has a node of its own send what it is told.
func (w *virtualWorld) Attack(a Attack) (attacker, error) {
	const port = 40_000
	x := &virtualAttacker{datagrams: a.Datagrams, to: [1]netip.AddrPort{a.Target}, train: 1}
	if a.Rate >= trains {
		x.train = train
	}
	x.period = float64(x.train) / a.Rate * 1e9
	w.attacker = x
	w.net.Add(port, func(now time.Time) core.Machine {
		x.start = now
		return x
	}).Launch()
	return &virtualAttack{x, w.net, w.net.Now()}, nil
}

// virtualAttack is the mesh's hold on its attacker.
type virtualAttack struct {
	*virtualAttacker
	net   *simnet.Net
	began time.Duration
}

func (s *virtualAttack) Stop() (v AttackResult, err error) {
	s.stopped = true
	v.Sent = s.sent
	v.Elapsed = s.net.Now() - s.began
	return v, nil
}

// Step implements core.Machine.
func (b *virtualAttacker) Step(time.Time, netip.AddrPort, []byte) { b.heard++ }

// Poll implements core.Machine.
func (b *virtualAttacker) Poll(now time.Time) (core.Outgoing, time.Time) {
	if b.left == 0 {
		due := b.start.Add(time.Duration(float64(b.trains) * b.period))
		switch {
		case b.stopped:
			return core.Outgoing{}, time.Time{}
		case now.Before(due):
			return core.Outgoing{}, due
		}
		b.trains++
		b.left = b.train
	}
	b.left--
	b.sent++
	return core.Outgoing{Datagram: b.datagrams[(b.trains-1)%len(b.datagrams)], To: b.to[:]}, now
}
