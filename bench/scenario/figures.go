package scenario

import (
	"cmp"
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

// never is how many runs waited for a figure to their end, in vain, and its unit.
func (f *Figures) never(name string) (runs int, unit string) {
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

// reached says in a format with one verb what a figure was, and never, as bad news,
// where it was waited for in vain; "": that is none.
func (f *Figures) reached(metric, format, never string) (p Phrase) {
	runs, unit := f.never(metric)
	v := f.Value(metric)
	if v != nil {
		p = p.Add(format, Quantity{*v, unit})
	}
	switch {
	case never == "" || runs == 0:
	case v != nil:
		p = p.Add(" (").AddIf(true, "%s in %d of %d runs", never, runs, len(f.All)).Add(")")
	default:
		p = p.AddIf(true, "%s", never)
	}
	return p
}

// lostMessages is what became of the messages of the window, and how late the slowest
// were; bad: a loss is bad news.
func (f *Figures) lostMessages(bad bool) (p Phrase) {
	sent, ok := f.Total("sent")
	lost, _ := f.Total("lost")
	switch {
	case !ok:
		return nil
	case sent == 0:
		return p.Add("sent no message in the window")
	case lost == 0:
		p = p.Add("lost none of %s messages", Count(sent))
	default:
		p = p.AddIf(bad, "lost %s of %s messages", Count(lost), Count(sent))
	}
	return append(p, f.reached("latency_due.p99", " (p99 %v from due time)", "")...)
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
