package main

import (
	"testing"
	"time"

	"p2plocal/bench/scenario"
)

func TestProgressLine(t *testing.T) {
	p := &scenario.Progress{Label: "pair 2 of 6, A", Run: 1, Runs: 1, Scenario: "steady", Started: time.Now().Add(-5 * time.Second),
		Expected: 13 * time.Second, Left: time.Minute}
	for columns, want := range map[int]string{
		59: "pair 2 of 6, A, steady [====        ] 5s, 1m8s left",
		40: "pair 2 of 6, A, steady 5s, 1m8s left",
	} {
		if got := progressLine(p, columns); got != want {
			t.Errorf("%d columns: %q, want %q", columns, got, want)
		}
	}
	p = &scenario.Progress{Run: 1, Runs: 1, Scenario: "play", Started: time.Now().Add(-5 * time.Second)}
	if got, want := progressLine(p, 80), "play 5s"; got != want { // what ends by hand has no time left
		t.Errorf("%q, want %q", got, want)
	}
}
