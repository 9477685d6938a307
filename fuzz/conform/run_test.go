package conform

import (
	"context"
	"strings"
	"testing"
	"time"
)

// What fails on a late machine is tried again, and is void only if the machine
// was later in the last try than is tolerated, and the fault may be its own.
func TestVoid(t *testing.T) {
	sure := &Failure{certain: true}
	const calmLateness, late, tooLate = 5 * time.Millisecond, 150 * time.Millisecond, 17 * time.Second
	for _, test := range []struct {
		name  string
		tries []Result // the last again and again
		want  Outcome
		count int
	}{
		{"passes late", []Result{{Outcome: Pass, Late: tooLate}}, Pass, 1},
		{"fails calmly", []Result{{Outcome: Fail, Late: calmLateness, Failure: &Failure{}}}, Fail, 1},
		{"fails, at last calmly", []Result{{Outcome: Fail, Late: tooLate}, {Outcome: Fail, Late: calmLateness}}, Fail, 2},
		{"fails, late as tolerated", []Result{{Outcome: Fail, Late: late}}, Fail, attempts},
		{"fails, too late", []Result{{Outcome: Fail, Late: tooLate, Failure: &Failure{}}}, Void, attempts},
		{"hangs, too late", []Result{{Outcome: Broken, Late: tooLate}}, Void, attempts},
		{"passes in the end", []Result{{Outcome: Fail, Late: tooLate}, {Outcome: Pass, Late: tooLate}}, Pass, 2},
		{"fails for certain", []Result{{Outcome: Fail, Late: tooLate, Failure: sure}}, Fail, 1},
		{"dies", []Result{{Outcome: Broken, Late: tooLate, Failure: sure}}, Broken, 1},
	} {
		r, c, n := &run{results: map[string]Result{}}, Case{ID: "server/birth/1"}, 0
		r.done(c, r.retryWhenLate(t.Context(), c, func(_ context.Context, _ Case, lenient bool) Result {
			n++
			if lenient != (n == attempts) {
				t.Errorf("%s: try %d lenient: %v", test.name, n, lenient)
			}
			return test.tries[min(n, len(test.tries))-1]
		}))
		if got := r.results[c.ID]; got.Outcome != test.want || n != test.count || got.Attempts != n {
			t.Errorf("%s: %s %q after %d tries, want %s after %d", test.name, got.Outcome, got.Detail, n, test.want, test.count)
		}
	}
}

// A case that a shared server broke on is cleared if one of its own survives it.
func TestClear(t *testing.T) {
	for _, test := range []struct {
		shared, alone Result
		want          Outcome
		detail        string
	}{
		{Result{Outcome: Broken, Detail: "died"}, Result{Outcome: Broken, Detail: "died alone"}, Broken, "died alone"},
		{Result{Outcome: Broken, Detail: "died"}, Result{Outcome: Pass}, Broken, "died; a server of its own survives this case"},
		{Result{Outcome: Broken, Detail: "died"}, Result{Outcome: Fail}, Broken, "died; a server of its own survives this case"},
		{Result{Outcome: Broken, Detail: "hung", excused: true}, Result{Outcome: Pass}, Pass, ""},
		{Result{Outcome: Broken, Detail: "died"}, Result{}, Broken, "died"}, // interrupted
	} {
		r, c := &run{results: map[string]Result{}}, Case{ID: "server/birth/1"}
		if test.alone.Outcome != "" {
			r.done(c, test.alone)
		}
		r.clear(c, test.shared)
		if got := r.results[c.ID]; got.Outcome != test.want || !strings.HasPrefix(got.Detail, test.detail) {
			t.Errorf("shared %+v, alone %+v: %s %q, want %s %q", test.shared, test.alone, got.Outcome, got.Detail, test.want, test.detail)
		}
	}
}
