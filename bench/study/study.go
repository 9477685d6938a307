package study

import (
	"context"
	"math"
	"slices"
	"time"

	"p2plocal/core"
	"p2plocal/core/simnet"
)

// delay is what every datagram of a study takes: about what loopback does.
const delay = 20 * time.Microsecond

// Study watches meshes in which datagrams are lost: how often live peers are
// removed, and how soon dead ones are noticed.
type Study struct {
	Peers  int
	Timing core.Timing // Broadcast is not looked at: a study has none
	Loss   float64     // on every link
	Hours  float64     // of membership to watch, in peer-hours
	Seed   uint64
}

// Point is a Study's answer.
type Point struct {
	Culls     int     `json:"culls"`      // live peers removed
	PeerHours float64 `json:"peer_hours"` // of membership
	Rate      float64 `json:"rate"`       // culls a peer-hour
	Low       float64 `json:"low"`        // its 95 % confidence interval:
	High      float64 `json:"high"`       // Byar's approximation to Poisson's
	Theory    float64 `json:"theory"`     // the rate that Theory expects
	Traffic   float64 `json:"traffic"`    // datagrams a second that the mesh sends: keep-alives, births, directories

	// Of each killed peer, from its end until
	Server Times `json:"server"` // the server has removed it
	Views  Times `json:"views"`  // a survivor's view holds it no longer, one sample for each survivor
}

// Run simulates meshes until it has seen enough, or ctx is done. It panics
// unless the study is valid.
//
// A peer that has been removed is launched again within a heartbeat, so that
// all stay under observation. Twice a patience one peer is killed, and launched again
// a patience later; its removal is a detection, not a cull.
func (s Study) Run(ctx context.Context) Point {
	w := watch{Study: s}
	w.Timing.Broadcast = 0
	w.patience = max(30*time.Second, 2*(s.Timing.Deadline+s.Timing.Reap))
	w.length = 20 * w.patience
	for seed := s.Seed; w.member.Hours() < s.Hours && ctx.Err() == nil; seed++ {
		w.mesh(seed)
	}
	p := Point{Culls: w.culls, PeerHours: w.member.Hours(), Theory: s.Theory(),
		Traffic: float64(w.sent) / w.virtual.Seconds(),
		Server:  newTimes(w.server, 0, w.patience), Views: newTimes(w.views, w.never, w.patience)}
	p.Rate = float64(p.Culls) / p.PeerHours
	low, high := poisson(p.Culls)
	p.Low, p.High = low/p.PeerHours, high/p.PeerHours
	return p
}

// watch is a Study under way: its sums, and the state of the mesh that runs.
type watch struct {
	Study
	patience time.Duration // how long a survivor has to notice
	length   time.Duration // of one mesh

	culls, never    int
	sent            uint64
	member, virtual time.Duration
	server, views   []time.Duration

	net      *simnet.Net
	d        dice
	in       [core.MaxPeers]bool // the server has it
	since    [core.MaxPeers]time.Duration
	killed   int // the dead peer, -1: none is
	killedAt time.Duration
	unaware  [core.MaxPeers]bool // survivors that have yet to notice
}

func (w *watch) mesh(seed uint64) {
	n := simnet.New(simnet.Config{Seed: seed, Fault: simnet.Fault{Delay: delay, Loss: w.Loss}})
	w.net, w.d, w.killed, w.in, w.unaware = n, dice(seed), -1, [core.MaxPeers]bool{}, [core.MaxPeers]bool{}
	n.AddServer(core.DirectoryConfig{Timing: w.Timing, Observe: func(e core.Event) {
		switch e.Kind {
		case core.Born:
			w.in[index(e.Peer)], w.since[index(e.Peer)] = true, n.Now()
		case core.Removed:
			w.removed(index(e.Peer))
		}
	}}).Launch()
	for i := range w.Peers {
		x := n.AddPeer(core.PeerConfig{Self: peer(i), Timing: w.Timing, Observe: func(e core.Event) {
			if e.Kind == core.Listed {
				w.took(i, e.All)
			}
		}})
		n.At(w.d.between(0, max(launching, w.Timing.Refresh)), x.Launch)
	}
	for t := 2 * w.patience; t+w.patience+w.Timing.Heartbeat < w.length; t += 2 * w.patience {
		i := w.d.below(w.Peers)
		t := t + w.d.between(0, w.Timing.Heartbeat)
		n.At(t, func() { w.kill(i) })
		n.At(t+w.patience, w.revive)
	}
	n.Run(w.length)
	for i := range w.Peers {
		w.left(i)
	}
	w.sent += n.Stats().Sent
	w.virtual += w.length
}

