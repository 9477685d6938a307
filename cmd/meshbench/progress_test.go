package main

import (
	"strings"
	"testing"
	"time"

	"p2plocal/bench/scenario"
)

func TestProgressLine(t *testing.T) {
	p := &scenario.Progress{Label: "pair 2 of 6, A", Run: 1, Runs: 1, Scenario: "steady", Started: time.Now().Add(-5 * time.Second),
		Expected: 13 * time.Second, Left: time.Minute}
	for columns, want := range map[int]string{
		79: "pair 2 of 6, A, steady [=======             ] 5s, 1m8s left",
		50: "pair 2 of 6, A, steady [====       ] 5s, 1m8s left",
		39: "pair 2 of 6, A, steady 5s, 1m8s left",
		24: "pair 2 of 6, A, steady",
		10: "pair 2 of ",
		0:  "",
	} {
		got := progressLine(p, columns)
		if len(got) > columns || strings.TrimRight(got, " ") != strings.TrimRight(want, " ") {
			t.Errorf("%d columns: %q, want %q", columns, got, want)
		}
	}
}
