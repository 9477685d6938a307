// Command mutate changes the code in one small place at a time and sees whether a
// test notices (mutation testing: DeMillo, Lipton and Sayward, "Hints on test data
// selection", 1978).
//
//	go run .ci/mutate.go [-n 100] [-seed 1] PACKAGE|FILE...
//
// All mutants are compiled into one program, where an environment variable chooses one
// (Untch, Offutt and Harrold, "Mutation analysis using mutant schemata", 1993), and each
// meets those tests of its package, and of the others that suites names, that come to its
// place. Only what cannot be chosen at run time, such as a constant, has a program of its own, and
// meets its own package's tests.
// What no test can notice stands in .ci/mutants, with the reason.
package main

import (
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
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// suites are the packages whose tests mutants of a package meet, each with a pattern
// where not all of its tests count.
var suites = map[string][]string{
	"core":           {"core", "core/wide", "core/simnet"},
	"bench/scenario": {"bench/scenario Ticks|Stage|Simulat|Interrupt|Window"},
	"bench/faults":   {"bench/swarm", "bench/scenario Simulat|Script|Schedule"},
}

// mutant is one change of one file.
type mutant struct {
	pkg, file string
	line      int
	change    edit   // all that it is
	choice    []edit // what lets a program choose it; nil: it has a program of its own
	last      int    // line of the choice
	typed     bool   // the choice stands only where the types suit it,
	float     string // or this in the text's place, where it is a number with a fraction
	key       string // as .ci/mutants has it
	tests     []test // that come to its place
}

// edit replaces some bytes of a file, or puts a text before them. Of several texts at one
// place those that close something come first, the inner before the outer.
type edit struct {
	from, to int
	text     string
	closing  bool
}

// test is one test, or with a pattern for a name several, in a suite's program.
type test struct {
	pkg, name string
	took      time.Duration
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

// signatures are those of the functions that stand for operators.
var signatures = map[string][]token.Token{
	"[T cmp.Ordered](n int, a, b T) bool":      {token.LSS, token.LEQ, token.GTR, token.GEQ},
	"[T mutant_number](n int, a, b T) T":       {token.ADD, token.SUB, token.MUL, token.QUO},
	"[T mutant_integer](n int, a, b T) T":      {token.REM, token.AND, token.OR, token.XOR, token.AND_NOT},
	"[T, U mutant_integer](n int, a T, b U) T": {token.SHL, token.SHR},
}

// helper is the file that lets a program choose, in each package with mutants.
func helper(pkg string, mutants int) string {
	text := fmt.Sprintf(`package %s

import ("cmp"; "os"; "strconv"; "sync/atomic")

var (
	mutant_chosen, _ = strconv.Atoi(os.Getenv("MUTANT"))
	mutant_reached   = os.Getenv("MUTANTS_REACHED")
	mutant_seen      [%d]atomic.Bool
)

func mutant_on(n int) bool { return n == mutant_chosen || mutant_reached != "" && mutant_see(n) }
func mutant_if(n, on, off int) int { if mutant_on(n) { return on }; return off }
func mutant_see(n int) bool {
	if mutant_seen[n].Swap(true) { return false }
	if f, err := os.OpenFile(mutant_reached, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666); err == nil {
		f.WriteString(strconv.Itoa(n) + "\n")
		f.Close()
	}
	return false
}

type mutant_integer interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr
}
type mutant_number interface { mutant_integer | ~float32 | ~float64 }

func mutant_neg[T mutant_number](n int, a T) T { if mutant_on(n) { return a }; return -a }
func mutant_min[T cmp.Ordered](n int, a T, more ...T) T {
	for _, b := range more { if mutant_on(n) { a = max(a, b) } else { a = min(a, b) } }
	return a
}
func mutant_max[T cmp.Ordered](n int, a T, more ...T) T {
	for _, b := range more { if mutant_on(n) { a = min(a, b) } else { a = max(a, b) } }
	return a
}
`, filepath.Base(pkg), mutants+1)
	for signature, ops := range signatures {
		for _, op := range ops {
			text += fmt.Sprintf("func mutant_%d%s { if mutant_on(n) { return a %v b }; return a %v b }\n", op, signature, swaps[op], op)
		}
	}
	return text
}

// mutants are all changes to one file.
func mutants(pkg, name string) ([]*mutant, error) {
	source, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, source, 0)
	if err != nil {
		return nil, err
	}
	var all []*mutant
	lines := strings.Split(string(source), "\n")
	offset := func(p token.Pos) int { return fset.Position(p).Offset }
	// change makes a mutant with a text in the place of another.
	change := func(from, to token.Pos, text string) *mutant {
		at := fset.Position(from)
		m := &mutant{pkg: pkg, file: name, line: at.Line, change: edit{offset(from), offset(to), text, false}}
		first := lines[at.Line-1]
		end := min(at.Column-1+int(to-from), len(first))
		m.key = strings.TrimSpace(fmt.Sprintf("%s: %s => %s", name, strings.TrimSpace(first), strings.TrimSpace(first[:at.Column-1]+text+first[end:])))
		all = append(all, m)
		return m
	}
	// choose lets a program choose it, by a text before and one after something, and one in the
	// place of what changes, if any. № is the mutant's number.
	choose := func(m *mutant, around ast.Node, before, inside, after string) {
		begin, end := offset(around.Pos()), offset(around.End())
		m.last = fset.Position(around.End()).Line
		m.choice = slices.DeleteFunc([]edit{{begin, begin, before, false}, {m.change.from, m.change.to, inside, false}, {end, end, after, true}},
			func(e edit) bool { return e.text == "" })
	}
	listed := map[ast.Stmt]bool{} // in whose place an if may stand
	list := func(stmts []ast.Stmt) {
		for _, s := range stmts {
			listed[s] = true
		}
	}
	lengths := map[ast.Expr]bool{} // of arrays: more is no other program, or none
	remove := func(s ast.Stmt) {
		if m := change(s.Pos(), s.End(), ""); listed[s] {
			choose(m, s, "if !mutant_on(№) { ", "", " }")
		}
	}
	// swap changes the operator of a statement.
	swap := func(s ast.Stmt, at token.Pos, op token.Token) {
		to, ok := swaps[op]
		if !ok {
			return
		}
		end := at + token.Pos(len(op.String()))
		m := change(at, end, to.String())
		before, after := string(source[offset(s.Pos()):m.change.from]), string(source[m.change.to:offset(s.End())])
		if listed[s] && !strings.Contains(before+after, "\n") {
			choose(m, s, "if mutant_on(№) { "+before+to.String()+after+" } else { ", "", " }")
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.GenDecl:
			return x.Tok != token.IMPORT && x.Tok != token.TYPE
		case *ast.ArrayType:
			lengths[x.Len] = true
		case *ast.BlockStmt:
			list(x.List)
		case *ast.CaseClause:
			list(x.Body)
		case *ast.CommClause:
			list(x.Body)
		case *ast.BinaryExpr:
			if x.Op == token.ADD && (text(x.X) || text(x.Y)) {
				return true // there is no other operator for strings
			}
			m := change(x.OpPos, x.OpPos+token.Pos(len(x.Op.String())), swaps[x.Op].String())
			_, left := x.X.(*ast.BasicLit)
			_, right := x.Y.(*ast.BasicLit)
			switch {
			case x.Op == token.EQL || x.Op == token.NEQ:
				choose(m, x, "(mutant_on(№) != (", "", "))")
			case x.Op == token.LAND || x.Op == token.LOR: // De Morgan: a || b is !(!a && !b)
				choose(m, x, "(mutant_on(№) != ((mutant_on(№) != (", ")) "+x.Op.String()+" (mutant_on(№) != (", "))))")
			case !left || !right:
				choose(m, x, fmt.Sprintf("mutant_%d(№, ", x.Op), ",", ")")
				m.typed = true
			}
		case *ast.UnaryExpr:
			if x.Op == token.NOT {
				choose(change(x.OpPos, x.OpPos+1, ""), x, "(mutant_on(№) != (", "", "))")
			} else if _, literal := x.X.(*ast.BasicLit); x.Op == token.SUB {
				if m := change(x.OpPos, x.OpPos+1, ""); !literal {
					choose(m, x, "mutant_neg(№, ", " ", ")")
				}
			}
		case *ast.IncDecStmt: // 1<<0 or 1<<64, which is nothing: a constant without a type
			choose(change(x.TokPos, x.TokPos+2, swaps[x.Tok].String()), x, "", x.Tok.String()[:1]+"= 1<<mutant_if(№, 64, 0) - 1<<mutant_if(№, 0, 64)", "")
		case *ast.AssignStmt:
			swap(x, x.TokPos, x.Tok)
			if blank, ok := x.Lhs[0].(*ast.Ident); x.Tok != token.DEFINE && !(ok && blank.Name == "_") {
				remove(x)
			}
		case *ast.BranchStmt:
			swap(x, x.Pos(), x.Tok)
		case *ast.ExprStmt:
			remove(x)
		case *ast.DeferStmt:
			remove(x)
		case *ast.IfStmt:
			choose(change(x.Cond.Pos(), x.Cond.Pos(), "true || "), x.Cond, "mutant_on(№) || (", "", ")")
			choose(change(x.Cond.Pos(), x.Cond.Pos(), "false && "), x.Cond, "!mutant_on(№) && (", "", ")")
		case *ast.BasicLit:
			if v, err := strconv.ParseInt(x.Value, 0, 64); x.Kind == token.INT && err == nil && !lengths[x] {
				more := strconv.FormatInt(v+1, 10)
				choose(change(x.Pos(), x.End(), more), x, "", "("+x.Value+"<<mutant_if(№, 64, 0) + "+more+"<<mutant_if(№, 0, 64))", "")
				all[len(all)-1].float = "float64(mutant_if(№, " + more + ", " + x.Value + "))"
			}
		case *ast.CallExpr:
			if f, ok := x.Fun.(*ast.Ident); ok && (f.Name == "min" || f.Name == "max") {
				to := map[string]string{"min": "max(", "max": "min("}[f.Name]
				choose(change(f.Pos(), x.Lparen+1, to), f, "", "mutant_"+f.Name+"(№, ", "")
			}
		case *ast.Ident:
			if to := map[string]string{"true": "false", "false": "true"}[x.Name]; to != "" {
				choose(change(x.Pos(), x.End(), to), x, "", "(mutant_on(№) != "+x.Name+")", "")
			}
		}
		return true
	})
	return all, nil
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

// compose is a source with edits made. Of several at one place, those that close something
// come first, the inner before the outer, and those that open something come next.
func compose(source []byte, edits []edit) (out []byte) {
	order := make([][3]int, len(edits))
	for i, e := range edits {
		switch {
		case e.closing:
			order[i] = [3]int{e.from, 0, -i}
		case e.from == e.to:
			order[i] = [3]int{e.from, 1, i}
		default:
			order[i] = [3]int{e.from, 2, i}
		}
	}
	slices.SortFunc(order, func(a, b [3]int) int { return slices.Compare(a[:], b[:]) })
	at := 0
	for _, o := range order {
		e := edits[max(o[2], -o[2])]
		out = append(append(out, source[at:e.from]...), e.text...)
		at = e.to
	}
	return append(out, source[at:]...)
}

// flat is a path as the name of a file.
func flat(path string) string { return strings.ReplaceAll(path, "/", "_") }

// compile makes the program of a package's tests with some files edited, and others added.
func compile(dir, pkg string, edits map[string][]edit, added map[string]string) (binary string, output []byte, err error) {
	replace := map[string]string{}
	add := func(name string, text []byte) error {
		path, err := filepath.Abs(name)
		replace[path] = filepath.Join(dir, flat(name))
		return cmp.Or(err, os.WriteFile(replace[path], text, 0o666))
	}
	for name, e := range edits {
		source, err := os.ReadFile(name)
		if err = cmp.Or(err, add(name, compose(source, e))); err != nil {
			return "", nil, err
		}
	}
	for name, text := range added {
		if err := add(name, []byte(text)); err != nil {
			return "", nil, err
		}
	}
	text, _ := json.Marshal(map[string]any{"Replace": replace})
	overlay := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, text, 0o666); err != nil {
		return "", nil, err
	}
	binary = filepath.Join(dir, flat(pkg)+".test")
	output, err = exec.Command("go", "test", "-c", "-vet=off", "-gcflags=p2plocal/...=-e", "-ldflags=-s -w",
		"-overlay", overlay, "-o", binary, "./"+pkg).CombinedOutput()
	return binary, output, err
}

