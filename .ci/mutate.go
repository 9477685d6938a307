// Command mutate changes the code in one small place at a time and sees whether a
// test notices (mutation testing: DeMillo, Lipton and Sayward, "Hints on test data
// selection", 1978).
//
//	go run .ci/mutate.go [-n 100] [-seed 1] PACKAGE|FILE...
//
// Each mutant is compiled once, through an overlay, and meets its own package's
// tests, or those that suites names. What no test can notice stands in .ci/mutants,
// with the reason.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// suite is the tests of one package that a mutant meets.
type suite struct {
	pkg, run string
	limit    time.Duration // what takes longer has noticed: it hangs
}

// suites are what mutants of a package meet where that is not all of the package's own tests.
var suites = map[string][]*suite{
	"core":           {{pkg: "core"}, {pkg: "core/simnet"}, {pkg: "bench/swarm", run: "Deterministic|Examples"}},
	"core/simnet":    {{pkg: "core/simnet"}, {pkg: "bench/swarm", run: "Deterministic|Examples"}},
	"bench/scenario": {{pkg: "bench/scenario", run: "Ticks|Stage|Simulat|Interrupt"}},
	"bench/record":   {{pkg: "bench/record"}, {pkg: "bench/scenario", run: "Simulated"}},
	"bench/result":   {{pkg: "bench/result"}, {pkg: "bench/scenario", run: "Read|Schema|Merge"}, {pkg: "reports"}},
}

// mutant is one change of one file.
type mutant struct {
	pkg, file  string
	line       int
	from, to   int    // bytes of the file
	text       string // in their place
	key        string // as .ci/mutants has it
	equivalent bool
	verdict    string
}

// swaps are what operators become.
var swaps = map[token.Token]token.Token{
	token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
	token.EQL: token.NEQ, token.NEQ: token.EQL, token.LAND: token.LOR, token.LOR: token.LAND,
	token.ADD: token.SUB, token.SUB: token.ADD, token.MUL: token.QUO, token.QUO: token.MUL, token.REM: token.MUL,
	token.AND: token.OR, token.OR: token.AND, token.XOR: token.AND, token.SHL: token.SHR, token.SHR: token.SHL, token.AND_NOT: token.AND,
	token.ADD_ASSIGN: token.SUB_ASSIGN, token.SUB_ASSIGN: token.ADD_ASSIGN, token.OR_ASSIGN: token.AND_ASSIGN, token.AND_ASSIGN: token.OR_ASSIGN,
	token.INC: token.DEC, token.DEC: token.INC, token.BREAK: token.CONTINUE, token.CONTINUE: token.BREAK,
}

// mutants are all changes to one file.
func mutants(pkg, name string) ([]mutant, error) {
	source, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, source, 0)
	if err != nil {
		return nil, err
	}
	var all []mutant
	lines := bytes.Split(source, []byte("\n"))
	change := func(from, to token.Pos, text string) {
		at := fset.Position(from)
		m := mutant{pkg: pkg, file: name, line: at.Line, from: at.Offset, to: fset.Position(to).Offset, text: text}
		first := string(lines[at.Line-1])
		end := min(at.Column-1+m.to-m.from, len(first))
		m.key = fmt.Sprintf("%s: %s => %s", name, strings.TrimSpace(first), strings.TrimSpace(first[:at.Column-1]+text+first[end:]))
		all = append(all, m)
	}
	swap := func(at token.Pos, op token.Token) {
		if to, ok := swaps[op]; ok {
			change(at, at+token.Pos(len(op.String())), to.String())
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.GenDecl:
			return x.Tok != token.IMPORT && x.Tok != token.TYPE
		case *ast.BinaryExpr:
			swap(x.OpPos, x.Op)
		case *ast.UnaryExpr:
			if x.Op == token.NOT || x.Op == token.SUB {
				change(x.OpPos, x.OpPos+1, "")
			}
		case *ast.IncDecStmt:
			swap(x.TokPos, x.Tok)
		case *ast.AssignStmt:
			if swap(x.TokPos, x.Tok); x.Tok != token.DEFINE {
				change(x.Pos(), x.End(), "")
			}
		case *ast.BranchStmt:
			swap(x.Pos(), x.Tok)
		case *ast.ExprStmt:
			change(x.Pos(), x.End(), "")
		case *ast.DeferStmt:
			change(x.Pos(), x.End(), "")
		case *ast.IfStmt:
			change(x.Cond.Pos(), x.Cond.Pos(), "true || ")
			change(x.Cond.Pos(), x.Cond.Pos(), "false && ")
		case *ast.BasicLit:
			if v, err := strconv.ParseInt(x.Value, 0, 64); x.Kind == token.INT && err == nil {
				change(x.Pos(), x.End(), strconv.FormatInt(v+1, 10))
			}
		case *ast.Ident:
			if to := map[string]string{"true": "false", "false": "true", "min": "max", "max": "min"}[x.Name]; to != "" {
				change(x.Pos(), x.End(), to)
			}
		}
		return true
	})
	return all, nil
}

