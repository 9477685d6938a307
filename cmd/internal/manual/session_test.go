//go:build unix

package manual

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"p2plocal/fuzz/target"
)

// tools are the project's commands, built once, and what stands for others in
// the sessions. 127.0.0.1 in a session, also where it is only a default, is a
// loopback address of its own, so that sessions run side by side.
type tools struct{ root, path, host string }

// The shims. $ROOT is the project, $HOST the address that stands for 127.0.0.1.
var shims = map[string]string{
	// the default address is on $HOST, too
	"p2p": `for a; do name=$last last=$a; done
case " $*" in *" keygen "* | *" -listen "* | *" -server "*) exec "$BIN/p2p" "$@" ;; esac
case $name in ?) exec "$BIN/p2p" -server "$HOST:3000" "$@" ;; esac
exec "$BIN/p2p" -listen "$HOST:3000" "$@"`,
	"udpgarbage": `case " $*" in *" -target "* | *" -sim "* | *" -peer-exec "*) exec "$BIN/udpgarbage" "$@" ;; esac
exec "$BIN/udpgarbage" -target "$HOST:3000" "$@"`,
	"meshbench":  `exec "$BIN/meshbench" "$@"`,
	"meshcheck":  `exec "$BIN/meshcheck" "$@"`,
	"meshdriver": `exec "$BIN/meshdriver" "$@"`,
	// what a reader has of his own
	"your-server": `exec "$BIN/p2p" -quiet -listen "$1"`,
	"your-peer":   `exec "$BIN/p2p" -server "$3" "$1" "$2"`,
	// these tests are part of all tests; CI runs what make is for
	"go": `case " $* " in
*" -bench "*) shift; set -- test -benchtime 1x "$@" ;; # that it measures is tried, and not how fast
*" run ./cmd/"*) tool=${2#./cmd/}; shift 2; exec "$tool" "$@" ;;
*" ./... "*) exit ;;
esac
PATH=${PATH#*:}; cd "$ROOT" && exec go "$@"`,
	"make": `PATH=${PATH#*:}; cd "$ROOT" && exec make -n "$@"`,
}

var built struct {
	once sync.Once
	tools
	err error
}

func TestMain(m *testing.M) {
	flag.Parse()
	flag.Set("test.parallel", "12") // sessions mostly wait
	code := m.Run()
	if built.path != "" {
		os.RemoveAll(filepath.Dir(built.path))
	}
	os.Exit(code)
}

func build(t *testing.T) tools {
	t.Helper()
	built.once.Do(func() { built.err = built.make() })
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.tools
}

