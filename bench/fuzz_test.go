package bench

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// FuzzResult reads any bytes as a result, and does with what passes all that a
// command does with a file. Nothing may panic, and an error is one line.
func FuzzResult(f *testing.F) {
	var whole bytes.Buffer
	if err := example().Write(&whole); err != nil {
		f.Fatal(err)
	}
	f.Add(whole.Bytes())
	f.Add(whole.Bytes()[:whole.Len()/2])
	assert, err := ParseAssertion("steady.latency.mean<5ms")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Read(bytes.NewReader(b))
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("error %q", err)
			}
			return
		}
		Summarize(r.Runs)
		Evaluate([]Assert{assert}, r)
		Pair(r.Runs, r.Runs)
		for _, ch := range Compare([]*Result{r}, []*Result{r}).Changes {
			if ch.Verdict != Same {
				t.Errorf("%s differs from itself", ch.Metric)
			}
		}
		if err := WriteGoBench(io.Discard, r); err != nil {
			t.Error(err)
		}
		var again bytes.Buffer
		if err := r.Write(&again); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(&again); err != nil {
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
		if _, err := Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want it to contain %q", text, err, want)
		}
	}
}
