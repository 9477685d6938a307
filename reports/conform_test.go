package reports

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/jstemmer/go-junit-report/v2/junit"

	"p2plocal/bench/result"
	"p2plocal/fuzz/conform"
)

// found is made-up results, in which everything that there is to show is there.
func found() map[string]*Conformance {
	at := func(ms int) time.Duration { return time.Duration(ms) * time.Millisecond }
	done := func(id, title string, level conform.Level, o conform.Outcome, took int) conform.Result {
		return conform.Result{ID: id, Title: title, Section: "Server", Level: level, Outcome: o, Took: at(took), Attempts: 1, Late: 1200 * time.Microsecond}
	}
	birth := conform.Hex{0xC0, 0, 'A', 0, 0x1D, 0x0C}
	report := func(name string, results ...conform.Result) conform.Report {
		return conform.Report{Name: name, Target: "p2p -listen {addr}", Role: "server", Mode: "a process for each case, 24 at a time",
			Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Took: at(9870), Late: at(12), Results: results}
	}
	failed := done("server/conflict/1", "a birth with the name of another port is ignored", conform.Must, conform.Fail, 310)
	failed.Failure = &conform.Failure{
		Expected: "a birth that conflicts is not answered", Got: "stranger was sent 2 datagrams",
		Sent: []conform.Event{{At: at(0), From: "A:3101", To: "server:3000", Datagram: birth}, {At: at(60), From: "stranger:3102", To: "server:3000", Datagram: birth},
			{At: at(160), From: "stranger:3102", To: "server:3000", Datagram: birth}},
		Came: []conform.Event{{At: at(61), From: "server:3000", To: "stranger:3102", Datagram: conform.Hex{0xC1, 0, 1, 0, 'A', 0, 0x1D, 0x0C}}},
	}
	failed.Attempts = 5
	broken := done("server/robust/birth/port-zero", "nothing can be sent to port 0", conform.Should, conform.Broken, 90)
	broken.Section = "Where a datagram is not one of the above"
	broken.Detail = `signal: aborted, having said "assertion failed"`
	broken.Failure = &conform.Failure{Expected: "the target goes on", Got: "it does not", Output: "\x1b[31mred\nlast </script><script>alert(1)</script>",
		Sent: []conform.Event{{At: at(5), From: "stranger:3102", To: "server:3000", Datagram: append(conform.Hex{0xC2, 0, 0xFF, 0xFF}, "<b>\x1b[2J"...)}}}
	seen := done("server/differs/1", "order of the entries in a directory", conform.Info, conform.Seen, 100)
	seen.Detail = "in the order of birth"
	unrun := done("server/full/1", "95 peers, one for each name, all know each other", conform.Must, conform.NotRun, 0)
	unrun.Attempts, unrun.Late = 0, 0
	late := done("server/reaper/1", "a silent peer is reaped", conform.Must, conform.Void, 9000)
	late.Attempts, late.Late, late.Detail = 5, at(16900), "the machine was 16.9s late in the last of 5 tries"
	late.Failure = failed.Failure
	good := []conform.Result{done("server/birth/1", "a newcomer is sent the directory, itself included", conform.Must, conform.Pass, 80),
		done("server/birth/2", "the members are told of a newcomer, and it of them", conform.Must, conform.Pass, 120)}
	sound := report("server", append(good, seen)...)
	bad := report("server", append(good, failed, late, unrun, seen, broken)...)
	bad.Gone = "after server/robust/birth/port-zero: it died"
	other := report("other <b>\x1b[2J", good[0], failed, broken)
	other.Interrupted = true
	tool := result.Tool{Name: "meshcheck", Version: "v0.0.0-sample", Args: []string{"server"}}
	return map[string]*Conformance{
		"sound":  {1, tool, []conform.Report{sound}},
		"wrong":  {1, tool, []conform.Report{bad}},
		"matrix": {1, tool, []conform.Report{sound, bad, other}},
	}
}

func TestConformanceText(t *testing.T) {
	for name, c := range found() {
		for suffix, o := range map[string]Options{"": {}, "-80": {Width: 80}, "-ascii-80": {Width: 80, ASCII: true}} {
			for _, verbose := range []bool{false, true} {
				var b, colored bytes.Buffer
				o.All = verbose
				if err := c.Document().Write(&b, "txt", o); err != nil {
					t.Fatal(err)
				}
				file := "conform-" + name + suffix
				if verbose {
					file += "-v"
				}
				golden(t, file+".txt", b.Bytes())
				printable(t, b.Bytes(), map[bool]rune{true: '~', false: utf8.MaxRune}[o.ASCII])
				for l := range strings.Lines(b.String()) {
					if n := utf8.RuneCountInString(strings.TrimSuffix(l, "\n")); n > max(o.Width, narrowest, (1-min(o.Width, 1))*defaultWidth) {
						t.Errorf("%s: line of %d columns: %q", file, n, l)
					}
				}
				inColor := o
				inColor.Color = true
				if err := c.Document().Write(&colored, "txt", inColor); err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(colored.String(), "\x1b[") {
					t.Errorf("%s: no colour where it is wanted", file)
				}
			}
		}
	}
}

