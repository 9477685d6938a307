// Command mutate changes the code in one small place at a time and sees whether a
// test notices (mutation testing: DeMillo, Lipton and Sayward, "Hints on test data
// selection", 1978).
//
//	go run .ci/mutate.go [-n 100] [-seed 1] PACKAGE|FILE...
//
// All mutants of a package that can be are compiled into one program, each behind a look at a
// number (mutant schemata: Untch, Offutt and Harrold, 1993); the others by an overlay each. A
// mutant meets the tests of its package and of the others that suites names. What no test can
// notice stands in .ci/mutants, with the reason.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
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
	"core/wide":      {"core/wide", "core"},
	"bench/record":   {"bench/record", "bench/scenario Ticks|Stage|Simulat|Interrupt|Window", "bench/clock Fit|Jump|First"},
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

	before, after string // what makes it one of many in a program: inserted where it begins
	begin, end    int    // and ends; "": it cannot be
	number        int    // there; 0: it is not
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
	source    string
	lines     []string
	fset      *token.FileSet
	info      types.Info
	names     map[string]string // of packages, by path
	all       []*mutant
	lengths   map[ast.Expr]bool // of arrays: more is no other program, or none
	constant  token.Pos         // up to here nothing is evaluated when the program runs
	parts     map[ast.Stmt]bool // of other statements: they cannot stand in an if
}

// mutants are all changes to some files of a package.
func mutants(pkg string, names []string, wanted func(name string) bool) (all []*mutant, err error) {
	fset := token.NewFileSet()
	var files []*ast.File
	var sources []string
	for _, name := range names {
		source, err := os.ReadFile(filepath.Join(pkg, name))
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(fset, filepath.Join(pkg, name), source, 0)
		if err != nil {
			return nil, err
		}
		files, sources = append(files, file), append(sources, string(source))
	}
	compiled, err := exec.Command("go", "list", "-deps", "-export", "-f", "{{.ImportPath}} {{.Export}}", "./"+pkg).Output()
	if err != nil {
		return nil, err
	}
	exports := map[string]string{}
	for line := range strings.Lines(string(compiled)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		exports[path] = file
	}
	config := types.Config{Importer: importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })}
	info := types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	if _, err := config.Check(pkg, fset, files, &info); err != nil {
		return nil, err
	}
	for i, file := range files {
		if !wanted(names[i]) {
			continue
		}
		f := &finder{pkg: pkg, name: filepath.Join(pkg, names[i]), source: sources[i], lines: strings.Split(sources[i], "\n"), fset: fset, info: info,
			names: map[string]string{}, lengths: map[ast.Expr]bool{}, parts: map[ast.Stmt]bool{nil: true}}
		for _, x := range file.Imports {
			path, _ := strconv.Unquote(x.Path.Value)
			if f.names[path] = filepath.Base(path); x.Name != nil {
				f.names[path] = x.Name.Name
			}
		}
		ast.Inspect(file, f.visit)
		all = append(all, f.all...)
	}
	return all, nil
}

