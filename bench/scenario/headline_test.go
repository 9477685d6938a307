package scenario

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"p2plocal/bench/mlrsearch"
	"p2plocal/bench/result"
)

// Each scenario that was measured has its clause in the headline.
func TestEveryScenarioHasAClause(t *testing.T) {
	t.Parallel()
	for i, name := range Known {
		f := FiguresOf(execute(t, simulated(10, name)))[0]
		said := List[i].Broadcasts && f.Has("sent")
		for _, c := range List[i].Headline {
			said = said || f.Value(c.Metric) != nil
		}
		if !said || f.Unmeasured != "" {
			t.Errorf("%s: nothing for the headline, unmeasured %q", name, f.Unmeasured)
		}
	}
}

// A mesh that never comes about is what join measures, and leaves the others nothing
// to measure: they say so, and their figures are not the worst there can be.
func TestMeshThatNeverComesAbout(t *testing.T) {
	t.Parallel()
	for _, name := range Known {
		if name == "restart" || name == "saturate" { // 10 s of looking for what restart asks, and no lossy host
			continue
		}
		cfg := simulated(4, name)
		cfg.Simulation.Network.Loss = 1
		r := execute(t, cfg)
		f := FiguresOf(r)[0]
		if name == "join" {
			if never, _ := f.Never("converge"); never != 1 || f.Unmeasured != "" {
				t.Errorf("join: never in %d runs, unmeasured %q", never, f.Unmeasured)
			}
			continue
		}
		if f.Unmeasured != "not every view was complete within 10s of the last birth" || r.Failure() == "" {
			t.Errorf("%s: unmeasured %q, failure %q", name, f.Unmeasured, r.Failure())
		}
		for flat, v := range f.Flat() {
			if v.Never {
				t.Errorf("%s counts as never", flat)
			}
		}
	}
}

// A state that was true before anything happened is no event: a view that had lost the
// victim before it died has noticed nothing, and the protocol needs a second for it.
func TestNoEventWhereNothingChanges(t *testing.T) {
	t.Parallel()
	cfg := simulated(40, "loss")
	cfg.Options.Impair = result.Impairment{Loss: 0.3}
	cfg.Options.Duration, cfg.Options.Kill = 30*time.Second, 3
	r := execute(t, cfg)
	if fastest, ideal := flat(t, r, "loss.detect.min"), (cfg.Timing.Deadline - cfg.Timing.Heartbeat).Seconds(); fastest < ideal {
		t.Errorf("a survivor noticed after %v s, the protocol's earliest is %v", fastest, ideal)
	}
	notes := fmt.Sprint(r.Runs[0].Scenarios[0].Notes)
	if !strings.Contains(notes, "detect: ") || !strings.Contains(notes, "a view was so already") {
		t.Errorf("nothing is said of those who had lost a victim before: %s", notes)
	}
	if s := r.Runs[0].Scenarios[0]; !strings.Contains(strings.ReplaceAll(notes, ",", ""), fmt.Sprintf("among the lost: %d messages", s.Accounts.Dropped)) {
		t.Errorf("%d messages were refused as strangers', the notes are %s", s.Accounts.Dropped, notes)
	}
	// A pause that nobody sees gives nobody anything to see the end of.
	cfg = simulated(10, "pause")
	cfg.Timing.Deadline = time.Minute
	cfg.Simulation.Faults = []string{"0s-1h link server * loss=0.9"}
	if r := execute(t, cfg); r.Runs[0].Scenarios[0].Unmeasured == "" {
		t.Errorf("pause says %+v", r.Runs[0].Scenarios[0].Metrics)
	}
}

// What the protocol's timing cannot do has no ideal.
func TestNoIdealBeyondTheDeadline(t *testing.T) {
	t.Parallel()
	cfg := simulated(5, "crash")
	if ideal := execute(t, cfg).Runs[0].Scenarios[0].Charts.Ideal; ideal == nil || *ideal != [2]float64{1, 2} {
		t.Errorf("ideal %v", ideal)
	}
	cfg.Timing.Heartbeat = 5 * time.Second
	if ideal := execute(t, cfg).Runs[0].Scenarios[0].Charts.Ideal; ideal != nil {
		t.Errorf("ideal %v where the server removes everybody", *ideal)
	}
}

// A server that removes whom it should not tells nobody, where it removes all: they are
// counted by its own account.
func TestRemovalsThatNobodySees(t *testing.T) {
	t.Parallel()
	cfg := simulated(5, "steady")
	cfg.Timing.Heartbeat = 5 * time.Second
	if n := flat(t, execute(t, cfg), "steady.false_positives"); n != 5 {
		t.Errorf("%v false positives, the server removes all 5 before their first keep-alive", n)
	}
}

// Whom a mesh loses that is asked for more than it can do is no false removal.
func TestOverloadedTrialsRemoveNobody(t *testing.T) {
	t.Parallel()
	cfg := simulated(10, "saturate")
	cfg.Timing.Heartbeat, cfg.Timing.Deadline, cfg.Timing.Reap = 200*time.Millisecond, 210*time.Millisecond, 10*time.Millisecond
	cfg.Simulation.Host.Cores = 1
	cfg.Options.Search = mlrsearch.Config{LossRatio: 0.005, Trial: 300 * time.Millisecond, DurationSum: 300 * time.Millisecond, Exceed: 0.5, Width: 0.1, Min: 1000, Max: 2e6}
	r := execute(t, cfg)
	s := r.Runs[0].Scenarios[0]
	if n := flat(t, r, "saturate.false_positives"); n != 0 || s.Charts.Pairs != nil {
		t.Errorf("%v false positives, pairs %v", n, s.Charts.Pairs)
	}
	lossy := 0
	for _, trial := range s.Charts.Trials {
		if trial.Loss > 0 {
			lossy++
		}
	}
	if lossy == 0 {
		t.Error("no trial was too much")
	}
}

// What the impairment still holds at the end is queued, and no message of the window is
// lost because it comes late.
func TestDelayLongerThanTheScenario(t *testing.T) {
	t.Parallel()
	cfg := simulated(10, "loss")
	cfg.Options.Impair = result.Impairment{Delay: 12 * time.Second}
	cfg.Options.Duration = 10 * time.Second
	r := execute(t, cfg)
	a := r.Runs[0].Scenarios[0].Accounts
	if a.Unexplained != 0 || a.Queued == 0 {
		t.Errorf("%d unexplained, %d queued", a.Unexplained, a.Queued)
	}
	if lost := flat(t, r, "loss.lost"); lost != 0 {
		t.Errorf("%v messages lost", lost)
	}
}

// CPU time by wall-clock time is better or worse only over windows of one length.
func TestCoresOverOneLength(t *testing.T) {
	for _, s := range List {
		if got := Definitions.Better(s.Name + ".cpu"); (got != 0) != s.Broadcasts {
			t.Errorf("%s.cpu has direction %d", s.Name, got)
		}
	}
}
