//go:build long && linux

package main

import (
	"testing"
	"time"
)

// A NATS server that is restarted in the midst of a mesh costs nothing.
func TestLongRestartOverHosts(t *testing.T) {
	t.Parallel()
	r := rehearse(t, 80)
	time.AfterFunc(3*time.Second, r.nats.Restart)
	code, got, stderr := r.mesh(3, "-peers 12 -scenario steady -duration 6s -interval 200ms")
	if s := got.Runs[0].Scenarios[0]; code != 0 || s.Accounts.Unexplained != 0 || *s.Metrics["steady.lost"].Value+*s.Metrics["steady.missed"].Value != 0 {
		t.Errorf("restarted: exit code %d, %s: %+v", code, stderr, s.Accounts)
	}
}
