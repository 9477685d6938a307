// Package stat compares results: two sides run by run (Compare), in pairs
// (Pair), and as distributions (Agree). All are pure functions.
package stat

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"golang.org/x/perf/benchmath"

	"p2plocal/bench/result"
)

// Comparison sets two sides side by side, each the runs of one or more results.
type Comparison struct {
	OldRuns  int      `json:"old_runs"`
	NewRuns  int      `json:"new_runs"`
	Tested   int      `json:"tested"` // metrics that vary and both sides measured: as many tests were made
	Alpha    float64  `json:"alpha"`  // false discovery rate: at most that part of the differences found is chance
	Changes  []Change `json:"changes"`
	Warnings []string `json:"warnings"` // why the sides may not be comparable
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
}

// Verdict is what a comparison makes of a metric.
type Verdict string

const (
	Same    Verdict = "~" // no significant difference
	Better  Verdict = "better"
	Worse   Verdict = "worse"
	Differs Verdict = "differs" // significantly, but neither for better nor worse
)

// Compare compares the medians of every flat metric. Significance is by the
// Mann-Whitney U test, which assumes nothing of the distributions, at a false
// discovery rate of 0.05. Where one figure should be but is null in a finished
// scenario (restart.whole: never), it ranks as worse than any value.
func Compare(defs *result.Definitions, old, new []*result.Result) *Comparison {
	oldRuns, newRuns := result.Pool(old), result.Pool(new)
	c := &Comparison{
		OldRuns:  len(oldRuns),
		NewRuns:  len(newRuns),
		Alpha:    benchmath.DefaultThresholds.CompareAlpha,
		Warnings: differences(old, new),
	}
	olds, news := defs.Collect(oldRuns), defs.Collect(newRuns)
	byName := make(map[string]*[2]*result.Figure)
	var names []string
	for side, all := range [][]*result.Figure{olds, news} {
		for _, f := range all {
			if byName[f.Name] == nil {
				byName[f.Name] = &[2]*result.Figure{{Name: f.Name, Unit: f.Unit}, {Name: f.Name, Unit: f.Unit}}
				names = append(names, f.Name)
			}
			byName[f.Name][side] = f
		}
	}
	defs.Sort(names)
	for _, n := range names {
		if a, b := byName[n][0], byName[n][1]; len(a.Values)+len(b.Values) > 0 {
			if a.Unit != b.Unit {
				c.Warnings = append(c.Warnings, fmt.Sprintf("metric %q is in %q on the old side, in %q on the new: left out", n, a.Unit, b.Unit))
				continue
			}
			c.Changes = append(c.Changes, change(defs, a, b))
		}
	}
	c.judge()
	return c
}

// judge finds the changes that are significant. With a hundred metrics, five
// have p < 0.05 by chance alone, so p is adjusted as Benjamini and Hochberg
// have it (J. R. Stat. Soc. B 57, 1995), which also holds where metrics go up
// and down together, as percentiles of one distribution do (Benjamini and
// Yekutieli, Ann. Statist. 29, 2001). What has the same value in every run of
// both sides can differ by no chance, and is no test (after Tarone,
// Biometrics 46, 1990).
func (c *Comparison) judge() {
	var tested []*Change
	for i := range c.Changes {
		if ch := &c.Changes[i]; ch.varies {
			tested = append(tested, ch)
		}
	}
	slices.SortStableFunc(tested, func(a, b *Change) int { return cmp.Compare(*a.P, *b.P) })
	c.Tested = len(tested)
	least := 1.0
	for i, ch := range slices.Backward(tested) {
		least = min(least, *ch.P*float64(len(tested))/float64(i+1))
		q := least
		if ch.Q = &q; q <= c.Alpha {
			ch.Verdict = verdict(ch.Better, ch.up)
		}
	}
	tests := max(c.Tested, 1)
	switch {
	case !detectable(c.OldRuns, c.NewRuns, 1):
		c.Warnings = append(c.Warnings, fmt.Sprintf("too few runs to tell any change from chance: %d old, %d new, want %d or more of each",
			c.OldRuns, c.NewRuns, comparisonRuns(tests)))
	case !detectable(c.OldRuns, c.NewRuns, tests):
		c.Warnings = append(c.Warnings, fmt.Sprintf("few runs, %d old, %d new: only many of the %d metrics changing at once could be told from chance; for a single one it takes %d or more of each",
			c.OldRuns, c.NewRuns, c.Tested, comparisonRuns(tests)))
	}
}

