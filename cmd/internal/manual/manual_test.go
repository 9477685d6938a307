//go:build unix

package manual

import (
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
	byPath := map[string]document{}
	for _, d := range docs {
		byPath[d.path] = d
	}
	links := 0
	for _, d := range docs {
		for _, link := range d.links {
			if strings.Contains(link, "://") {
				continue
			}
			links++
			file, anchor, _ := strings.Cut(link, "#")
			target := d.path
			if file != "" {
				target = path.Join(path.Dir(d.path), file)
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s: dead link %q", d.path, link)
			} else if to, ok := byPath[target]; anchor != "" && !(ok && to.anchors[anchor]) {
				t.Errorf("%s: no heading for %q", d.path, link)
			}
		}
	}
	if links < 20 {
		t.Errorf("only %d links seen", links)
	}
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
	tools := build(t)
	tests := testNames(t)
	metrics := metricNames(t, tools)
	flags := map[string]bool{"-race": true, "-tags": true, "-run": true, "-bench": true, "-fuzz": true, "-fuzztime": true, "-update": true, "-h": true}
	for _, help := range []string{"meshbench", "meshbench swarm", "meshbench study", "meshbench sweep", "meshbench agree",
		"meshbench compare", "meshbench compare-servers", "meshbench report", "p2p", "udpgarbage", "meshcheck server"} {
		out, err := tools.command(t, t.TempDir(), help+" -h").Output()
		if err != nil {
			t.Errorf("%s -h: %v", help, err)
		}
		for _, m := range helpFlag.FindAllStringSubmatch(string(out), -1) {
			flags[m[1]] = true
		}
	}
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range documents(t, root) {
		for _, span := range d.spans {
			first, rest, _ := strings.Cut(span, " ")
			switch {
			case first == "make":
				target, _, _ := strings.Cut(rest, " ")
				if !strings.Contains(string(makefile), "\n"+target+":") {
					t.Errorf("%s: %q: no such target", d.path, span)
				}
			case isTool(first) && rest != "":
				if err := tools.dry(t, span); err != nil {
					t.Errorf("%s: %q: %v", d.path, span, err)
				}
			case placePattern.MatchString(span) && !strings.Contains(span, "NAME"):
				if _, err := os.Stat(filepath.Join(root, span)); err != nil {
					t.Errorf("%s: %q does not exist", d.path, span)
				}
			case testPattern.MatchString(span):
				if !tests[span] {
					t.Errorf("%s: there is no %s", d.path, span)
				}
			case metricPattern.MatchString(span):
				scenario, _, _ := strings.Cut(span, ".")
				if known, ok := metrics[scenario]; ok && !known[span] {
					t.Errorf("%s: there is no metric %s", d.path, span)
				}
			case strings.HasPrefix(span, "-"):
				if f := flagPattern.FindString(span); f != "" && !flags[f] {
					t.Errorf("%s: no command has the flag %s", d.path, f)
				}
			}
		}
	}
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
	out, err := tools.command(t, t.TempDir(), "meshbench metrics").Output()
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split("n min p50 p90 p99 p99.9 p99.99 max mean stddev", " ")
	metrics := map[string]map[string]bool{}
	for line := range strings.Lines(string(out)) {
		name, rest, _ := strings.Cut(line, " ")
		scenario, _, ok := strings.Cut(name, ".")
		if !ok || !metricPattern.MatchString(name) {
			continue
		}
		if metrics[scenario] == nil {
			metrics[scenario] = map[string]bool{}
		}
		metrics[scenario][name] = true
		if strings.HasPrefix(strings.TrimLeft(rest, " "), "*") {
			for _, p := range parts {
				metrics[scenario][name+"."+p] = true
			}
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
