// Package scenario measures a mesh: it starts one, does to it what a scenario
// says, and turns what its peers saw into plain data.
package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"p2plocal/bench/machine"
	"p2plocal/bench/mesh"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/fuzz/target"
)

// Run is one scenario while it runs: it makes meshes, and gathers what all scenarios have in
// common.
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
	usage      usage
	hosts      hosts

	// What all meshes of the scenario came to.
	accounts      result.Accounts
	traffic       result.Traffic
	falseRemovals int
	directories   []record.View // by a server that is not ours, to others than its members
}

// simulated reports that nothing of this machine may show in the result.
func (s *Run) simulated() bool { return s.cfg.Simulation != nil }

// driven reports that a driver hosts the mesh.
func (s *Run) driven() bool { return s.opt.Driver != nil }

func (s *Run) set(name string, m result.Metric)   { s.out.Metrics[s.out.Name+"."+name] = m }
func (s *Run) value(name, unit string, v float64) { s.set(name, result.Scalar(unit, v)) }
func (s *Run) count(name string, n uint64)        { s.set(name, result.Scalar("1", float64(n))) }

// seconds records the time between two readings of the clock; ok is false where the second never
// came.
func (s *Run) seconds(name string, from, to int64, ok bool) {
	if !ok {
		s.set(name, result.Never("s"))
		return
	}
	s.value(name, "s", float64(max(from, to)-from)/1e9)
}

// distribution records a histogram, and its raw form, by which results are merged and drawn again.
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

// sentence is Sprintf, with durations as people write them.
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

// Execute runs the benchmark. Where ctx ends it, or it fails, the result holds what there is. Only
// what prevents measuring is an error: a mesh that does badly is a result.
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

// ExecuteInTurns measures meshes in turns, A B C C B A A B C and so on, for as many rounds as the
// first has runs: so none is always first, and what drifts weighs on all alike. All meshes of a
// round have the same seed. Where it fails or is interrupted, the results hold what there is.
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
