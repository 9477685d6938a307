package stat

import (
	"bytes"
	"strings"
	"testing"

	"p2plocal/bench/result"
)

// paired is a pairing of so many pairs that can be read back.
func paired(a, b []result.Run) *Pairing {
	p := &Pairing{Schema: result.Schema, Tool: result.Tool{Name: result.PairToolName}, Servers: [2]string{"one", "two"}, Pairs: min(len(a), len(b)),
		Results: [2]*result.Result{{Runs: a}, {Runs: b}}}
	p.Ratios = Pair(metrics, a, b)
	return p
}

func TestPairingDocument(t *testing.T) {
	runs := runsOf("join.converge", "s", 1.0, 2.0)
	var b bytes.Buffer
	if err := paired(runs, runs).Write(&b); err != nil {
		t.Fatal(err)
	}
	if p, err := ReadPairing(&b); err != nil || p.Pairs != 2 || p.Servers != [2]string{"one", "two"} || len(p.Ratios) != 1 || p.Ratios[0].Median != 1 {
		t.Errorf("read back as %+v, %v", p, err)
	}
	for want, damage := range map[string]func(*Pairing){
		"no result of server A":       func(p *Pairing) { p.Results[0] = nil },
		"no result of server B":       func(p *Pairing) { p.Results[1] = nil },
		"3 pairs of 2 runs":           func(p *Pairing) { p.Pairs = 3 },
		"-1 pairs of 2 runs":          func(p *Pairing) { p.Pairs = -1 },
		"1 pairs of 0 runs":           func(p *Pairing) { p.Pairs, p.Results[1].Runs = 1, nil },
		"matrices do not fit 1 names": func(p *Pairing) { p.Results[1].Runs[0].Scenarios[0].Charts.Pairs = &result.Pairs{Names: "A"} },
		"not a result of meshbench's": func(p *Pairing) { p.Tool.Name = result.ToolName },
		"damaged result: no runs":     func(p *Pairing) { p.Pairs, p.Results[0].Runs = 0, nil },
	} {
		p := paired(runsOf("join.converge", "s", 1.0, 2.0), runsOf("join.converge", "s", 1.0, 2.0))
		damage(p)
		b.Reset()
		if err := p.Write(&b); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadPairing(&b); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	for pairs := range 3 {
		p := paired(runs, runs)
		if p.Pairs = pairs; p.Check() != nil {
			t.Errorf("%d pairs of 2 runs: %v", pairs, p.Check())
		}
	}
}

// Either side tells of a measurement, and of a failure.
func TestPairingOutcome(t *testing.T) {
	empty, runs := []result.Run{{}}, runsOf("join.converge", "s", 1.0)
	for _, x := range []struct {
		a, b []result.Run
		want bool
	}{{empty, empty, false}, {runs, empty, true}, {empty, runs, true}} {
		if got := paired(x.a, x.b).Measured(); got != x.want {
			t.Errorf("measured: %v, want %v", got, x.want)
		}
	}
	failed := []result.Run{{Scenarios: []result.Scenario{{Name: "crash", Failed: "it died"}}}}
	for want, p := range map[string]*Pairing{
		"": paired(runs, runs), `server A, "one": crash: it died`: paired(failed, runs), `server B, "two": crash: it died`: paired(runs, failed),
	} {
		if got := p.Failure(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// An assertion on a ratio is about the median of the pairs, and fails where there is none.
func TestPairingEvaluate(t *testing.T) {
	p := paired(runsOf("join.converge", "s", 1.0, 2.0, 4.0), runsOf("join.converge", "s", 1.5, 3.0, 40.0))
	p.Ratios = append(p.Ratios, Ratio{Metric: "steady.lost"})
	single := paired(runsOf("join.converge", "s", 1.0), runsOf("join.converge", "s", 1.5))
	var asserts []result.Assert
	for _, text := range []string{"join.converge<1.6", "join.converge<1.4", "steady.lost<=1", "steady.sent<9"} {
		a, err := metrics.ParseRatioAssertion(text)
		if err != nil {
			t.Fatal(err)
		}
		asserts = append(asserts, a)
	}
	p.Evaluate(asserts)
	if single.Evaluate(asserts[:1]); !single.Assertions[0].OK {
		t.Errorf("of a single pair: %+v", single.Assertions)
	}
	if len(p.Assertions) != 4 {
		t.Fatalf("%+v", p.Assertions)
	}
	for i, want := range []bool{true, false, false, false} {
		if a := p.Assertions[i]; a.OK != want || a.Text != asserts[i].Text || (a.Actual != nil) != (i < 2) || i < 2 && *a.Actual != 1.5 {
			t.Errorf("%s: %+v, want %v", asserts[i].Text, a, want)
		}
	}
}

// What has no ratio is skipped, and takes no other metric along.
func TestPairSkips(t *testing.T) {
	two := func(lost, rate any) []result.Run {
		runs := runsOf("steady.lost", "1", lost)
		runs[0].Scenarios[0].Metrics["steady.rate"] = runsOf("steady.rate", "messages/s", rate)[0].Scenarios[0].Metrics["steady.rate"]
		return runs
	}
	if got := Pair(metrics, two(0.0, 1.0), two(0.0, 3.0)); len(got) != 1 || got[0].Metric != "steady.rate" || got[0].Median != 3 {
		t.Errorf("nothing lost on both sides: %+v", got)
	}
	if got := Pair(metrics, two(1.0, 1.0), []result.Run{{}}); len(got) != 0 {
		t.Errorf("one side did not measure: %+v", got)
	}
	if got := Pair(metrics, []result.Run{{}}, two(1.0, 1.0)); len(got) != 0 {
		t.Errorf("the other side did not measure: %+v", got)
	}
	six := func(name, unit string, v any) []result.Run { return runsOf(name, unit, v, v, v, v, v, v) }
	for _, name := range []string{"restart.whole", "saturate.rate_lossless"} {
		for side, got := range [][]Ratio{Pair(metrics, six(name, "s", 1.0), six(name, "s", nil)), Pair(metrics, six(name, "s", nil), six(name, "s", 1.0))} {
			if r := got[0]; r.Skipped != 6 || len(r.Pairs) != 0 || (r.A == nil) != (side == 1) || (r.B == nil) != (side == 0) {
				t.Errorf("%s, never on side %d: %+v", name, 1-side, r)
			}
		}
	}
	// Where both are 0 they are alike, which is no difference, whatever one pair says.
	if r := Pair(metrics, runsOf("steady.lost", "1", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.0), runsOf("steady.lost", "1", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 6.0))[0]; r.Verdict != Same || r.Skipped != 6 {
		t.Errorf("%+v", r)
	}
	if r := Pair(metrics, six("join.converge", "s", 1.0), six("join.converge", "s", 1.5))[0]; r.Verdict != Worse {
		t.Errorf("half as much again: %+v", r)
	}
}
