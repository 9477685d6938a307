// Package stat compares results, and has the theory of false removals. All are
// pure functions.
package stat

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/aclements/go-moremath/mathx"
	"github.com/aclements/go-moremath/stats"

	"p2plocal/bench/result"
)

// Comparison sets two results side by side.
type Comparison struct {
	Sides    [2]string `json:"sides"` // what the old and the new one are called
	OldRuns  int       `json:"old_runs"`
	NewRuns  int       `json:"new_runs"`
	Tested   int       `json:"tested"` // metrics that vary and both sides measured: as many tests were made
	Alpha    float64   `json:"alpha"`  // false discovery rate: at most that part of the differences found is chance
	Changes  []Change  `json:"changes"`
	Warnings []string  `json:"warnings"` // why the sides may not be comparable

	Interrupted bool `json:"interrupted"` // one of the sides
}

// Change is one flat metric on both sides.
type Change struct {
	Metric  string          `json:"metric"`
	Unit    string          `json:"unit"`
	Better  int             `json:"better"` // as in Definition
	Old     *result.Summary `json:"old"`    // null: no run of that side measured it
	New     *result.Summary `json:"new"`
	Delta   *float64        `json:"delta"` // change of the median by the old one, a ratio; null: old is 0, or one is never
	P       *float64        `json:"p"`     // of the Mann-Whitney U test, two-sided; null: one side has no values
	Q       *float64        `json:"q"`     // p adjusted for the number of tests; null: all values of both sides are the same
	Verdict Verdict         `json:"verdict"`

	varies, up bool
	medians    [2]float64 // infinite: never
}

// Verdict is what a comparison makes of a metric.
type Verdict string

const (
	Same    Verdict = "~" // no significant difference
	Better  Verdict = "better"
	Worse   Verdict = "worse"
	Differs Verdict = "differs" // significantly, but neither for better nor worse
)

// alpha is the level of significance, and the false discovery rate.
const alpha = 0.05

// Compare compares the medians of every flat metric. Significance is by the
// Mann-Whitney U test, which assumes nothing of the distributions, at a false
// discovery rate of 0.05. Where one figure should be but is null in a finished
// scenario (restart.whole: never), it ranks as worse than any value. Sides are what
// the two are called.
func Compare(defs *result.Definitions, sides [2]string, old, new *result.Result) *Comparison {
	c := &Comparison{Sides: sides, OldRuns: len(old.Runs), NewRuns: len(new.Runs), Alpha: alpha, Warnings: differences(sides, old, new), Interrupted: old.Interrupted || new.Interrupted}
	for _, both := range beside(defs, old.Runs, new.Runs) {
		if a, b := both[0], both[1]; len(a.Values)+len(b.Values) > 0 {
			if a.Unit != b.Unit {
				c.Warnings = append(c.Warnings, fmt.Sprintf("metric %q is in %q on one side (%s), in %q on the other (%s): left out", a.Name, a.Unit, sides[0], b.Unit, sides[1]))
				continue
			}
			c.Changes = append(c.Changes, change(defs, a, b))
		}
	}
	c.uneven(old.Runs, new.Runs)
	c.judge()
	return c
}

// uneven takes better and worse from cores over times of different length.
func (c *Comparison) uneven(old, new []result.Run) {
	for i := range c.Changes {
		ch := &c.Changes[i]
		if a, b := overTimes(ch.Metric, ch.Unit, old, new); a != b && ch.Old != nil && ch.New != nil {
			ch.Better = 0
			c.Warnings = append(c.Warnings, fmt.Sprintf("%s is over %s %s, over %s %s: neither better nor worse", ch.Metric, a, c.Sides[0], b, c.Sides[1]))
		}
	}
}

