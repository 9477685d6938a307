// Package swarm runs whole meshes on the virtual network of core/simnet, under
// faults drawn from a seed or read from a script, and checks the protocol's
// invariants as they run. A run is a function of its script alone, so whatever
// it finds can be replayed.
package swarm

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"p2plocal/bench/faults"
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

// Machines makes the machines of a run: core's own, or copies with a fault
// planted, on which the checker is tried.
type Machines struct {
	Server func(core.DirectoryConfig, time.Time) core.Machine
	Peer   func(core.PeerConfig, time.Time) core.Machine
}

// Core are core's own machines. They panic on an invalid config.
var Core = Machines{
	Server: func(cfg core.DirectoryConfig, now time.Time) core.Machine {
		return simnet.Must(core.NewDirectory(cfg, now))
	},
	Peer: func(cfg core.PeerConfig, now time.Time) core.Machine { return simnet.Must(core.NewPeer(cfg, now)) },
}

// Healed is when everything must have healed, and whether it has is checked: after
// the last fault the longest that a peer waits with its next birth, and the time in
// which ghosts are reaped.
func Healed(s faults.Script) time.Duration {
	t := timingOf(s)
	return s.Calm + 2*max(t.Refresh, t.Retry) + t.Deadline + t.Reap + time.Second
}

func timingOf(s faults.Script) core.Timing {
	t := core.DefaultTiming()
	t.Refresh = s.Refresh
	return t
}

// Simulate runs a valid scenario until its end, or until if that is earlier
// and not 0, or until ctx is done, and stops at the first broken invariant.
// trace, which may be nil, hears every event.
func Simulate(ctx context.Context, s faults.Script, machines Machines, until time.Duration, trace func(*simnet.Event)) Result {
	f := newFollower(timingOf(s))
	f.also = trace
	n := simnet.New(simnet.Config{Seed: s.Seed, Fault: s.Network, Queue: s.Queue, Trace: f.trace})
	f.net = n
	n.Add(simnet.ServerPort, func(now time.Time) core.Machine {
		return f.ledger.launch(machines.Server(core.DirectoryConfig{Addr: serverAddr, Timing: f.timing}, now).(server))
	}).Launch()
	d := faults.Dice(s.Seed ^ 0x5EED)
	for i := range s.Peers {
		self := faults.PeerEntry(i)
		x := n.Add(self.Port, func(now time.Time) core.Machine {
			m := machines.Peer(core.PeerConfig{Self: self.Member(serverAddr.Addr()), Server: serverAddr, Timing: f.timing}, now)
			return f.peers[i].launch(&f.judge, m.(member), self, now)
		})
		n.At(d.Between(0, faults.Launching), func() {
			if !x.Running() { // a crash that is over may have launched it
				x.Launch()
			}
		})
	}
	for i := range s.Faults {
		s.Plan(n, i)
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
	r := Result{Gaps: f.gaps}
	const look = 64 // instants between two looks at ctx
	for i := 1; f.found == nil && !r.Interrupted && n.RunInstant(end); i++ {
		r.Interrupted = i%look == 0 && ctx.Err() != nil
	}
	if f.found == nil && !r.Interrupted {
		n.Run(end)
		if r.Ended = end >= Healed(s); r.Ended {
			f.end()
		}
	}
	r.Finding, r.Virtual, r.Stats = f.found, n.Now(), n.Stats()
	return r
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

func (t *Tally) add(seed uint64, r Result) {
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

// Swarm runs the scripts of seeds first to last on so many workers until they
// are done or ctx is. After each run it calls done, one call at a time, with the
// tally so far and what was found, nil for nothing.
func Swarm(ctx context.Context, first, last uint64, workers int, machines Machines, done func(*Tally, faults.Script, *Finding)) Tally {
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(workers)
	t := Tally{Gaps: map[Gap]uint64{}}
	for seed := first; seed-first <= last-first && ctx.Err() == nil; seed++ {
		group.Go(func() error {
			s := Draw(seed)
			r := Simulate(ctx, s, machines, 0, nil)
			mu.Lock()
			defer mu.Unlock()
			t.add(s.Seed, r)
			done(&t, s, r.Finding)
			return nil
		})
	}
	group.Wait()
	return t
}
