package scenario

import (
	"slices"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
	"p2plocal/bench/sample"
)

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
	const every = 1000 / sample.Every // samples between two looks, which take longer
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
