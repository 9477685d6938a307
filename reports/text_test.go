package reports

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"p2plocal/bench/result"
	"p2plocal/bench/scale"
	"p2plocal/bench/scenario"
	"p2plocal/bench/stat"
	"p2plocal/bench/work"
)

var update = flag.Bool("update", false, "write the golden files anew")

var defaults = []string{"join", "steady", "crash"}

// golden compares with a file under testdata, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	is, was := bytes.SplitAfter(got, []byte("\n")), bytes.SplitAfter(want, []byte("\n"))
	for i := range min(len(is), len(was)) {
		if !bytes.Equal(is[i], was[i]) {
			t.Errorf("%s differs first in line %d; go test ./reports -update writes it anew. Got:\n%.300s\nwant:\n%.300s", file, i+1, is[i], was[i])
			return
		}
	}
	if len(is) != len(was) {
		t.Errorf("%s has %d lines, want %d; go test ./reports -update writes it anew", file, len(is), len(was))
	}
}

// cases are made once: nobody changes them.
var cases = sync.OnceValue(func() map[string]*result.Result {
	good := sample(1, 80, 1, defaults...)
	good.Assertions = []result.Assertion{
		{Text: "steady.latency.p99<5ms", Actual: ptr(0.00121), OK: true},
		{Text: "steady.loss==0", Actual: ptr(0), OK: true},
	}
	return map[string]*result.Result{
		"default": good,
		"all":     sample(2, 20, 1, scenario.Known...),
		"repeat":  sample(3, 20, 7, defaults...),
		"bad":     spoil(sample(4, 20, 1, scenario.Known...)),
	}
})

func TestText(t *testing.T) {
	for name, r := range cases() {
		for suffix, o := range map[string]Options{"": {}, "-80": {Width: 80}, "-ascii-80": {Width: 80, ASCII: true}} {
			t.Run(name+suffix, func(t *testing.T) {
				var b bytes.Buffer
				if err := Results(r).Write(&b, "txt", o); err != nil {
					t.Fatal(err)
				}
				golden(t, name+suffix+".txt", b.Bytes())
				for l := range strings.Lines(b.String()) {
					if n := utf8.RuneCountInString(strings.TrimSuffix(l, "\n")); n > max(o.Width, narrowest, (1-min(o.Width, 1))*defaultWidth) {
						t.Errorf("line of %d columns: %q", n, l)
					}
				}
				for _, c := range b.String() {
					if c != '\n' && !unicode.IsPrint(c) || o.ASCII && c > '~' {
						t.Fatalf("%q in the text", c)
					}
				}
				o.Color = true
				var colored bytes.Buffer
				if err := Results(r).Write(&colored, "txt", o); err != nil {
					t.Fatal(err)
				}
				plain := sgr.ReplaceAllString(colored.String(), "")
				if plain == colored.String() || trimmed(plain) != trimmed(b.String()) {
					t.Error("colours change the layout")
				}
				for l := range strings.Lines(plain) {
					if n := utf8.RuneCountInString(strings.TrimSuffix(l, "\n")); n > cmp.Or(o.Width, defaultWidth) {
						t.Errorf("in colour, a line of %d columns, which a terminal breaks: %q", n, l)
					}
				}
				lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
				if first, last := lines[0], lines[len(lines)-1]; !strings.HasSuffix(last, ".") || !strings.HasPrefix(b.String(), first) || strings.Count(b.String(), first+"\n") != 2 {
					t.Errorf("the verdict %q is not the last line, too, which is %q", first, last)
				}
			})
		}
	}
}

var sgr = regexp.MustCompile("\x1b\\[[0-9;]+m")

// trimmed leaves out blanks at the ends of lines.
func trimmed(s string) string { return regexp.MustCompile(" +\n").ReplaceAllString(s, "\n") }

// The default scenarios fit one screen.
func TestTextHeight(t *testing.T) {
	var b bytes.Buffer
	if err := Results(cases()["default"]).Write(&b, "txt", Options{}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "\n"); n > 48 {
		t.Errorf("%d lines, want at most 48", n)
	}
}

