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
	var asserts []result.Assert
	for _, text := range []string{"join.converge<1.6", "join.converge<1.4", "steady.lost<=1", "steady.sent<9"} {
		a, err := metrics.ParseRatioAssertion(text)
		if err != nil {
			t.Fatal(err)
		}
		asserts = append(asserts, a)
	}
	p.Evaluate(asserts)
	if len(p.Assertions) != 4 {
		t.Fatalf("%+v", p.Assertions)
	}
	for i, want := range []bool{true, false, false, false} {
		if a := p.Assertions[i]; a.OK != want || a.Text != asserts[i].Text || (a.Actual != nil) != (i < 2) || i < 2 && *a.Actual != 1.5 {
			t.Errorf("%s: %+v, want %v", asserts[i].Text, a, want)
		}
	}
}