// The elements and attributes are those of the schema that CI servers read
// (windyroad/JUnit-Schema, JUnit.xsd), the sums those of the cases.
func TestConformanceJUnit(t *testing.T) {
	for name, c := range found() {
		var b bytes.Buffer
		if err := c.Document().Write(&b, "xml", Options{}); err != nil {
			t.Fatal(err)
		}
		golden(t, "conform-"+name+".xml", b.Bytes())
		var doc junit.Testsuites
		d := xml.NewDecoder(&b)
		d.Strict = true
		if err := d.Decode(&doc); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(doc.Suites) != len(c.Targets) {
			t.Fatalf("%s: %d suites, want %d", name, len(doc.Suites), len(c.Targets))
		}
		for _, s := range doc.Suites {
			var failures, errors, skipped int
			for _, k := range s.Testcases {
				if k.Name == "" || k.Classname == "" || k.Time == "" {
					t.Errorf("%s: %+v lacks an attribute", name, k)
				}
				for fault, n := range map[*junit.Result]*int{k.Failure: &failures, k.Error: &errors, k.Skipped: &skipped} {
					if fault != nil {
						*n++
					}
				}
			}
			if s.Tests != len(s.Testcases) || s.Failures != failures || s.Errors != errors || s.Skipped != skipped {
				t.Errorf("%s: %d tests, %d failures, %d errors, %d skipped; counted %d, %d, %d, %d", name,
					s.Tests, s.Failures, s.Errors, s.Skipped, len(s.Testcases), failures, errors, skipped)
			}
			if _, err := time.Parse("2006-01-02T15:04:05", s.Timestamp); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestConformanceJSON(t *testing.T) {
	for name, c := range found() {
		var b bytes.Buffer
		if err := c.Document().Write(&b, "json", Options{}); err != nil {
			t.Fatal(err)
		}
		if name == "wrong" {
			golden(t, "conform-wrong.json", b.Bytes())
		}
		var back Conformance
		if err := json.Unmarshal(b.Bytes(), &back); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(&back, c) {
			t.Errorf("%s: the document read back is %+v", name, back)
		}
	}
}

func TestConformanceWriteErrors(t *testing.T) {
	c := found()["wrong"]
	for _, format := range Formats {
		if c.Document().Write(failing{}, format, Options{}) == nil {
			t.Errorf("%s: a full disk is no error", format)
		}
	}
}

func TestConformanceHTML(t *testing.T) {
	var b bytes.Buffer
	if err := found()["wrong"].Document().Write(&b, "html", Options{}); err != nil {
		t.Fatal(err)
	}
	golden(t, "conform-wrong.html", bytes.ReplaceAll(b.Bytes(), []byte(pageColors+pageStyle), nil))
}

// Failures of one kind stand once, with a count.
func TestConformanceKinds(t *testing.T) {
	c := found()["wrong"]
	r := &c.Targets[0]
	for i := range 16 {
		x := r.Results[2]
		x.ID, x.Failure = fmt.Sprint("server/conflict/", 2+i), &conform.Failure{Expected: x.Failure.Expected, Got: fmt.Sprintf("stranger was sent %d datagrams", 3+i)}
		r.Results = append(r.Results, x)
	}
	var b bytes.Buffer
	if err := c.Document().Write(&b, "txt", Options{}); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	if n := strings.Count(text, "a birth that conflicts is not answered"); n != 1 || !strings.Contains(text, "16 other cases: server/conflict/2, server/conflict/3,") || strings.Count(text, "\n") > 80 {
		t.Errorf("said %d times in %d lines:\n%s", n, strings.Count(text, "\n"), text)
	}
	b.Reset()
	if err := c.Document().Write(&b, "html", Options{}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), `href="#f0-server%2fconflict%2f1"`); n != 17 {
		t.Errorf("%d links to the one account, want 17", n)
	}
}

// Nor do they stand once for each target, or for each peer that was told.
func TestConformanceKindsOfSeveralTargets(t *testing.T) {
	c := found()["wrong"]
	one := c.Targets[0]
	one.Results = one.Results[2:3]
	other := one
	other.Name = "other"
	x := one.Results[0]
	x.Failure = &conform.Failure{Expected: x.Failure.Expected, Got: "E was sent the same directory again"}
	y := x
	y.Failure = &conform.Failure{Expected: x.Failure.Expected, Got: "Q was sent the same directory again"}
	one.Results, other.Results = []conform.Result{x}, []conform.Result{y}
	c.Targets = []conform.Report{one, other}
	var b bytes.Buffer
	if err := c.Document().Write(&b, "txt", Options{}); err != nil {
		t.Fatal(err)
	}
	if text := b.String(); strings.Count(text, "the same directory again") != 1 || !strings.Contains(text, "1 other case: "+x.ID+" of other") {
		t.Error(text)
	}
}
