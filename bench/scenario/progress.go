package scenario

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/bench/sample"
)

// Status is how far a benchmark has come, for those who show its progress.
type Status struct {
	Begun func(*Progress)                                           // called as each scenario begins; may be nil
	Hosts func(ctx context.Context, n int) ([]mesh.HostLink, error) // so many that a mesh may be laid over; nil: it is on this one
	Live  *Live                                                     // shows it; nil: nobody

	now atomic.Pointer[Progress]

	label string        // what the runs to come belong to, and
	later time.Duration // how long what comes after them takes, about
}

// Progress is one moment of a benchmark.
type Progress struct {
	Label     string // what the run belongs to; may be empty
	Run, Runs int    // from 1
	Scenario  string
	Started   time.Time     // of the scenario
	Expected  time.Duration // that it takes, about
	Left      time.Duration // that the scenarios after it take, about

	counts  *counts
	virtual *atomic.Int64 // time of a simulated scenario that has passed
}

// String says what is under way.
func (p *Progress) String() string {
	name := p.Scenario
	if p.Runs > 1 {
		name = fmt.Sprintf("run %d of %d, %s", p.Run, p.Runs, name)
	}
	if p.Label != "" {
		name = p.Label + ", " + name
	}
	return name
}

// Elapsed is how long the scenario has run, by its own clock.
func (p *Progress) Elapsed() time.Duration {
	if p.virtual != nil {
		return time.Duration(p.virtual.Load())
	}
	return time.Since(p.Started)
}

// counts is a view of a store for as long as there is one.
type counts struct {
	mu    sync.Mutex
	store *record.Store
}

// close ends the view; the store may be freed after.
func (c *counts) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.store = nil
}

// Now is the present moment; nil: nothing has begun.
func (s *Status) Now() *Progress { return s.now.Load() }

// Messages are the measured messages sent so far, and delivered so far.
func (p *Progress) Messages() (sent, delivered uint64) {
	if p.counts == nil {
		return 0, 0
	}
	p.counts.mu.Lock()
	defer p.counts.mu.Unlock()
	if p.counts.store == nil {
		return 0, 0
	}
	return p.counts.store.Messages()
}

// Live is how a benchmark shows itself while it runs.
type Live struct {
	*mesh.Watch

	// Look says what a result that is not complete yet comes to. The assertions are those that
	// are given, in their order.
	Look func(*result.Result) (headline string, assertions []sample.Assertion)

	past result.Result // of what is over
}

// begin fills in the samples of a scenario from now on.
func (l *Live) begin(s *Run) {
	if l == nil {
		return
	}
	l.Note("scenario", s.progress.String()+" begins")
	past, calls, headline := l.past, 0, ""
	stood := time.Now()
	const every = 2000 / sample.Every // samples between two looks, which take a hundred times as long
	l.Fill = func(m *mesh.Mesh, x *sample.Sample, seen mesh.Figures) {
		p := &s.progress
		x.Phase = p.Scenario
		if p.Expected > 0 {
			left := float64(max(p.Expected-p.Elapsed(), 0)+p.Left) / 1e6
			x.Left = &left
		}
		if calls%every == 0 {
			now := past
			now.Runs = slices.Clone(past.Runs)
			for len(now.Runs) < p.Run {
				now.Runs = append(now.Runs, result.Run{})
			}
			run := &now.Runs[p.Run-1]
			run.Scenarios = append(slices.Clone(run.Scenarios), s.soFar(seen))
			now.Summary = Definitions.Summarize(now.Runs)
			headline, x.Assertions = l.Look(&now)
		}
		calls++
		x.Headline = headline
		if s.monitor == nil {
			return
		}
		for _, still := range s.monitor.Standstills(stood) {
			stood = still.To
			m.Tell("standstill", -1, "this machine, or process, stood still for %v", still.Took().Round(10*time.Millisecond))
		}
	}
}

// end takes in the outcome of a scenario.
func (l *Live) end(run int, out result.Scenario) {
	if l == nil {
		return
	}
	for len(l.past.Runs) < run {
		l.past.Runs = append(l.past.Runs, result.Run{})
	}
	l.past.Runs = slices.Clone(l.past.Runs)
	of := &l.past.Runs[run-1]
	of.Scenarios = append(slices.Clone(of.Scenarios), out)
}

// soFar is what is known of a scenario while it runs, from what its peers record.
func (s *Run) soFar(seen mesh.Figures) result.Scenario {
	now := &Run{scenario: s.scenario, out: result.Scenario{Name: s.scenario.Name, Peers: s.cfg.Peers, Interrupted: true, Metrics: make(map[string]result.Metric)}}
	if s.scenario.Broadcasts && seen.Sent > 0 {
		now.fates(seen.Sent, min(seen.Sent, seen.Delivered), seen.Lost)
		now.set("latency", seen.Store.Latency.Distribution()) // without what a result keeps of them, which takes long
		now.set("latency_due", seen.Store.Due.Distribution())
	}
	return now.out
}
