package main

import (
	"testing"
	"time"

	"p2plocal/bench/scenario"
)

func TestProgressLine(t *testing.T) {
	p := &scenario.Progress{Label: "pair 2 of 6, A", Run: 1, Runs: 1, Scenario: "steady", Started: time.Now().Add(-5 * time.Second),
		Expected: 13 * time.Second, Left: time.Minute}
	if got, want := progressLine(p), "pair 2 of 6, A, steady [====        ] 5s, 1m8s left"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
