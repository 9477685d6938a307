package main

import (
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"p2plocal/fuzz/conform"
)

// A new network namespace has a loopback interface that is down.
func TestLoopbackDown(t *testing.T) {
	file := filepath.Join(t.TempDir(), "results.json")
	var code int
	var stderr string
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for ever: the thread ends with its namespace
		err := syscall.Unshare(syscall.CLONE_NEWNET)
		if err == nil {
			code, _, stderr = once(t, "server", "-exec", ourServer(), "-run", "keep-alive/7", "-json", file)
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Skipf("no network namespace: %v", err)
	}
	if code != 1 || !strings.Contains(stderr, "loopback interface must be up") {
		t.Errorf("exit %d, %q, want 1 and what is wrong", code, stderr)
	}
	if r := results(t, file).Targets[0].Results[0]; r.Outcome != conform.NotRun || !strings.Contains(r.Detail, "loopback") {
		t.Errorf("%+v, want a report of what was not run, and why", r)
	}
}
