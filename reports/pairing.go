package reports

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"p2plocal/bench"
	"p2plocal/bench/stat"
)

// Pairing writes what compare-servers has measured in one of Formats. With all,
// text and Markdown have every metric, otherwise those that stand for a
// scenario and those that differ; the other forms have all.
func Pairing(w io.Writer, format string, p *stat.Pairing, all bool, o TextOptions) error {
	named := make([]Named, len(p.Results))
	for i, r := range p.Results {
		named[i] = Named{Name: fmt.Sprintf("%c: %s", 'A'+i, p.Servers[i]), Result: r}
	}
	switch format {
	case "txt":
		return pairText(w, p, all, o)
	case "md":
		return pairMarkdown(w, p, all)
	case "csv":
		return pairCSV(w, p)
	case "json":
		return p.Write(w)
	case "html":
		return writeHTML(w, named, p)
	}
	return fmt.Errorf("%w: %q, want one of %s", ErrFormat, format, strings.Join(Formats, ", "))
}

// A pairTable is a pairing as people read it.
type pairTable struct {
	About    string
	Header   []string
	Rows     [][]string
	Warnings []string
	verdicts []verdict
}

// Verdicts are the assertions on the ratios, for the page.
func (t *pairTable) Verdicts() []judged { return judge(t.verdicts) }

func newPairTable(p *stat.Pairing, all bool) *pairTable {
	t := &pairTable{Header: []string{"metric", "A", "B", "B/A", "95 %", ""}}
	side := func(metric string, v *float64, unit string) string {
		if _, field, _ := bench.Metrics.Define(metric); v == nil && field == "" {
			return "never"
		}
		return optional(v, unit).String()
	}
	intervals := 0
	for _, r := range p.Ratios {
		ratio, interval := missing, missing
		if len(r.Pairs) > 0 {
			ratio = fmt.Sprintf("%.3g", r.Median)
		}
		switch {
		case r.Low != nil && r.High != nil:
			interval = fmt.Sprintf("%.3g–%.3g", *r.Low, *r.High)
			intervals++
		case r.More > 0 && len(r.Pairs) > 0:
			interval = plural(uint64(r.More), "more pair")
		}
		scenario, flat, _ := strings.Cut(r.Metric, ".")
		chosen := slices.Contains(bench.Scenarios, scenario) && (slices.Contains(summarised, flat) || slices.Contains(ofServers, flat))
		if all || chosen || r.Verdict != stat.Same {
			t.Rows = append(t.Rows, []string{clean(r.Metric), side(r.Metric, r.A, r.Unit), side(r.Metric, r.B, r.Unit), ratio, interval, string(r.Verdict)})
		}
	}
	runs := "no complete pair"
	if p.Pairs > 0 {
		runs = fmt.Sprintf("%s, run A B B A with the same seed for both of a pair: medians, and the median of the ratios pair by pair with its 95 %% interval", plural(uint64(p.Pairs), "pair"))
	}
	t.About = runs
	if intervals > 0 {
		t.About += fmt.Sprintf("; where that leaves out 1, B is said to be better or worse: of %d intervals, some %.0f would by chance",
			intervals, float64(intervals)/20)
	}
	if t.Warnings = pairWarnings(p); (p.Servers[0] == bench.Ours) != (p.Servers[1] == bench.Ours) {
		t.Warnings = append(t.Warnings, "our own server is a goroutine of the benchmark, the other a process of its own: for a comparison of equals give ours as a command, too, such as 'p2p -quiet -listen {addr}'")
	}
	for _, a := range p.Assertions {
		t.verdicts = append(t.verdicts, verdict{a.Text, optional(a.Actual, "1"), a.OK})
	}
	return t
}

// ofServers are the metrics that a comparison of servers shows beside summarised.
var ofServers = []string{"loss", "lost", "false_culls", "kernel_drops", "datagrams", "join_datagrams", "server_cpu", "server_memory"}

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
			w += fmt.Sprintf(" (%d times)", n)
		}
		warnings[i] = clean(w)
	}
	return warnings
}

func pairText(w io.Writer, x *stat.Pairing, all bool, o TextOptions) error {
	p, t := newPage(o), newPairTable(x, all)
	p.wrapped("", phrase{}.add("A is %q,", x.Servers[0]).add("B is %q", x.Servers[1]), " ", bold)
	p.wrapped("", phrase{}.add("%s", t.About), "", faint)
	if len(t.Rows) > 0 {
		p.line("")
		p.grid(t.Header, t.Rows)
	}
	for i, warning := range t.Warnings {
		if i == 0 {
			p.line("")
		}
		p.wrapped("", phrase{}.addIf(true, "%s", warning), "", "")
	}
	p.verdicts(t.verdicts)
	p.line("")
	r := x.Results[0]
	p.wrapped(p.label("machine", len("machine")), machine(r), ", ", faint)
	p.wrapped(p.label("seed", len("machine")), origin(r), ", ", faint)
	return p.flush(w)
}

func pairMarkdown(w io.Writer, p *stat.Pairing, all bool) error {
	t := newPairTable(p, all)
	var b strings.Builder
	fmt.Fprintf(&b, "**A is %s, B is %s**\n\n%s\n", escape(clean(p.Servers[0])), escape(clean(p.Servers[1])), escape(t.About))
	if len(t.Rows) > 0 {
		if err := pipes(&b, t.Header, t.Rows); err != nil {
			return err
		}
	}
	for _, warning := range t.Warnings {
		fmt.Fprintf(&b, "\n- ⚠️ %s", escape(warning))
	}
	if len(t.Warnings) > 0 {
		b.WriteString("\n")
	}
	if err := markdownVerdicts(&b, t.verdicts); err != nil {
		return err
	}
	r := p.Results[0]
	fmt.Fprintf(&b, "\n<sub>machine: %s<br>seed: %s</sub>\n", escaped(machine(r), ", "), escaped(origin(r), ", "))
	_, err := io.WriteString(w, strings.ReplaceAll(b.String(), glue, " "))
	return err
}

// pairCSV writes one row for each metric (RFC 4180), its ratios in one cell.
func pairCSV(w io.Writer, p *stat.Pairing) error {
	c := csv.NewWriter(w)
	c.UseCRLF = true
	c.Write([]string{"metric", "unit", "a", "b", "ratio", "low", "high", "verdict", "pairs", "skipped"})
	number := func(v *float64) string {
		if v == nil {
			return ""
		}
		return strconv.FormatFloat(*v, 'g', -1, 64)
	}
	for _, r := range p.Ratios {
		var ratio *float64
		if len(r.Pairs) > 0 {
			ratio = &r.Median
		}
		all := make([]string, len(r.Pairs))
		for i, v := range r.Pairs {
			all[i] = number(&v)
		}
		c.Write([]string{cell(r.Metric), cell(r.Unit), number(r.A), number(r.B), number(ratio), number(r.Low), number(r.High),
			string(r.Verdict), strings.Join(all, " "), strconv.Itoa(r.Skipped)})
	}
	c.Flush()
	return c.Error()
}