var complaint = regexp.MustCompile(`(?m)(([^\s/:]+\.go):(\d+)):(.*)`)

// choosable compiles a suite with all mutants that can be chosen in it. Those that the
// compiler complains of cannot.
func choosable(dir, suite string, all []*mutant) (binary string, err error) {
	for {
		edits, added := map[string][]edit{}, map[string]string{}
		for i, m := range all {
			for _, e := range m.choice {
				e.text = strings.ReplaceAll(e.text, "№", strconv.Itoa(i+1))
				edits[m.file] = append(edits[m.file], e)
			}
			added[filepath.Join(m.pkg, "mutant_helper.go")] = helper(m.pkg, len(all))
		}
		binary, output, err := compile(dir, suite, edits, added)
		if err == nil {
			return binary, nil
		}
		seen, given := map[string]bool{}, 0
		for _, at := range complaint.FindAllStringSubmatch(string(output), -1) {
			if seen[at[1]] {
				continue // one at a time
			}
			seen[at[1]] = true
			line, _ := strconv.Atoi(at[3])
			for _, meant := range []func(m *mutant) bool{ // what it most likely is about
				func(m *mutant) bool {
					return m.line == line && m.float != "" && strings.Contains(at[4], "shifted operand")
				},
				func(m *mutant) bool { return m.line == line && m.typed },
				func(m *mutant) bool { return m.line == line },
				func(m *mutant) bool { return m.line <= line && line <= m.last },
			} {
				was := given
				for _, m := range all {
					switch {
					case m.choice == nil || flat(m.file) != at[2] || !meant(m):
						continue
					case m.float != "" && strings.Contains(at[4], "shifted operand"):
						m.choice[0].text, m.float = m.float, ""
					default:
						m.choice = nil
					}
					given++
				}
				if given > was {
					break
				}
			}
		}
		if given == 0 {
			return "", fmt.Errorf("the tests of %s do not compile: %s", suite, output)
		}
	}
}

