// Package scenario measures a mesh: it starts one, does to it what a scenario
// says, and turns what its peers saw into plain data.
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
	"p2plocal/fuzz/target"
)

// Run is one scenario while it runs: it makes meshes, and gathers what all
// scenarios have in common.
type Run struct {
	*mesh.Mesh // the present one
	scenario   *Scenario
	ctx        context.Context
	cfg        *result.Config
	opt        *result.Options
	seed       uint64
	status     *Status
	monitor    *target.Monitor // of this machine, while a mesh is there; nil: it is none
	progress   Progress
	out        result.Scenario
	void       bool // this machine stood still for too long

	steal         float64 // CPU time that others had taken by then,
	ticks         float64 // of all
	accounts      result.Accounts
	traffic       result.Traffic
	falseRemovals int
	told          []record.View // by a server that is not ours, to others than its members
	meter         meter         // when it was last turned on
	used          meter         // CPU, over
	cpuOver       time.Duration // this time
	serverMemory  int64         // most of a server that is not ours
	memory        int64         // most of our processes together, at the end of a mesh
	hosts         hosts
}

// simulated reports that nothing of this machine is to show in the result.
func (s *Run) simulated() bool { return s.cfg.Simulation != nil }

func (s *Run) set(name string, m result.Metric)   { s.out.Metrics[s.out.Name+"."+name] = m }
func (s *Run) value(name, unit string, v float64) { s.set(name, result.Scalar(unit, v)) }
func (s *Run) count(name string, n uint64)        { s.set(name, result.Scalar("1", float64(n))) }

// seconds is a scalar made of two times by the clock; a second that is never is the first.
func (s *Run) seconds(name string, from, to int64, ok bool) {
	if !ok {
		s.set(name, result.Never("s"))
		return
	}
	s.value(name, "s", float64(max(from, to)-from)/1e9)
}

// distribution is a metric of what a histogram has, whose raw form the result holds, too,
// for merging and drawing again.
func (s *Run) distribution(name string, h *record.Histogram) {
	if s.out.Histograms == nil {
		s.out.Histograms = make(map[string]string)
	}
	m, raw := h.DistributionAndRaw()
	s.set(name, m)
	s.out.Histograms[s.out.Name+"."+name] = raw
}

func (s *Run) note(format string, args ...any) {
	s.out.Notes = append(s.out.Notes, result.Note{Text: sentence(format, args)})
}

func (s *Run) warn(format string, args ...any) {
	s.out.Notes = append(s.out.Notes, result.Note{Bad: true, Text: sentence(format, args)})
}

// sentence is Sprintf with durations as people write them.
func sentence(format string, args []any) string {
	args = slices.Clone(args)
	for i, a := range args {
		if d, ok := a.(time.Duration); ok {
			args[i] = result.Span(d)
		}
	}
	return fmt.Sprintf(format, args...)
}

// unmeasured says why the scenario, or the rest of it, could not be measured.
func (s *Run) unmeasured(why error) {
	s.warn("%v", why)
	if s.out.Unmeasured == "" {
		s.out.Unmeasured = why.Error()
	}
}

// Status is how far a benchmark has come, for whoever shows its progress.
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

// counts is a view of a store for as long as that is there.
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