// try tells what becomes of a mutant: "killed", "survives", "not viable" where it does not compile.
func (m *mutant) try() (string, error) {
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	source, err := os.ReadFile(m.file)
	if err != nil {
		return "", err
	}
	path, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	changed, overlay := filepath.Join(dir, filepath.Base(m.file)), filepath.Join(dir, "overlay.json")
	text, _ := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err := errors.Join(os.WriteFile(changed, slices.Concat(source[:m.from], []byte(m.text), source[m.to:]), 0o666), os.WriteFile(overlay, text, 0o666)); err != nil {
		return "", err
	}
	for _, s := range suites[m.pkg] {
		binary, err := s.compile(dir, "-overlay", overlay)
		switch {
		case err != nil:
			return "not viable", nil
		case s.test(binary) != nil:
			return "killed", nil
		}
	}
	return "survives", nil
}

// compile makes the suite's program in a folder.
func (s *suite) compile(dir string, flags ...string) (binary string, err error) {
	binary = filepath.Join(dir, "test")
	args := slices.Concat([]string{"test", "-c", "-vet=off", "-ldflags=-s -w", "-o", binary}, flags, []string{"./" + s.pkg})
	return binary, exec.Command("go", args...).Run()
}

func (s *suite) test(binary string) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.limit)
	defer cancel()
	test := exec.CommandContext(ctx, binary, "-test.failfast", "-test.run", s.run)
	test.Dir, test.WaitDelay = s.pkg, time.Second
	return test.Run()
}

// measure runs the suites of a package as they are: they must pass, and say how
// long a mutant may take.
func measure(pkg string) error {
	if suites[pkg] == nil {
		suites[pkg] = []*suite{{pkg: pkg}}
	}
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, s := range suites[pkg] {
		s.limit = 10 * time.Minute
		binary, err := s.compile(dir)
		start := time.Now()
		if err = cmp.Or(err, s.test(binary)); err != nil {
			return fmt.Errorf("the tests of %s fail as they are: %w", s.pkg, err)
		}
		s.limit = 10*time.Second + 5*time.Since(start)
	}
	return nil
}

// targets are the mutants of what an argument names.
func targets(arg string) (all []mutant, err error) {
	dir, only := arg, ""
	if strings.HasSuffix(arg, ".go") {
		dir, only = filepath.Split(arg)
	}
	out, err := exec.Command("go", "list", "-f", `{{range .GoFiles}}{{.}} {{end}}`, "./"+dir).Output()
	if err != nil {
		return nil, fmt.Errorf("%q is no package: %w", arg, err)
	}
	for _, name := range strings.Fields(string(out)) {
		if only == "" || name == only {
			more, err := mutants(filepath.Clean(dir), filepath.Join(dir, name))
			if err != nil {
				return nil, err
			}
			all = append(all, more...)
		}
	}
	return all, nil
}

// equivalents reads .ci/mutants: a reason on a line of its own, then the mutants that it holds for.
func equivalents() (map[string]bool, error) {
	text, err := os.ReadFile(".ci/mutants")
	known := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		known[strings.TrimSpace(line)] = true
	}
	return known, err
}

func run() error {
	n := flag.Int("n", 0, "try so `many`, drawn at random; 0: all")
	seed := flag.Uint64("seed", 1, "of the draw")
	workers := flag.Int("workers", runtime.GOMAXPROCS(0), "mutants at once")
	flag.Parse()
	known, err := equivalents()
	if err != nil {
		return err
	}
	var all []mutant
	for _, arg := range flag.Args() {
		more, err := targets(arg)
		if err != nil {
			return err
		}
		all = append(all, more...)
		if err := measure(more[0].pkg); err != nil {
			return err
		}
	}
	if *n > 0 && *n < len(all) {
		rand.New(rand.NewPCG(*seed, 0)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		all = all[:*n]
		slices.SortFunc(all, func(a, b mutant) int { return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.from, b.from)) })
	}
	var mu sync.Mutex
	var group sync.WaitGroup
	next, count := 0, map[string]map[string]int{}
	var failed error
	for range *workers {
		group.Go(func() {
			mu.Lock()
			defer mu.Unlock()
			for next < len(all) && failed == nil {
				m := &all[next]
				next++
				verdict := "equivalent"
				if !known[m.key] {
					mu.Unlock()
					v, err := m.try()
					mu.Lock()
					verdict, failed = v, cmp.Or(failed, err)
				}
				if count[m.pkg] == nil {
					count[m.pkg] = map[string]int{}
				}
				count[m.pkg][verdict]++
				if verdict == "survives" {
					fmt.Printf("line %d (%d of %d tried) %s\n", m.line, next, len(all), m.key)
				}
			}
		})
	}
	group.Wait()
	for pkg, c := range count {
		viable := c["killed"] + c["survives"]
		fmt.Printf("%s: %d mutants, %d killed (%.1f %%), %d equivalent, %d survive\n", pkg, viable+c["equivalent"], c["killed"],
			100*float64(c["killed"])/float64(max(viable, 1)), c["equivalent"], c["survives"])
	}
	return failed
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}
