package scenario

import (
	"slices"

	"p2plocal/bench/result"
)

// Figures are what one scenario measured, over all runs of a result.
type Figures struct {
	result.Scenario // of the first run that has it
	All             []result.Scenario
	Options         result.Options
	summary         map[string]result.Summary
}

// FiguresOf collects the scenarios of all runs by name, in the order of the first
// appearance.
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

// Repeated reports that several runs have it.
func (f *Figures) Repeated() bool { return len(f.All) > 1 }

// Value is a figure of the only run, or the median over all; nil: not measured.
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

// Summary is a figure over several runs.
func (f *Figures) Summary(name string) (s result.Summary, ok bool) {
	s, ok = f.summary[f.Name+"."+name]
	return s, ok && s.N > 0
}

// Has reports that some run measured, or tried to measure, a metric.
func (f *Figures) Has(name string) bool {
	return slices.ContainsFunc(f.All, func(x result.Scenario) bool { _, ok := x.Metrics[f.Name+"."+name]; return ok })
}

// unit is a metric's, which may be a distribution's part.
func (f *Figures) unit(name string) string {
	for _, x := range f.All {
		if m, ok := x.Metrics[f.Name+"."+name]; ok {
			return m.Unit
		}
	}
	return "1"
}

// Never reports that some run that came to its end waited for a figure in vain.
func (f *Figures) Never(name string) bool {
	return slices.ContainsFunc(f.All, func(x result.Scenario) bool {
		m, ok := x.Metrics[f.Name+"."+name]
		return ok && x.Complete() && m.Value == nil && m.Dist == nil
	})
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

// A Phrase is text in clauses, so that bad news can stand out. How its
// quantities look is up to who prints it.
type Phrase []Clause

// Clause is a format and what goes into it: also Quantity, Count and
// time.Duration.
type Clause struct {
	Bad    bool
	Format string
	Args   []any
}

// Quantity is a figure in one of the units of a metric.
type Quantity struct {
	Value float64
	Unit  string
}

// Count is a number of something, in full.
type Count float64

// Fact is a labelled line.
type Fact struct {
	Label string
	Text  Phrase
}

// Add adds a clause.
func (p Phrase) Add(format string, args ...any) Phrase { return p.AddIf(false, format, args...) }

// AddIf adds a clause that may be bad news.
func (p Phrase) AddIf(bad bool, format string, args ...any) Phrase {
	return append(p, Clause{bad, format, args})
}

// reached says in a format with one verb what a figure was, or never what to
// say, as bad news, where it was waited for in vain.
func (f *Figures) reached(metric, format, never string) Phrase {
	if v := f.Value(metric); v != nil {
		return Phrase{}.Add(format, Quantity{*v, f.unit(metric)})
	}
	if never != "" && f.Never(metric) {
		return Phrase{}.AddIf(true, "%s", never)
	}
	return nil
}

// when is a time and what was so then; of several runs it stands in the table.
func (f *Figures) when(metric, then string) Phrase {
	if f.Repeated() && f.Value(metric) != nil {
		return nil
	}
	return f.reached(metric, "%v "+then, "never")
}

// Counted adds a count over all runs to a phrase, if there is one.
func (f *Figures) Counted(p Phrase, metric, text string, bad bool) Phrase {
	if n, ok := f.Total(metric); ok {
		return p.AddIf(bad && n != 0, "%v "+text, Count(n))
	}
	return p
}

// say is a clause by itself.
func say(format string, args ...any) Clause { return Clause{Format: format, Args: args} }