// overTimes are the times that cores are over, where those of two sides are too different
// to compare: what a join costs is over in a millisecond or in a second, at a thousandth of
// the cores.
func overTimes(metric, unit string, old, new []result.Run) (a, b string) {
	scenario, _, _ := strings.Cut(metric, ".")
	x, y := metered(old, scenario), metered(new, scenario)
	if least := min(x, y); unit != "cores" || least == 0 || max(x, y) <= longer*least {
		return "", ""
	}
	return result.Span(time.Duration(x * 1e9)), result.Span(time.Duration(y * 1e9))
}

// longer is by how much one time may be, and cores over both be compared.
const longer = 1.5

// metered is the median of the seconds that a scenario's CPU is of; 0: not known.
func metered(runs []result.Run, scenario string) float64 {
	var all []float64
	for _, run := range runs {
		for _, s := range run.Scenarios {
			if s.Name == scenario && s.Metered > 0 {
				all = append(all, s.Metered)
			}
		}
	}
	if len(all) == 0 {
		return 0
	}
	return result.Median(all)
}

// beside are the figures of two sides in the stable order, empty ones where one
// side has none.
func beside(defs *result.Definitions, old, new []result.Run) (all [][2]*result.Figure) {
	byName := make(map[string][2]*result.Figure)
	for side, runs := range [][]result.Run{old, new} {
		for _, f := range defs.Collect(runs) {
			both, ok := byName[f.Name]
			if !ok {
				both[1-side] = &result.Figure{Name: f.Name, Unit: f.Unit}
			}
			both[side] = f
			byName[f.Name] = both
		}
	}
	for _, name := range defs.Sorted(maps.Keys(byName)) {
		all = append(all, byName[name])
	}
	return all
}

// judge finds the changes that are significant. What has the same value in every
// run of both sides can differ by no chance, and is no test (after Tarone,
// Biometrics 46, 1990).
func (c *Comparison) judge() {
	var tested []*Change
	var p []float64
	for i := range c.Changes {
		if ch := &c.Changes[i]; ch.varies {
			tested, p = append(tested, ch), append(p, *ch.P)
		}
	}
	c.Tested = len(tested)
	for i, q := range adjusted(p) {
		ch := tested[i]
		if ch.Q = &q; q <= c.Alpha {
			ch.Verdict = verdict(ch.Better, ch.up)
		}
	}
	if tests := max(c.Tested, 1); !detectable(c.OldRuns, c.NewRuns, tests) {
		c.Warnings = append(c.Warnings, fmt.Sprintf("too few runs, %d %s, %d %s, to tell a change of %s from chance, want %d or more of each",
			c.OldRuns, c.Sides[0], c.NewRuns, c.Sides[1], oneOf(tests), comparisonRuns(tests)))
	}
}

// oneOf is a metric, of so many.
func oneOf(tests int) string {
	if tests == 1 {
		return "one metric"
	}
	return "one of " + result.Plural(uint64(tests), "metric")
}

// adjusted are the p of several tests as they are to be held against a false
// discovery rate. With a hundred metrics, five have p < 0.05 by chance alone, so
// p is adjusted as Benjamini and Hochberg have it (J. R. Stat. Soc. B 57, 1995),
// which also holds where metrics go up and down together, as percentiles of one
// distribution do (Benjamini and Yekutieli, Ann. Statist. 29, 2001).
func adjusted(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	q, least := make([]float64, len(p)), 1.0
	for i, at := range slices.Backward(order) {
		least = min(least, p[at]*float64(len(p))/float64(i+1))
		q[at] = least
	}
	return q
}

// floors are, by unit, the changes too small to matter, however large a part of the
// old value they are: of 0.04 cores one hundredth is a quarter.
var floors = map[string]float64{"cores": 0.02, "bytes": 1e6, "s": 5e-6}

