// Package study runs grids of simulated scenarios: every combination of its
// axes' values, each as often as it takes to tell an effect from chance.
package study

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/aclements/go-moremath/stats"

	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/bench/work"
)

// Grid is one question: a scenario in all combinations of the axes' values.
type Grid struct {
	Name    string        `json:"name"`
	About   string        `json:"about"`
	Config  result.Config `json:"config"` // what the axes leave open; each cell sums up Repeat runs
	Axes    []Axis        `json:"axes"`
	Columns []Column      `json:"columns"`         // what to show
	Least   []string      `json:"least,omitempty"` // metrics by which a cell may dominate another: less of each is better
	Charts  []Chart       `json:"charts,omitempty"`
}

// Column is a metric, by flat name, and how to head it.
type Column struct {
	Metric string `json:"metric"`
	Label  string `json:"label"`
}

// Chart is a picture of one metric against an axis, or against another metric.
type Chart struct {
	Title  string `json:"title"`
	Y      string `json:"y"`                // a metric
	X      string `json:"x"`                // an axis or a metric
	Theory string `json:"theory,omitempty"` // a metric that is expected to equal Y
	Log    bool   `json:"log,omitempty"`    // the axis of Y is logarithmic
}

// Cell is one combination.
type Cell struct {
	Values  []string          `json:"values"` // of the axes
	Figures map[string]Figure `json:"figures"`
	Front   bool              `json:"front,omitempty"` // no other is as good in all of Least, and better in one
}

// Figure is a metric over a cell's runs.
type Figure struct {
	Unit  string   `json:"unit"`
	Runs  int      `json:"runs"`            // that measured it
	Never int      `json:"never,omitempty"` // in which it should have happened, and did not
	Mean  *float64 `json:"mean"`            // null: measured in none
	Low   *float64 `json:"low"`             // 95 % confidence interval of the mean (Student's t);
	High  *float64 `json:"high"`            // null: too few runs for one
}

// Table is what a grid came to.
type Table struct {
	Grid
	Cells []Cell `json:"cells"`
}

// Report is what a study came to.
type Report struct {
	Tool        result.Tool `json:"tool"`
	Interrupted bool        `json:"interrupted,omitempty"` // only the cells that were finished are here
	Tables      []Table     `json:"tables"`
}

// cellOf is what a cell is made of.
type cellOf struct {
	grid   int
	config result.Config
	values []string
}

// cells are what all cells of the grid, which is one of several, are made of; the last axis
// changes fastest.
func (g *Grid) cells(grid int) (all []cellOf, err error) {
	cells := 1
	for _, a := range g.Axes {
		if cells *= len(a.Values); cells > most {
			return nil, fmt.Errorf("%s has more than %d cells", g.Name, most)
		}
	}
	for cell := range cells {
		c, sim := cellOf{grid: grid, config: g.Config}, *g.Config.Simulation
		c.config.Simulation = &sim
		each := cells // so many cells in a row have the same value
		for _, a := range g.Axes {
			each /= len(a.Values)
			v := a.Values[cell/each%len(a.Values)]
			x, err := a.setting().parse(v)
			if err != nil {
				return nil, fmt.Errorf("%s=%s: %w", a.Name, v, err)
			}
			a.setting().set(&c.config, x)
			c.values = append(c.values, v)
		}
		if err := scenario.Validate(&c.config); err != nil {
			return nil, fmt.Errorf("%s: %w", g.Name, err)
		}
		all = append(all, c)
	}
	return all, nil
}

// Run runs valid grids, or what it can until ctx is done. progress, which may be nil, is
// called with how many of all cells are finished, one call at a time.
func Run(ctx context.Context, grids []Grid, tool result.Tool, compute work.Compute, progress func(done, all int)) (*Report, error) {
	all, err := everyCell(grids)
	if err != nil {
		return nil, err
	}
	if progress == nil {
		progress = func(int, int) {}
	}
	progress(0, len(all))
	cells, err := work.Collect[Cell](ctx, compute, "study", grids, len(all), Lease, func(done int, _ []*Cell) { progress(done, len(all)) })
	r := &Report{Tool: tool, Interrupted: ctx.Err() != nil}
	if r.Interrupted {
		err = nil
	}
	for i, g := range grids {
		t := Table{Grid: g}
		for k, cell := range cells {
			if all[k].grid == i && cell != nil {
				t.Cells = append(t.Cells, *cell)
			}
		}
		t.markFront()
		r.Tables = append(r.Tables, t)
	}
	return r, err
}

// everyCell is those of all grids, in their order.
func everyCell(grids []Grid) (all []cellOf, err error) {
	for i, g := range grids {
		cells, err := g.cells(i)
		if err != nil {
			return nil, err
		}
		all = append(all, cells...)
	}
	return all, nil
}

// Lease runs some cells of the grids that are a job's parameters. One that is cut short would mislead.
var Lease = work.List(everyCell, func(ctx context.Context, c cellOf) (Cell, error) {
	r, err := scenario.Execute(ctx, c.config, result.Tool{}, new(scenario.Status))
	if err != nil {
		return Cell{}, err
	}
	return Cell{Values: c.values, Figures: figures(r.Runs)}, nil
})

// figures sum up every metric over the runs.
func figures(runs []result.Run) map[string]Figure {
	all := make(map[string]Figure)
	for _, f := range scenario.Definitions.Collect(runs) {
		x := Figure{Unit: f.Unit, Runs: len(f.Values), Never: f.Never}
		if x.Runs > 0 {
			mean, low, high := stats.MeanCI(f.Values, 0.95)
			x.Mean = &mean
			if slices.Min(f.Values) >= 0 {
				low = max(low, 0)
			}
			if x.Runs > 1 {
				x.Low, x.High = &low, &high
			}
		}
		all[f.Name] = x
	}
	return all
}

// rare is the rate of false positives, in removals an hour of membership, below
// which no difference is told: one in a year of one peer's.
const rare = 1. / (365 * 24)

// objective is what a cell is judged by. It counts as it is printed, with three
// digits: what differs less is chance. What never happened is worse than all that did.
func (c *Cell) objective(metric string) float64 {
	f := c.Figures[metric]
	if f.Mean == nil {
		return math.Inf(1)
	}
	v := *f.Mean
	if f.Unit == "1/h" {
		v = max(v, rare)
	}
	v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 3, 64), 64) // its own output
	return v
}

// dominates reports that a is no worse than b in anything, and better in something.
func (t *Table) dominates(a, b *Cell) bool {
	better := false
	for _, metric := range t.Least {
		x, y := a.objective(metric), b.objective(metric)
		if x > y {
			return false
		}
		better = better || x < y
	}
	return better
}

// markFront marks the cells that no other dominates: the Pareto front.
func (t *Table) markFront() {
	for i := range t.Cells {
		c := &t.Cells[i]
		c.Front = len(t.Least) > 0 && !slices.ContainsFunc(t.Cells, func(other Cell) bool { return t.dominates(&other, c) })
	}
}