// change makes a mutant of a node, with a text in the place of another in it.
func (f *finder) change(n ast.Node, from, to token.Pos, text string) *mutant {
	at := f.fset.Position(from)
	first := f.lines[at.Line-1]
	end := min(at.Column-1+int(to-from), len(first))
	key := fmt.Sprintf("%s: %s => %s", f.name, strings.TrimSpace(first), strings.TrimSpace(first[:at.Column-1]+text+first[end:]))
	m := &mutant{pkg: f.pkg, file: f.name, line: at.Line, from: at.Offset, to: f.fset.Position(to).Offset, text: text, key: strings.TrimSpace(key),
		begin: f.fset.Position(n.Pos()).Offset, end: f.fset.Position(n.End()).Offset}
	f.all = append(f.all, m)
	changed := f.source[m.begin:m.from] + text + f.source[m.to:m.end]
	if strings.Contains(changed, "\n") && (strings.Contains(changed, "func") || strings.Contains(changed, "//")) || n.Pos() < f.constant {
		return m
	}
	changed = strings.ReplaceAll(changed, "\n", " ") // so that lines keep their numbers
	switch x := n.(type) {
	case ast.Expr:
		t := f.info.Types[x].Type
		nameable := t != nil
		name := func(p *types.Package) string {
			name := f.names[p.Path()]
			if nameable = nameable && (p.Path() == f.pkg || name != ""); p.Path() == f.pkg {
				return ""
			}
			return name
		}
		if t == nil {
			return m
		} else if is := types.TypeString(t, name); is == "untyped bool" {
			m.before, m.after = "(mutantNow == %[1]d && ("+strings.ReplaceAll(changed, "%", "%%")+") || mutantNow != %[1]d && (", "))"
		} else if nameable && !strings.HasPrefix(is, "untyped ") {
			m.before, m.after = "func() "+is+" { if mutantNow == %d { return "+strings.ReplaceAll(changed, "%", "%%")+" }; return ", " }()"
		}
	case ast.Stmt:
		if changed = strings.ReplaceAll(changed, "%", "%%"); f.parts[x] {
		} else if changed == "" {
			m.before, m.after = "if mutantNow != %d { ", " }"
		} else {
			m.before, m.after = "if mutantNow == %d { "+changed+" } else { ", " }"
		}
	}
	return m
}

// swap changes an operator.
func (f *finder) swap(n ast.Node, at token.Pos, op token.Token) {
	if to, ok := swaps[op]; ok {
		f.change(n, at, at+token.Pos(len(op.String())), to.String())
	}
}

// visit finds the changes to one node; false: there are none within it.
func (f *finder) visit(n ast.Node) bool {
	switch x := n.(type) {
	case *ast.GenDecl:
		if x.Tok == token.CONST {
			f.constant = x.End()
		}
		return x.Tok != token.IMPORT && x.Tok != token.TYPE
	case *ast.ArrayType:
		if f.lengths[x.Len] = true; x.Len != nil {
			f.constant = max(f.constant, x.Len.End())
		}
	case *ast.BinaryExpr:
		if t, ok := f.info.Types[x].Type.Underlying().(*types.Basic); x.Op != token.ADD || ok && t.Info()&types.IsString == 0 { // there is no other operator for strings
			f.swap(x, x.OpPos, x.Op)
		}
	case *ast.UnaryExpr:
		if x.Op == token.NOT || x.Op == token.SUB {
			f.change(x, x.OpPos, x.OpPos+1, "")
		}
	case *ast.IncDecStmt:
		f.swap(x, x.TokPos, x.Tok)
	case *ast.AssignStmt:
		f.swap(x, x.TokPos, x.Tok)
		if blank, ok := x.Lhs[0].(*ast.Ident); x.Tok != token.DEFINE && !(ok && blank.Name == "_") {
			f.change(x, x.Pos(), x.End(), "")
		}
	case *ast.BranchStmt:
		f.swap(x, x.Pos(), x.Tok)
	case *ast.ExprStmt, *ast.DeferStmt:
		f.change(n, n.Pos(), n.End(), "")
	case *ast.ForStmt:
		f.parts[x.Init], f.parts[x.Post] = true, true
	case *ast.SwitchStmt:
		f.parts[x.Init] = true
	case *ast.CommClause:
		f.parts[x.Comm] = true
	case *ast.IfStmt:
		f.parts[x.Init] = true
		f.change(x.Cond, x.Cond.Pos(), x.Cond.Pos(), "true || ")
		f.change(x.Cond, x.Cond.Pos(), x.Cond.Pos(), "false && ")
	case *ast.BasicLit:
		if v, err := strconv.ParseInt(x.Value, 0, 64); x.Kind == token.INT && err == nil && !f.lengths[x] {
			f.change(x, x.Pos(), x.End(), strconv.FormatInt(v+1, 10))
		}
	case *ast.CallExpr:
		if called, ok := x.Fun.(*ast.Ident); ok && words[called.Name] != "" {
			f.change(x, called.Pos(), called.End(), words[called.Name])
		}
	case *ast.Ident:
		if to := words[x.Name]; x.Name == "true" || x.Name == "false" {
			f.change(x, x.Pos(), x.End(), to)
		}
	}
	return true
}

