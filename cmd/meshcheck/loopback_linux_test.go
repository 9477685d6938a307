package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"p2plocal/fuzz/conform"
)

// A new network namespace has a loopback interface that is down. It is that of a process of
// its own: a thread's would be the whole process's in /proc, if it were the first one.
func TestLoopbackDown(t *testing.T) {
	t.Parallel()
	if os.Getenv(loopbackDown) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestLoopbackDown$")
		cmd.Env = append(os.Environ(), loopbackDown+"="+p2p)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		out, err := cmd.CombinedOutput()
		if errors.Is(err, syscall.EPERM) {
			t.Skipf("no network namespace: %v", err)
		}
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	file := filepath.Join(t.TempDir(), "results.json")
	code, _, stderr := once(t, "server", "-exec", ourServer(), "-run", "keep-alive/7", "-json", file)
	if code != 1 || !strings.Contains(stderr, "loopback interface must be up") {
		t.Errorf("exit %d, %q, want 1 and what is wrong", code, stderr)
	}
	if r := results(t, file).Targets[0].Results[0]; r.Outcome != conform.NotRun || !strings.Contains(r.Detail, "loopback") {
		t.Errorf("%+v, want a report of what was not run, and why", r)
	}
}
