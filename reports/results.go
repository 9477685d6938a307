package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"p2plocal/bench/mlrsearch"
	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/core"
	"p2plocal/fuzz/figure"
)

// Results makes the document of a result: the editor's choice of what to say of it.
// Everything measured is in the document that it is made from.
func Results(r *result.Result) *Document {
	d := &Document{Tool: result.ToolName, source: r.Write, drawn: func() *drawn { return newDrawn(r) }}
	h := head{Text: headline(r), Origin: []fact{{"machine", machine(r)}, {"seed", origin(r)}}}
	for _, a := range r.Assertions {
		unit, text := "1", a.Text
		if def, field, ok := scenario.Definitions.Define(strings.TrimRight(text[:max(0, strings.IndexAny(text, "<>=!"))], " ")); ok && field != "n" {
			unit = def.Unit
		}
		h.Verdicts = append(h.Verdicts, verdict{text, optional(a.Actual, unit), a.OK})
	}
	d.Heads = []head{h}
	for _, s := range scenario.FiguresOf(r) {
		d.Sections = append(append(d.Sections, newSection(r, s)), overHosts(s)...)
		for _, name := range scenario.Definitions.Names(s.Scenario) {
			d.explain(name)
		}
	}
	return d
}

// about says in a few words what a scenario did.
func about(r *result.Result, s *scenario.Figures) string {
	peers := plural(uint64(max(0, s.Peers)), "peer")
	if what := s.Of().About; what != nil {
		return peers + what(&r.Config.Options)
	}
	return peers
}

// statistics are the columns of a table of distributions, most wanted first.
var statistics = []string{"p50", "p99", "max", "p90", "p99.9", "min", "n", "p99.99"}

func newSection(r *result.Result, s *scenario.Figures) section {
	sec := section{Name: s.Name, About: about(r, s), Charts: timesOf(s), drawn: true}
	switch {
	case s.Repeated():
		sec.Table = overRuns(s).filled()
		sec.About += fmt.Sprintf("; counts add up all %d runs", len(s.All))
	case len(s.Charts.Trials) > 0:
		sec.Table = trials(s.Charts.Trials)
	default:
		sec.Table = distributions(s).filled()
	}
	sec.Facts = append(sec.Facts, facts(s)...)
	seen := make(map[string]bool)
	if count(s.All, func(x result.Scenario) bool { return x.Interrupted }) > 0 {
		sec.Facts = append(sec.Facts, note("interrupted: the figures cover what there was until then", true))
	}
	for i, x := range s.All {
		for _, n := range x.Notes {
			text := n.Text
			if seen[text] {
				continue
			}
			seen[text] = true
			switch in := count(s.All, func(x result.Scenario) bool { return slices.Contains(x.Notes, n) }); {
			case in > 1:
				text = fmt.Sprintf("%d of %d runs: %s", in, len(s.All), text)
			case s.Repeated():
				text = fmt.Sprintf("run %d: %s", i+1, text)
			}
			sec.Facts = append(sec.Facts, note(text, n.Bad))
		}
	}
	return sec
}

// statistical is a table whose columns have a rank by what is most wanted.
func statistical(names ...string) *table {
	t := &table{Corner: "metric", Columns: columns(names...)}
	for i, name := range names {
		if t.Columns[i].Rank = slices.Index(statistics, name); t.Columns[i].Rank < 0 {
			t.Columns[i].Rank = len(statistics) + i
		}
	}
	return t
}

// explain adds the definition of a metric, once.
func (d *Document) explain(metric string) {
	def, _, ok := scenario.Definitions.Define(metric)
	if ok && !slices.ContainsFunc(d.Terms, func(have fact) bool { return have.Label == metric }) {
		d.Terms = append(d.Terms, fact{metric, words(def.Text)})
	}
}

// label is a metric's name as people write it.
func label(name string) string {
	return strings.NewReplacer("_", " ", ".", ", ").Replace(name)
}

// flatLabel is the label of a figure, or of a part of a distribution.
func flatLabel(flat string) string {
	name, part, _ := strings.Cut(flat, ".")
	for _, field := range result.Fields {
		if base, ok := strings.CutSuffix(flat, "."+field); ok {
			name, part = base, field
		}
	}
	if part == "" {
		return label(name)
	}
	return label(name) + " " + part
}

// distributions makes one row for each distribution of the only run.
func distributions(s *scenario.Figures) *table {
	t := statistical("n", "min", "p50", "p90", "p99", "p99.9", "p99.99", "max", "±")
	t.Columns[8].Rank = 0
	for _, name := range scenario.Definitions.Names(s.Scenario) {
		m := s.Metrics[name]
		if m.Dist == nil || m.Dist.N == 0 {
			continue
		}
		x := row{Name: label(strings.TrimPrefix(name, s.Name+"."))}
		for _, c := range t.Columns[:8] {
			unit, bound := m.Unit, m.Bound
			if c.Name == "n" {
				unit, bound = "1", 0
			}
			x.Cells = append(x.Cells, mark(optional(m.Dist.Field(c.Name), unit), m.Dist.Field(c.Name), bound))
		}
		x.Cells = append(x.Cells, clocks(m.Bound))
		t.Rows = append(t.Rows, x)
	}
	return t
}