// inOne is the package's files with all mutants in them that have a place there, each by its number
// in the list.
func inOne(all []*mutant) map[string]string {
	byFile := map[string][]*mutant{}
	for i, m := range all {
		if m.number = 0; m.before != "" {
			m.number = i + 1
			byFile[m.file] = append(byFile[m.file], m)
		}
	}
	files := map[string]string{}
	for name, mutants := range byFile {
		source, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		inserted := map[int]string{}
		slices.SortStableFunc(mutants, func(a, b *mutant) int { return cmp.Or(b.end-b.begin-(a.end-a.begin), a.number-b.number) }) // the outer first
		for _, m := range mutants {
			inserted[m.begin] += fmt.Sprintf(m.before, m.number)
			inserted[m.end] = m.after + inserted[m.end]
		}
		var text strings.Builder
		for at := range len(source) + 1 {
			text.WriteString(inserted[at])
			if at < len(source) {
				text.WriteByte(source[at])
			}
		}
		files[name] = text.String()
	}
	return files
}

// suite is the tests of a package that count, their program with all the mutants that can be in one,
// and what processor time and time it takes while none of them is on.
type suite struct {
	pkg, pattern string
	all          string
	took, wall   time.Duration
}

// compile makes the suite's program with other texts for some files.
func (s *suite) compile(dir string, files map[string]string) (binary string, err error) {
	replace := map[string]string{}
	for name, text := range files {
		path, err := filepath.Abs(name)
		replace[path] = filepath.Join(dir, filepath.Base(name)) // all are of one package
		if err = cmp.Or(err, os.WriteFile(replace[path], []byte(text), 0o666)); err != nil {
			return "", err
		}
	}
	overlay := filepath.Join(dir, "overlay.json")
	text, _ := json.Marshal(map[string]any{"Replace": replace})
	if err := os.WriteFile(overlay, text, 0o666); err != nil {
		return "", err
	}
	binary = filepath.Join(dir, strings.ReplaceAll(s.pkg, "/", "_")+".test")
	out, err := exec.Command("go", "test", "-c", "-vet=off", "-gcflags=-e", "-ldflags=-s -w", "-overlay", overlay, "-o", binary, "./"+s.pkg).CombinedOutput()
	if err != nil {
		err = errors.New(string(out))
	}
	return binary, err
}

// complaint is a line of the compiler's: which line of which file it does not take.
var complaint = regexp.MustCompile(`(?m)^(\S+\.go):(\d+):`)

// compileAll makes the programs of some suites with all the mutants of a package in them that the
// compiler takes there.
func compileAll(dir string, with []*suite, pkg string, all []*mutant) (err error) {
	for range 10 {
		files := inOne(all)
		files[filepath.Join(pkg, "mutant_now.go")] = "package " + filepath.Base(pkg) + `

import (
	"os"
	"strconv"
)

var mutantNow, _ = strconv.Atoi(os.Getenv("MUTANT"))
`
		for _, s := range with {
			if s.all, err = s.compile(dir, files); err != nil {
				break
			}
		}
		if err == nil {
			return nil
		}
		refused := map[string]bool{}
		for _, x := range complaint.FindAllStringSubmatch(err.Error(), -1) {
			refused[filepath.Base(x[1])+":"+x[2]] = true
		}
		some := false
		for _, m := range all {
			if m.before != "" && refused[fmt.Sprintf("%s:%d", filepath.Base(m.file), m.line)] {
				m.before, some = "", true
			}
		}
		if !some {
			return err
		}
	}
	return err
}

