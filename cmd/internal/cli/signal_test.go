//go:build unix

package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// fileEnv makes the test program a command that writes this file when ctx is done.
const fileEnv = "P2PLOCAL_TEST_CLI"

func TestMain(m *testing.M) {
	if name := os.Getenv(fileEnv); name != "" {
		Main("it", func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
			outputs, err := Open(name)
			if err != nil {
				return err
			}
			fmt.Fprintln(stdout, "ready")
			<-ctx.Done()
			if len(args) > 0 {
				fmt.Fprintln(stdout, args[0])
				select {} // deaf
			}
			time.Sleep(100 * time.Millisecond) // in which there may be a second signal
			for range 3 {
				fmt.Fprintln(stdout, "to nobody")
				fmt.Fprintln(stderr, "to nobody")
			}
			if err := outputs.Write(name, func(w io.Writer) error { _, err := io.WriteString(w, "whole"); return err }); err != nil {
				return err
			}
			return Interrupted
		})
	}
	os.Exit(m.Run())
}

// A signal ends the run, whose results are written though it comes twice at once and
// nobody reads stdout and stderr any more.
func TestSignals(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if signal.Ignored(s) {
			continue // nohup wants it so, and what it starts inherits that
		}
		name := filepath.Join(t.TempDir(), "file")
		cmd, stdout := start(t, name)
		stdout.Close()
		for range 2 {
			cmd.Process.Signal(s)
			time.Sleep(20 * time.Millisecond)
		}
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 130 {
			t.Errorf("%v: %v, want exit code 130", s, err)
		}
		if b, err := os.ReadFile(name); string(b) != "whole" {
			t.Errorf("%v: the file holds %q (%v)", s, b, err)
		}
	}
}

// Who does not end by itself is ended by a signal that comes later than the first.
func TestSecondSignal(t *testing.T) {
	cmd, stdout := start(t, filepath.Join(t.TempDir(), "file"), "deaf")
	first := time.Now()
	cmd.Process.Signal(syscall.SIGTERM)
	if !stdout.Scan() || stdout.Text() != "deaf" {
		t.Fatalf("the command says %q", stdout.Text())
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	for {
		select {
		case <-ended:
			if took := time.Since(first); cmd.ProcessState.ExitCode() != 130 || took < time.Second {
				t.Errorf("exit code %d after %v, want 130 after a second", cmd.ProcessState.ExitCode(), took)
			}
			return
		case <-time.After(50 * time.Millisecond):
			cmd.Process.Signal(syscall.SIGTERM)
		}
	}
}

// start starts the command and waits until it is ready. Nobody reads its stderr.
func start(t *testing.T, name string, args ...string) (*exec.Cmd, *lines) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), fileEnv+"="+name)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = w
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	r.Close()
	l := &lines{bufio.NewScanner(stdout), stdout}
	if !l.Scan() || l.Text() != "ready" {
		t.Fatalf("the command says %q", l.Text())
	}
	return cmd, l
}

type lines struct {
	*bufio.Scanner
	io.Closer
}
