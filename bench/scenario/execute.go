package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
	"p2plocal/bench/sample"
)

// baselineTime is how long the baseline is measured before each run.
const baselineTime = 300 * time.Millisecond

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
		r.Env = mesh.Survey(time.Now(), cfg.Options.ReadBuffer)
	}
	if status.Live != nil {
		status.Live.past = *r
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
	l.Fill = func(x *sample.Sample, seen mesh.Figures) {
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
			s.Tell("standstill", -1, "this machine, or process, stood still for %v", still.Took().Round(10*time.Millisecond))
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
