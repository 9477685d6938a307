package swarm

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"p2plocal/core"
	"p2plocal/core/simnet"
)

// Result is what a run came to.
type Result struct {
	Finding     *Finding    // nil: every invariant held
	Gaps        map[Gap]int // peers that are outside or whose view differs in the end, by the known gap that explains it
	Ended       bool        // long enough after Calm for everything to have healed; else heal and gap were not checked
	Interrupted bool        // it was not at its end when ctx was done
	Virtual     time.Duration
	Stats       simnet.Stats
}

// Simulate runs a valid scenario until its end, or until if that is earlier
// and not 0, or until ctx is done, and stops at the first broken invariant.
// trace, which may be nil, hears every event.
func Simulate(ctx context.Context, s Scenario, machines Machines, until time.Duration, trace func(simnet.Event)) Result {
	timing := core.DefaultTiming()
	timing.Refresh = s.Refresh
	var c *checker
	hear := func(e simnet.Event) {
		c.hear(e)
		if trace != nil {
			trace(e)
		}
	}
	n := simnet.New(simnet.Config{Seed: s.Seed, Fault: s.Network, Queue: s.Queue, Trace: hear})
	c = newChecker(n, timing)
	n.Add(simnet.ServerPort, func(now time.Time) core.Machine {
		return machines.Server(core.DirectoryConfig{Port: simnet.ServerPort, Timing: timing}, now)
	}).Launch()
	d := dice(s.Seed ^ 0x5EED)
	for i := range s.Peers {
		self := entry(i)
		x := n.Add(self.Port, func(now time.Time) core.Machine {
			m := machines.Peer(core.PeerConfig{Self: self, Server: serverAddr, Timing: timing}, now)
			return c.watch(m.(member), self, now)
		})
		n.At(d.between(0, launching), func() {
			if !x.Running() { // a crash that is over may have launched it
				x.Launch()
			}
		})
	}
	for _, f := range s.Faults {
		plan(n, s, f)
	}
	n.At(s.Calm, func() {
		n.SetDefault(simnet.Fault{Delay: 20 * time.Microsecond})
		for _, x := range n.Nodes() {
			x.SetQueue(0)
		}
	})

	end := s.Duration
	if until > 0 {
		end = min(end, until)
	}
	r := Result{Gaps: c.gaps}
	const look = 64 // instants between two looks at ctx
	for i := 1; c.found == nil && !r.Interrupted && n.RunInstant(end); i++ {
		c.instant()
		r.Interrupted = i%look == 0 && ctx.Err() != nil
	}
	if c.found == nil && !r.Interrupted {
		n.Run(end)
		if r.Ended = end-s.Calm >= bound(timing); r.Ended {
			c.end(s.Refresh > 0)
		}
	}
	r.Finding, r.Virtual, r.Stats = c.found, n.Now(), n.Stats()
	return r
}

// name is the i-th peer's.
func name(i int) core.Name { return core.Name(' ' + i) }

// entry is the i-th peer's.
func entry(i int) core.Entry {
	return core.Entry{Name: name(i), Port: simnet.ServerPort + 1 + uint16(i)}
}

// plan enters one fault in the Net's calendar.
func plan(n *simnet.Net, s Scenario, f Fault) {
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

// Tally is what a swarm has come to so far.
type Tally struct {
	Seeds    uint64 // that have been run
	Virtual  time.Duration
	Taken    uint64 // datagrams that machines took
	Findings uint64
	Gaps     map[Gap]uint64 // as in Result, added up
	Cut      []Cutoff       // seeds that were under way when ctx was done
}

// Cutoff is a seed that did not come to its end.
type Cutoff struct {
	Seed    uint64
	Virtual time.Duration // how far it came
}

func (t *Tally) add(mu *sync.Mutex, seed uint64, r Result) {
	mu.Lock()
	defer mu.Unlock()
	if r.Interrupted {
		t.Cut = append(t.Cut, Cutoff{seed, r.Virtual})
	} else {
		t.Seeds++
	}
	t.Virtual += r.Virtual
	t.Taken += r.Stats.Taken
	if r.Finding != nil {
		t.Findings++
	}
	for gap, n := range r.Gaps {
		t.Gaps[gap] += uint64(n)
	}
}

// Swarm runs the scenarios of seeds first to last on so many workers until
// they are done or ctx is. found hears of every failing seed, one call at a
// time. report, which may be nil, hears the tally every interval.
func Swarm(ctx context.Context, first, last uint64, workers int, machines Machines,
	found func(Scenario, *Finding), interval time.Duration, report func(Tally)) Tally {
	var next atomic.Uint64
	var mu sync.Mutex
	sum := Tally{Gaps: map[Gap]uint64{}}
	tally := func() Tally {
		mu.Lock()
		defer mu.Unlock()
		t := sum
		t.Gaps, t.Cut = maps.Clone(sum.Gaps), slices.Clone(sum.Cut)
		return t
	}
	var one sync.Mutex // of found's calls
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := next.Add(1) - 1
				if i > last-first {
					return
				}
				s := Draw(first + i)
				r := Simulate(ctx, s, machines, 0, nil)
				sum.add(&mu, s.Seed, r)
				if r.Finding != nil {
					one.Lock()
					found(s, r.Finding)
					one.Unlock()
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return tally()
		case <-tick.C:
			if report != nil {
				report(tally())
			}
		}
	}
}
