// Command mutate changes the code in one small place at a time and sees whether a
// test notices (mutation testing: DeMillo, Lipton and Sayward, "Hints on test data
// selection", 1978).
//
//	go run .ci/mutate.go [-n 100] [-seed 1] PACKAGE|FILE...
//
// Each mutant is compiled by an overlay of its file, and meets the tests of its package
// and of the others that suites names. What no test can notice stands in .ci/mutants,
// with the reason.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// suites are the packages whose tests mutants of a package meet, each with a pattern
// where not all of its tests count.
var suites = map[string][]string{
	"core":           {"core", "core/wide", "core/simnet"},
	"bench/scenario": {"bench/scenario Ticks|Stage|Simulat|Interrupt|Window"},
	"bench/faults":   {"bench/faults", "bench/swarm", "bench/scenario Simulat|Script|Schedule"},
}

// mutant is one change of one file: some of its bytes replaced.
type mutant struct {
	pkg, file string
	line      int
	from, to  int
	text      string
	key       string // as .ci/mutants has it
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

// words are what names become.
var words = map[string]string{"true": "false", "false": "true", "min": "max", "max": "min"}

// finder finds the changes to one file.
type finder struct {
	pkg, name string
	lines     []string
	fset      *token.FileSet
	all       []*mutant
	lengths   map[ast.Expr]bool // of arrays: more is no other program, or none
}

// mutants are all changes to one file.
func mutants(pkg, name string) ([]*mutant, error) {
	source, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	f := &finder{pkg: pkg, name: name, lines: strings.Split(string(source), "\n"), fset: token.NewFileSet(), lengths: map[ast.Expr]bool{}}
	file, err := parser.ParseFile(f.fset, name, source, 0)
	if err != nil {
		return nil, err
	}
	ast.Inspect(file, f.visit)
	return f.all, nil
}

// change makes a mutant with a text in the place of another.
func (f *finder) change(from, to token.Pos, text string) {
	at := f.fset.Position(from)
	first := f.lines[at.Line-1]
	end := min(at.Column-1+int(to-from), len(first))
	key := fmt.Sprintf("%s: %s => %s", f.name, strings.TrimSpace(first), strings.TrimSpace(first[:at.Column-1]+text+first[end:]))
	f.all = append(f.all, &mutant{f.pkg, f.name, at.Line, at.Offset, f.fset.Position(to).Offset, text, strings.TrimSpace(key)})
}

// swap changes an operator.
func (f *finder) swap(at token.Pos, op token.Token) {
	if to, ok := swaps[op]; ok {
		f.change(at, at+token.Pos(len(op.String())), to.String())
	}
}

// visit finds the changes to one node; false: there are none within it.
func (f *finder) visit(n ast.Node) bool {
	switch x := n.(type) {
	case *ast.GenDecl:
		return x.Tok != token.IMPORT && x.Tok != token.TYPE
	case *ast.ArrayType:
		f.lengths[x.Len] = true
	case *ast.BinaryExpr:
		if x.Op != token.ADD || !text(x.X) && !text(x.Y) { // there is no other operator for strings
			f.swap(x.OpPos, x.Op)
		}
	case *ast.UnaryExpr:
		if x.Op == token.NOT || x.Op == token.SUB {
			f.change(x.OpPos, x.OpPos+1, "")
		}
	case *ast.IncDecStmt:
		f.swap(x.TokPos, x.Tok)
	case *ast.AssignStmt:
		f.swap(x.TokPos, x.Tok)
		if blank, ok := x.Lhs[0].(*ast.Ident); x.Tok != token.DEFINE && !(ok && blank.Name == "_") {
			f.change(x.Pos(), x.End(), "")
		}
	case *ast.BranchStmt:
		f.swap(x.Pos(), x.Tok)
	case *ast.ExprStmt, *ast.DeferStmt:
		f.change(n.Pos(), n.End(), "")
	case *ast.IfStmt:
		f.change(x.Cond.Pos(), x.Cond.Pos(), "true || ")
		f.change(x.Cond.Pos(), x.Cond.Pos(), "false && ")
	case *ast.BasicLit:
		if v, err := strconv.ParseInt(x.Value, 0, 64); x.Kind == token.INT && err == nil && !f.lengths[x] {
			f.change(x.Pos(), x.End(), strconv.FormatInt(v+1, 10))
		}
	case *ast.Ident:
		if to := words[x.Name]; to != "" {
			f.change(x.Pos(), x.End(), to)
		}
	}
	return true
}

// text reports that an expression has a string literal in it that makes it a string.
func text(e ast.Expr) bool {
	switch x := e.(type) {
	case *ast.BasicLit:
		return x.Kind == token.STRING
	case *ast.BinaryExpr:
		return x.Op == token.ADD && (text(x.X) || text(x.Y))
	}
	return false
}

// suite is the tests of a package that count, and what processor time they take.
type suite struct {
	pkg, pattern string
	took         time.Duration
}

// compile makes the suite's program, with a mutant in it unless that is nil.
func (s *suite) compile(dir string, m *mutant) (binary string, err error) {
	replace := map[string]string{}
	if m != nil {
		source, err := os.ReadFile(m.file)
		if err != nil {
			return "", err
		}
		path, err := filepath.Abs(m.file)
		replace[path] = filepath.Join(dir, "mutant.go")
		changed := slices.Concat(source[:m.from], []byte(m.text), source[m.to:])
		if err = cmp.Or(err, os.WriteFile(replace[path], changed, 0o666)); err != nil {
			return "", err
		}
	}
	overlay := filepath.Join(dir, "overlay.json")
	text, _ := json.Marshal(map[string]any{"Replace": replace})
	if err := os.WriteFile(overlay, text, 0o666); err != nil {
		return "", err
	}
	binary = filepath.Join(dir, strings.ReplaceAll(s.pkg, "/", "_")+".test")
	return binary, exec.Command("go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-overlay", overlay, "-o", binary, "./"+s.pkg).Run()
}

// run runs the suite's program, and tells what processor time it took and whether a test failed,
// or hangs: takes very much more than it should.
func (s *suite) run(ctx context.Context, binary string) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute+10*s.took)
	defer cancel()
	script := fmt.Sprintf(`ulimit -t %d; ulimit -v 3000000; exec "$0" -test.failfast -test.short -test.run "$1"`, 10+3*s.took/time.Second)
	c := exec.CommandContext(ctx, "sh", "-c", script, binary, s.pattern)
	c.Dir, c.WaitDelay = s.pkg, time.Second
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	if err = c.Run(); c.ProcessState != nil {
		took = c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	}
	return took, err
}