// Regressions are the significant changes for the worse by more than the
// threshold, a ratio. A change from 0, or to never, is beyond any threshold.
// Without significance there is no regression, however large the change: a
// single run a side can show none, which Warnings then says.
func (c *Comparison) Regressions(threshold float64) []Change {
	var worse []Change
	for _, ch := range c.Changes {
		if ch.Verdict == Worse && (ch.Delta == nil || math.Abs(*ch.Delta) > threshold) {
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
	ch.Delta = relative(a, b)
	test := benchmath.AssumeNothing.Compare(result.Sample(a), result.Sample(b))
	ch.P, ch.up = &test.P, higher(a, b)
	ch.varies = slices.Min(append(slices.Clone(a), b...)) < slices.Max(append(slices.Clone(a), b...))
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

// relative is the change of the median from a to b by that of a; nil where
// that is no finite number.
func relative(a, b []float64) *float64 {
	from, to := result.Median(a), result.Median(b)
	delta := (to - from) / math.Abs(from)
	if math.IsNaN(delta) || math.IsInf(delta, 0) || math.IsInf(from, 0) {
		return nil
	}
	return &delta
}

// higher reports that b's values tend to lie above a's: the direction of the
// U statistic itself, because medians may be equal where ranks are not.
func higher(a, b []float64) bool {
	u := 0
	for _, x := range a {
		for _, y := range b {
			switch {
			case y > x:
				u++
			case y < x:
				u--
			}
		}
	}
	return u > 0
}

// detectable reports that one metric among so many tests could differ
// significantly between samples of these sizes: when every value of one lies
// above every value of the other.
func detectable(n, m, tests int) bool {
	if n == 0 || m == 0 {
		return false
	}
	a, b := make([]float64, n), make([]float64, m)
	for i := range a {
		a[i] = float64(i)
	}
	for i := range b {
		b[i] = float64(n + i)
	}
	test := benchmath.AssumeNothing.Compare(result.Sample(a), result.Sample(b))
	return test.P*float64(tests) <= test.Alpha
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
const apart = "one side is simulated and the other is not: they differ in much that is not the code's; meshbench agree sets them side by side"

// differences are what, other than the thing compared, could have changed the
// figures.
func differences(old, new []*result.Result) (warnings []string) {
	names, olds := result.Settings(old)
	_, news := result.Settings(new)
	simulated, config := slices.Index(names, "simulated"), slices.Index(names, "scenarios") // where Env begins, and Config
	different := !slices.Equal(olds[simulated], news[simulated])
	if different {
		warnings = append(warnings, apart)
	}
	for i, name := range names {
		if different && (i < config || name == "isolation" || name == "simulation") {
			continue
		}
		if a, b := strings.Join(olds[i], " and "), strings.Join(news[i], " and "); a != b && a != "" && b != "" {
			warnings = append(warnings, fmt.Sprintf("%s differs: %s old, %s new", name, a, b))
		} else if len(olds[i]) > 1 {
			warnings = append(warnings, fmt.Sprintf("%s differs within both sides: %s", name, a))
		}
	}
	for i, side := range [][]*result.Result{old, new} {
		for _, r := range side {
			name := []string{"old", "new"}[i]
			if r.Env.Simulated && r.Interrupted {
				warnings = append(warnings, fmt.Sprintf("a simulated result of the %s side was interrupted", name))
			} else if r.Interrupted {
				warnings = append(warnings, fmt.Sprintf("a result of the %s side, of %s, was interrupted", name, r.Env.Time.Format(time.DateTime)))
			}
			if r.Tool.Dirty {
				warnings = append(warnings, fmt.Sprintf("a result of the %s side, of %s, comes from a build with uncommitted changes", name, r.Env.Time.Format(time.DateTime)))
			}
		}
	}
	return warnings
}
