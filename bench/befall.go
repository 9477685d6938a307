package bench

import (
	"p2plocal/bench/faults"
	"p2plocal/core/simnet"
)

// befall enters the faults in the mesh's calendar. What happens to a life the
// mesh does itself, so that it knows who should be in every view.
func (w *virtualWorld) befall(m *mesh) {
	all, _ := scripted(m.cfg, m.seed) // as validated
	for number, f := range all.Faults {
		i := int(f.A) - firstPort
		switch {
		case f.Verb == faults.Crash && f.A == simnet.ServerPort:
			w.net.At(f.At, func() { m.server.kill() })
			w.net.At(f.Until, func() {
				m.forgotten()
				m.server.restart() // as at the start
			})
		case f.Verb == faults.Crash:
			killed := false
			w.net.At(f.At, func() {
				if killed = m.alive.Has(i); killed {
					m.kill(i)
				}
			})
			w.net.At(f.Until, func() {
				if killed && !m.alive.Has(i) {
					m.birth(i) // its configuration has been good for a birth before
				}
			})
		case f.Verb == faults.Pause && f.A != simnet.ServerPort:
			stopped := 0 // the life that was, from 1
			w.net.At(f.At, func() {
				if p := m.peers[i].(*virtualPeer); m.alive.Has(i) {
					p.pause()
					m.depart(i)
					stopped = p.lives
				}
			})
			w.net.At(f.Until, func() {
				if p := m.peers[i].(*virtualPeer); stopped == p.lives && p.node.Paused() {
					p.resume()
					m.arrive(i)
				}
			})
		case f.Verb == faults.Hostile:
			w.net.At(f.At, func() { w.hostile += uint64(f.N) })
			fallthrough
		default:
			all.Plan(w.net, number)
		}
	}
}

// firstPort is the first peer's on a virtual network.
const firstPort = simnet.ServerPort + 1
