package bench

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"p2plocal/bench/result"
	"p2plocal/bench/stat"
)

// FuzzResult reads any bytes as a result, and does with what passes all that a
// command does with a file. Nothing may panic, and an error is one line.
func FuzzResult(f *testing.F) {
	var whole bytes.Buffer
	if err := someResult().Write(&whole); err != nil {
		f.Fatal(err)
	}
	f.Add(whole.Bytes())
	f.Add(whole.Bytes()[:whole.Len()/2])
	assert, err := Metrics.ParseAssertion("steady.latency.mean<5ms")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := result.Read(bytes.NewReader(b))
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("error %q", err)
			}
			return
		}
		Metrics.Summarize(r.Runs)
		result.Evaluate([]result.Assert{assert}, r)
		stat.Pair(Metrics, r.Runs, r.Runs)
		for _, ch := range stat.Compare(Metrics, []*result.Result{r}, []*result.Result{r}).Changes {
			if ch.Verdict != stat.Same {
				t.Errorf("%s differs from itself", ch.Metric)
			}
		}
		if err := Metrics.WriteGoBench(io.Discard, r); err != nil {
			t.Error(err)
		}
		var again bytes.Buffer
		if err := r.Write(&again); err != nil {
			t.Fatal(err)
		}
		if _, err := result.Read(&again); err != nil {
			t.Errorf("what was read once cannot be read again: %v", err)
		}
	})
}

func TestReadErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "ends after 0 bytes",
		"[]":                      "not a result",
		"{}":                      "no schema",
		`{"schema":1,"tool":{"na`: "ends after 23 bytes",
		`{"schema":1,"tool":{"name":"\u001b[31m"}}`:         `another tool's name "\x1b[31m"`,
		`{"schema":2,"tool":{"name":"meshbench"}}`:          "newer meshbench: schema 2",
		`{"schema":0,"tool":{"name":"meshbench"}}`:          "schema 0, want 1",
		`{"schema":1,"tool":{"name":"meshbench"}}`:          "no runs",
		`{"schema":1,"tool":{"name":"meshbench"},"runs":7}`: "number where runs",
		`{"schema":1,"tool":{"name":"meshbench"},"runs":[{"scenarios":[{"name":"steady","charts":{"pairs":{"names":"ab","sent":[1]}}}]}]}`: "matrices do not fit 2 names",
		`{"schema":1,"tool":{"name":"meshbench"},"runs":[{"scenarios":[{"name":"join","charts":{"views":[{"peer":"a","t":[1]}]}}]}]}`:      "1 times for 0 sizes",
	} {
		if _, err := result.Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want it to contain %q", text, err, want)
		}
	}
}

// someResult is one of each kind of figure.
func someResult() *result.Result {
	cfg := simulated(3, "join", "steady", "restart")
	r, err := Execute(context.Background(), cfg, Version(nil), new(Status))
	if err != nil {
		panic(err)
	}
	return r
}
