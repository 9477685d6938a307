package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/cmd/internal/cli"
)

// selfEnv makes the test program the command itself.
const selfEnv = "P2PLOCAL_TEST_MESHBENCH"

func TestMain(m *testing.M) {
	if mesh.IsChild() {
		os.Exit(mesh.Child())
	}
	if os.Getenv(selfEnv) != "" {
		main()
	}
	flag.Parse()
	flag.Set("test.parallel", "12") // meshes mostly wait
	os.Exit(m.Run())
}

// invoke runs the command as main does, and gives its exit code.
func invoke(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = cli.Exit(&err, "meshbench", run(ctx, args, &out, &err))
	return code, out.String(), err.String()
}

func TestUsage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	foreign := filepath.Join(dir, "foreign.json")
	if err := os.WriteFile(foreign, []byte(`{"schema": 99, "tool": {"name": "meshbench"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args string
		code int
		says string
	}{
		{"-peers 0", 2, "0 peers, want 1 to 95"},
		{"-peers 96", 2, "96 peers, want 1 to 95"},
		{"-peers many", 2, `invalid value "many"`},
		{"-scenario walk", 2, `scenario "walk", want some of`},
		{"-scenario join,join", 2, `scenario "join", want some of`},
		{"-scenario join,", 2, `scenario ""`},
		{"-json x.txt -report x.txt", 2, `cannot write "x.txt": it is to be written twice`},
		{"-junit - -assert join.converge>0", 2, "only -json takes -"},
		{"-churn NaN", 2, `invalid value "NaN" for flag -churn: want 0, or 1e-06 to 1e+12`},
		{"-max-load Inf", 2, `invalid value "+Inf" for flag -max-load`},
		{"-min-load 1e-12", 2, `invalid value "1e-12" for flag -min-load`},
		{"-garbage 1e-12", 2, `for flag -garbage: want 0, or 1e-06`},
		{"-width NaN", 2, `"NaN" is neither a percentage nor a ratio`},
		{"-duration 99999h", 2, `for flag -duration: want 0 to 10000h`},
		{"-peers " + strings.Repeat("9", 2_000_000), 2, "999..."},
		{"-target= -scenario join", 2, `invalid value "" for flag -target: want a value, or not the flag`},
		{"report= txt", 2, "is no flag and no command"},
		{"-peers 2 -external 2 -peer-exec x -exec y", 2, "nothing to measure, want a peer of ours"},
		{"-duration 0s", 2, "duration 0s, want more than 0"},
		{"-heartbeat 0s", 2, "heartbeat interval is 0"},
		{"-payload 65503", 2, "payload of 65503 bytes, want 0 to 65502"},
		{"-join slowly", 2, `join "slowly", want storm or spread`},
		{"-isolation vm", 2, `isolation "vm", want goroutine or process`},
		{"-impair loss=2", 2, "impairment loss of 2, want 0 to 1"},
		{"-impair fog=2", 2, `impairment "fog=2": no such impairment`},
		{"-external 2", 2, "external peers, but no -peer-exec"},
		{"-external 0 -peer-exec x", 2, "-peer-exec, but 0 external peers"},
		{"-scenario join,restart -target 127.0.0.1:1", 2, "scenario restart cannot be run: the server at 127.0.0.1:1 was not started here"},
		{"-scenario pause -peers 1", 2, "scenario pause cannot be run: it takes two peers"},
		{"-scenario saturate -peers 3 -external 2 -peer-exec x", 2, "scenario saturate cannot be run: it takes two peers of ours, one to send to the other, not 1"},
		{"-scenario garbage -garbage-at peer -peers 2 -external 2 -peer-exec x", 2, "scenario garbage cannot be run: its target is a peer, and none is ours"},
		{"-scenario all -peers 0", 2, "0 peers, want 1 to 95"},
		{"-target 127.0.0.1:1 -exec x", 2, "both -target and -exec"},
		{"-repeat 0", 2, "repeat 0, want 1 or more"},
		{"-assert steady.latency.p98<5ms", 2, `no metric "steady.latency.p98"`},
		{"-scenario join -assert steady.loss==0", 2, "steady"},
		{"-assert steady.loss", 2, "steady.loss"},
		{"walk", 2, `"walk" is no flag and no command`},
		{"-scenario join -json /nonexistent/x.json", 2, `cannot write "/nonexistent/x.json": there is no directory "/nonexistent"`},
		{"swarm -seed 1 -until -1s", 2, `for flag -until`},
		{"-scenario join -target localhost", 2, `invalid value "localhost" for flag -target: want an IPv4 address`},
		{"-sim -isolation goroutine", 2, "-isolation and -sim exclude each other"},
		{"-sim -target 127.0.0.1:1", 2, "cannot be simulated"},
		{"-sim -peer-exec x", 2, "external peers cannot be simulated"},
		{"-sim -scenario garbage -garbage max", 2, "give it a rate such as 100k"},
		{"-sim -until -1s", 2, `"-1s" for flag -until: want 0 to 10000h`},
		{"-sim -trace -json -", 2, "both want standard output"},
		{"-sim -faults /nonexistent.faults", 1, "/nonexistent.faults"},
		{"-sim -faults main.go", 2, "line 1"},
		{"-sim -faults ../../bench/swarm/testdata/partition.faults -peers 1", 2, "peers have ports 3001 to 3001"},
		{"-cores 1", 2, "-cores wants -sim"},
		{"-faults nosuch", 1, "nosuch"},
		{"-cores 2", 2, "-cores wants -sim"},
		{"-sim -cores 2000", 2, "2000 cores, want 0 to 1024"},
		{"-sim -scenario saturate", 2, "want one such as -cores 2"},
		{"-trace", 2, "-trace wants -sim"},
		{"-sim -seeds 1..5", 2, "flag provided but not defined: -seeds"},
		{"swarm -peers 3", 2, "flag provided but not defined: -peers (meshbench swarm -h says how)"},
		{"steady", 2, "say -scenario steady"},
		{"join,crash", 2, "for the scenario say -scenario join,crash"},
		{"join,walk", 2, "want one of compare, "},
		{"swarm 7", 2, "swarm takes no arguments, not \"7\": for the seed say -seed 7"},
		{"walk", 2, "want one of compare, "},
		{"help walk", 2, `"walk" is no flag and no command`},
		{"help compare report", 2, "help takes one command, not 2"},
		{"sim", 2, `"sim" is no flag and no command`},
		{"agree -sim", 2, "flag provided but not defined: -sim"},
		{"agree -assert x", 2, "flag provided but not defined: -assert"},
		{"agree steady", 2, "for the scenario say -scenario steady"},
		{"versus ours theirs", 2, `versus takes no arguments, not "ours": for a mesh say -mesh ours`},
		{"agree x.json", 2, `agree takes no arguments, not "x.json"`},
		{"agree -report x.pdf", 2, `"x.pdf", want one that ends in .txt`},
		{"agree -report x.xml", 2, "want one that ends in .txt, .md, .html"},
		{"-junit x.xml", 2, "-junit is for verdicts, and there are none"},
		{"agree -target 127.0.0.1:1", 2, "cannot be simulated"},
		{"agree -cores 0 -scenario saturate", 2, "want one such as"},
		{"agree -cores x", 2, `invalid value "x"`},
		{"compare /nonexistent.json x.json", 1, "/nonexistent.json"},
		{"report", 2, "report takes a format and a result file"},
		{"report xls " + foreign, 2, `format "xls", want one of`},
		{"report txt /nonexistent.json", 1, "/nonexistent.json"},
		{"report txt " + foreign, 1, "schema 99"},
		{"report txt " + dir, 1, "meshbench: read " + dir + ": is a directory"},
		{"-sim -faults " + dir, 1, "meshbench: read " + dir + ": is a directory"},
		{"-report x.xls", 2, "x.xls"},
		{"compare " + foreign, 2, "compare takes two result files, not 1"},
		{"versus -mesh exact", 2, "versus takes -mesh twice or more, not 1 time"},
		{"versus -mesh exact -mesh other", 2, `-mesh "other", want exact, wide, wide:key, exec:COMMAND or driver:COMMAND`},
		{"versus -mesh exact -mesh driver:", 2, `-mesh "driver:", want exact`},
		{"versus -mesh exact -mesh wide -exec x", 2, "-exec has no place in versus"},
		{"versus -mesh exact -mesh driver:/nowhere/driver -quiet", 1, `-mesh "driver:/nowhere/driver": cannot start "/nowhere/driver"`},
		{"-driver false", 1, "the driver ended: exit status 1, no output"},
		{"-driver /nowhere/driver", 1, `cannot start "/nowhere/driver"`},
		{"-driver true -wide", 2, "want it without -wide"},
		{"-driver-option a=b", 2, "-driver-option, but no -driver"},
		{"-driver true -driver-option a", 2, "want KEY=VALUE"},
	} {
		code, stdout, stderr := invoke(t.Context(), strings.Fields(test.args)...)
		if code != test.code || !strings.Contains(stderr, test.says) || strings.Count(stderr, "\n") > 2 || stdout != "" {
			t.Errorf("meshbench %s: exit %d, stderr %q, stdout %q, want exit %d, one line with %q", test.args, code, stderr, stdout, test.code, test.says)
		}
	}
}

// One run through every output, each of which must hold the same figures.
func TestRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "r.json")
	code, stdout, stderr := invoke(t.Context(), "-peers", "5", "-duration", "300ms", "-broadcast", "50ms", "-deadline", "1m",
		"-scenario", "join,steady", "-assert", "steady.loss==0", "-assert", "join.converge<0", "-json", file,
		"-report", filepath.Join(dir, "r.md"), "-report", filepath.Join(dir, "r.txt"))
	if code != 3 {
		t.Errorf("exit %d with a false assertion, want 3; stderr %q", code, stderr)
	}
	for _, want := range []string{"join", "steady", "seed", "0 unexplained"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in the text:\n%s", want, stdout)
		}
	}
	r, err := readFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Assertions) != 2 || !r.Assertions[0].OK || r.Assertions[1].OK {
		t.Errorf("assertions %+v, want the first to hold and the second to fail", r.Assertions)
	}
	for _, name := range []string{"r.md", "r.txt"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.Contains(string(b), "steady") {
			t.Errorf("%s: %v %q", name, err, b)
		}
	}
	if code, shown, _ := invoke(t.Context(), "report", "txt", file); code != 0 || shown != stdout {
		t.Errorf("report exits with %d and differs from what the run printed:\n%s\n%s", code, shown, stdout)
	}
	if code, stdout, stderr := invoke(t.Context(), "compare", "-fail-on-regression", "5%", file, file); code != 0 || !strings.Contains(stdout, "0 of") {
		t.Errorf("compare with itself: exit %d, %q %q", code, stdout, stderr)
	}
}

func TestJSONOnStdout(t *testing.T) {
	t.Parallel()
	code, stdout, _ := invoke(t.Context(), "-sim", "-peers", "2", "-scenario", "join", "-json", "-", "-quiet")
	var r result.Result
	if err := json.Unmarshal([]byte(stdout), &r); code != 0 || err != nil {
		t.Errorf("exit %d, %v:\n%s", code, err, stdout)
	}
}

// An interrupted run writes what it has, and says so.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "r.json")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	code, _, stderr := invoke(ctx, "-peers", "3", "-scenario", "steady", "-duration", "1h", "-json", file)
	if code != 130 {
		t.Errorf("exit %d, want 130; stderr %q", code, stderr)
	}
	if r, err := readFile(file); err != nil || !r.Interrupted {
		t.Errorf("result %+v, error %v, want one marked interrupted", r, err)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	_, stdout, _ := invoke(t.Context(), "metrics")
	for _, d := range scenario.Definitions.All() {
		if _, name, _ := strings.Cut(d.Name, "."); !strings.Contains(stdout, "\n  "+name+" ") || strings.Count(stdout, d.Text+"\n") == 0 {
			t.Errorf("no %s, %q in the list", d.Name, d.Text)
		}
	}
	for _, once := range []string{"\n  false_positives ", "\n  latency_due * ", "\n  kernel_drops "} {
		if n := strings.Count(stdout, once); n > 2 { // saturate's own latency
			t.Errorf("%d times %q", n, once)
		}
	}
	for group := range strings.SplitSeq(stdout, "\n\n") {
		if n := strings.Count(group, "\n"); n > 24 {
			t.Errorf("%d lines are no screen:\n%s", n, group)
		}
	}
}

// What versus compares is in every form, and a mesh that does not come about is named.
func TestVersus(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := func(ending string) string { return filepath.Join(dir, "p."+ending) }
	code, stdout, stderr := invoke(t.Context(), "versus", "-mesh", "exact", "-mesh", "wide", "-mesh", "exact", "-peers", "3",
		"-scenario", "join", "-repeat", "6", "-quiet", "-json", name("json"), "-report", name("md"), "-report", name("html"))
	for _, want := range []string{"join.converge", " B/A ", " C/A\n"} {
		if code == 1 && strings.Contains(stderr, "stood still") { // not every round was measured then
			continue
		}
		if code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("exit %d, stderr %q, no %q in\n%s", code, stderr, want, stdout)
		}
	}
	for _, ending := range []string{"json", "md", "html"} {
		if b, err := os.ReadFile(name(ending)); err != nil || !strings.Contains(string(b), "converge") {
			t.Errorf("%s: %v, no join.converge in it:\n%.300s", ending, err, b)
		}
	}
	code, _, stderr = invoke(t.Context(), "versus", "-mesh", "exact", "-mesh", "exec:false", "-peers", "3", "-scenario", "join", "-quiet")
	if code != 1 || !strings.Contains(stderr, "mesh B: ") {
		t.Errorf("a server that does not start: exit %d, %q", code, stderr)
	}
}

// Simulation and reality are run and compared. A machine that stood still meanwhile has
// measured no reality.
func TestAgree(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := invoke(t.Context(), "agree", "-peers", "3", "-deadline", "1s", "-reap", "100ms", "-heartbeat", "100ms", "-scenario", "crash", "-repeat", "3", "-quiet")
	if !strings.Contains(stdout, "simulated against UDP, 3 runs against 3") || code == 0 && !strings.Contains(stdout, "crash.detect.max") {
		t.Errorf("exit %d, the output is\n%s", code, stdout)
	}
	if code != 0 && !strings.Contains(stderr, "stood still") {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

// What could not be measured is said first and last, and is no success: not its
// figures are missing, but the measurement.
func TestUnmeasured(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "r.json")
	code, stdout, stderr := invoke(t.Context(), "-sim", "-rcvbuf", "4096", "-scenario", "steady,crash", "-duration", "2s", "-quiet", "-json", file)
	if want := "! steady not measured; ! crash not measured; 80 simulated peers.\n"; code != 1 || !strings.HasPrefix(stdout, want) || !strings.HasSuffix(stdout, want) {
		t.Errorf("exit %d, want 1 and %q first and last:\n%s", code, want, stdout)
	}
	if !strings.Contains(stderr, "steady: not every view was complete") {
		t.Errorf("stderr %q", stderr)
	}
	r, err := readFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range r.Runs[0].Flat() {
		if v.Never {
			t.Errorf("%s counts as never, though its scenario was not measured", name)
		}
	}
}

// Intervals on which no mesh stays together are warned of, what the server removes is counted,
// and nothing is compared with an ideal that cannot be; over UDP as simulated.
func TestUnstable(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-sim", "-scenario", "steady,crash"}, {"-scenario", "steady", "-duration", "4s"}} {
		code, stdout, stderr := invoke(t.Context(), append(args, "-heartbeat", "5s", "-peers", "5", "-quiet")...)
		if strings.Contains(stdout, "stood still") { // whom the server removes then is excused
			continue
		}
		const why = "with -heartbeat 5s a peer is silent for longer than the server's -deadline of 1.5s allows, and is removed again and again\n"
		lines := strings.SplitAfter(stderr, "\n")
		if code != 1 || len(lines) != 3 || lines[0] != "meshbench: warning: "+why || !strings.HasPrefix(lines[1], "meshbench: steady: live peers were removed ") || !strings.HasSuffix(lines[1], " times: "+why) {
			t.Errorf("%q: exit code %d, stderr %q", args, code, stderr)
		}
		if !strings.Contains(stdout, "false positives.\n") || strings.Contains(stdout, "ideal") {
			t.Errorf("%q: %s", args, stdout)
		}
	}
}

// A failed assertion is in the headline, and stderr says what it takes.
func TestAssertionReason(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := invoke(t.Context(), "-sim", "-peers", "20", "-scenario", "steady", "-duration", "4s", "-quiet",
		"-assert", "steady.latency.p99<5ms", "-assert", "steady.loss==0")
	if code != 3 || !strings.HasPrefix(stdout, "! steady.latency.p99<5ms does not hold; 20 simulated peers") {
		t.Errorf("exit %d:\n%s", code, stdout)
	}
	if want := "meshbench: assertion steady.latency.p99<5ms failed: not measured: 380 samples; p99 needs 1,000: more -peers or -duration\n"; stderr != want {
		t.Errorf("stderr %q, want %q", stderr, want)
	}
}
