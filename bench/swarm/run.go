// Package swarm runs whole meshes on the virtual network of core/simnet, under
// faults drawn from a seed or read from a script, and checks the protocol's
// invariants as they run. A run is a function of its script alone, so whatever
// it finds can be replayed.
package swarm

import (
	"context"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"p2plocal/bench/faults"
	"p2plocal/bench/result"
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

// Tally is what runs have come to, as -json writes it.
type Tally struct {
	Tool        result.Tool    `json:"tool"`
	Seeds       uint64         `json:"seeds"` // that were run to their end
	Of          uint64         `json:"of"`
	Interrupted bool           `json:"interrupted"`
	Virtual     float64        `json:"virtual_seconds"`
	Taken       uint64         `json:"datagrams_taken"`
	Gaps        map[Gap]uint64 `json:"gaps"` // as in Result, added up
	Findings    []Found        `json:"findings"`
}

// Found is a finding, and a script that shows it.
type Found struct {
	Seed      uint64  `json:"seed"`
	Invariant string  `json:"invariant"`
	At        float64 `json:"at_seconds"`
	Detail    string  `json:"detail"`
	Script    string  `json:"script"`
}

// NewTally is of no run yet.
func NewTally(of uint64) *Tally { return &Tally{Of: of, Gaps: map[Gap]uint64{}, Findings: []Found{}} }

// Add adds a run of a script. Who shrinks that gives the smaller one.
func (t *Tally) Add(s faults.Script, r Result) {
	if r.Interrupted {
		t.Interrupted = true
	} else {
		t.Seeds++
	}
	t.Virtual += r.Virtual.Seconds()
	t.Taken += r.Stats.Taken
	if f := r.Finding; f != nil {
		var script strings.Builder
		s.Write(&script)
		t.Findings = append(t.Findings, Found{s.Seed, f.Invariant, f.At.Seconds(), f.Detail, script.String()})
	}
	for gap, n := range r.Gaps {
		t.Gaps[gap] += uint64(n)
	}
}

// Swarm runs the scripts of seeds first to last on so many workers until they
// are done or ctx is. After each run it calls done, one call at a time.
func Swarm(ctx context.Context, first, last uint64, workers int, machines Machines, done func(faults.Script, Result)) {
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(workers)
	for seed := first; seed-first <= last-first && ctx.Err() == nil; seed++ {
		group.Go(func() error {
			s := Draw(seed)
			r := Simulate(ctx, s, machines, 0, nil)
			mu.Lock()
			defer mu.Unlock()
			done(s, r)
			return nil
		})
	}
	group.Wait()
}