func TestMarkdown(t *testing.T) {
	for name, r := range cases() {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := Results(r).Write(&b, "md", Options{}); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".md", b.Bytes())
			if bytes.Contains(b.Bytes(), []byte("\x1b")) || bytes.Contains(b.Bytes(), []byte("<script>")) {
				t.Error("hostile text passes")
			}
		})
	}
}

// The JSON form is the result file: what Read takes back is the same result.
func TestJSON(t *testing.T) {
	r := cases()["bad"]
	var b, again bytes.Buffer
	if err := Results(r).Write(&b, "json", Options{}); err != nil {
		t.Fatal(err)
	}
	back, err := result.Read(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if err := Results(back).Write(&again, "json", Options{}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), again.Bytes()) {
		t.Error("a result changes on its way through JSON")
	}
}

func TestFormatOf(t *testing.T) {
	for file, want := range map[string]string{"a.html": "html", "b/C.MD": "md", "x.txt": "txt"} {
		if got, err := FormatOf(file); err != nil || got != want {
			t.Errorf("%s: %q, %v", file, got, err)
		}
	}
	for _, file := range []string{"", "html", "a.pdf", "y.csv", "z.json", "\x1b.x"} {
		if _, err := FormatOf(file); !errors.Is(err, errFormat) || strings.ContainsAny(err.Error(), "\x1b\n") {
			t.Errorf("%q: %v", file, err)
		}
	}
	if err := Results(sample(1, 2, 1)).Write(io.Discard, "pdf", Options{}); !errors.Is(err, errFormat) {
		t.Error(err)
	}
}

// What a column shows, figure by figure.
func TestMeasure(t *testing.T) {
	for _, c := range []struct {
		v    float64
		unit string
		want string
	}{
		{0, "s", "0 s"}, {9.996e-4, "s", "1.00 ms"}, {2.5e-9, "s", "2.50 ns"}, {0.0000123, "s", "12.3 µs"}, {1234, "s", "1,230 s"},
		{0, "ratio", "0 %"}, {0.00001, "ratio", "0.001 %"}, {1, "ratio", "100 %"}, {0.0123, "ratio", "1.23 %"},
		{999, "bytes", "999 B"}, {1500, "bytes", "1.50 kB"}, {31.4e6, "bytes", "31.4 MB"},
		{59600, "messages/s", "59.6 k/s"}, {12, "messages/s", "12.0 /s"}, {18960, "1", "18,960"}, {-7, "1", "-7"}, {0.02, "cores", "0.02 cores"},
	} {
		if got := strings.ReplaceAll(measure(c.v, c.unit).String(), glue, " "); got != c.want {
			t.Errorf("%v %s: %q, want %q", c.v, c.unit, got, c.want)
		}
	}
}

// What could not be measured comes first, in how many runs it could not.
func TestHeadlineUnmeasured(t *testing.T) {
	r := sample(3, 20, 5, defaults...)
	for i := range 3 {
		r.Runs[i].Scenarios[2] = result.Scenario{Name: "crash", Peers: 20, Unmeasured: "not every view was complete"}
	}
	r.Summary = scenario.Definitions.Summarize(r.Runs)
	var b bytes.Buffer
	if err := Results(r).Write(&b, "txt", Options{}); err != nil {
		t.Fatal(err)
	}
	if want := "! crash not measured in 3 of 5 runs; 20 peers, 5 runs, medians: "; !strings.HasPrefix(b.String(), want) {
		t.Errorf("want %q first:\n%s", want, b.String())
	}
}

