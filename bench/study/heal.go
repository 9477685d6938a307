package study

import (
	"context"
	"time"

	"p2plocal/core"
	"p2plocal/core/simnet"
)

// Cause is what a mesh has to heal from.
type Cause string

// Causes are all of them, and what each does.
const (
	Restart   Cause = "restart"   // the server is dead for a second: it comes back knowing nobody
	Partition Cause = "partition" // half of the peers are cut off from the server until they are reaped
	Lost      Cause = "lost"      // a peer joins while half of the directories are lost
)

var Causes = []Cause{Restart, Partition, Lost}

// Heal asks how long it takes until server and views are whole again, once the
// fault is over. Nothing else is lost.
type Heal struct {
	Cause  Cause
	Peers  int
	Timing core.Timing // Broadcast is not looked at
	Meshes int         // how many to watch, one heal each
	Seed   uint64
}

// Run simulates the meshes, or as many as it can until ctx is done.
func (h Heal) Run(ctx context.Context) Times {
	h.Timing.Broadcast = 0
	given := 30*time.Second + 2*h.Timing.Refresh
	var took []time.Duration
	never := 0
	for i := range uint64(h.Meshes) {
		if ctx.Err() != nil {
			break
		}
		if d, ok := h.mesh(h.Seed+i, given); ok {
			took = append(took, d)
		} else {
			never++
		}
	}
	return newTimes(took, never, given)
}

// mesh is how long one mesh took, false if longer than given.
func (h Heal) mesh(seed uint64, given time.Duration) (took time.Duration, ok bool) {
	n := simnet.New(simnet.Config{Seed: seed, Fault: simnet.Fault{Delay: delay}})
	var over time.Duration // when the fault ended; 0: it has not
	var whole [core.MaxPeers]bool
	missing, members := h.Peers, 0
	look := func() {
		if over > 0 && !ok && missing == 0 && members == h.Peers {
			took, ok = n.Now()-over, true
		}
	}
	server := n.AddServer(core.DirectoryConfig{Timing: h.Timing, Observe: func(e core.Event) {
		switch e.Kind {
		case core.Born:
			members++
			look()
		case core.Removed:
			members--
		}
	}})
	server.Launch()
	d := dice(seed)
	for i := range h.Peers {
		x := n.AddPeer(core.PeerConfig{Self: peer(i), Timing: h.Timing, Observe: func(e core.Event) {
			if e.Kind != core.Listed {
				return
			}
			if is := e.All.Len() == h.Peers; is != whole[i] {
				whole[i] = is
				missing += map[bool]int{true: -1, false: 1}[is]
			}
			look()
		}})
		if h.Cause != Lost || i > 0 {
			n.At(d.between(0, max(launching, h.Timing.Refresh)), x.Launch)
		}
	}
	fault := launching + h.Timing.Refresh + d.between(0, h.Timing.Heartbeat+h.Timing.Refresh)
	end := fault
	switch h.Cause {
	case Restart:
		end += time.Second
		n.At(fault, func() { server.Kill(); members = 0 })
		n.At(end, server.Launch)
	case Partition:
		end += h.Timing.Deadline + h.Timing.Reap + time.Second
		for i := range h.Peers / 2 {
			n.At(fault, func() { n.Cut(peer(i).Addr.Port(), server.Port()); n.Cut(server.Port(), peer(i).Addr.Port()) })
			n.At(end, func() { n.Heal(peer(i).Addr.Port(), server.Port()); n.Heal(server.Port(), peer(i).Addr.Port()) })
		}
	case Lost:
		const lossy = 5 * time.Millisecond
		n.At(fault, func() {
			n.SetFault(server.Port(), 0, &simnet.Fault{Delay: delay, Loss: 0.5})
			n.Node(peer(0).Addr.Port()).Launch()
		})
		n.At(fault+lossy, func() { n.SetFault(server.Port(), 0, nil) })
	}
	n.At(end, func() { over = end; look() })
	for !ok && n.RunInstant(end+given) {
	}
	return took, ok
}
