package conform

import (
	"context"
	"testing"
	"time"
)

// What fails on a late machine is tried again, and is void only if the machine
// was late in the last try, too, for longer than is tolerated, and that explains the fault.
func TestVoid(t *testing.T) {
	sure := &Failure{certain: true}
	over := func(d time.Duration) *Failure { return &Failure{over: d} }
	const calm, late, tooLate = 5 * time.Millisecond, 150 * time.Millisecond, 17 * time.Second
	for _, test := range []struct {
		name  string
		tries []Result // the last again and again
		want  Outcome
		count int
	}{
		{"passes late", []Result{{Outcome: Pass, Late: tooLate}}, Pass, 1},
		{"fails calmly", []Result{{Outcome: Fail, Late: calm, Failure: &Failure{}}}, Fail, 1},
		{"fails, at last calmly", []Result{{Outcome: Fail, Late: tooLate}, {Outcome: Fail, Late: calm}}, Fail, 2},
		{"fails, late as tolerated", []Result{{Outcome: Fail, Late: late}}, Fail, attempts},
		{"fails, too late", []Result{{Outcome: Fail, Late: tooLate, Failure: &Failure{}}}, Void, attempts},
		{"hangs, too late", []Result{{Outcome: Broken, Late: tooLate}}, Void, attempts},
		{"passes in the end", []Result{{Outcome: Fail, Late: tooLate}, {Outcome: Pass, Late: tooLate}}, Pass, 2},
		{"fails for certain", []Result{{Outcome: Fail, Late: tooLate, Failure: sure}}, Fail, 1},
		{"dies", []Result{{Outcome: Broken, Late: tooLate, Failure: sure}}, Broken, 1},
		{"is 4 s late, the machine 0.3 s", []Result{{Outcome: Fail, Late: 300 * time.Millisecond, Failure: over(4 * time.Second)}}, Fail, 1},
		{"is 0.9 s late, the machine 0.3 s", []Result{{Outcome: Fail, Late: 300 * time.Millisecond, Failure: over(900 * time.Millisecond)}}, Fail, attempts},
		{"is 0.5 s late, the machine 0.3 s", []Result{{Outcome: Fail, Late: 300 * time.Millisecond, Failure: over(500 * time.Millisecond)}}, Void, attempts},
	} {
		r, c, n := &run{results: map[string]Result{}}, Case{ID: "server/birth/1"}, 0
		r.done(c, r.insist(t.Context(), c, 1, attempts, func(_ context.Context, _ Case, lenient bool) Result {
			n++
			if lenient != (n == attempts) {
				t.Errorf("%s: try %d lenient: %v", test.name, n, lenient)
			}
			res := test.tries[min(n, len(test.tries))-1]
			res.judge()
			return res
		}))
		if got := r.results[c.ID]; got.Outcome != test.want || n != test.count || got.Attempts != n {
			t.Errorf("%s: %s %q after %d tries, want %s after %d", test.name, got.Outcome, got.Detail, n, test.want, test.count)
		}
	}
	r, c := &run{results: map[string]Result{}}, Case{ID: "server/birth/1"}
	if r.done(c, Result{excused: true, Attempts: 1, Late: tooLate}); r.results[c.ID].Detail != "the machine was 17s late in the last of 1 try" {
		t.Errorf("of one try %q is said", r.results[c.ID].Detail)
	}
}

// Directories that overtake each other count in the order in which they were sent.
func TestEventsAreInTheirOrder(t *testing.T) {
	p, l := &endpoint{}, &trial{journal: journal{news: make(chan struct{})}}
	begin := time.Now().Round(0)
	for _, after := range []time.Duration{1, 3, 2, 4} {
		l.note(event{at: begin.Add(after * time.Millisecond), endpoint: p})
	}
	for i, e := range p.received {
		if want := begin.Add(time.Duration(i+1) * time.Millisecond); !e.at.Equal(want) {
			t.Errorf("event %d came at %v, want %v", i, e.at, want)
		}
	}
	for since, want := range []int{4, 3, 1, 1, 0} {
		if n := len(l.came(p, since)); n != want {
			t.Errorf("%d came since event %d, want %d", n, since, want)
		}
	}
}
