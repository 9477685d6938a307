package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Both sides are run and compared, and the page has every figure.
func TestAgree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	page := filepath.Join(dir, "a.html")
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
	if b, err := os.ReadFile(page); err != nil || !strings.Contains(string(b), "crash.detect.max") {
		t.Errorf("%v, the page is\n%.3000s", err, b)
	}
}