// try tells what becomes of a mutant.
func (m *mutant) try(ctx context.Context, dir string, all []*suite) string {
	for _, s := range all {
		binary, err := s.compile(dir, m)
		if err != nil {
			return "not viable"
		}
		if _, err := s.run(ctx, binary); err != nil {
			return "killed"
		}
	}
	return "survives"
}

// measure tries the mutants of one package, one on each processor, and prints what becomes of them.
func measure(ctx context.Context, pkg string, all []*mutant, known map[string]bool) error {
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	names := suites[pkg]
	if names == nil {
		names = []string{pkg}
	}
	var with []*suite
	for _, name := range names {
		s := &suite{took: time.Minute}
		s.pkg, s.pattern, _ = strings.Cut(name, " ")
		binary, err := s.compile(dir, nil)
		if err == nil {
			s.took, err = s.run(ctx, binary)
		}
		if err != nil {
			return fmt.Errorf("the tests of %s fail as they are: %w", s.pkg, err)
		}
		with = append(with, s)
	}
	var mu sync.Mutex
	var workers sync.WaitGroup
	count, said, next := map[string]int{}, time.Now(), 0
	work := func(dir string) {
		for {
			mu.Lock()
			i := next
			next++
			mu.Unlock()
			if i >= len(all) || ctx.Err() != nil {
				return
			}
			m, verdict := all[i], "equivalent"
			if !known[m.key] {
				verdict = m.try(ctx, dir, with)
			}
			mu.Lock()
			if count[verdict]++; verdict == "survives" {
				fmt.Printf("line %d %s\n", m.line, m.key)
			}
			if time.Since(said) > 10*time.Second {
				said = time.Now()
				fmt.Fprintf(os.Stderr, "%s: %d of %d\n", pkg, i+1, len(all))
			}
			mu.Unlock()
		}
	}
	for range runtime.GOMAXPROCS(0) {
		own, err := os.MkdirTemp(dir, "")
		if err != nil {
			return err
		}
		workers.Go(func() { work(own) })
	}
	if workers.Wait(); ctx.Err() != nil {
		return ctx.Err()
	}
	viable := count["killed"] + count["survives"]
	fmt.Printf("%s: %d mutants, %d killed (%.1f %%), %d equivalent, %d survive\n", pkg, viable+count["equivalent"], count["killed"],
		100*float64(count["killed"])/float64(max(viable, 1)), count["equivalent"], count["survives"])
	return nil
}

// targets are the mutants of what an argument names.
func targets(arg string) (all []*mutant, err error) {
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

func run(ctx context.Context) error {
	n := flag.Int("n", 0, "try so `many`, drawn at random; 0: all")
	seed := flag.Uint64("seed", 1, "of the draw")
	flag.Parse()
	known, err := equivalents()
	if err != nil {
		return err
	}
	var all []*mutant
	for _, arg := range flag.Args() {
		more, err := targets(arg)
		if err != nil {
			return err
		}
		all = append(all, more...)
	}
	for draw := rand.New(rand.NewPCG(*seed, 0)); *n > 0 && *n < len(all); {
		at := draw.IntN(len(all))
		all = slices.Delete(all, at, at+1)
	}
	for len(all) > 0 {
		end := slices.IndexFunc(all, func(m *mutant) bool { return m.pkg != all[0].pkg })
		if end < 0 {
			end = len(all)
		}
		if err := measure(ctx, all[0].pkg, all[:end], known); err != nil {
			return err
		}
		all = all[end:]
	}
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}