// left ends a live peer's membership.
func (w *watch) left(i int) {
	if w.in[i] && i != w.killed {
		w.member += w.net.Now() - w.since[i]
	}
}

func (w *watch) removed(i int) {
	if i == w.killed {
		w.server = append(w.server, w.net.Now()-w.killedAt)
	} else {
		w.culls++
		w.left(i)
		w.unaware[i] = false // it will hear by being born
		// At a phase of its own: at once, its keep-alives would keep to the reaper's.
		w.net.At(w.net.Now()+w.d.between(0, w.Timing.Heartbeat), func() {
			if !w.in[i] && i != w.killed { // a refresh may have brought it back
				w.net.Node(peer(i).Addr.Port()).Launch()
			}
		})
	}
	w.in[i] = false
}

// kill ends a member, if it is one, and notes who has to notice.
func (w *watch) kill(i int) {
	if !w.in[i] {
		return
	}
	w.left(i)
	w.killed, w.killedAt = i, w.net.Now()
	w.net.Node(peer(i).Addr.Port()).Kill()
	for j := range w.Peers {
		w.unaware[j] = j != i && slices.Contains(w.net.Node(peer(j).Addr.Port()).Machine().(*core.Peer).Others(), peer(i))
	}
}

// took looks whether a directory tells a survivor of the death.
func (w *watch) took(i int, all core.Members) {
	if w.unaware[i] && !all.Contains(peer(w.killed)) {
		w.unaware[i] = false
		w.views = append(w.views, w.net.Now()-w.killedAt)
	}
}

// revive launches the dead peer again.
func (w *watch) revive() {
	if w.killed < 0 {
		return
	}
	for i := range w.unaware {
		if w.unaware[i] {
			w.unaware[i] = false
			w.never++
		}
	}
	x := w.net.Node(peer(w.killed).Addr.Port())
	w.killed = -1
	x.Launch()
}

// Theory is the rate of false culls, in culls a peer-hour, that independent
// losses make.
//
// Between two keep-alives that get through lie j heartbeats with probability
// (1-p) p^(j-1). The peer is removed if the server looks, once a reap interval,
// between its deadline and the second of them: with probability
// (j heartbeat - deadline) / reap, at most 1, over all phases of the reaper.
// The rate is that of a renewal process (Feller, An Introduction to Probability
// Theory, vol. 1, XIII): removals by time, per such gap. Where reap =
// heartbeat and deadline = k heartbeats it is that of k losses in a row.
//
// Births of a refresh are signs of life, too: a removal wants all those that
// fall within a deadline lost as well. Where the refresh is a whole number of
// heartbeats, births go out with keep-alives, and those count that are lost
// with one. That holds in the first order of p.
func (s Study) Theory() float64 {
	t, p := s.Timing, s.Loss
	h, r, d := t.Heartbeat.Hours(), t.Reap.Hours(), t.Deadline.Hours()
	var removals, mean float64 // of one gap
	left := 1.0                // probability that it is j or more heartbeats
	for j := 1.0; left > 1e-18 && j < 1e6; j++ {
		at := left * (1 - p)
		left *= p
		window := math.Max(0, j*h-d)
		if j*t.Heartbeat.Seconds() <= t.Deadline.Seconds() {
			window = 0 // not a rounding error's worth
		}
		seen := math.Min(1, window/r)
		removals += at * seen
		mean += at * (seen*(d+math.Min(window, r)/2) + (1-seen)*j*h)
	}
	if t.Refresh > 0 {
		alone := t.Deadline
		if t.Refresh%t.Heartbeat == 0 {
			alone = t.Deadline.Truncate(t.Heartbeat)
		}
		births := alone.Seconds() / t.Refresh.Seconds()
		whole := math.Floor(births)
		removals *= math.Pow(p, whole) * (1 - (births-whole)*(1-p))
	}
	return removals / mean
}

// poisson is the 95 % confidence interval of a Poisson count's mean: Byar's
// approximation (Breslow and Day, Statistical Methods in Cancer Research,
// vol. 2, 1987).
func poisson(count int) (low, high float64) {
	const z = 1.959964
	byar := func(k, z float64) float64 { return k * math.Pow(1-1/(9*k)+z/(3*math.Sqrt(k)), 3) }
	if count > 0 {
		low = byar(float64(count), -z)
	}
	return low, byar(float64(count)+1, z)
}
