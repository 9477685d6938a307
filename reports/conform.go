package reports

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"p2plocal/bench/result"
	"p2plocal/fuzz/conform"
)

// Conformance is what meshcheck has found, of one target or several.
type Conformance struct {
	Schema  int              `json:"schema"` // 1
	Tool    result.Tool      `json:"tool"`
	Targets []conform.Report `json:"targets"`
}

// JSON writes the whole document.
func (c *Conformance) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(c)
}

// tallied is a report's headline.
func tallied(r conform.Report) phrase {
	n := len(r.Results)
	pass := r.Count(conform.Pass)
	p := phrase{}.add("%s: %d of %d cases pass", clean(r.Name), pass, n-r.Count(conform.Seen))
	if n == r.Count(conform.Seen) {
		p = phrase{}.add("%s: %d cases", clean(r.Name), n)
	}
	for _, x := range []struct {
		n    int
		what string
		bad  bool
	}{
		{r.Count(conform.Fail), "fail", true},
		{r.Count(conform.Broken), "broke the target", true},
		{r.Count(conform.Seen), "inform", false},
		{r.Count(conform.Void), "void", true},
		{r.Count(conform.NotRun), "were not run", true},
	} {
		if x.n > 0 {
			p = append(p, part{fmt.Sprintf("%d %s", x.n, x.what), x.bad})
		}
	}
	return p
}

// section is where in the protocol's description a rule stands.
func ruleOf(r conform.Result) string { return fmt.Sprintf("PROTOCOL.md, %q", r.Section) }

// aim is what was tested, and how.
func aim(r conform.Report) phrase {
	return phrase{}.add("%s", clean(r.Target)).add("%s", clean(r.Mode))
}

// course is when it was tested, and how well the machine kept up.
func course(r conform.Report) phrase {
	return phrase{}.add("%s", r.Started.UTC().Format("2006-01-02 15:04:05 UTC")).add("%.1f s", r.Took.Seconds()).
		add("the machine was at most %s late", measure(r.Late.Seconds(), "s"))
}

// ended says why there is no more.
func ended(r conform.Report) string {
	switch {
	case r.Gone != "":
		return "the target cannot be reached: " + clean(r.Gone)
	case r.Interrupted:
		return "interrupted"
	}
	return ""
}

// account is a failure or a breakage in lines: a label, and what belongs to it.
func account(r conform.Result) (lines []labelled) {
	add := func(label, text string) { lines = append(lines, labelled{label, text}) }
	if r.Outcome == conform.Broken {
		add("broken", clean(r.Detail))
	}
	f := r.Failure
	if f == nil {
		return lines
	}
	if r.Outcome != conform.Broken {
		add("expected", clean(f.Expected))
		add("came", clean(f.Got))
	}
	dump := func(label string, events []conform.Event) {
		for i := 0; i < len(events); label = "" {
			e := events[i]
			add(label, fmt.Sprintf("%s  %s -> %s", at(e.At), clean(e.From), clean(e.To)))
			for _, l := range conform.Annotate(e.Datagram) {
				add("", "  "+clean(l))
			}
			var again []string
			for i++; i < len(events) && e.From == events[i].From && e.To == events[i].To && bytes.Equal(e.Datagram, events[i].Datagram); i++ {
				again = append(again, at(events[i].At))
			}
			if len(again) > 0 {
				add("", "the same at "+strings.Join(again, ", "))
			}
		}
	}
	dump("sent", f.Sent)
	dump("received", f.Came)
	for i, l := range strings.Split(f.Output, "\n") {
		if f.Output != "" {
			add([]string{"printed", ""}[min(i, 1)], clean(l))
		}
	}
	switch {
	case r.Attempts > 1:
		add("machine", fmt.Sprintf("up to %s late; tried %d times", measure(r.Late.Seconds(), "s"), r.Attempts))
	case r.Outcome == conform.Fail:
		add("machine", fmt.Sprintf("up to %s late", measure(r.Late.Seconds(), "s")))
	}
	return lines
}

type labelled struct{ Label, Text string }

// at is a time after a case's begin.
func at(d time.Duration) string { return fmt.Sprintf("%.3f s", d.Seconds()) }

// groupRow is what a table says of a group of cases.
type groupRow struct {
	Name   string
	Counts map[conform.Outcome]int
	Cases  int
	Took   time.Duration // the longest
}

func groupsOf(r conform.Report) (rows []groupRow) {
	for _, x := range r.Results {
		if len(rows) == 0 || rows[len(rows)-1].Name != x.Group() {
			rows = append(rows, groupRow{Name: x.Group(), Counts: map[conform.Outcome]int{}})
		}
		g := &rows[len(rows)-1]
		g.Counts[x.Outcome]++
		g.Cases++
		g.Took = max(g.Took, x.Took)
	}
	return rows
}

// A line of the matrix is one case and what became of it at each target.
type matrixRow struct {
	conform.Result
	Cells []conform.Outcome // "": the case is not for that target's role
}

func (c *Conformance) matrix() (rows []matrixRow) {
	index := map[string]int{}
	for i, t := range c.Targets {
		for _, x := range t.Results {
			at, ok := index[x.ID]
			if !ok {
				at = len(rows)
				index[x.ID] = at
				rows = append(rows, matrixRow{x, make([]conform.Outcome, len(c.Targets))})
			}
			rows[at].Cells[i] = x.Outcome
		}
	}
	return rows
}