// outcome is what a run of tests came to.
type outcome struct {
	passed, hung bool
	endless      bool   // has used up its processor time, which no other work on the machine does
	failed       string // the first test that did, where that is known
	took         time.Duration
}

// run runs those of the suite's tests that match, in a program in which a mutant is on.
func (s *suite) run(ctx context.Context, binary string, number int, pattern string) (o outcome) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second+5*s.wall)
	defer cancel()
	script := fmt.Sprintf(`ulimit -t %d; ulimit -v 3000000; exec "$0" -test.failfast -test.short -test.run "$1"`, 10+3*s.took/time.Second)
	c := exec.CommandContext(ctx, "sh", "-c", script, binary, pattern)
	c.Dir, c.WaitDelay = s.pkg, time.Second
	c.Env = append(os.Environ(), "MUTANT="+strconv.Itoa(number))
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	out, err := c.Output()
	o.passed, o.hung = err == nil || errors.Is(err, exec.ErrWaitDelay), ctx.Err() != nil
	if end := c.ProcessState; end != nil {
		o.took = end.UserTime() + end.SystemTime()
		o.endless = !o.hung && end.Sys().(syscall.WaitStatus).Signaled()
	}
	if _, rest, ok := strings.Cut("\n"+string(out), "\n--- FAIL: "); ok {
		o.failed, _, _ = strings.Cut(rest, " ")
	}
	return o
}

// notice tells whether the tests notice a mutant in a program. On a busy machine a test may fail or
// wait for long by itself: it has to fail again alone, or all of them three times in a row, and where
// they hang they must not without the mutant.
func (s *suite) notice(ctx context.Context, binary string, number int) bool {
	for range 3 {
		switch o := s.run(ctx, binary, number, s.pattern); {
		case o.passed:
			return false
		case o.endless:
			return true
		case o.hung:
			if s.run(ctx, s.all, 0, s.pattern).passed {
				return true
			}
		case o.failed != "":
			if again := s.run(ctx, binary, number, "^"+o.failed+"$"); !again.passed && !again.hung {
				return true
			}
		}
	}
	return true
}

// try tells what becomes of a mutant.
func (m *mutant) try(ctx context.Context, dir string, with []*suite) string {
	for _, s := range with {
		binary := s.all
		if m.before == "" {
			source, err := os.ReadFile(m.file)
			if err == nil {
				binary, err = s.compile(dir, map[string]string{m.file: string(source[:m.from]) + m.text + string(source[m.to:])})
			}
			if err != nil {
				return "not viable"
			}
		}
		if s.notice(ctx, binary, m.number) {
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
		s := &suite{took: time.Minute, wall: time.Minute}
		s.pkg, s.pattern, _ = strings.Cut(name, " ")
		with = append(with, s)
	}
	if err := compileAll(dir, with, pkg, all); err != nil {
		return err
	}
	for _, s := range with {
		begin, o := time.Now(), s.run(ctx, s.all, 0, s.pattern)
		if s.took, s.wall = o.took, time.Since(begin); !o.passed {
			return fmt.Errorf("the tests of %s fail as they are: %s", s.pkg, cmp.Or(o.failed, "one does"))
		}
	}
	alone := 0
	for _, m := range all {
		if m.before == "" {
			alone++
		}
	}
	fmt.Fprintf(os.Stderr, "%s: %d mutants, %d of them with a program each\n", pkg, len(all), alone)
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
func targets(arg string) ([]*mutant, error) {
	dir, only := arg, ""
	if strings.HasSuffix(arg, ".go") {
		dir, only = filepath.Split(arg)
	}
	out, err := exec.Command("go", "list", "-f", `{{range .GoFiles}}{{.}} {{end}}`, "./"+dir).Output()
	if err != nil {
		return nil, fmt.Errorf("%q is no package: %w", arg, err)
	}
	return mutants(filepath.Clean(dir), strings.Fields(string(out)), func(name string) bool { return only == "" || name == only })
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
