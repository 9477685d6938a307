package reports

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/jstemmer/go-junit-report/v2/junit"

	"p2plocal/bench/result"
	"p2plocal/fuzz/conform"
)

// Conformance is what meshcheck has found, of one target or several.
type Conformance struct {
	Schema  int              `json:"schema"` // 1
	Tool    result.Tool      `json:"tool"`
	Targets []conform.Report `json:"targets"`
}

// Document has, of one target, no table of all cases where it is to be short.
func (c *Conformance) Document() *Document {
	d := &Document{Tool: c.Tool.Name, Title: plural(uint64(len(c.Targets)), "target"), source: asJSON(c)}
	several := len(c.Targets) > 1
	cases := c.cases()
	cases.Full = !several
	d.Sections = append(d.Sections, cases)
	d.suites = func(add func(junit.Testsuite)) {
		for _, r := range c.Targets {
			add(suiteOf(r))
		}
	}
	kinds := kinds(c.Targets)
	for i, r := range c.Targets {
		label, of := "target", ""
		if several {
			label, of = r.Name, r.Name
		}
		origin := phrase{}.add("%s", r.Target).add("%s", r.Mode).add("%s", r.Started.UTC().Format(time.DateTime+" UTC")).
			add("%v", measure(r.Took.Seconds(), "s")).add("the machine was at most %v late", measure(r.Late.Seconds(), "s"))
		switch {
		case r.Gone != "":
			origin = origin.addIf(true, "the target cannot be reached: %s", r.Gone)
		case r.Interrupted:
			origin = origin.addIf(true, "interrupted")
		}
		text := tallied(r)
		if !several {
			text = append(words(r.Name+": "), text...)
		}
		d.Heads = append(d.Heads, head{Name: of, Color: i, Text: text, Origin: []fact{{label, origin}}})
		s := section{Name: "what is wrong", Head: i}
		for _, alike := range kinds {
			x := alike[0]
			if x.target != i {
				continue
			}
			a := account{ID: x.ID, Level: string(x.Level), Title: x.Title, Rule: ruleOf(x.Result), Outcome: outcome(x.Outcome), Lines: accountOf(x.Result, several)}
			if n := len(alike) - 1; n > 0 {
				var others []string
				for _, y := range alike[1:] {
					if y.target != i {
						y.ID += " of " + c.Targets[y.target].Name
					}
					others = append(others, y.ID)
				}
				a.Lines = append(a.Lines, labelled{"likewise", plural(uint64(n), "other case") + ": " + strings.Join(others, ", "), false})
			}
			s.Accounts = append(s.Accounts, a)
		}
		if len(s.Accounts) > 0 {
			d.Sections = append(d.Sections, s)
		}
	}
	list := func(o conform.Outcome, name, about string) {
		for i, r := range c.Targets {
			s := section{Name: name, About: about, Head: i}
			for _, x := range r.Results {
				if x.Outcome == o {
					s.Facts = append(s.Facts, fact{x.ID, phrase{}.add("%s: %s", x.Title, x.Detail)})
				}
			}
			if len(s.Facts) > 0 {
				d.Sections = append(d.Sections, s)
			}
		}
	}
	list(conform.Seen, "where implementations may differ", "")
	list(conform.Void, "void", "failed while this machine was too late to judge")
	return d
}

var number = regexp.MustCompile(`[0-9]+`)

// fault is a case that went wrong at a target.
type fault struct {
	target int
	conform.Result
}

// kinds groups the cases that went wrong at any target, those of one kind together.
func kinds(targets []conform.Report) (all [][]fault) {
	at := make(map[string]int)
	for target, r := range targets {
		for _, x := range r.Results {
			if !fails(x.Outcome) {
				continue
			}
			kind := kindOf(x)
			i, ok := at[kind]
			if !ok {
				i, all = len(all), append(all, nil)
				at[kind] = i
			}
			all[i] = append(all[i], fault{target, x})
		}
	}
	return all
}

// kindOf is equal for failures that expected and got the same, apart from numbers and names of
// peers.
func kindOf(x conform.Result) string {
	kind := fmt.Sprint(x.Outcome, x.Level, " ", x.Detail)
	if f := x.Failure; f != nil {
		kind += " " + f.Expected + " " + f.Got
	}
	words := strings.Fields(number.ReplaceAllString(kind, "0"))
	for i, w := range words {
		if name, _ := strings.CutSuffix(strings.TrimRight(w, ",;"), ":0"); len(name) == 1 {
			words[i] = "0"
		}
	}
	return strings.Join(words, " ")
}

func fails(o conform.Outcome) bool { return o == conform.Fail || o == conform.Broken }

// outcome is one in a table.
func outcome(o conform.Outcome) quantity {
	switch {
	case o == "":
		return none
	case fails(o):
		return word(strings.ToUpper(string(o)), bad)
	case o == conform.Pass:
		return word(string(o), good)
	}
	return word(string(o), soft)
}

// tallied is a report's headline.
func tallied(r conform.Report) phrase {
	n := len(r.Results)
	p := phrase{}.add("%d of %s passed", r.Count(conform.Pass), plural(uint64(n-r.Count(conform.Seen)), "case"))
	if n == r.Count(conform.Seen) {
		p = phrase{}.add("%s", plural(uint64(n), "case"))
	}
	what := map[conform.Outcome]string{conform.Fail: "failed", conform.Broken: "broke the target", conform.Seen: "info", conform.Void: "void", conform.NotRun: "not run"}
	for _, o := range conform.Outcomes {
		if n := r.Count(o); n > 0 && o != conform.Pass {
			p = p.add(", ").addIf(o != conform.Seen, "%d %s", n, what[o])
		}
	}
	return p
}

