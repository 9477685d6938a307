// Package scenario measures a mesh: it starts one, does to it what a scenario
// says, and turns what its peers saw into plain data.
package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"p2plocal/bench/machine"
	"p2plocal/bench/mesh"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/bench/sample"
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
	directories   []record.View // by a server that is not ours, to others than its members
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

// baselineTime is how long the baseline is measured before each run.
const baselineTime = 100 * time.Millisecond

// Estimate is about how long a benchmark takes.
func Estimate(c *result.Config) (d time.Duration) {
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
		r.Env = machine.Survey(time.Now(), cfg.Options.ReadBuffer)
	}
	if status.Live != nil {
		status.Live.past = *r
	}
	var failed error
	for i := 0; i < cfg.Repeat && failed == nil && ctx.Err() == nil; i++ {
		run := result.Run{Seed: cfg.Seed + uint64(i)}
		if cfg.Simulation == nil {
			if run.Baseline, failed = machine.MeasureBaseline(ctx, baselineTime); failed != nil {
				break
			}
		}
		failed = runScenarios(ctx, &run, &cfg, status, i+1)
		r.Runs = append(r.Runs, run)
	}
	r.Interrupted = ctx.Err() != nil && !(endless(&cfg) && failed == nil)
	r.Summary = Definitions.Summarize(r.Runs)
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
		p.Left += time.Duration(cfg.Repeat-number) * Estimate(cfg) / time.Duration(cfg.Repeat)
		s := newRun(ctx, cfg, run.Seed, Find(name), status, p)
		err := s.scenario.Run(s)
		if s.Mesh == nil && err != nil { // not even begun
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("%s: %w", name, err)
		}
		s.finish()
		status.Live.end(number, s.out)
		run.Scenarios = append(run.Scenarios, s.out)
		if s.out.Failed != "" && cfg.Options.Server != "" {
			return fmt.Errorf("%s: %s", name, s.out.Failed) // it will not come back
		}
		if err != nil && s.ctx.Err() == nil && !errors.As(err, new(mesh.Unmeasured)) {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// ExecuteInTurns measures meshes in turns, A B C C B A A B C and so on, as many rounds as the
// first has runs: so none is always the first, and what gets slowly better or worse
// weighs on all alike. All of a round have the same seed. Where it fails or is
// interrupted, the results hold what there is.
func ExecuteInTurns(ctx context.Context, meshes []result.Config, tool result.Tool, status *Status) (results []*result.Result, failed error) {
	var left time.Duration
	for _, cfg := range meshes {
		results = append(results, &result.Result{Schema: result.Schema, Tool: tool, Config: cfg})
		left += Estimate(&cfg)
	}
	rounds := meshes[0].Repeat
	for turn := 0; turn < rounds*len(meshes) && failed == nil && ctx.Err() == nil; turn++ {
		round, i := turn/len(meshes), turn%len(meshes)
		if round%2 == 1 {
			i = len(meshes) - 1 - i
		}
		one, to := meshes[i], results[i]
		one.Repeat, one.Seed = 1, one.Seed+uint64(round)
		left -= Estimate(&one)
		status.label, status.later = fmt.Sprintf("round %d of %d, %c", round+1, rounds, 'A'+i), left
		r, err := Execute(ctx, one, tool, status)
		if err != nil {
			failed = fmt.Errorf("mesh %c: %w", 'A'+i, err)
		}
		if r != nil {
			to.Env, to.Runs = r.Env, append(to.Runs, r.Runs...)
			to.Interrupted = to.Interrupted || r.Interrupted
		}
	}
	for _, r := range results {
		r.Summary = Definitions.Summarize(r.Runs)
	}
	return results, failed
}

// Live is how a benchmark shows itself while it runs.
type Live struct {
	*mesh.Watch

	// Look says what a result that is not complete yet comes to. The assertions are those that
	// are given, in their order.
	Look func(*result.Result) (headline string, assertions []sample.Assertion)

	past result.Result // of what is over
}

// begin has a scenario's samples filled in from now on.
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

// end takes in what a scenario came to.
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

// soFar is what is known of a scenario while it runs, of what its peers write down.
func (s *Run) soFar(seen mesh.Figures) result.Scenario {
	now := &Run{scenario: s.scenario, out: result.Scenario{Name: s.scenario.Name, Peers: s.cfg.Peers, Interrupted: true, Metrics: make(map[string]result.Metric)}}
	if s.scenario.Broadcasts && seen.Sent > 0 {
		now.fates(seen.Sent, min(seen.Sent, seen.Delivered), seen.Lost)
		now.set("latency", seen.Store.Latency.Distribution()) // without what a result keeps of them, which takes long
		now.set("latency_due", seen.Store.Due.Distribution())
	}
	return now.out
}
