// Package scenario measures a mesh: it starts one, does to it what a scenario
// says, and turns what its peers saw into plain data.
package scenario

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
)

// Status is how far a benchmark has come, for whoever shows its progress.
type Status struct {
	Begun func(*Progress) // called as each scenario begins; may be nil

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
	for i := range p.counts.store.Slots {
		slot := &p.counts.store.Slots[i]
		sent += slot.Messages.Load()
		delivered += slot.Delivered.Load()
	}
	return sent, delivered
}

func joinTime(c *result.Config) time.Duration {
	if c.Options.Join == "spread" {
		return c.Options.Spread
	}
	return 100 * time.Millisecond
}

func steadyTime(c *result.Config) time.Duration {
	return c.Options.Warmup + c.Options.Duration + startDelay + 200*time.Millisecond
}

func crashTime(c *result.Config) time.Duration {
	return c.Timing.Deadline + c.Timing.Reap/2 + c.Timing.Heartbeat + time.Second
}

// baselineTime is how long the baseline is measured before each run.
const baselineTime = 300 * time.Millisecond

// Expected is about how long a benchmark takes.
func Expected(c *result.Config) (d time.Duration) {
	for _, name := range c.Scenarios {
		d += Find(name).Expect(c)
	}
	if c.Simulation == nil {
		d += baselineTime
	}
	return d * time.Duration(c.Repeat)
}

// Execute runs the benchmark. Where ctx ends it, or it fails, the result holds what
// there is. Only what keeps it from measuring at all is an error: a mesh that
// does badly is a result.
func Execute(ctx context.Context, cfg result.Config, tool result.Tool, status *Status) (*result.Result, error) {
	if err := Validate(&cfg); err != nil {
		return nil, err
	}
	r := &result.Result{Schema: result.Schema, Tool: tool, Config: cfg, Env: result.Env{Simulated: true}}
	if cfg.Simulation == nil {
		r.Env = mesh.Survey(time.Now(), cfg.Options.ReadBuffer)
	}
	var failed error
	for i := 0; i < cfg.Repeat && failed == nil && ctx.Err() == nil; i++ {
		run := result.Run{Seed: cfg.Seed + uint64(i)}
		if cfg.Simulation == nil {
			if run.Baseline, failed = mesh.MeasureBaseline(ctx, baselineTime); failed != nil {
				break
			}
		}
		failed = runScenarios(ctx, &run, &cfg, status, i+1)
		r.Runs = append(r.Runs, run)
	}
	r.Interrupted = ctx.Err() != nil
	r.Summary = Metrics.Summarize(r.Runs)
	return r, failed
}

func runScenarios(ctx context.Context, run *result.Run, cfg *result.Config, status *Status, number int) error {
	for i, name := range cfg.Scenarios {
		if ctx.Err() != nil {
			return nil
		}
		p := Progress{Label: status.label, Left: status.later, Run: number, Runs: cfg.Repeat, Scenario: name, Started: time.Now(), Expected: Find(name).Expect(cfg)}
		for _, later := range cfg.Scenarios[i+1:] {
			p.Left += Find(later).Expect(cfg)
		}
		p.Left += time.Duration(cfg.Repeat-number) * Expected(cfg) / time.Duration(cfg.Repeat)
		s := newRun(ctx, cfg, run.Seed, Find(name), status, p)
		err := s.scenario.Run(s)
		if s.Mesh == nil && err != nil && !errors.As(err, new(notApplicable)) { // not even begun
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("%s: %w", name, err)
		}
		s.finish()
		run.Scenarios = append(run.Scenarios, s.out)
		if s.out.Failed != "" && cfg.Options.Server != "" {
			return fmt.Errorf("%s: %s", name, s.out.Failed) // it will not come back
		}
		switch {
		case err == nil, s.ctx.Err() != nil:
		case errors.As(err, new(notApplicable)), errors.Is(err, mesh.ErrNotWhole):
			// it is said in the result's notes
		default:
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// notApplicable is why a scenario does not apply to this target.
type notApplicable string

func (c notApplicable) Error() string { return string(c) }