// ruleOf is where in the protocol's description a rule stands.
func ruleOf(r conform.Result) string {
	document, section, wide := strings.Cut(r.Section, ": ")
	if !wide {
		document, section = "PROTOCOL.md", r.Section
	}
	return fmt.Sprintf("%s, %q", document, section)
}

// accountOf describes a failure or a broken target. Where several targets are to be short, most
// lines are left out.
func accountOf(r conform.Result, several bool) (lines []labelled) {
	add := func(label, text string) { lines = append(lines, labelled{label, text, several}) }
	if r.Outcome == conform.Broken {
		lines = append(lines, labelled{"broken", r.Detail, false})
	}
	f := r.Failure
	if f == nil {
		return lines
	}
	if r.Outcome != conform.Broken {
		lines = append(lines, labelled{"expected", f.Expected, false}, labelled{"came", f.Got, false})
	}
	dump := func(label string, events []conform.Event) {
		for i := 0; i < len(events); label = "" {
			e := events[i]
			add(label, fmt.Sprintf("%s  %s -> %s", at(e.At), e.From, e.To))
			for _, l := range conform.Annotate(e.Datagram) {
				add("", "  "+l)
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
			add([]string{"printed", ""}[min(i, 1)], l)
		}
	}
	tries := ""
	if r.Attempts > 1 {
		tries = fmt.Sprintf("; tried %d times", r.Attempts)
	}
	if tries != "" || r.Outcome == conform.Fail {
		add("machine", fmt.Sprintf("up to %v late%s", measure(r.Late.Seconds(), "s"), tries))
	}
	return lines
}

// at is a time after a case's begin.
func at(d time.Duration) string { return fmt.Sprintf("%.3f s", d.Seconds()) }

// cases is the table of every case at every target.
func (c *Conformance) cases() section {
	t := &table{Corner: "case", Columns: []column{{Name: "level", Left: true, Rank: 1}}}
	for _, r := range c.Targets {
		name := "result"
		if len(c.Targets) > 1 {
			name = r.Name
		}
		t.Columns = append(t.Columns, column{Name: name, Left: true})
	}
	t.Columns = append(t.Columns, column{Name: "what", Left: true, Words: true, Rank: 2})
	type place struct {
		target int
		id     string
	}
	told := make(map[place]string) // where the account of a case is
	for _, alike := range kinds(c.Targets) {
		for _, x := range alike {
			told[place{x.target, x.ID}] = anchor(alike[0].target, alike[0].ID)
		}
	}
	index := make(map[string]int)
	for i, target := range c.Targets {
		for _, x := range target.Results {
			n, ok := index[x.ID]
			if !ok {
				n, index[x.ID] = len(t.Rows), len(t.Rows)
				r := row{Name: x.ID, Cells: make([]quantity, len(t.Columns))}
				for j := range r.Cells {
					r.Cells[j] = none
				}
				r.Cells[0], r.Cells[len(r.Cells)-1] = word(string(x.Level), ""), word(x.Title, "")
				t.Rows = append(t.Rows, r)
			}
			q := outcome(x.Outcome)
			q.Link = told[place{i, x.ID}]
			t.Rows[n].Cells[1+i] = q
		}
	}
	return section{Name: "all cases", Head: -1, Table: t}
}

// anchor is where on a page the account of a case is.
func anchor(target int, id string) string { return fmt.Sprintf("f%d-%s", target, id) }

// suiteOf is a target's test suite: a failed case is a failure, one that broke the target an error,
// one that is void or was not run is skipped.
func suiteOf(r conform.Report) junit.Testsuite {
	seconds := func(d time.Duration) string { return fixed(d.Seconds(), 3) }
	s := junit.Testsuite{Name: clean(r.Name), Time: seconds(r.Took), Timestamp: r.Started.UTC().Format("2006-01-02T15:04:05")}
	s.AddProperty("target", clean(r.Target))
	s.AddProperty("mode", clean(r.Mode))
	for _, x := range r.Results {
		k := junit.Testcase{Name: x.ID + " " + clean(x.Title), Classname: clean(r.Name) + "." + strings.ReplaceAll(x.Group(), "/", "."), Time: seconds(x.Took)}
		var text strings.Builder
		for _, l := range accountOf(x, false) {
			fmt.Fprintf(&text, "%-9s %s\n", l.Label, clean(l.Text))
		}
		detail := clean(x.Detail)
		switch x.Outcome {
		case conform.Fail:
			k.Failure = &junit.Result{Message: clean(x.Failure.Got), Type: string(x.Level), Data: text.String()}
		case conform.Broken:
			k.Error = &junit.Result{Message: detail, Type: string(x.Level), Data: text.String()}
		case conform.NotRun:
			k.Skipped = &junit.Result{Message: strings.TrimSpace("not run " + detail)}
		case conform.Void:
			k.Skipped = &junit.Result{Message: "void: " + detail, Data: text.String()}
		case conform.Seen:
			k.SystemOut = &junit.Output{Data: detail}
		}
		s.AddTestcase(k)
	}
	return s
}
