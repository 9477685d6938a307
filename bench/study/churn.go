package study

import (
	"context"
	"math"
	"time"

	"p2plocal/core"
	"p2plocal/core/simnet"
)

// Churn asks for what part of the time a view is not the truth, while peers
// die and come back: a Poisson process of deaths, each peer dead for twice as
// long as the server may take to notice.
type Churn struct {
	Peers  int
	Timing core.Timing // Broadcast is not looked at
	Loss   float64     // on every link
	Deaths float64     // a second, in the whole mesh
	Meshes int         // how many to watch, five minutes each
	Seed   uint64
}

// churning is how long one mesh is watched.
const churning = 5 * time.Minute

func (c Churn) dead() time.Duration { return 2 * (c.Timing.Deadline + c.Timing.Reap) }

// Fits reports that on average no more than a third of the mesh is dead.
func (c Churn) Fits() bool { return c.Deaths*c.dead().Seconds() <= float64(c.Peers)/3 }

// Run is the part of the living peers whose view differs from who is alive,
// averaged over time.
func (c Churn) Run(ctx context.Context) Share {
	c.Timing.Broadcast = 0
	var meshes []float64
	for i := range uint64(c.Meshes) {
		if ctx.Err() != nil {
			break
		}
		meshes = append(meshes, c.mesh(c.Seed+i))
	}
	return newShare(meshes)
}

// Theory is what Run is to expect where nothing is lost: views are wrong
// unless no death is unknown. A death becomes known at the first reap after the
// deadline has passed since its last keep-alive; x after a reap, the unknown
// deaths are Poisson distributed with mean deaths * (deadline - heartbeat/2 + x).
func (c Churn) Theory() float64 {
	t := c.Timing
	before := c.Deaths * (t.Deadline - t.Heartbeat/2).Seconds()
	during := c.Deaths * t.Reap.Seconds()
	return 1 + math.Exp(-before)*math.Expm1(-during)/during
}

// peerSet is a set of peers, by index.
type peerSet [2]uint64

func (s *peerSet) set(i int, in bool) {
	if s[i/64] &^= 1 << (i % 64); in {
		s[i/64] |= 1 << (i % 64)
	}
}

func (s peerSet) has(i int) bool { return s[i/64]>>(i%64)&1 != 0 }

func (c Churn) mesh(seed uint64) float64 {
	n := simnet.New(simnet.Config{Seed: seed, Fault: simnet.Fault{Delay: delay, Loss: c.Loss}})
	var alive peerSet
	var views [core.MaxPeers]peerSet // with the peer itself
	living, wrong := 0, 0
	var begin, since time.Duration
	var sum float64 // seconds, times the part that was wrong
	// book adds up the time until now; call it before anything changes, and count after.
	book := func() {
		if begin > 0 {
			sum += (n.Now() - since).Seconds() * float64(wrong) / float64(max(1, living))
		}
		since = n.Now()
	}
	count := func() {
		living, wrong = 0, 0
		for i := range c.Peers {
			if alive.has(i) {
				living++
				if views[i] != alive {
					wrong++
				}
			}
		}
	}
	n.AddServer(core.DirectoryConfig{Timing: c.Timing}).Launch()
	d := dice(seed)
	launch := func(i int) {
		book()
		alive.set(i, true)
		views[i] = peerSet{}
		count()
		n.Node(peer(i).Addr.Port()).Launch()
	}
	for i := range c.Peers {
		n.AddPeer(core.PeerConfig{Self: peer(i), Timing: c.Timing, Observe: func(e core.Event) {
			if e.Kind != core.Listed {
				return
			}
			book()
			var v peerSet
			for x := range e.All.Each() {
				v.set(index(x), true)
			}
			v.set(i, true)
			was := views[i] != alive
			views[i] = v
			if is := v != alive; alive.has(i) && is != was {
				wrong += map[bool]int{true: 1, false: -1}[is]
			}
		}})
		n.At(d.between(0, launching), func() { launch(i) })
	}
	warm := launching + c.dead() + c.Timing.Retry
	death := func() {
		if living < 2 {
			return
		}
		i := d.below(c.Peers)
		for !alive.has(i) {
			i = d.below(c.Peers)
		}
		book()
		alive.set(i, false)
		count()
		n.Node(peer(i).Addr.Port()).Kill()
		n.At(n.Now()+c.dead(), func() { launch(i) })
	}
	const slot = time.Millisecond // in which there may be one death
	odds := uint64(c.Deaths * slot.Seconds() * (1 << 53))
	for t := launching; t < warm+churning; t += slot {
		if d.next()>>11 < odds {
			n.At(t, death)
		}
	}
	n.At(warm, func() { since, begin = n.Now(), n.Now() })
	n.Run(warm + churning)
	book()
	return sum / churning.Seconds()
}
