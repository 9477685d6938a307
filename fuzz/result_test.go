package fuzz_test

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"testing"

	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/bench/stat"
)

// FuzzResult reads any bytes as a result, and does with what passes all that a
// command does with a file. Nothing may panic, and an error is one line.
func FuzzResult(f *testing.F) {
	var whole bytes.Buffer
	if err := someResult(f).Write(&whole); err != nil {
		f.Fatal(err)
	}
	f.Add(whole.Bytes())
	f.Add(whole.Bytes()[:whole.Len()/2])
	assert, err := scenario.Definitions.ParseAssertion("steady.latency.mean<5ms")
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
		scenario.Definitions.Summarize(r.Runs)
		result.Evaluate([]result.Assert{assert}, r)
		for _, ch := range stat.Compare(scenario.Definitions, [2]string{"old", "new"}, r, r).Changes {
			if ch.Verdict != stat.Same {
				t.Errorf("%s differs from itself", ch.Metric)
			}
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

// someResult is one of the seeds of FuzzReports.
func someResult(t testing.TB) *result.Result {
	t.Helper()
	seed, err := os.ReadFile("testdata/fuzz/FuzzReports/repeated")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.TrimSuffix(strings.TrimPrefix(string(seed), "go test fuzz v1\n[]byte("), ")\n")
	if text, err = strconv.Unquote(text); err != nil {
		t.Fatal(err)
	}
	r, err := result.Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}
