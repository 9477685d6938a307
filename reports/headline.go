package reports

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/fuzz/figure"
)

// Headline is the result in one sentence, as in its document.
func Headline(r *result.Result) string {
	var b strings.Builder
	for _, part := range headline(r) {
		b.WriteString(strings.ReplaceAll(clean(part.Text), glue, " "))
	}
	return b.String()
}

// headline is the result in one sentence: how many peers, how fast they knew
// each other, what was lost, how late it came, and what a crash took.
func headline(r *result.Result) (p phrase) {
	if r.Interrupted {
		p = p.addIf(true, "Interrupted: ")
	}
	if r.Touched() {
		p = p.addIf(true, "Touched by hand: ")
	}
	var clauses []phrase
	add := func(c phrase) {
		if len(c) > 0 {
			clauses = append(clauses, c)
		}
	}
	var removed, unexplained float64
	for _, s := range scenario.FiguresOf(r) {
		if n := count(s.All, func(x result.Scenario) bool { return x.Unmeasured != "" }); n > 0 {
			p = p.addIf(true, "%s not measured", s.Name)
			if len(s.All) > 1 {
				p[len(p)-1].Text += fmt.Sprintf(" in %d of %d runs", n, len(s.All))
			}
			p = p.add("; ")
		}
		if i := slices.IndexFunc(s.All, func(x result.Scenario) bool { return x.Failed != "" }); i >= 0 {
			what, _, _ := strings.Cut(s.All[i].Failed, ": ")
			add(phrase{}.addIf(true, "%s in %s", what, s.Name))
		}
		if n, _ := s.Total("false_positives"); len(s.Charts.Trials) == 0 { // a search overloads the mesh on purpose
			removed += n
		}
		n, _ := s.Total("unexplained")
		unexplained += math.Abs(n)
		add(lostMessages(s))
		for _, c := range reached(s) {
			add(c)
		}
	}
	if n := count(r.Assertions, func(a result.Assertion) bool { return !a.OK }); n > 0 {
		first := r.Assertions[slices.IndexFunc(r.Assertions, func(a result.Assertion) bool { return !a.OK })].Text
		if p = p.addIf(true, "%s does not hold", first); n > 1 {
			p[len(p)-1].Text += fmt.Sprintf(", nor %s", plural(uint64(n-1), "other assertion"))
		}
		p = p.add("; ")
	}
	if removed > 0 {
		add(phrase{}.addIf(true, "%s", falsePositives(removed)))
	}
	if unexplained > 0 {
		add(phrase{}.addIf(true, "%s unexplained", plural(uint64(unexplained), "datagram")))
	}
	what, separator := "peer", " "
	if r.Env.Simulated {
		what = "simulated peer"
	}
	p = p.add("%s", plural(uint64(max(0, r.Config.Peers)), what))
	if d := r.Config.Options.Driver; d != nil {
		p = p.add(" of %s %s", d.Name, d.Version)
	}
	if n := len(r.Runs); n > 1 {
		p, separator = p.add(", %d runs", n), ", medians: "
	} else if len(clauses) > 0 && clauses[0][0].Bad { // perhaps of somebody else than the peers
		separator = ": "
	}
	for _, c := range clauses {
		p = append(p.add("%s", separator), c...)
		separator = ", "
	}
	return p.add(".")
}

// count is how many of all satisfy a condition.
func count[T any](all []T, so func(T) bool) (n int) {
	for _, x := range all {
		if so(x) {
			n++
		}
	}
	return n
}

// reached tells the figures that stand for a scenario, and as bad news which of them were waited
// for in vain.
func reached(f *scenario.Figures) (clauses []phrase) {
	for _, said := range f.Of().Headline {
		var p phrase
		never, unit := f.Never(said.Metric)
		v := f.Value(said.Metric)
		if v != nil {
			what := certain(*v, unit, f.Bound(said.Metric))
			if unit == "1" {
				what = times(*v)
			}
			p = p.add(said.Format, what)
		}
		switch {
		case said.Never == "" || never == 0:
		case v != nil:
			p = p.add(" (").addIf(true, "%s in %d of %d runs", said.Never, never, len(f.All)).add(")")
		default:
			p = p.addIf(true, "%s", said.Never)
		}
		clauses = append(clauses, p)
	}
	return clauses
}

// times is how often something happened. A median may lie between two counts.
func times(n float64) quantity {
	if n == 1 {
		return in("1", "time")
	}
	return in(measure(n, "1").Text, "times")
}

// lostMessages is what became of the window's messages, and how late the slowest were.
func lostMessages(f *scenario.Figures) (p phrase) {
	sent, ok := f.Total("sent")
	lost, _ := f.Total("lost")
	switch {
	case !ok:
		return nil
	case sent == 0:
		return p.add("sent no message in the window")
	case lost == 0:
		p = p.add("lost none of %s messages", figure.Grouped(sent))
	default:
		p = p.addIf(!f.Of().Lossy, "lost %s of %s messages", figure.Grouped(lost), figure.Grouped(sent))
	}
	if v := f.Value("latency_due.p99"); v != nil {
		p = p.add(" (p99 %v from due time)", certain(*v, "s", f.Bound("latency_due")))
	}
	return p
}