func (x *tools) make() error {
	dir, err := os.MkdirTemp("", "manual")
	if err != nil {
		return err
	}
	bin := filepath.Join(dir, "bin")
	x.host, x.path = target.OwnHost().String(), filepath.Join(dir, "path")
	if x.root, err = filepath.Abs(root); err != nil {
		return err
	}
	if err := cmp.Or(os.Mkdir(bin, 0o755), os.Mkdir(x.path, 0o755)); err != nil {
		return err
	}
	commands, err := filepath.Glob(filepath.Join(root, "cmd", "*", "main.go"))
	if err != nil {
		return err
	}
	for _, c := range commands {
		name := filepath.Base(filepath.Dir(c))
		// go run keeps what it has linked, go build does not.
		if out, err := exec.Command("go", "run", "-exec", "cp", "p2plocal/cmd/"+name, filepath.Join(bin, name)).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	for name, script := range shims {
		script = "#!/usr/bin/env bash\nBIN='" + bin + "'\n" + script + "\n"
		if err := os.WriteFile(filepath.Join(x.path, name), []byte(script), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// replay runs the sessions that are wanted.
func replay(t *testing.T, wanted func(session) bool) {
	tools := build(t)
	for _, d := range documents(t, root) {
		for _, whole := range d.sessions {
			if !wanted(whole) {
				continue
			}
			for _, s := range whole.parts() {
				t.Run(fmt.Sprintf("%s:%d", d.path, s.line), func(t *testing.T) {
					t.Parallel()
					tools.play(t, s)
				})
			}
		}
	}
}

// parts are a long session's commands one by one, so that they run side by side, where none leaves the next a
// server or a file.
func (s session) parts() (all []session) {
	for i, row := range s.rows {
		command, begins := strings.CutPrefix(row, "$ ")
		switch {
		case s.how != "long" || begins && (staysUp.MatchString(command) || fileNamed.MatchString(command)):
			return []session{s}
		case begins:
			all = append(all, session{line: s.line + 1 + i, how: s.how})
		}
		if n := len(all); n > 0 {
			all[n-1].rows = append(all[n-1].rows, row)
		}
	}
	return all
}

var (
	fileNamed   = regexp.MustCompile(`\.(json|html|md|txt|jsonl|pcapng?)\b`)
	exitPattern = regexp.MustCompile(`# exit code (\d+)`)
	staysUp     = regexp.MustCompile(`^p2p( [^k]|$)`) // until the end of its session, but for keygen
)

func (x tools) play(t *testing.T, s session) {
	x.host = target.OwnHost().String()
	dir := t.TempDir()
	var running []*process
	defer func() {
		for _, p := range running {
			p.end(t)
		}
	}()
	for i, row := range s.rows {
		command, ok := strings.CutPrefix(row, "$ ")
		if !ok {
			continue
		}
		var shown []string
		for _, row := range s.rows[i+1:] {
			if strings.HasPrefix(row, "$ ") {
				break
			}
			shown = append(shown, row)
		}
		if file, ok := strings.CutPrefix(command, "cat "); ok { // what it shows is what it holds
			if err := os.WriteFile(filepath.Join(dir, file), []byte(strings.Join(shown, "\n")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want := 0
		if m := exitPattern.FindStringSubmatch(command); m != nil {
			want, _ = strconv.Atoi(m[1])
		}
		p := x.start(t, dir, strings.NewReplacer("127.0.0.1", x.host, "[::]", x.host, " HOST:", " "+x.host+":").Replace(comment.ReplaceAllString(command, "")))
		if staysUp.MatchString(command) && !strings.Contains(command, "&") {
			running = append(running, p)
			p.waitUntilUp(netip.MustParseAddrPort(x.host + ":3000"))
			continue
		}
		code := p.wait(t)
		if said := p.output() + p.errors(); code == 1 && tooSlow.MatchString(said) {
			t.Logf("$ %s\n%s", command, said)
			continue
		} else if code != want {
			t.Fatalf("$ %s\nexit code %d, want %d\n%s%s", command, code, want, p.output(), p.errors())
		}
		if s.how == "exact" {
			compare(t, command, shown, strings.Split(p.output(), "\n"))
		} else {
			compareLabels(t, command, shown, p.output()+p.errors())
		}
	}
}

// tooSlow is what a command says with exit code 1 where this machine was too late to
// measure, or to judge. That is no fault of the manual's.
var tooSlow = regexp.MustCompile(`stood still|void: this machine was too late|no verdict`)

// longest is how long one command may take. What takes longer on a busy
// machine belongs into a block "console long".
const longest = 5 * time.Minute

// A process is one command of a session, with a process group of its own.
type process struct {
	command  string
	cmd      *exec.Cmd
	out, err string // files
	ended    chan struct{}
}

func (x tools) start(t *testing.T, dir, command string) *process {
	t.Helper()
	p := &process{command: command, cmd: x.command(t, dir, command), ended: make(chan struct{})}
	open := func(name string) *os.File {
		f, err := os.CreateTemp(t.TempDir(), name)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	out, errs := open("stdout"), open("stderr")
	p.out, p.err = out.Name(), errs.Name()
	p.cmd.Stdout, p.cmd.Stderr = out, errs
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := target.StartTied(p.cmd); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.cmd.Wait()
		out.Close()
		errs.Close()
		close(p.ended)
	}()
	t.Cleanup(func() { syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) })
	return p
}

func (p *process) output() string { return read(p.out) }
func (p *process) errors() string { return read(p.err) }

func read(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (p *process) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(longest):
		t.Fatalf("$ %s\nhas not ended after %v\n%s%s", p.command, longest, p.output(), p.errors())
		return 0
	}
}

// waitUntilUp gives a server or a peer time to come up, however busy the machine is: until it says
// something or, where it is to say nothing, the server has its port.
func (p *process) waitUntilUp(server netip.AddrPort) {
	quiet := strings.Contains(p.command, " -quiet")
	for end := time.Now().Add(longest); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		select {
		case <-p.ended:
			return
		default:
		}
		if p.output()+p.errors() != "" || quiet && target.Bound(server) {
			return
		}
	}
}

// end ends what was to stay up, and must have done so.
func (p *process) end(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM); errors.Is(err, syscall.ESRCH) {
		t.Errorf("$ %s\nended by itself\n%s%s", p.command, p.output(), p.errors())
	}
	code := p.wait(t)
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGTERM {
		return // it had not come so far as to look for signals
	}
	if code != 0 {
		t.Errorf("$ %s\nexit code %d\n%s%s", p.command, code, p.output(), p.errors())
	}
}

// compare wants the output as it is shown. A line "…" stands for any lines.
func compare(t *testing.T, command string, shown, came []string) {
	t.Helper()
	left := false
	for _, want := range shown {
		want = strings.TrimRight(want, " ")
		if want == "…" {
			left = true
			continue
		}
		for left && len(came) > 0 && strings.TrimRight(came[0], " ") != want {
			came = came[1:]
		}
		if len(came) == 0 {
			t.Errorf("$ %s\nwant %q, and the output is over", command, want)
			return
		}
		if got := strings.TrimRight(came[0], " "); got != want {
			t.Errorf("$ %s\nwant %q\n got %q", command, want, got)
			return
		}
		came, left = came[1:], false
	}
}

// compareLabels wants the label of each line of a table that is shown, that is
// what stands before two blanks, to come again. Numbers may be others.
func compareLabels(t *testing.T, command string, shown []string, output string) {
	t.Helper()
	output = generalize(output)
	for _, row := range shown {
		label, _, ok := strings.Cut(strings.TrimSpace(row), "  ")
		if label = generalize(label); !ok || !letters.MatchString(label) || strings.HasPrefix(label, "…") {
			continue
		}
		if !strings.Contains(output, label) {
			t.Errorf("$ %s\nthe line %q does not come any more", command, row)
		}
	}
}

var (
	letters = regexp.MustCompile(`[a-z]{2}`)
	numbers = regexp.MustCompile(`[0-9][0-9.,:]*`)
	blanks  = regexp.MustCompile(` +`)
)

func generalize(s string) string {
	return blanks.ReplaceAllString(numbers.ReplaceAllString(s, "0"), " ")
}
