package scenario

import (
	"cmp"
	"slices"
	"strings"

	"p2plocal/bench/result"
)

// Figures are what one scenario measured, over all runs of a result.
type Figures struct {
	result.Scenario // of the first run that has it
	All             []result.Scenario
	Options         result.Options
	summary         map[string]result.Summary
}

// FiguresOf collects the scenarios of all runs by name, in order of first appearance.
func FiguresOf(r *result.Result) (all []*Figures) {
	summary := make(map[string]result.Summary)
	for _, s := range r.Summary {
		summary[s.Metric] = s
	}
	for _, run := range r.Runs {
		for _, s := range run.Scenarios {
			i := slices.IndexFunc(all, func(f *Figures) bool { return f.Name == s.Name })
			if i < 0 {
				all = append(all, &Figures{Scenario: s, Options: r.Config.Options, summary: summary})
				i = len(all) - 1
			}
			all[i].All = append(all[i].All, s)
		}
	}
	return all
}

// Of is the scenario that was measured; of one that this program does not know, just the name.
func (f *Figures) Of() *Scenario {
	if s := Find(f.Name); s != nil {
		return s
	}
	return &Scenario{Name: f.Name}
}

// Repeated reports whether several runs have it.
func (f *Figures) Repeated() bool { return len(f.All) > 1 }

// Value is a figure of the only run, or the median over several; nil: not measured.
func (f *Figures) Value(name string) *float64 {
	flat := f.Name + "." + name
	if !f.Repeated() {
		return f.Flat()[flat].Value
	}
	if m, ok := f.summary[flat]; ok && m.N > 0 {
		return &m.Median
	}
	return nil
}

// Bound is the most that the clocks of hosts may add to a figure, or to one of a distribution; 0:
// nothing.
func (f *Figures) Bound(name string) (bound float64) {
	for _, x := range f.All {
		for _, flat := range []string{name, name[:max(0, strings.LastIndexByte(name, '.'))]} {
			bound = max(bound, x.Metrics[f.Name+"."+flat].Bound)
		}
	}
	return bound
}

// Summary is a figure over several runs.
func (f *Figures) Summary(name string) (s result.Summary, ok bool) {
	s, ok = f.summary[f.Name+"."+name]
	return s, ok && s.N > 0
}

// Has reports whether some run measured a metric, or tried to.
func (f *Figures) Has(name string) bool {
	return slices.ContainsFunc(f.All, func(x result.Scenario) bool { _, ok := x.Metrics[f.Name+"."+name]; return ok })
}

// Never is how many runs waited for a figure in vain, and its unit.
func (f *Figures) Never(name string) (runs int, unit string) {
	for _, x := range f.All {
		v, ok := x.Flat()[f.Name+"."+name]
		if unit = cmp.Or(unit, v.Unit); ok && v.Value == nil && x.Complete() {
			runs++
		}
	}
	return runs, unit
}

// Total is a count's sum over the runs.
func (f *Figures) Total(name string) (sum float64, ok bool) {
	for _, x := range f.All {
		if m, has := x.Metrics[f.Name+"."+name]; has && m.Value != nil {
			sum, ok = sum+*m.Value, true
		}
	}
	return sum, ok
}
