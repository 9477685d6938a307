//go:build unix

package manual

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../../.."

// README.md ends after two screens.
func TestReadmeIsShort(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(text), "\n"); lines > 150 || len(text) > 10240 {
		t.Errorf("README.md has %d lines and %d bytes, want at most 150 and 10240", lines, len(text))
	}
}

// Every link and anchor inside the project leads somewhere.
func TestLinks(t *testing.T) {
	docs := documents(t, root)
	links := 0
	for _, d := range docs {
		links += len(d.links)
	}
	if links < 20 {
		t.Errorf("only %d links seen", links)
	}
	for _, problem := range deadLinks(docs) {
		t.Error(problem)
	}
}

func deadLinks(docs []document) (problems []string) {
	byPath := map[string]document{}
	for _, d := range docs {
		byPath[d.path] = d
	}
	for _, d := range docs {
		for _, link := range d.links {
			if strings.Contains(link, "://") {
				continue
			}
			file, anchor, _ := strings.Cut(link, "#")
			target := d.path
			if file != "" {
				target = path.Join(path.Dir(d.path), file)
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil && file != "" {
				problems = append(problems, fmt.Sprintf("%s: dead link %q", d.path, link))
			} else if to, ok := byPath[target]; anchor != "" && !(ok && to.anchors[anchor]) {
				problems = append(problems, fmt.Sprintf("%s: no heading for %q", d.path, link))
			}
		}
	}
	return problems
}

var (
	placePattern  = regexp.MustCompile(`^(?:core|bench|fuzz|reports|cmd|\.ci)(?:/[\w.\-/]*)?$`)
	testPattern   = regexp.MustCompile(`^(?:Test|Fuzz|Benchmark)[A-Z]\w*$`)
	metricPattern = regexp.MustCompile(`^[a-z]+\.[a-z_]+(?:\.[a-z0-9.]+)?$`)
	flagPattern   = regexp.MustCompile(`^-[a-z][a-z-]*`)
	helpFlag      = regexp.MustCompile(`(?m)^  (-[a-z][a-z-]*)`)
)

// What the text names between backticks exists: folders and files, tests, make
// targets, metrics, flags; and a command's flags are right.
func TestNames(t *testing.T) {
	known := know(t)
	for _, d := range documents(t, root) {
		t.Run(d.path, func(t *testing.T) {
			t.Parallel()
			for _, problem := range known.unknown(t, d) {
				t.Error(problem)
			}
		})
	}
	t.Run("what is wrong is found", func(t *testing.T) {
		t.Parallel()
		testWrong(t, known)
	})
}

// testWrong holds the checks to finding what is wrong.
func testWrong(t *testing.T, known names) {
	for _, c := range []struct{ text, problem string }{
		{"[x](nowhere.md)", `dead link "nowhere.md"`},
		{"[x](#nothing)", `no heading for "#nothing"`},
		{"# Some thing, here\n[x](#some-thing-here)", ""},
		{"`core/nowhere`", "no such place"},
		{"`core/udp`", ""},
		{"`make nothing`", "no such target"},
		{"`FuzzNothing`", "no such test"},
		{"`steady.nothing`", "no such metric"},
		{"`steady.latency.p99`", ""},
		{"`-no-flag`", "no command has this flag"},
		{"`meshbench -no-flag`", "not defined: -no-flag"},
		{"`meshbench -peers many`", "want a whole number"},
		{"`meshbench nothing`", "is no flag and no command"},
		{"`meshbench -peers 3`", ""},
	} {
		d := parse("README.md", c.text)
		problems := strings.Join(append(deadLinks([]document{d}), known.unknown(t, d)...), "; ")
		if !strings.Contains(problems, c.problem) || c.problem == "" && problems != "" {
			t.Errorf("%q: problems %q, want %q", c.text, problems, c.problem)
		}
	}
}

// names is what there is.
type names struct {
	tools
	tests, flags map[string]bool
	metrics      map[string]map[string]bool // by scenario
	makefile     string
}

func know(t *testing.T) names {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	tools := build(t)
	return names{tools, testNames(t), flagNames(t, tools), metricNames(t, tools), string(makefile)}
}

// unknown are a document's spans that name what does not exist.
func (n names) unknown(t *testing.T, d document) (problems []string) {
	for _, span := range d.spans {
		problem := ""
		first, rest, _ := strings.Cut(span, " ")
		switch {
		case first == "make":
			target, _, _ := strings.Cut(rest, " ")
			if !strings.Contains(n.makefile, "\n"+target+":") {
				problem = "no such target"
			}
		case isTool(first) && rest != "":
			if err := n.dry(t, span); err != nil {
				problem = err.Error()
			}
		case placePattern.MatchString(span) && !strings.Contains(span, "NAME") && !strings.Contains(span, "DATE"):
			if _, err := os.Stat(filepath.Join(root, span)); err != nil {
				problem = "no such place"
			}
		case testPattern.MatchString(span):
			if !n.tests[span] {
				problem = "no such test"
			}
		case metricPattern.MatchString(span):
			scenario, _, _ := strings.Cut(span, ".")
			if known, ok := n.metrics[scenario]; ok && !known[span] {
				problem = "no such metric"
			}
		case strings.HasPrefix(span, "-"):
			if f := flagPattern.FindString(span); f != "" && !n.flags[f] {
				problem = "no command has this flag"
			}
		}
		if problem != "" {
			problems = append(problems, fmt.Sprintf("%s: %q: %s", d.path, span, problem))
		}
	}
	return problems
}

// flagNames are the flags of all commands, and go test's that a text may name.
func flagNames(t *testing.T, tools tools) map[string]bool {
	flags := map[string]bool{"-h": true}
	for _, f := range strings.Fields("race tags run bench benchmem benchtime fuzz fuzztime update") {
		flags["-"+f] = true
	}
	for _, command := range []string{"meshbench", "meshbench scale", "meshbench swarm", "meshbench study", "meshbench sweep", "meshbench agree",
		"meshbench compare", "meshbench versus", "meshbench report", "meshbench worker", "p2p", "udpgarbage", "meshcheck server"} {
		out, err := tools.command(t, t.TempDir(), command+" -h").Output()
		if err != nil {
			t.Fatalf("%s -h: %v", command, err)
		}
		for _, m := range helpFlag.FindAllStringSubmatch(string(out), -1) {
			flags[m[1]] = true
		}
	}
	return flags
}

// Every command that a README shows works.
func TestSessions(t *testing.T) {
	replay(t, func(s session) bool { return s.how == "" || s.how == "exact" })
}

// What is not run at all has its flags parsed, and a reason.
func TestSessionsNotRun(t *testing.T) {
	tools := build(t)
	for _, d := range documents(t, root) {
		for _, s := range d.sessions {
			switch s.how {
			case "", "exact", "long":
				continue
			case "dry":
				if s.why == "" {
					t.Errorf("%s:%d: dry, and no reason", d.path, s.line)
				}
			default:
				t.Errorf("%s:%d: no block is %q", d.path, s.line, s.how)
				continue
			}
			for _, row := range s.rows {
				if command, ok := strings.CutPrefix(row, "$ "); ok {
					t.Logf("%s: not run: %s (%s)", d.path, command, s.why)
					if err := tools.dry(t, command); err != nil {
						t.Errorf("%s:%d: %q: %v", d.path, s.line, command, err)
					}
				}
			}
		}
	}
}

// testNames are all tests, fuzz targets and benchmarks.
func testNames(t *testing.T) map[string]bool {
	names := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range f.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && testPattern.MatchString(f.Name.Name) {
				names[f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// metricNames are each scenario's metrics, a distribution's parts among them.
func metricNames(t *testing.T, tools tools) map[string]map[string]bool {
	out, err := tools.command(t, t.TempDir(), "meshbench metrics -json -").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []struct {
		Name string
		Dist bool
	}
	if err := json.Unmarshal(out, &all); err != nil {
		t.Fatal(err)
	}
	metrics := map[string]map[string]bool{}
	for _, m := range all {
		scenario, _, _ := strings.Cut(m.Name, ".")
		if metrics[scenario] == nil {
			metrics[scenario] = map[string]bool{}
		}
		metrics[scenario][m.Name] = true
		for _, part := range strings.Fields("n min p50 p90 p99 p99.9 p99.99 max mean stddev") {
			metrics[scenario][m.Name+"."+part] = m.Dist
		}
	}
	if len(metrics) < 8 {
		t.Fatalf("meshbench metrics lists those of %d scenarios only", len(metrics))
	}
	return metrics
}

func isTool(word string) bool {
	switch word {
	case "meshbench", "p2p", "udpgarbage", "meshcheck":
		return true
	}
	return false
}

// dry has a command parse its flags and then print its help instead of working.
func (x tools) dry(t *testing.T, command string) error {
	command = strings.TrimSuffix(comment.ReplaceAllString(command, ""), " &")
	for part := range strings.SplitSeq(command, " && ") {
		if out, err := x.command(t, t.TempDir(), part+" -h >/dev/null").CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	return nil
}

var comment = regexp.MustCompile(`\s+# .*$`)

// command is a shell command with the tools on its path.
func (x tools) command(t *testing.T, dir, command string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), "bash", "-c", command)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+x.path+string(os.PathListSeparator)+os.Getenv("PATH"), "ROOT="+x.root, "HOST="+x.host)
	return cmd
}
