package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"p2plocal/cmd/internal/cli"
	"p2plocal/fuzz/target"
)

// patience is for a machine that is busy with other things; nothing waits that
// long when all is well.
const patience = 60 * time.Second

// transcript is an output, line by line as it comes.
type transcript struct {
	mu    sync.Mutex
	lines []string
	next  int           // what has been expected so far ends here
	came  chan struct{} // closed and replaced with every line
}

func read(r io.Reader, done func()) *transcript {
	tr := &transcript{came: make(chan struct{})}
	go func() {
		defer done()
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			tr.mu.Lock()
			tr.lines = append(tr.lines, lines.Text())
			close(tr.came)
			tr.came = make(chan struct{})
			tr.mu.Unlock()
		}
	}()
	return tr
}

// expect waits for a line that matches the whole of pattern, after the one
// expected last, and returns its submatches.
func (tr *transcript) expect(t *testing.T, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile("^(?:" + pattern + ")$")
	timeout := time.After(patience)
	for {
		tr.mu.Lock()
		for tr.next < len(tr.lines) {
			tr.next++
			if m := re.FindStringSubmatch(tr.lines[tr.next-1]); m != nil {
				tr.mu.Unlock()
				return m
			}
		}
		came := tr.came
		tr.mu.Unlock()
		select {
		case <-came:
		case <-timeout:
			t.Fatalf("no line %s in:\n%s", pattern, tr.String())
		}
	}
}

func (tr *transcript) String() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return strings.Join(tr.lines, "\n")
}

// instance is one p2p, as a process or in this one.
type instance struct {
	out, err *transcript
	stdin    io.WriteCloser
	signal   func(os.Signal) // in this process any signal cancels the context
	wait     func() int      // for its end; the exit code
}

func (i *instance) say(t *testing.T, line string) {
	t.Helper()
	if _, err := fmt.Fprintln(i.stdin, line); err != nil {
		t.Fatal(err)
	}
}

// within runs p2p in this process.
func within(t *testing.T, args ...string) *instance {
	ctx, cancel := context.WithCancel(context.Background())
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	errR, errW := io.Pipe()
	var reading sync.WaitGroup
	reading.Add(2)
	code := make(chan int, 1)
	go func() {
		code <- cli.Exit(errW, "p2p", run(ctx, args, inR, outW, errW))
		outW.Close()
		errW.Close()
	}()
	i := &instance{out: read(outR, reading.Done), err: read(errR, reading.Done), stdin: inW,
		signal: func(os.Signal) { cancel() },
		wait:   sync.OnceValue(func() int { reading.Wait(); return <-code })}
	t.Cleanup(func() {
		cancel()
		inW.Close()
		i.wait()
	})
	return i
}

// binary is the command, built once for all tests.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	flag.Set("test.parallel", "12") // meshes mostly wait
	dir, err := os.MkdirTemp("", "p2p-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "p2p.exe")
	build := exec.Command("go", "run", "-exec", "cp", ".", binary)
	build.Stderr = os.Stderr
	code := 1
	if err := build.Run(); err == nil {
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// launch runs p2p as a process with nothing on its standard input.
func launch(t *testing.T, args ...string) *instance {
	t.Helper()
	return start(t, exec.Command(binary, args...))
}

func start(t *testing.T, cmd *exec.Cmd) *instance {
	t.Helper()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Add(2)
	i := &instance{out: read(stdout, reading.Done), err: read(stderr, reading.Done),
		signal: func(s os.Signal) { cmd.Process.Signal(s) },
		wait: sync.OnceValue(func() int {
			reading.Wait()
			cmd.Wait()
			return cmd.ProcessState.ExitCode()
		})}
	t.Cleanup(func() {
		cmd.Process.Kill()
		i.wait()
	})
	return i
}

// once runs p2p in this process until it ends by itself.
func once(args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = cli.Exit(&err, "p2p", run(context.Background(), args, strings.NewReader(""), &out, &err))
	return code, out.String(), err.String()
}

// freePort is one that no other test gets, of this process or of another.
func freePort(t *testing.T) string {
	t.Helper()
	port, release, err := target.FreePort(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return fmt.Sprint(port)
}
