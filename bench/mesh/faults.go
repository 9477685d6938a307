package mesh

import (
	"time"

	"p2plocal/bench/faults"
	"p2plocal/bench/result"
	"p2plocal/core"
	"p2plocal/core/simnet"
)

// scheduleFaults enters the faults in the mesh's calendar. What happens to a life the
// mesh does itself, so that it knows who should be in every view.
func (w *virtualWorld) scheduleFaults(m *Mesh) {
	all, _ := Scripted(m.Cfg, m.seed) // as validated
	for number, f := range all.Faults {
		i := int(f.A) - firstPort
		switch {
		case f.Verb == faults.Crash && f.A == simnet.ServerPort:
			w.net.At(f.At, func() { m.KillServer() })
			w.net.At(f.Until, func() {
				m.RestartServer() // as at the start
				m.ServerForgot(int64(f.At))
			})
		case f.Verb == faults.Crash:
			killed := false
			w.net.At(f.At, func() {
				if killed = m.Alive.Has(i); killed {
					m.Kill(i)
				}
			})
			w.net.At(f.Until, func() {
				if killed && !m.Alive.Has(i) {
					m.Birth(i) // its configuration has been good for a birth before
				}
			})
		case f.Verb == faults.Pause && f.A != simnet.ServerPort:
			stopped := 0 // the life that was, from 1
			w.net.At(f.At, func() {
				if p := m.Peers[i].(*virtualPeer); m.Alive.Has(i) {
					m.Pause(i)
					stopped = p.lives
				}
			})
			w.net.At(f.Until, func() {
				if p := m.Peers[i].(*virtualPeer); stopped == p.lives && p.node.Paused() {
					m.Resume(i)
				}
			})
		case f.Verb == faults.Hostile:
			w.net.At(f.At, func() { w.hostile += uint64(f.N); m.Store.Hostile.Add(uint64(f.N)) })
			fallthrough
		default:
			all.Plan(w.net, number)
		}
	}
}

// firstPort is the first peer's on a virtual network.
const firstPort = simnet.ServerPort + 1

// Scripted is the simulation's faults as a script. In a mesh larger than the exact dialect's
// they can name its first peers only.
func Scripted(c *result.Config, seed uint64) (faults.Script, error) {
	const most = time.Hour // of a script
	s := c.Simulation
	all, err := faults.ParseFaults(s.Faults)
	return faults.Script{Seed: seed, Peers: min(c.Peers, core.MaxPeers), Queue: s.Queue, Duration: most, Calm: most, Network: s.Network, Faults: all}, err
}