// Of several runs a median is of those that came to a value, and says how many did not.
func TestNeverInSomeRuns(t *testing.T) {
	var r result.Result
	for _, m := range []result.Metric{one("s", 0.25), {Unit: "s"}, one("s", 0.25)} {
		r.Runs = append(r.Runs, result.Run{Scenarios: []result.Scenario{{Name: "join", Metrics: map[string]result.Metric{"join.converge": m}}}})
	}
	r.Summary = scenario.Definitions.Summarize(r.Runs)
	var got strings.Builder
	for _, x := range reached(scenario.FiguresOf(&r)[0])[0] {
		got.WriteString(x.Text)
	}
	if want := "converged in 250" + glue + "ms (did not converge in 1 of 3 runs)"; got.String() != want {
		t.Errorf("clause %q, want %q", got.String(), want)
	}
}

// What a search does to the mesh beyond its load is not the mesh's fault.
func TestHeadlineOfSearch(t *testing.T) {
	r := sample(3, 20, 1, "saturate")
	r.Runs[0].Scenarios[0].Metrics["saturate.false_positives"] = one("1", 3)
	var b bytes.Buffer
	if err := Results(r).Write(&b, "txt", Options{Width: 120}); err != nil {
		t.Fatal(err)
	}
	if s := b.String(); strings.Contains(s, "!") || !strings.Contains(s, "3 false positives in trials beyond what it can carry") {
		t.Errorf("a search is blamed:\n%s", s)
	}
}

// No unit of a file steers a terminal, or turns a line of Markdown around.
func TestHostileUnit(t *testing.T) {
	r := sample(3, 2, 6, "restart")
	for _, run := range r.Runs {
		run.Scenarios[0].Metrics["restart.whole"] = one("\u202eevil\x1b[31m", 3)
	}
	r.Summary = scenario.Definitions.Summarize(r.Runs)
	for _, format := range Formats {
		var b bytes.Buffer
		if err := Results(r).Write(&b, format, Options{}); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(b.String(), "\u202e\x1b") || strings.Contains(b.String(), `\u001b`) {
			t.Errorf("%s: a hostile unit passes", format)
		}
	}
}

// The rows of a comparison are lines, also on a narrow terminal.
func TestCompareIsNarrow(t *testing.T) {
	q := 0.001
	c := &stat.Comparison{Sides: [2]string{"simulated", "UDP"}, Changes: []stat.Change{{Metric: "loss.removal_rate_expected", Unit: "1/h", Verdict: stat.Worse,
		Old: &result.Summary{N: 9, Median: 0.00616}, New: &result.Summary{N: 9, Median: 0.383}, Delta: &q, P: &q, Q: &q}}}
	for _, width := range []int{60, 80, 120} {
		s, err := text(Compare(c), Options{Width: width})
		if err != nil {
			t.Fatal(err)
		}
		i := strings.Index(s, "  loss.removal_rate_expected ")
		if i < 0 {
			t.Fatalf("at %d columns: %s", width, s)
		}
		if row, _, _ := strings.Cut(s[i:], "\n"); !strings.HasSuffix(row, " worse") || utf8.RuneCountInString(row) > width {
			t.Errorf("at %d columns: %q", width, row)
		}
	}
}

// fits wants no line of a document to be wider than a terminal of any usual width.
func fits(t *testing.T, name string, d *Document) {
	t.Helper()
	for _, width := range []int{60, 80, 120} {
		var b bytes.Buffer
		if err := d.Write(&b, "txt", Options{Width: width}); err != nil {
			t.Fatal(err)
		}
		for l := range strings.Lines(b.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(l, "\n")); n > width {
				t.Errorf("%s: a line of %d columns, of %d: %q", name, n, width, l)
			}
		}
	}
}

// contest is what meshes of two sizes came to, one of them of a long name.
func contest() *stat.Versus {
	v := &stat.Versus{Meshes: []string{"exact", `"/home/somebody/a/long/way/to/a-server -listen {addr}"`, "memberlist 0.5.4"}}
	for _, peers := range []int{2, 80} {
		var results []*result.Result
		for seed := range uint64(len(v.Meshes)) {
			results = append(results, sample(seed+1, peers, 2, append(slices.Clone(defaults), "rest")...))
		}
		v.Sizes = append(v.Sizes, stat.InTurns(scenario.Definitions, results))
	}
	v.Sizes[0].Peers = 1
	return v
}

