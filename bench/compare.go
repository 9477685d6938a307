package bench

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"golang.org/x/perf/benchmath"
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
	Metric  string   `json:"metric"`
	Unit    string   `json:"unit"`
	Better  int      `json:"better"` // as in Definition
	Old     *Summary `json:"old"`    // null: no run of that side measured it
	New     *Summary `json:"new"`
	Delta   *float64 `json:"delta"` // change of the median by the old one, a ratio; null: old is 0, or one is never
	P       *float64 `json:"p"`     // of the Mann-Whitney U test, two-sided; null: one side has no values
	Q       *float64 `json:"q"`     // p adjusted for the number of tests; null: all values of both sides are the same
	Verdict Verdict  `json:"verdict"`

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
func Compare(old, new []*Result) *Comparison {
	oldRuns, newRuns := pool(old), pool(new)
	c := &Comparison{
		OldRuns:  len(oldRuns),
		NewRuns:  len(newRuns),
		Alpha:    benchmath.DefaultThresholds.CompareAlpha,
		Warnings: differences(old, new),
	}
	olds, news := collect(oldRuns), collect(newRuns)
	byName := make(map[string]*[2]*figure)
	var names []string
	for side, all := range [][]*figure{olds, news} {
		for _, f := range all {
			if byName[f.name] == nil {
				byName[f.name] = &[2]*figure{{name: f.name, unit: f.unit}, {name: f.name, unit: f.unit}}
				names = append(names, f.name)
			}
			byName[f.name][side] = f
		}
	}
	sortFlat(names)
	for _, n := range names {
		if a, b := byName[n][0], byName[n][1]; len(a.values)+len(b.values) > 0 {
			if a.unit != b.unit {
				c.Warnings = append(c.Warnings, fmt.Sprintf("metric %q is in %q on the old side, in %q on the new: left out", n, a.unit, b.unit))
				continue
			}
			c.Changes = append(c.Changes, change(a, b))
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

func change(old, new *figure) Change {
	ch := Change{Metric: old.name, Unit: old.unit, Better: better(old.name), Verdict: Same}
	for _, side := range []struct {
		f  *figure
		to **Summary
	}{{old, &ch.Old}, {new, &ch.New}} {
		if len(side.f.values) > 0 {
			s := side.f.summary()
			*side.to = &s
		}
	}
	a, b := old.ranked(ch.Better), new.ranked(ch.Better)
	if len(a) == 0 || len(b) == 0 {
		return ch
	}
	ch.Delta = relative(a, b)
	test := benchmath.AssumeNothing.Compare(sample(a), sample(b))
	ch.P, ch.up = &test.P, higher(a, b)
	ch.varies = slices.Min(append(slices.Clone(a), b...)) < slices.Max(append(slices.Clone(a), b...))
	return ch
}

// better is the direction of a flat metric; a distribution's n has none.
func better(flat string) int {
	d, field, _ := Define(flat)
	if field == "n" {
		return 0
	}
	return d.Better
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
	from, to := median(a), median(b)
	delta := (to - from) / math.Abs(from)
	if math.IsNaN(delta) || math.IsInf(delta, 0) || math.IsInf(from, 0) {
		return nil
	}
	return &delta
}

// ranked are a figure's values with infinity for never, on the worse side.
func (f *figure) ranked(better int) []float64 {
	values := slices.Clone(f.values)
	if better != 0 {
		for range f.never {
			values = append(values, math.Inf(-better))
		}
	}
	return values
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
	test := benchmath.AssumeNothing.Compare(sample(a), sample(b))
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

func pool(results []*Result) (runs []Run) {
	for _, r := range results {
		runs = append(runs, r.Runs...)
	}
	return runs
}

// apart is said once where a dozen differences would say it.
const apart = "one side is simulated and the other is not: they differ in much that is not the code's; meshbench agree sets them side by side"

// differences are what, other than the thing compared, could have changed the
// figures.
func differences(old, new []*Result) (warnings []string) {
	names, olds := settings(old)
	_, news := settings(new)
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
	for i, side := range [][]*Result{old, new} {
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

// settings are the names of all there is in Env and Config, and for each the
// distinct values among the results.
func settings(results []*Result) (names []string, values [][]string) {
	var zero Result
	for _, r := range append([]*Result{&zero}, results...) {
		var all []setting
		all = leaves(all, "", reflect.ValueOf(r.Env))
		all = leaves(all, "", reflect.ValueOf(r.Config))
		if r == &zero {
			values = make([][]string, len(all))
			for _, s := range all {
				names = append(names, s.name)
			}
			continue
		}
		for i, s := range all {
			if !slices.Contains(values[i], s.value) {
				values[i] = append(values[i], s.value)
			}
		}
	}
	for i := range values {
		slices.Sort(values[i])
	}
	return names, values
}

// setting is one part of an Env or a Config, as a reader may see it.
type setting struct{ name, value string }

// leaves appends what v holds, by the names that JSON knows it under. What is
// never the same twice, or is taken care of elsewhere, is left out.
func leaves(to []setting, prefix string, v reflect.Value) []setting {
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		name = prefix + name
		switch f := v.Field(i); {
		case name == "time" || name == "load" || name == "repeat":
		case f.Kind() == reflect.Pointer:
			text, _ := json.Marshal(f.Interface()) // what has been read back, or will be written
			to = append(to, setting{name, string(text)})
		case f.Kind() == reflect.Struct:
			to = leaves(to, name+".", f)
		case f.Kind() == reflect.String || f.Kind() == reflect.Slice:
			to = append(to, setting{name, fmt.Sprintf("%q", f)})
		default:
			to = append(to, setting{name, fmt.Sprint(f)})
		}
	}
	return to
}
