package result

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Merge makes one result of several of the same measurement: all their runs,
// in the order given, and the summary over them. Whatever may change the
// figures must be the same in all but the seed; what an assertion says is
// evaluated anew. Env is that of the earliest. args is the command line that
// the result is to have.
func (defs *Definitions) Merge(results []*Result, args []string) (*Result, error) {
	names, values := Settings(results)
	for i, name := range names {
		if v := values[i]; name != "seed" && len(v) > 1 {
			return nil, fmt.Errorf("results of different measurements cannot be one: %s is %s", name, strings.Join(v, " and "))
		}
	}
	whole := *results[0]
	whole.Tool.Args, whole.Runs, whole.Assertions = args, Pool(results), nil
	for i, r := range results {
		switch a, b := whole.Tool, r.Tool; {
		case a.Version != b.Version || a.Commit != b.Commit || a.Dirty != b.Dirty:
			return nil, fmt.Errorf("results of different builds cannot be one: %s and %s", a.build(), b.build())
		case slices.ContainsFunc(results[:i], r.again):
			return nil, fmt.Errorf("a result is there twice: its runs, from seed %d on, count once", r.Runs[0].Seed)
		}
		if r.Env.Time.Before(whole.Env.Time) {
			whole.Env = r.Env
		}
		whole.Interrupted = whole.Interrupted || r.Interrupted
		for _, said := range r.Assertions {
			if slices.ContainsFunc(whole.Assertions, func(a Assertion) bool { return a.Text == said.Text }) {
				continue
			}
			a, err := defs.ParseAssertion(said.Text)
			if err != nil {
				return nil, err
			}
			whole.Assertions = append(whole.Assertions, a.evaluate(whole.Runs))
		}
	}
	whole.Config.Repeat = len(whole.Runs)
	whole.Summary = defs.Summarize(whole.Runs)
	return &whole, nil
}

// build names what measured.
func (t Tool) build() string {
	text := fmt.Sprintf("version %q, commit %q", t.Version, t.Commit)
	if t.Dirty {
		text += " with uncommitted changes"
	}
	return text
}

// again reports that two results have a run in common. Of simulated ones those
// with the same seed are the same; what was measured never comes out alike twice.
func (r *Result) again(other *Result) bool {
	return slices.ContainsFunc(r.Runs, func(a Run) bool {
		return slices.ContainsFunc(other.Runs, func(b Run) bool {
			return a.Seed == b.Seed && (r.Env.Simulated || reflect.DeepEqual(a, b))
		})
	})
}
