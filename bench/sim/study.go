package sim

import (
	"context"
	"math"
	"time"

	"p2plocal/core"
	"p2plocal/core/coretest"
)

// Study asks how often a mesh removes live peers when so much of its traffic
// is lost, and how soon it notices dead ones.
type Study struct {
	Peers  int
	Timing core.Timing // Broadcast is not looked at: a study has none
	Loss   float64     // on every link
	Hours  float64     // of membership to watch, in peer-hours
	Seed   uint64
}

// Point is a Study's answer.
type Point struct {
	Culls     int     // live peers removed
	PeerHours float64 // of membership
	Rate      float64 // culls a peer-hour
	Low, High float64 // its 95 % confidence interval: Byar's approximation to Poisson's
	Theory    float64 // the rate that is expected, NaN where no formula is known

	Detection []time.Duration // of each killed peer, from its end until the server has removed it
}

// watched is how long one mesh of a study runs.
const watched = 10 * time.Minute

// Run simulates meshes until it has seen enough, or ctx is done. It panics
// unless the study is valid.
//
// Every mesh runs for 10 minutes; a peer that has been removed is launched
// again, so that all stay under observation. Each minute one peer is killed,
// and launched again once the server has removed it; that is a detection, not a cull.
func (s Study) Run(ctx context.Context) Point {
	var p Point
	var member time.Duration
	for seed := s.Seed; member.Hours() < s.Hours && ctx.Err() == nil; seed++ {
		member += s.mesh(seed, &p)
	}
	p.PeerHours = member.Hours()
	p.Rate = float64(p.Culls) / p.PeerHours
	low, high := poisson(p.Culls)
	p.Low, p.High = low/p.PeerHours, high/p.PeerHours
	p.Theory = s.Theory()
	return p
}

// mesh runs one mesh, adds what it sees to p and returns the time that its
// live peers were members for, in all.
func (s Study) mesh(seed uint64, p *Point) (member time.Duration) {
	timing := s.Timing
	timing.Broadcast = 0
	n := coretest.New(coretest.Config{Seed: seed, Fault: coretest.Fault{Delay: 20 * time.Microsecond, Loss: s.Loss}})
	born := make(map[core.Entry]time.Duration)
	var killed core.Entry
	var killedAt time.Duration
	n.AddServer(core.DirectoryConfig{Timing: timing, Observer: core.Observer{
		Born: func(_ time.Time, e core.Entry) { born[e] = n.Now() },
		Reaped: func(_ time.Time, e core.Entry, _ time.Duration) {
			if e == killed {
				p.Detection = append(p.Detection, n.Now()-killedAt)
				killed = core.Entry{}
			} else {
				p.Culls++
				member += n.Now() - born[e]
			}
			delete(born, e)
			n.At(n.Now(), n.Node(e.Port).Launch)
		},
	}}).Launch()
	d := dice(seed)
	for i := range s.Peers {
		x := n.AddPeer(core.PeerConfig{Self: core.Entry{Name: name(i), Port: coretest.ServerPort + 1 + uint16(i)}, Timing: timing})
		n.At(d.between(0, launching), x.Launch)
	}
	for t := time.Minute; t < watched; t += time.Minute {
		i := d.below(s.Peers)
		n.At(t+d.between(0, timing.Heartbeat), func() {
			e := core.Entry{Name: name(i), Port: coretest.ServerPort + 1 + uint16(i)}
			if since, in := born[e]; in && killed.Port == 0 {
				member += n.Now() - since
				killed, killedAt = e, n.Now()
				n.Node(e.Port).Kill()
			}
		})
	}
	n.Run(watched)
	for e, since := range born {
		if e != killed {
			member += watched - since
		}
	}
	return member
}

// Theory is the rate of false culls that independent losses make, in culls a
// peer-hour. A peer is removed once k = deadline/heartbeat keep-alives in a row are
// lost. Until k losses in a row come, (1-p^k) / ((1-p) p^k) trials pass on
// average (Feller, An Introduction to Probability Theory, vol. 1, XIII.7), and
// half a reap interval until the server looks. It holds where k is whole and
// the reap interval is the heartbeat, and is an upper bound where births, which are
// signs of life too, are repeated: by refresh, and a little by the retries of
// peers whose directory was lost. Otherwise it is NaN.
func (s Study) Theory() float64 {
	t := s.Timing
	if t.Deadline%t.Heartbeat != 0 || t.Reap != t.Heartbeat {
		return math.NaN()
	}
	if s.Loss == 0 {
		return 0
	}
	lost := math.Pow(s.Loss, float64(t.Deadline/t.Heartbeat))
	trials := (1 - lost) / ((1 - s.Loss) * lost)
	return 1 / (trials*t.Heartbeat.Hours() + t.Reap.Hours()/2)
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
