package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What agree runs itself and what it reads back are the same figures; a
// simulation of a simulation is none.
func TestAgree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	page, real, sim := filepath.Join(dir, "a.html"), filepath.Join(dir, "real.json"), filepath.Join(dir, "sim.json")
	fast := []string{"-peers", "3", "-deadline", "300ms", "-reap", "100ms", "-heartbeat", "100ms", "-scenario", "crash", "-repeat", "3", "-quiet"}
	code, stdout, stderr := invoke(t.Context(), append([]string{"agree", "-report", page}, fast...)...)
	for _, want := range []string{"3 runs over UDP, 3 simulated", "crash.detect.max", "crash.false_positives", "bare round trip", "computing cores="} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in the output", want)
		}
	}
	if code != 0 || stderr != "" {
		t.Errorf("exit %d, %q:\n%s", code, stderr, stdout)
	}
	if b, err := os.ReadFile(page); err != nil || !strings.Contains(string(b), `"id":"agree-crash.detect.max"`) || !strings.Contains(string(b), "crash.detect.max") {
		t.Errorf("%v, the page is\n%.3000s", err, b)
	}
	for _, args := range [][]string{append(fast, "-json", real), append([]string{"-sim", "-json", sim}, fast...)} {
		if code, _, stderr := invoke(t.Context(), args...); code != 0 {
			t.Fatalf("exit %d, %q", code, stderr)
		}
	}
	if code, stdout, stderr := invoke(t.Context(), "agree", real, sim); code != 0 || !strings.Contains(stdout, "3 runs over UDP, 3 simulated") {
		t.Errorf("exit %d, %q:\n%s", code, stderr, stdout)
	}
	if code, _, stderr := invoke(t.Context(), "agree", sim, real); code != 2 || !strings.Contains(stderr, "wrong kind") {
		t.Errorf("exit %d, %q with the sides swapped", code, stderr)
	}
}
