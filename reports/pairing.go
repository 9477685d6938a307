package reports

import (
	"fmt"
	"slices"
	"strings"

	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/bench/stat"
)

// Pairing makes the document of what compare-servers has measured. The metrics
// that stand for no scenario and do not differ are minor, and in full there are
// both sides' results, too.
func Pairing(p *stat.Pairing) *Document {
	s := section{Head: -1, Name: "pairs", Table: &table{Corner: "metric", Columns: columns("A", "B", "B/A", "95 %", "")}}
	intervals, better, worse := 0, 0., 0.
	for _, r := range p.Ratios {
		x := row{Name: r.Metric, Minor: !chosen(r.Metric, ofServers...) && r.Verdict == stat.Same}
		for _, v := range []*float64{r.A, r.B} {
			q := optional(v, r.Unit)
			if _, field, _ := scenario.Definitions.Define(r.Metric); v == nil && field == "" {
				q = word("never", bad)
			}
			x.Cells = append(x.Cells, q)
		}
		ratio, interval := none, none
		if len(r.Pairs) > 0 {
			ratio = factor(r.Median).split()
		}
		switch {
		case r.Low != nil && r.High != nil:
			interval = word(fmt.Sprintf("%v–%v", factor(*r.Low), factor(*r.High)), "")
			intervals++
		case r.More > 0 && len(r.Pairs) > 0:
			interval = word(plural(uint64(r.More), "more pair"), "")
		}
		switch r.Verdict {
		case stat.Better:
			better++
		case stat.Worse:
			worse++
		}
		x.Cells = append(x.Cells, ratio, interval, judged(r.Verdict))
		s.Table.Rows = append(s.Table.Rows, x)
	}
	s.About = "no complete pair"
	if p.Pairs > 0 {
		s.About = fmt.Sprintf("%s, run A B B A with the same seed for both of a pair: medians, and the median of the ratios pair by pair with its 95 %% interval", plural(uint64(p.Pairs), "pair"))
	}
	if intervals > 0 {
		s.About += fmt.Sprintf("; where that leaves out 1, B is said to be better or worse: of %s, some %.0f would by chance",
			plural(uint64(intervals), "interval"), float64(intervals)/20)
	}
	s.Facts = warnings(pairWarnings(p))
	cut := map[bool]string{true: "Interrupted: "}[p.Interrupted]
	h := head{Text: phrase{}.addIf(true, "%s", cut).add("A is %q, B is %q", p.Servers[0], p.Servers[1]), Origin: []fact{{"machine", machine(p.Results[0])}, {"seed", origin(p.Results[0])}}}
	h.Text = h.Text.add(": of %s, B is better in %s, ", plural(uint64(len(p.Ratios)), "metric"), orNone(better, "none")).addIf(worse > 0, "worse in %s", orNone(worse, "none"))
	for _, a := range p.Assertions {
		h.Verdicts = append(h.Verdicts, verdict{a.Text, optional(a.Actual, "1"), a.OK})
	}
	d := &Document{Tool: result.PairToolName, Title: "Two servers in turn", Heads: []head{h}, Sections: []section{s}, source: p.Write}
	both := []Named{{"A", p.Results[0]}, {"B", p.Results[1]}}
	for i, r := range both {
		d.include(i, r)
		d.Heads[1+i].Full, d.Heads[1+i].Origin = true, nil // it is the first one's
	}
	for i := range d.Sections {
		d.Sections[i].Full = i > 0
	}
	d.draw(both)
	return d
}

// chosen says of a flat metric that it stands for its scenario.
func chosen(metric string, among ...string) bool {
	name, flat, _ := strings.Cut(metric, ".")
	s := scenario.Find(name)
	return s != nil && (slices.Contains(s.Summary, flat) || slices.Contains(among, flat))
}

// factor is a ratio with three digits, also where the last of them is 0.
func factor(v float64) quantity {
	if v >= 0.1 && v < 0.9995 {
		return quantity{Whole: fixed(v, 3)}
	}
	return digits(v)
}

// ofServers are the metrics that a comparison of servers shows beside summarised.
var ofServers = []string{"loss", "lost", "false_positives", "kernel_drops", "datagrams", "join_datagrams", "server_cpu", "server_memory"}

// pairWarnings are what both sides' scenarios have to say against themselves,
// each once.
func pairWarnings(p *stat.Pairing) (warnings []string) {
	if p.Interrupted {
		warnings = append(warnings, "interrupted: the pair that was under way counts for nothing")
	}
	times := make(map[string]int)
	for side, r := range p.Results {
		for _, run := range r.Runs {
			for _, s := range run.Scenarios {
				for _, n := range s.Notes {
					if !n.Bad {
						continue
					}
					text := fmt.Sprintf("%c, %s: %s", 'A'+side, s.Name, n.Text)
					if times[text]++; times[text] == 1 {
						warnings = append(warnings, text)
					}
				}
			}
		}
	}
	for i, w := range warnings {
		if n := times[w]; n > 1 {
			warnings[i] += fmt.Sprintf(" (%d times)", n)
		}
	}
	if (p.Servers[0] == scenario.Ours) != (p.Servers[1] == scenario.Ours) {
		warnings = append(warnings, "our own server is a goroutine of the benchmark, the other a process of its own: for a comparison of equals give ours as a command, too, such as 'p2p -quiet -listen {addr}'")
	}
	return warnings
}
