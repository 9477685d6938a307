package reports

import (
	"bytes"
	"strings"
	"testing"

	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/bench/stat"
)

// slower makes a sample of which one metric is twice as high as in another.
func slower(r *result.Result, metric string) *result.Result {
	for _, run := range r.Runs {
		for _, s := range run.Scenarios {
			if m, ok := s.Metrics[metric]; ok {
				s.Metrics[metric] = one(m.Unit, 2**m.Value)
			}
		}
	}
	return r
}

func TestCompare(t *testing.T) {
	old, new := sample(3, 20, 8, defaults...), slower(sample(5, 20, 8, defaults...), "join.converge")
	c := stat.Compare(scenario.Definitions, old, new)
	var b bytes.Buffer
	if err := Compare(c).Write(&b, "txt", Options{}); err != nil {
		t.Fatal(err)
	}
	golden(t, "compare.txt", b.Bytes())
	if !strings.Contains(b.String(), "join.converge") {
		t.Error("what has doubled is not among the changes")
	}
}

func TestPairing(t *testing.T) {
	a, b := sample(3, 20, 7, defaults...), slower(sample(3, 20, 7, defaults...), "join.converge")
	for i := range b.Runs { // b's crash is never noticed, and costs a live peer
		s := b.Runs[i].Scenarios[2]
		s.Metrics["crash.converge"], s.Metrics["crash.false_positives"] = result.Metric{Unit: "s"}, one("1", 3)
	}
	b.Runs[1].Scenarios[2].Notes = []result.Note{{Bad: true, Text: "the server died: exit status 9\x1b[31m"}}
	p := &stat.Pairing{Schema: result.Schema, Servers: [2]string{"ours", "theirs | `x`"}, Pairs: 7, Results: [2]*result.Result{a, b}, Ratios: stat.Pair(scenario.Definitions, a.Runs, b.Runs)}
	p.Assertions = []result.Assertion{{Text: "join.converge<1.5", Actual: ptr(2)}, {Text: "crash.converge<2"}}
	for _, format := range []string{"txt", "md", "csv"} {
		var out bytes.Buffer
		if err := Pairing(p).Write(&out, format, Options{}); err != nil {
			t.Fatal(err)
		}
		golden(t, "pairing."+format, out.Bytes())
		if bytes.Contains(out.Bytes(), []byte("\x1b")) {
			t.Errorf("%s: hostile text passes", format)
		}
	}
	p.Interrupted = true
	var cut bytes.Buffer
	if err := Pairing(p).Write(&cut, "txt", Options{}); err != nil || !strings.HasPrefix(cut.String(), "! Interrupted: A is ") {
		t.Errorf("%v, want it to say first that it was interrupted:\n%.200s", err, cut.String())
	}
	for name, want := range map[string]stat.Verdict{"join.converge": stat.Worse, "crash.converge": stat.Worse, "crash.false_positives": stat.Worse, "join.admit.max": stat.Same} {
		for _, r := range p.Ratios {
			if r.Metric == name && r.Verdict != want {
				t.Errorf("%s: %+v, want %s", name, r, want)
			}
		}
	}
}