func overRuns(s *scenario.Figures) *table {
	t := statistical("median", "95 % from", "to", "min", "max", "runs", "more needed", "±")
	t.Columns[7].Rank = 0
	for _, flat := range s.Of().Summary {
		m, ok := s.Summary(flat)
		if !ok {
			continue
		}
		x := row{Name: flatLabel(flat), Cells: []quantity{
			certain(m.Median, m.Unit, s.Bound(flat)), optional(m.Low, m.Unit), optional(m.High, m.Unit),
			certain(m.Min, m.Unit, s.Bound(flat)), certain(m.Max, m.Unit, s.Bound(flat)), whole(m.N), none, clocks(s.Bound(flat)),
		}}
		if m.More > 0 {
			x.Cells[6] = whole(m.More)
		}
		t.Rows = append(t.Rows, x)
	}
	return t
}

// trials shows a search's loads in ascending order.
func trials(all []mlrsearch.Trial) *table {
	t := statistical("offered", "loss", "p50", "p99", "for")
	t.Corner = "trials"
	all = slices.SortedStableFunc(slices.Values(all), func(a, b mlrsearch.Trial) int { return cmp.Compare(a.Offered, b.Offered) })
	for _, x := range all {
		name, _, _ := strings.Cut(x.Cause, ":")
		if x.Loss == 0 {
			name = "carried"
		}
		t.Rows = append(t.Rows, row{Name: cmp.Or(name, "lost some"), Cells: []quantity{
			measure(x.Offered, "messages/s"), measure(x.Loss, "ratio"), measure(x.P50, "s"), measure(x.P99, "s"), measure(x.Seconds, "s")}})
	}
	return t
}

// facts are the lines below a scenario's table.
func facts(s *scenario.Figures) []fact {
	var out []fact
	say := func(label string, p phrase) {
		if len(p) > 0 {
			out = append(out, fact{label, p})
		}
	}
	say("figures", own(s))
	if s.Has("sent") {
		lossy := s.Of().Lossy
		var p phrase
		for _, x := range []struct {
			what string
			bad  bool
		}{{"sent", false}, {"delivered", false}, {"lost", !lossy}, {"duplicated", !lossy}, {"reordered", !lossy}, {"late", true}, {"missed", true}} {
			if n, ok := s.Total(x.what); ok {
				p = p.addIf(x.bad && n != 0, "%s %s", figure.Grouped(n), x.what)
			}
		}
		if v := s.Value("loss"); v != nil && *v > 0 {
			p = p.add("loss %v", percent(*v))
		}
		if v := s.Value("rate"); v != nil {
			p = p.add("%v", measure(*v, "messages/s"))
		}
		say("messages", p)
	}
	say("datagrams", traffic(s))
	say("accounted", accounts(s))
	p, host := removals(s), "their server"
	if s.Options.Driver != nil {
		host = "the driver"
		if v := s.Value("bytes"); v != nil {
			p = p.add("sent %v", measure(*v, "bytes"))
		}
	}
	for _, x := range [][3]string{{"cpu", "cores", "CPU %v"}, {"memory", "bytes", "memory %v"}, {"memory_before", "bytes", "%v before"}, {"harness_cpu", "cores", "of which to measure %v"}, {"server_cpu", "cores", host + " %v"}, {"server_memory", "bytes", "its memory %v"}} {
		if v := s.Value(x[0]); v != nil {
			p = p.add(x[2], measure(*v, x[1]))
		}
	}
	say("mesh", p)
	return out
}

// own are the scenario's own figures that no table has.
func own(f *scenario.Figures) (p phrase) {
	for _, m := range f.Of().Metrics {
		names := []string{m.Name}
		switch {
		case f.Repeated() && slices.Contains(f.Of().Summary, m.Name):
			continue // the table has its median
		case m.Dist && len(f.Charts.Trials) > 0: // which the table has
			names = []string{m.Name + ".p50", m.Name + ".p99"}
		case m.Dist:
			continue
		}
		for _, name := range names {
			if v := f.Value(name); v != nil {
				p = p.add("%s %v%s", flatLabel(name), certain(*v, m.Unit, f.Bound(name)), within(f.Bound(name)))
			} else if n, _ := f.Never(name); n > 0 && !m.Dist {
				p = p.add("%s never", flatLabel(name))
			}
		}
	}
	return p
}