// run runs some tests of a program, and tells what processor time they took and whether they
// failed, or hang: take very much more than they should.
func (t *test) run(ctx context.Context, binary string, env ...string) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute+10*t.took)
	defer cancel()
	script := fmt.Sprintf(`ulimit -t %d; ulimit -v 3000000; exec "$0" -test.failfast -test.short -test.run "$1"`, 1+3*t.took/time.Second)
	c := exec.CommandContext(ctx, "sh", "-c", script, binary, t.name)
	c.Dir, c.WaitDelay, c.Env = t.pkg, time.Second, append(os.Environ(), env...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	if err = c.Run(); c.ProcessState != nil {
		took = c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	}
	return took, err
}

// survey runs every test of a suite by itself, to see which mutants it comes to.
func survey(ctx context.Context, dir, suite, pattern, binary string, all []*mutant) (tests []test, err error) {
	c := exec.CommandContext(ctx, binary, "-test.list", cmp.Or(pattern, "."))
	c.Dir = suite
	list, err := c.Output()
	if err != nil {
		return nil, err
	}
	for _, name := range strings.Fields(string(list)) {
		if strings.HasPrefix(name, "Benchmark") {
			continue
		}
		t, reached := test{pkg: suite, name: "^" + name + "$", took: time.Minute}, filepath.Join(dir, "reached")
		os.Remove(reached)
		if t.took, err = t.run(ctx, binary, "MUTANTS_REACHED="+reached); err != nil {
			return nil, fmt.Errorf("%s of %s fails as it is: %w", name, suite, err)
		}
		numbers, err := os.ReadFile(reached)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		for _, s := range strings.Fields(string(numbers)) {
			n, _ := strconv.Atoi(s)
			all[n-1].tests = append(all[n-1].tests, t)
		}
		tests = append(tests, t)
	}
	return tests, nil
}

