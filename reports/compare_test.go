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
	c := stat.Compare(scenario.Definitions, [2]string{"old", "new"}, old, new)
	var b bytes.Buffer
	if err := Compare(c).Write(&b, "txt", Options{}); err != nil {
		t.Fatal(err)
	}
	golden(t, "compare.txt", b.Bytes())
	if !strings.Contains(b.String(), "join.converge") {
		t.Error("what has doubled is not among the changes")
	}
	c.Interrupted = true
	b.Reset()
	if err := Compare(c).Write(&b, "txt", Options{}); err != nil || !strings.HasPrefix(b.String(), "! Interrupted, only what was finished is here: new against old, 8 runs against 8, medians: ") {
		t.Errorf("%v, an interrupted one begins with %.100q", err, b.String())
	}
}