// removals are the false positives, beside how many are expected where that is known.
func removals(s *scenario.Figures) phrase {
	n, ok := s.Total("false_positives")
	if !ok {
		return nil
	}
	if expected, ok := s.Total("removed_expected"); ok {
		removed, _ := s.Total("removed") // the server's own account
		most, _ := s.Total("removed_high")
		return phrase{}.addIf(removed > most, "%s (the losses make %v)", falsePositives(removed), digits(expected))
	}
	if len(s.Charts.Trials) > 0 && n > 0 {
		return phrase{}.add("%s in trials beyond what it can carry", falsePositives(n))
	}
	return phrase{}.addIf(n != 0, "%s", falsePositives(n))
}

// falsePositives are live peers that were removed.
func falsePositives(n float64) string { return plural(uint64(n), "false positive") }

// traffic says what was sent, by type.
func traffic(s *scenario.Figures) (p phrase) {
	var all core.ByType
	for _, x := range s.All {
		if x.Traffic != nil {
			all = all.Plus(x.Traffic.Server).Plus(x.Traffic.Peers)
			p = phrase{} // somebody counted
		}
	}
	if p == nil {
		return nil
	}
	p = p.add("%s (%v)", figure.Grouped(all.Total().Datagrams), measure(float64(all.Total().Bytes), "bytes"))
	return p.counts([]counted{{all.Birth.Datagrams, "birth", false}, {all.Directory.Datagrams, "directory", false}, {all.Vanilla.Datagrams, "vanilla", false},
		{all.KeepAlive.Datagrams, "keep-alive", false}, {all.Retry.Datagrams, "retry", false}, {all.Other.Datagrams, "of no known type", true}})
}

// counted is so many of something.
type counted struct {
	n    uint64
	what string
	bad  bool
}

// counts adds those that are not 0.
func (p phrase) counts(all []counted) phrase {
	for _, x := range all {
		if x.n > 0 {
			p = p.addIf(x.bad, "%s %s", figure.Grouped(x.n), x.what)
		}
	}
	return p
}

// accounts say what became of every datagram; fates that nothing met are left out.
func accounts(s *scenario.Figures) (p phrase) {
	var a result.Accounts
	for _, x := range s.All {
		if x.Accounts != nil {
			a, p = a.Plus(*x.Accounts), phrase{}
		}
	}
	if p == nil {
		return nil
	}
	kernel, present := "lost in full buffers", s.Of()
	if present.Filtered {
		kernel = "dropped by the kernel"
	}
	p = p.add("%s sent", figure.Grouped(a.Sent)).counts([]counted{{a.Duplicated, "duplicated on purpose", false}}).add("%s taken", figure.Grouped(a.Taken))
	p = p.counts([]counted{{a.Dropped, "refused by the protocol", false}, {a.Injected, "lost on purpose", false}, {a.Dead, "for killed peers", false},
		{a.Queued, "in flight", false}, {a.Kernel, kernel, !present.Overruns}, {a.Unsent, "unsent", true}})
	return p.addIf(a.Unexplained != 0, "%s unexplained", figure.Grouped(a.Unexplained))
}

// machine is where it was measured, and what a bare round trip took there.
func machine(r *result.Result) (p phrase) {
	e := r.Env
	if e.Simulated {
		if p = p.add("simulated"); r.Config.Simulation != nil {
			p = p.add("%s", r.Config.Simulation)
		}
		return p
	}
	p = p.add("%s", e.CPU).add("%s", plural(uint64(max(0, e.Cores)), "core")).add("%s %s", strings.TrimSpace(e.OS+" "+e.Kernel), e.Arch).add("%s", e.Go)
	p = p.addIf(e.Cores > 0 && e.Load[0] > 0.5*float64(e.Cores), "load %s", fixed(e.Load[0], 2))
	if len(r.Runs) > 0 {
		if d := r.Runs[0].Baseline.RoundTrip.Dist; d != nil && d.P50 != nil {
			p = p.add("bare round trip %v", measure(*d.P50, "s"))
		}
	}
	return p
}

// origin is what it takes to do it again.
func origin(r *result.Result) phrase {
	p := phrase{}.add("%d", r.Config.Seed).add("%s", build(r.Tool))
	if !r.Env.Simulated {
		p = p.add("%s", r.Env.Time.UTC().Format(time.DateTime+" UTC"))
	}
	return p.add("%s", shellWords(r.Tool.Args))
}

// build is what program a result was made by.
func build(t result.Tool) string {
	commit := "commit unknown" // go run, or -buildvcs=false
	if t.Commit != "" {
		commit = fmt.Sprintf("%.12s", t.Commit)
	}
	if t.Dirty {
		commit += ", changed"
	}
	return fmt.Sprintf("%s (%s)", strings.TrimSpace(t.Name+" "+t.Version), commit)
}
