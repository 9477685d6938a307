package main

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// The demo stands in for somebody else's implementation, as server and as peer.
func TestExternal(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		return // commands are started by /bin/sh, and ports looked up in /proc
	}
	p2p := filepath.Join(t.TempDir(), "p2p")
	if out, err := exec.Command("go", "run", "-exec", "cp", "p2plocal/cmd/p2p", p2p).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, test := range []struct{ name, args string }{
		{"server", "-scenario|join,steady,restart|-exec|" + p2p + " -listen {addr} -quiet -reap 100ms -deadline 2s"},
		{"peers", "-scenario|join,steady,crash|-external|2|-peer-exec|" + p2p + " {name} {port} -server {server} -quiet -heartbeat 100ms -broadcast 100ms"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			args := append(strings.Split(test.args, "|"), "-peers", "5", "-quiet", "-duration", "500ms",
				"-broadcast", "100ms", "-heartbeat", "100ms", "-reap", "100ms", "-deadline", "2s", "-refresh", "100ms",
				"-assert", "join.unexplained==0", "-assert", "steady.unexplained==0", "-assert", "steady.delivered>0", "-assert", "join.converge>0s")
			if code, stdout, stderr := invoke(t.Context(), args...); code != 0 && !strings.Contains(stdout, "stood still") {
				t.Errorf("exit %d, want 0:\n%s%s", code, stdout, stderr)
			}
		})
	}
}