// batches are tests in groups that one run of a program does, the cheap ones first.
func batches(tests []test) (all []test) {
	const enough = 50 * time.Millisecond
	slices.SortFunc(tests, func(a, b test) int { return cmp.Compare(a.took, b.took) })
	for _, t := range tests {
		i := slices.IndexFunc(all, func(b test) bool { return b.pkg == t.pkg && b.took < enough })
		if i < 0 {
			all = append(all, t)
			continue
		}
		all[i].name += "|" + t.name
		all[i].took += t.took
	}
	return all
}

// measure tries the mutants of one package, and prints what becomes of them.
func measure(ctx context.Context, pkg string, all []*mutant, known map[string]bool) error {
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	own := suites[pkg]
	if own == nil {
		own = []string{pkg}
	}
	alone := filepath.Join(dir, "alone")
	if err := os.Mkdir(alone, 0o777); err != nil {
		return err
	}
	binaries, whole := map[string]string{}, []test{}
	for _, s := range own {
		suite, pattern, _ := strings.Cut(s, " ")
		if binaries[suite], err = choosable(dir, suite, all); err != nil {
			return err
		}
		tests, err := survey(ctx, dir, suite, pattern, binaries[suite], all)
		if err != nil {
			return err
		}
		if len(whole) == 0 {
			whole = tests // of its own package
		}
	}
	count, said := map[string]int{}, time.Now()
	for i, m := range all {
		if known[m.key] {
			count["equivalent"]++
			continue
		}
		verdict, tests := "survives", m.tests
		if m.choice == nil {
			tests = whole
		}
		programs := binaries
		if m.choice == nil {
			programs = map[string]string{}
		}
		for _, b := range batches(tests) {
			if programs[b.pkg] == "" {
				if programs[b.pkg], _, err = compile(alone, b.pkg, map[string][]edit{m.file: {m.change}}, nil); err != nil {
					verdict = "not viable"
					break
				}
			}
			if _, err := b.run(ctx, programs[b.pkg], "MUTANT="+strconv.Itoa(i+1)); err != nil {
				verdict = "killed"
				break
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if count[verdict]++; verdict == "survives" {
			fmt.Printf("line %d (%d tests) %s\n", m.line, len(tests), m.key)
		}
		if time.Since(said) > 10*time.Second {
			said = time.Now()
			fmt.Fprintf(os.Stderr, "%s: %d of %d\n", pkg, i+1, len(all))
		}
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
