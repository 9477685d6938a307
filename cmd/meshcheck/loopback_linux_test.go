package main

import (
	"path/filepath"
	"strings"
	"testing"

	"p2plocal/fuzz/conform"
	"p2plocal/fuzz/target/netns"
)

// Where the loopback interface is down, that is said, and what was not run for it.
func TestLoopbackDown(t *testing.T) {
	t.Parallel()
	if !netns.Alone(t, loopbackDown, p2p) {
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