// Every table of every command fits the terminal.
func TestEveryTableFits(t *testing.T) {
	for name, r := range cases() {
		fits(t, name, Results(r))
	}
	for name, c := range found() {
		fits(t, "conform "+name, c.Document())
	}
	fits(t, "compare", Compare(stat.Compare(scenario.Definitions, [2]string{"UDP", "simulated"}, sample(3, 20, 8, defaults...), sample(4, 20, 8, defaults...))))
	fits(t, "versus", Versus(contest()))
	scaled := Scale{Points: []scale.Point{{Peers: 95, Join: time.Millisecond, Datagrams: 1_234_567, Bytes: 1e9, Detection: 2 * time.Second, Removed: 12_345},
		{Peers: 30_000, Simulated: true, Busy: 1234 * time.Millisecond}}}
	fits(t, "scale", scaled.Document())
	workers := Workers{Workers: []work.Listed{{Worker: work.Worker{ID: "abcdefgh", Host: "a-machine.of-somebody.example", Cores: 128, Version: "v1.2.3 0123456789abcdef0123456789abcdef01234567",
		Busy: "a part of a mesh of 4,000 peers"}, Ahead: -0.0123, Within: 0.000456}}}
	fits(t, "workers", workers.Document())
}

// A ratio of rounds is not said to be that of the medians, and one peer is no peers.
func TestVersusSaysOfWhat(t *testing.T) {
	var b bytes.Buffer
	if err := Versus(contest()).Write(&b, "txt", Options{}); err != nil {
		t.Fatal(err)
	}
	flat := strings.Join(strings.Fields(b.String()), " ")
	for want, so := range map[string]bool{"which is not the ratio of the medians": true, " B is in the median round ": true, " C is in the median round ": true, " to converge": true, "1 peers": false, "1 peer: ": true} {
		if strings.Contains(flat, want) != so {
			t.Errorf("%q in it, want %v:\n%s", want, so, b.String())
		}
	}
}

// A mesh that takes half the time is twice as quick, and the interval of that is turned round, too.
func TestRatioInWords(t *testing.T) {
	const want = "C is in the median round 2.00 × quicker [1.00, 4.00], which may be chance"
	if got := inWords("C", stat.Ratio{Median: new(0.5), Low: new(0.25), High: new(1.0), Verdict: stat.Same}, "slower", "quicker"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// The machine is that of all meshes, so it stands below the last headline; and a figure over UDP is of some machine.
func TestOriginOfMany(t *testing.T) {
	v := contest()
	for i := range v.Sizes {
		v.Sizes[i].Results[0].Env.CPU = "a good one"
	}
	measured := Scale{Env: result.Env{CPU: "a good one", Cores: 2}}
	for name, d := range map[string]*Document{"versus": Versus(v), "scale": measured.Document()} {
		for i, h := range d.Heads {
			if last := i == len(d.Heads)-1; last != (len(h.Origin) > 0) || last && !strings.Contains(fmt.Sprint(h.Origin), "a good one") {
				t.Errorf("%s: below headline %d of %d stands %v", name, i+1, len(d.Heads), h.Origin)
			}
		}
	}
	if d := (&Scale{}).Document(); !strings.Contains(fmt.Sprint(d.Heads[0].Origin), "simulated") {
		t.Errorf("of a simulation it says %v", d.Heads[0].Origin)
	}
}

// Once is no "1 times".
func TestHeadlineOnce(t *testing.T) {
	for times, want := range map[float64]string{0: "removed live peers 0 times over", 1: "removed live peers 1 time over", 2: "removed live peers 2 times over", 1234: "removed live peers 1,234 times over"} {
		r := sample(3, 20, 1, "rest")
		r.Runs[0].Scenarios[0].Metrics["rest.removed_twenty"] = one("1", times)
		if got := Headline(r); !strings.Contains(got, want) {
			t.Errorf("%q, want %q in it", got, want)
		}
	}
}

// No line breaks inside a word that fits on one, at any width.
func TestWrapKeepsWords(t *testing.T) {
	const long = "from the kill until the last survivor's view has dropped all killed peers, whatever directories say"
	d := &Document{Heads: []head{{Text: words("Verdict.")}}, Sections: []section{{Name: "terms", Facts: []fact{
		{"one part", words(long)}, {"several", phrase{}.add("%s", long[:57]).addIf(true, "%s", long[:31]).add("%s", long)}}}}}
	for width := narrowest; width < 140; width++ {
		s, err := text(d, Options{Width: width})
		if err != nil {
			t.Fatal(err)
		}
		whole := strings.Fields(strings.ReplaceAll(long, ",", " "))
		for _, w := range strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r == ',' || r == '!' }) {
			if !slices.Contains(append(whole, "Verdict.", "terms", "one", "part", "several"), w) && !strings.Contains(" "+long[:57]+" "+long[:31]+" ", " "+w+" ") {
				t.Fatalf("at %d columns, %q is a broken word:\n%s", width, w, s)
			}
		}
	}
}

