package study

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"p2plocal/core"
)

// Range is one interval of the timing and the values that a sweep gives it.
type Range struct {
	Name   string // heartbeat, reap, deadline or refresh
	Values []time.Duration
}

// maxCells is how many settings one sweep may have.
const maxCells = 1000

// bounds of what a study takes for an interval; refresh may be 0 as well.
const shortest, longest = time.Millisecond, time.Minute

// interval is the field of that name, nil where there is none.
func interval(t *core.Timing, name string) *time.Duration {
	switch name {
	case "heartbeat":
		return &t.Heartbeat
	case "reap":
		return &t.Reap
	case "deadline":
		return &t.Deadline
	case "refresh":
		return &t.Refresh
	}
	return nil
}

// ParseRange reads NAME=VALUES, where VALUES are parts with commas between them,
// each a duration, a range A..B in five points, A..B/STEP with a duration for a
// step, or A..B/N in N points.
func ParseRange(s string) (Range, error) {
	name, values, ok := strings.Cut(s, "=")
	r := Range{Name: name}
	if !ok || interval(new(core.Timing), name) == nil {
		return r, fmt.Errorf("sweep %q, want heartbeat=, reap=, deadline= or refresh= and values", s)
	}
	for part := range strings.SplitSeq(values, ",") {
		v, err := parseValues(part)
		if err != nil {
			return r, fmt.Errorf("sweep %q: %w", s, err)
		}
		r.Values = append(r.Values, v...)
	}
	slices.Sort(r.Values)
	r.Values = slices.Compact(r.Values)
	for _, v := range r.Values {
		if (v != 0 || name != "refresh") && (v < shortest || v > longest) {
			return r, fmt.Errorf("sweep %q: %s of %v, want %v to %v", s, name, v, shortest, longest)
		}
	}
	return r, nil
}

func parseValues(s string) ([]time.Duration, error) {
	from, to, ranged := strings.Cut(s, "..")
	a, err := time.ParseDuration(from)
	if err != nil {
		return nil, fmt.Errorf("%q is no duration such as 1s, and no range such as 1s..5s/500ms", s)
	}
	if !ranged {
		return []time.Duration{a}, nil
	}
	to, by, given := strings.Cut(to, "/")
	b, err := time.ParseDuration(to)
	if err != nil || b <= a {
		return nil, fmt.Errorf("%q is no range such as 1s..5s", s)
	}
	points := 5
	if given {
		if step, err := time.ParseDuration(by); err == nil && step > 0 {
			if (b-a)/step >= maxCells {
				return nil, fmt.Errorf("%q has more than %d values", s, maxCells)
			}
			var v []time.Duration
			for ; a <= b; a += step {
				v = append(v, a)
			}
			return v, nil
		}
		if points, err = strconv.Atoi(by); err != nil || points < 2 || points > maxCells {
			return nil, fmt.Errorf("%q is no step such as 500ms, and no number of points from 2 to %d", by, maxCells)
		}
	}
	var v []time.Duration
	for i := range points {
		v = append(v, (a + (b-a)*time.Duration(i)/time.Duration(points-1)).Round(time.Microsecond))
	}
	return v, nil
}

// Grid is every combination of the ranges' values, the last range's changing
// fastest; what has no range is as in base.
func Grid(base core.Timing, ranges []Range) ([]core.Timing, error) {
	grid := []core.Timing{base}
	seen := map[string]bool{}
	for _, r := range ranges {
		if seen[r.Name] {
			return nil, fmt.Errorf("two sweeps of %s: put all its values into one, with commas between", r.Name)
		}
		seen[r.Name] = true
		if len(grid)*len(r.Values) > maxCells {
			return nil, fmt.Errorf("the sweeps make more than %d settings", maxCells)
		}
		var next []core.Timing
		for _, t := range grid {
			for _, v := range r.Values {
				*interval(&t, r.Name) = v
				next = append(next, t)
			}
		}
		grid = next
	}
	return grid, nil
}

// SweepRow is one setting of a sweep.
type SweepRow struct {
	Peers  int         `json:"peers"`
	Loss   float64     `json:"loss"`
	Timing core.Timing `json:"timing"` // ns
	Point
	Front bool `json:"front"` // no other setting is as good in everything and better in something
}

// Rare is the rate of false culls, in culls a peer-hour, below which a sweep
// tells no difference: once in a year of one peer's membership.
const Rare = 1. / (365 * 24)

// objectives are what a setting is judged by, less of each being better: how
// long a survivor goes on with a dead peer in its view, on average; false
// culls, as Theory expects them, because a count of none says nothing about
// which setting is better; and traffic. They count as they are printed, with
// three digits: what differs less is chance.
func (r SweepRow) objectives() [3]float64 {
	return [3]float64{printed(r.Views.Mean), printed(max(r.Theory, Rare)), printed(r.Traffic)}
}

func printed(v float64) float64 {
	p, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 3, 64), 64) // its own output
	return p
}

// dominates reports that a is no worse than b in anything, and better in something.
func dominates(a, b [3]float64) bool {
	better := false
	for i := range a {
		if a[i] > b[i] {
			return false
		}
		better = better || a[i] < b[i]
	}
	return better
}

// markFront marks the settings that no other dominates: the Pareto front.
func markFront(rows []SweepRow) {
	for i := range rows {
		rows[i].Front = !slices.ContainsFunc(rows, func(other SweepRow) bool {
			return dominates(other.objectives(), rows[i].objectives())
		})
	}
}
