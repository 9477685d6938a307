package study

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"p2plocal/core"
)

func TestParseRange(t *testing.T) {
	for text, want := range map[string]string{
		"deadline=1s..5s":          "[1s 2s 3s 4s 5s]",
		"deadline=1s..2s/0.5s":     "[1s 1.5s 2s]",
		"deadline=1s..2.2s/500ms":  "[1s 1.5s 2s]",
		"heartbeat=100ms..1s/4":    "[100ms 400ms 700ms 1s]",
		"refresh=0,5s,2s":          "[0s 2s 5s]",
		"reap=1s,250ms,1s":         "[250ms 1s]",
		"deadline=1s..3s/1s,2s,9s": "[1s 2s 3s 9s]",

		"deadline":                `"deadline", want heartbeat=`,
		"broadcast=1s":            `"broadcast=1s", want heartbeat=`,
		"deadline=":               `"" is no duration`,
		"deadline=5":              `"5" is no duration`,
		"deadline=5s..1s":         `"5s..1s" is no range`,
		"deadline=1s..x":          `"1s..x" is no range`,
		"deadline=1s..5s/x":       `"x" is no step`,
		"deadline=1s..5s/1":       `"1" is no step`,
		"deadline=1s..5s/-1s":     `"-1s" is no step`,
		"deadline=1s..50s/1ms":    "more than 1000 values",
		"deadline=1ns":            "deadline of 1ns, want 1ms to 1m0s",
		"deadline=0":              "deadline of 0s",
		"refresh=2m":              "refresh of 2m0s",
		"deadline=1s..5s/1000000": `"1000000" is no step`,
	} {
		r, err := ParseRange(text)
		got := fmt.Sprint(r.Values)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) || (err != nil) == (want[0] == '[') {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestGrid(t *testing.T) {
	a, _ := ParseRange("heartbeat=250ms,500ms")
	b, _ := ParseRange("deadline=1s..3s/3")
	grid, err := Grid(core.DefaultTiming(), []Range{a, b})
	if err != nil || len(grid) != 6 || grid[4].Heartbeat != 500*time.Millisecond || grid[4].Deadline != 2*time.Second || grid[4].Reap != 500*time.Millisecond {
		t.Errorf("%v, %v", grid, err)
	}
	if _, err := Grid(core.DefaultTiming(), []Range{a, b, a}); err == nil {
		t.Error("two sweeps of one interval pass")
	}
	b.Values = make([]time.Duration, 501)
	if _, err := Grid(core.DefaultTiming(), []Range{a, b}); err == nil {
		t.Error("1,002 settings pass")
	}
}

// A setting is on the front unless another is as good in all and better in one.
func TestFront(t *testing.T) {
	row := func(view, culls, traffic float64) SweepRow {
		var r SweepRow
		r.Views.Mean, r.Theory, r.Traffic = view, culls, traffic
		return r
	}
	rows := []SweepRow{row(1, 5, 10), row(2, 1, 10), row(2, 5, 10), row(1.0001, 6, 10), row(3, 1e-9, 10), row(4, 1e-20, 10), row(2, 1, 10)}
	markFront(rows)
	var got []bool
	for _, r := range rows {
		got = append(got, r.Front)
	}
	// The third is worse than the first, the fourth as good but for its culls,
	// the sixth no better than the fifth, and the last the second's equal.
	if want := []bool{true, true, false, false, true, false, true}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// A plan gives the same report on any number of workers, and when it is
// interrupted only lines that are finished.
func TestPlan(t *testing.T) {
	deadline, _ := ParseRange("deadline=1s,2s")
	grid, _ := Grid(core.DefaultTiming(), []Range{deadline})
	p := Plan{Parts: []string{"loss", "heal", "churn", "sweep"}, Peers: []int{5, 12}, Losses: []float64{0, 0.2}, Refresh: []time.Duration{0, 2 * time.Second},
		Heal: []time.Duration{0, time.Second}, Deaths: []float64{0.1, 0.9}, Timing: core.DefaultTiming(), Hours: 1, Meshes: 2, Seed: 7, Workers: 1,
		Grid: grid, SweepPeers: 8, SweepLoss: 0.1}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	one := p.Run(context.Background(), nil)
	if len(one.Loss) != 8 || len(one.Heal) != 12 || len(one.Churn) != 12 || len(one.Sweep) != 2 || one.Interrupted {
		t.Errorf("%d, %d, %d, %d lines", len(one.Loss), len(one.Heal), len(one.Churn), len(one.Sweep))
	}
	p.Workers = runtime.GOMAXPROCS(0) + 2
	calls := make(chan int, 100)
	if many := p.Run(context.Background(), func(done, all int) { calls <- all }); document(t, one) != document(t, many) {
		t.Error("one worker's report differs from many's")
	}
	if len(calls) != 34 || <-calls != 34 {
		t.Errorf("%d lines are reported finished", len(calls))
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.Workers = 1
	cut := p.Run(ctx, func(done, all int) {
		if done == 3 {
			cancel()
		}
	})
	if !cut.Interrupted || len(cut.Loss) != 3 || len(cut.Sweep) != 0 {
		t.Errorf("interrupted after 3 lines: %+v", cut)
	}

	for want, change := range map[string]func(*Plan){
		`"x" is no study`:      func(p *Plan) { p.Parts = []string{"x"} },
		"96 peers":             func(p *Plan) { p.Peers = []int{96} },
		"1 peers":              func(p *Plan) { p.SweepPeers = 1 },
		"loss of 1":            func(p *Plan) { p.Losses = []float64{1} },
		"loss of NaN":          func(p *Plan) { p.SweepLoss = math.NaN() },
		"0 peer-hours":         func(p *Plan) { p.Hours = 0 },
		"0 meshes":             func(p *Plan) { p.Meshes = 0 },
		"0 workers":            func(p *Plan) { p.Workers = 0 },
		"interval of 2m0s":     func(p *Plan) { p.Refresh = []time.Duration{2 * time.Minute} },
		"deadline interval is": func(p *Plan) { p.Grid = []core.Timing{{Heartbeat: 1, Reap: 1}} },
	} {
		bad := p
		if change(&bad); bad.Validate() == nil || !strings.Contains(bad.Validate().Error(), want) {
			t.Errorf("%s: %v", want, bad.Validate())
		}
	}
}

func document(t *testing.T, r *Report) string {
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