// A note of several runs says of how many, and one of a single run of which.
func TestNotesOfRuns(t *testing.T) {
	r := sample(1, 5, 3, "steady")
	for i, text := range []string{"it rained", "it snowed", "it rained"} {
		r.Runs[i].Scenarios[0].Notes = []result.Note{{Bad: true, Text: text}}
	}
	var b bytes.Buffer
	if err := Results(r).Write(&b, "txt", Options{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"! 2 of 3 runs: it rained\n", "! run 2: it snowed\n"} {
		if strings.Count(b.String(), want) != 1 {
			t.Errorf("no %q, or more than one, in\n%s", want, &b)
		}
	}
}

// On a narrow terminal the names of columns are broken at blanks, rows' names leave the line of labels, and
// then columns are left out: no line is wider, and no word torn.
func TestNarrowTable(t *testing.T) {
	names := columns("refresh", "loss", "without refresh", "95 % interval", "events")
	names[3].Rank = 1
	d := &Document{Heads: []head{{Text: words("A verdict.")}}, Sections: []section{{Name: "study",
		Table: &table{Columns: names, Rows: []row{{Name: "*", Cells: []quantity{word("5 s", ""), word("20 %", ""), word("948 ms in 5 of 10", ""), word("6.23 % to 11.5 %", ""), word("5.70", "")}}}},
		Facts: []fact{{"without refresh", words("until all is well, by -impair loss=5%,delay=0s,jitter=0s,dup=0%,reorder=0%")}}}}}
	for width, want := range map[int]string{
		100: "                   refresh  loss    without refresh     95 % interval  events\n" +
			"  *                    5 s  20 %  948 ms in 5 of 10  6.23 % to 11.5 %    5.70\n",
		66: "     refresh  loss    without refresh     95 % interval  events\n" +
			"  *      5 s  20 %  948 ms in 5 of 10  6.23 % to 11.5 %    5.70\n",
		48: "     refresh  loss    without refresh  events\n" +
			"  *      5 s  20 %  948 ms in 5 of 10    5.70\n",
	} {
		got, err := text(d, Options{Width: width})
		if err != nil || !strings.Contains(got, want) {
			t.Errorf("%d columns, %v:\n%swant\n%s", width, err, got, want)
		}
		for line := range strings.Lines(got) {
			if n := len([]rune(strings.TrimRight(line, "\n"))); n > width {
				t.Errorf("%d of %d columns: %q", n, width, line)
			}
		}
		if strings.Contains(got, "\n                   0%") || strings.Contains(got, "reorder=\n") {
			t.Errorf("torn:\n%s", got)
		}
	}
}

// A small figure has its digits, not an exponent.
func TestSmallFigures(t *testing.T) {
	for v, want := range map[float64]string{7.9e-5: "0.000079", 0.00696: "0.00696", 0: "0", 1.234e-6: "0.00000123"} {
		if got := digits(v); got != want {
			t.Errorf("%g: %s, want %s", v, got, want)
		}
	}
}