// Regressions are the significant changes for the worse by more than the
// threshold, a ratio, and more than the unit's floor. A change from 0 is beyond any
// threshold, and one to never beyond the floor, too. Without significance there is
// no regression, however large the change: a single run a side can show none, which
// Warnings then says.
func (c *Comparison) Regressions(threshold float64) []Change {
	var worse []Change
	for _, ch := range c.Changes {
		small := math.Abs(ch.medians[1]-ch.medians[0]) <= floors[ch.Unit]
		if ch.Verdict == Worse && !small && (ch.Delta == nil || math.Abs(*ch.Delta) > threshold) {
			worse = append(worse, ch)
		}
	}
	return worse
}

func change(defs *result.Definitions, old, new *result.Figure) Change {
	ch := Change{Metric: old.Name, Unit: old.Unit, Better: defs.Better(old.Name), Verdict: Same}
	for _, side := range []struct {
		f  *result.Figure
		to **result.Summary
	}{{old, &ch.Old}, {new, &ch.New}} {
		if len(side.f.Values) > 0 {
			s := side.f.Summary()
			*side.to = &s
		}
	}
	a, b := old.Ranked(ch.Better), new.Ranked(ch.Better)
	if len(a) == 0 || len(b) == 0 {
		return ch
	}
	ch.medians = [2]float64{result.Median(a), result.Median(b)}
	ch.Delta = relative(ch.medians[0], ch.medians[1])
	ch.varies = slices.Min(a) < slices.Max(b) || slices.Min(b) < slices.Max(a)
	p := 1.0
	if test, err := stats.MannWhitneyUTest(a, b, stats.LocationDiffers); err == nil {
		// The direction is that of the statistic itself, because medians may be
		// equal where ranks are not.
		p, ch.up = test.P, test.U < float64(len(a)*len(b))/2
	}
	ch.P = &p
	return ch
}

// verdict on a metric that has gone significantly up or down.
func verdict(better int, up bool) Verdict {
	switch {
	case better == 0:
		return Differs
	case up == (better > 0):
		return Better
	}
	return Worse
}

// relative is a change by what it is from; nil where that is no finite number.
func relative(from, to float64) *float64 {
	delta := (to - from) / math.Abs(from)
	if math.IsNaN(delta) || math.IsInf(delta, 0) || math.IsInf(from, 0) {
		return nil
	}
	return &delta
}

// detectable reports that one metric among so many tests could differ
// significantly between samples of these sizes: when every value of one lies
// above every value of the other. Both tests come to the same p then: 2 of the
// ways to mix the two, all equally likely, are so far apart.
func detectable(n, m, tests int) bool {
	return 2/mathx.Choose(n+m, n)*float64(tests) <= alpha
}

// comparisonRuns is how many runs a side that takes: 4 for a single test.
func comparisonRuns(tests int) int {
	n := 1
	for !detectable(n, n, tests) {
		n++
	}
	return n
}

// apart is said once where a dozen differences would say it.
const apart = "one side is simulated and the other is not: they differ in much that is not the code's"

// differences are what, other than the thing compared, could have changed the
// figures.
func differences(sides [2]string, old, new *result.Result) (warnings []string) {
	different := old.Env.Simulated != new.Env.Simulated
	if different {
		warnings = append(warnings, apart)
	}
	olds, news := old.Settings(), new.Settings()
	config := slices.IndexFunc(olds, func(s result.Setting) bool { return s.Name == "scenarios" }) // before it is Env
	for i, was := range olds {
		if different && (i < config || was.Name == "isolation" || strings.HasPrefix(was.Name, "simulation.")) {
			continue
		}
		if is := news[i]; was != is {
			warnings = append(warnings, fmt.Sprintf("%s differs: %s %s, %s %s", was.Name, was.Value, sides[0], is.Value, sides[1]))
		}
	}
	for i, r := range []*result.Result{old, new} {
		if r.Interrupted {
			warnings = append(warnings, "the "+sides[i]+" result was interrupted")
		}
		if r.Tool.Dirty {
			warnings = append(warnings, "the "+sides[i]+" result comes from a build with uncommitted changes")
		}
	}
	return warnings
}
