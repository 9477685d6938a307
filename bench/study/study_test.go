package study

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"p2plocal/bench/result"
	"p2plocal/bench/work"
)

func TestParseAxis(t *testing.T) {
	for text, want := range map[string]string{
		"refresh=0s,5s,2s":  "[0s 5s 2s]",
		"deadline=1s..2s":   `"1s..2s" makes no sense, want a peer silent`,
		"deadline=1s,2s,2s": "2s is there twice",
		"peers=10,40":       "[10 40]",
		"loss=0,5%":         "[0 5%]",
		"churn=0.5":         "[0.5]",
		"deadline":          `"deadline", want NAME=VALUES with one of peers, loss, heartbeat, `,
		"fog=1s":            `"fog=1s", want NAME=VALUES`,
		"deadline=":         `"" makes no sense`,
		"deadline=5":        `"5" makes no sense, want a peer silent`,
		"peers=x":           `"x" makes no sense, want size of the mesh`,
		"loss=much":         `"much" makes no sense`,
	} {
		a, err := ParseAxis(text)
		got := fmt.Sprint(a.Values)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) || (err != nil) == (want[0] == '[') {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func parse(t *testing.T, axes []string) (parsed []Axis) {
	t.Helper()
	for _, text := range axes {
		a, err := ParseAxis(text)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, a)
	}
	return parsed
}

// small is a preset with fewer values and runs.
func small(t *testing.T, name string, axes ...string) Grid {
	t.Helper()
	grids := Presets()
	g := grids[slices.IndexFunc(grids, func(g Grid) bool { return g.Name == name })]
	g.Config.Repeat = 3
	if err := g.Vary(parse(t, axes)); err != nil {
		t.Fatal(err)
	}
	return g
}

// serial computes one lease after the other.
func serial(ctx context.Context, j work.Job, f work.Func, done func(work.Done) error) error {
	for lease := uint64(0); lease < j.Leases() && ctx.Err() == nil; lease++ {
		first, last := j.Units(lease)
		r, err := f(ctx, j.Params, first, last)
		if err != nil {
			return err
		}
		b, err := json.Marshal(r)
		if err := cmp.Or(err, done(work.Done{Lease: lease, Result: b})); err != nil {
			return err
		}
	}
	return nil
}

func run(t *testing.T, compute work.Compute, grids ...Grid) *Report {
	t.Helper()
	r, err := Run(t.Context(), grids, result.Tool{}, compute, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// mean is a cell's figure.
func mean(t *testing.T, c Cell, metric string) float64 {
	t.Helper()
	f, ok := c.Figures[metric]
	if !ok || f.Mean == nil {
		t.Fatalf("no %s in %v", metric, c.Values)
	}
	return *f.Mean
}

// Every preset can be run, and shows metrics that its scenario has.
func TestPresets(t *testing.T) {
	t.Parallel()
	for _, g := range Presets() {
		if _, err := g.cells(0); err != nil {
			t.Errorf("%s: %v", g.Name, err)
		}
	}
	grids := []Grid{small(t, "loss", "peers=5", "refresh=2s", "loss=20%"), small(t, "join", "peers=5", "refresh=1s", "loss=10%"),
		small(t, "restart", "peers=5", "refresh=1s"), small(t, "partition", "peers=5", "refresh=1s"), small(t, "churn", "peers=6", "loss=0,5%", "refresh=0s", "churn=0.3"),
		small(t, "sweep", "peers=5", "heartbeat=500ms", "refresh=0s", "deadline=1s,2s")}
	one := run(t, work.Local, grids...)
	for i, table := range one.Tables {
		for _, c := range table.Columns {
			table.Least = append(table.Least, c.Metric)
		}
		for _, metric := range table.Least {
			if _, ok := table.Cells[0].Figures[metric]; !ok {
				t.Errorf("%s: no %s", table.Name, metric)
			}
		}
		if len(table.Cells) != []int{1, 1, 1, 1, 2, 2}[i] {
			t.Errorf("%s: %d cells", table.Name, len(table.Cells))
		}
	}
	if many := run(t, work.Local, grids...); document(t, one) != document(t, many) {
		t.Error("one worker's report differs from many's")
	}
	churn := one.Tables[4].Cells
	if sound, lossy := mean(t, churn[0], "churn.disagreement"), mean(t, churn[1], "churn.disagreement"); lossy <= sound {
		t.Errorf("views are wrong for %v of the time, for %v with losses", sound, lossy)
	}
}

func document(t *testing.T, r *Report) string {
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Simulation and theory agree, and refresh heals what loss does to the views.
func TestLossGrid(t *testing.T) {
	t.Parallel()
	g := small(t, "loss", "peers=20", "refresh=0s,5s", "loss=10%,25%")
	g.Config.Repeat = 20
	cells := run(t, work.Local, g).Tables[0].Cells
	for _, c := range cells {
		removed, expected := mean(t, c, "loss.removed"), mean(t, c, "loss.removed_expected")
		if off := 4 * math.Sqrt(expected/20); math.Abs(removed-expected) > off {
			t.Errorf("%v: %v removed a run, expected %v ± %v", c.Values, removed, expected, off)
		}
	}
	if without, with := mean(t, cells[0], "loss.unnoticed"), mean(t, cells[2], "loss.unnoticed"); without < 0.02 || with > without/4 {
		t.Errorf("%v of the survivors do not notice a death, %v with refresh", without, with)
	}
}

// With refresh a mesh is whole within its interval and a little, without never.
func TestHealing(t *testing.T) {
	t.Parallel()
	for name, metrics := range map[string][2]string{"restart": {"restart.whole", "restart.refresh.whole"}, "partition": {"partition.back", "partition.refresh.back"}} {
		for _, c := range run(t, work.Local, small(t, name, "peers=10,95", "refresh=2s")).Tables[0].Cells {
			if f := c.Figures[metrics[0]]; f.Runs != 0 || f.Mean != nil {
				t.Errorf("%s %v: whole without refresh: %+v", name, c.Values, f)
			}
			if f := c.Figures[metrics[1]]; f.Runs != 3 || *f.Mean > 2.1 {
				t.Errorf("%s %v: whole with refresh: %+v, want within 2.1 s", name, c.Values, f)
			}
		}
	}
}

func TestGridErrors(t *testing.T) {
	t.Parallel()
	var values []string
	for i := range 40 {
		values = append(values, fmt.Sprint(500+i, "ms"))
	}
	many := strings.Join(values, ",")
	for want, axes := range map[string][]string{
		"96 peers":             {"peers=96"},
		"impairment loss of 2": {"loss=2"},
		"deadline interval is": {"deadline=0s"},
		"two axes peers":       {"peers=1", "peers=2"},
		"more than 1000 cells": {"heartbeat=" + many, "reap=" + many},
	} {
		g := Sweep()
		if err := g.Vary(parse(t, axes)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// What is interrupted holds the cells that were finished.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	g := small(t, "restart", "peers=3,4,5", "refresh=1s")
	r, err := Run(ctx, []Grid{g}, result.Tool{}, serial, func(done, all int) {
		if done == 2 && all == 3 {
			cancel()
		}
	})
	if err != nil || !r.Interrupted || len(r.Tables[0].Cells) != 2 {
		t.Errorf("%v, %+v", err, r)
	}
}

// A cell is on the front unless another is as good in all and better in one.
func TestFront(t *testing.T) {
	cell := func(view, rate, traffic float64) Cell {
		return Cell{Figures: map[string]Figure{"a": {Mean: &view}, "b": {Unit: "1/h", Mean: &rate}, "c": {Mean: &traffic}}}
	}
	table := Table{Grid: Grid{Least: []string{"a", "b", "c"}},
		Cells: []Cell{cell(1, 5, 10), cell(2, 1, 10), cell(2, 5, 10), cell(1.0001, 6, 10), cell(3, 1e-9, 10), cell(4, 1e-20, 10), cell(2, 1, 10), {}}}
	table.markFront()
	var got []bool
	for _, c := range table.Cells {
		got = append(got, c.Front)
	}
	// The third is worse than the first, the fourth as good but for its rate, the
	// sixth no better than the fifth, the seventh the second's equal, and of the
	// last nothing ever happened.
	if want := []bool{true, true, false, false, true, false, true, false}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestFigures(t *testing.T) {
	value := func(v *float64) result.Run {
		return result.Run{Scenarios: []result.Scenario{{Name: "steady", Metrics: map[string]result.Metric{"steady.loss": {Unit: "ratio", Value: v}}}}}
	}
	a, b, c := 0.4, 0.5, 0.6 // deviation 0.1, t = 4.303
	f := figures([]result.Run{value(&a), value(&b), value(nil), value(&c)})["steady.loss"]
	if f.Runs != 3 || f.Never != 1 || *f.Mean != 0.5 || math.Abs(*f.High-0.5-0.4303/math.Sqrt(3)) > 1e-4 || math.Abs(*f.High+*f.Low-1) > 1e-9 {
		t.Errorf("%+v", f)
	}
	if f := figures([]result.Run{value(nil)})["steady.loss"]; f.Runs != 0 || f.Mean != nil {
		t.Errorf("%+v", f)
	}
}
