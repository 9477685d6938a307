// Package swarm runs whole meshes on the virtual network of core/simnet, under
// faults drawn from a seed or read from a script, and checks the protocol's
// invariants as they run. A run is a function of its script alone, so whatever
// it finds can be replayed.
package swarm

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"p2plocal/bench/faults"
	"p2plocal/bench/result"
	"p2plocal/core"
	"p2plocal/core/simnet"
	"p2plocal/core/wide"
)

// Result is what a run came to.
type Result struct {
	Finding     *Finding      // nil: every invariant held
	Gaps        map[Gap]int   // peers that are outside or whose view differs in the end, by the known gap that explains it
	Ended       bool          // long enough after Calm for everything to have healed; else heal and gap were not checked
	Interrupted bool          // it was not at its end when ctx was done
	Healed      time.Duration // when everything must have, so that it is checked
	Virtual     time.Duration
	Stats       simnet.Stats
}

// Machines makes the machines of a run: core's own, or copies with a fault
// planted, on which the checker is tried. Without an identity they speak the exact dialect.
type Machines struct {
	Server func(core.DirectoryConfig, *wide.Identity, time.Time) core.Machine
	Peer   func(core.PeerConfig, *wide.Identity, time.Time) core.Machine
}

// Core are core's own machines. They panic on an invalid config.
var Core = Machines{
	Server: func(cfg core.DirectoryConfig, id *wide.Identity, now time.Time) core.Machine {
		return simnet.Must(wide.ServerOf(cfg, id, now))
	},
	Peer: func(cfg core.PeerConfig, id *wide.Identity, now time.Time) core.Machine {
		m, _, err := wide.PeerOf(cfg, id, now)
		return simnet.Must(m, err)
	},
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

// Simulation runs a valid script until its end, or until a time if that is earlier and not 0,
// or until ctx is done, and stops at the first broken invariant. trace, which may be nil,
// hears every event.
type Simulation func(ctx context.Context, s faults.Script, until time.Duration, trace func(*simnet.Event)) Result

// Exact is the simulation of the exact dialect.
func Exact(machines Machines) Simulation {
	return func(ctx context.Context, s faults.Script, until time.Duration, trace func(*simnet.Event)) Result {
		f := newFollower(timingOf(s), s.Peers)
		f.also = trace
		r := run{Script: s, Net: simnet.New(simnet.Config{Seed: s.Seed, Fault: s.Network, Queue: s.Queue, Trace: f.trace}), healed: Healed(s), end: f.end}
		f.net = r.Net
		r.Net.Add(simnet.ServerPort, func(now time.Time) core.Machine {
			return f.ledger.launch(machines.Server(core.DirectoryConfig{Addr: serverAddr, Timing: f.timing}, nil, now).(server))
		}).Launch()
		r.launch(func(i int) *simnet.Node {
			self := faults.PeerEntry(i)
			return r.Net.Add(self.Port, func(now time.Time) core.Machine {
				m := machines.Peer(core.PeerConfig{Self: self.Member(serverAddr.Addr()), Server: serverAddr, Timing: f.timing}, nil, now)
				return f.peers[i].launch(&f.judge, m.(member), self, now)
			})
		})
		for i := range s.Faults {
			s.Plan(r.Net, i)
		}
		result := r.until(ctx, until, &f.judge)
		result.Gaps = f.gaps
		return result
	}
}

// run is a script on a Net, whatever the dialect.
type run struct {
	faults.Script
	*simnet.Net
	healed time.Duration
	end    func() // checks what must hold in the end
}

// launch has peers added, and starts each at a time of its own.
func (r *run) launch(add func(i int) *simnet.Node) {
	d := faults.Dice(r.Seed ^ 0x5EED)
	for i := range r.Peers {
		x := add(i)
		r.At(d.Between(0, faults.Launching), func() {
			if !x.Running() { // a crash that is over may have launched it
				x.Launch()
			}
		})
	}
}

// until runs to the end, or to a time before.
func (r *run) until(ctx context.Context, until time.Duration, j *judge) (came Result) {
	r.At(r.Calm, func() {
		r.SetDefault(simnet.Fault{Delay: calmDelay})
		for _, x := range r.Nodes() {
			x.SetQueue(0)
		}
	})
	end := r.Duration
	if until > 0 {
		end = min(end, until)
	}
	const look = 64 // instants between two looks at ctx
	for i := 1; j.found == nil && !came.Interrupted && r.RunInstant(end); i++ {
		came.Interrupted = i%look == 0 && ctx.Err() != nil
	}
	if j.found == nil && !came.Interrupted {
		r.Run(end)
		if came.Ended = end >= r.healed; came.Ended {
			r.end()
		}
	}
	came.Healed, came.Finding, came.Virtual, came.Stats = r.healed, j.found, r.Now(), r.Stats()
	return came
}

// calmDelay is every link's when the faults are over.
const calmDelay = 20 * time.Microsecond

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

// When is At.
func (f Found) When() time.Duration { return time.Duration(math.Round(f.At * 1e9)) }

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

// Plus adds what other runs have come to, behind these.
func (t *Tally) Plus(o *Tally) {
	t.Seeds, t.Interrupted = t.Seeds+o.Seeds, t.Interrupted || o.Interrupted
	t.Virtual, t.Taken = t.Virtual+o.Virtual, t.Taken+o.Taken
	t.Findings = append(t.Findings, o.Findings...)
	for gap, n := range o.Gaps {
		t.Gaps[gap] += n
	}
}

// Meshes says what the meshes of a swarm speak, and what goes wrong in them.
type Meshes struct {
	Wide    bool `json:"wide"`    // the wide dialect
	Key     bool `json:"key"`     // sealed
	Hostile bool `json:"hostile"` // nothing but hostile datagrams does; every second one of the wide dialect is sealed
}

// Of are those of one seed.
func (m Meshes) Of(seed uint64) Meshes {
	m.Key = m.Key || m.Hostile && m.Wide && seed%2 == 0
	return m
}

// Draw makes the scenario of a seed.
func (m Meshes) Draw(seed uint64) faults.Script {
	if m.Hostile {
		return drawAttack(seed)
	}
	return Draw(seed)
}

// Simulation is that of core's machines.
func (m Meshes) Simulation() Simulation {
	if m.Wide {
		return Wide(Core, m.Key)
	}
	return Exact(Core)
}

// shrunk is how many findings of a lease are made smaller.
const shrunk = 10

// Lease runs the scripts of some seeds, in Meshes as JSON has them, and gives their *Tally. It is a work.Func.
func Lease(ctx context.Context, meshes json.RawMessage, first, last uint64) (any, error) {
	var m Meshes
	if err := json.Unmarshal(meshes, &m); err != nil || m.Key && !m.Wide {
		return nil, fmt.Errorf("no such meshes: %s", meshes)
	}
	return Swarm(ctx, first, last, m), nil
}

// Swarm runs the scripts of seeds first to last until ctx is done. What breaks an invariant is shrunk.
func Swarm(ctx context.Context, first, last uint64, m Meshes) *Tally {
	t := NewTally(last - first + 1)
	for seed := first; seed-first <= last-first && ctx.Err() == nil; seed++ {
		s, simulate := m.Draw(seed), m.Of(seed).Simulation()
		r := simulate(ctx, s, 0, nil)
		if r.Finding != nil && len(t.Findings) < shrunk {
			s = Shrink(ctx, s, simulate)
		}
		t.Add(s, r)
	}
	return t
}
