package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The same flags give the same result, to the byte, wherever it is written to.
func TestSim(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var documents [2][]byte
	for i := range documents {
		file := filepath.Join(dir, string(rune('a'+i))+".json")
		forms := []string{file + ".html", file + ".md", file + ".txt"}
		args := []string{"-sim", "-peers", "20", "-scenario", "join,steady,crash", "-duration", "10m", "-json", file}
		for _, form := range forms {
			args = append(args, "-report", form)
		}
		code, stdout, stderr := invoke(t.Context(), args...)
		for _, form := range forms {
			if b, err := os.ReadFile(form); err != nil || !bytes.Contains(b, []byte("simulated")) {
				t.Errorf("%s does not say that it was simulated (%v)", form, err)
			}
		}
		if code != 0 || !strings.HasPrefix(stdout, "20 simulated peers converged") || strings.Contains(stdout, "core") {
			t.Errorf("exit %d, stderr %q, want it to say that it was simulated:\n%s", code, stderr, stdout)
		}
		var err error
		if documents[i], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(documents[0], documents[1]) {
		t.Errorf("two runs differ:\n%.2000s\n%.2000s", documents[0], documents[1])
	}
	for _, word := range []string{"\"time\"", "\"cpu\"", "\"load\"", "memory", "baseline", ".json"} {
		if bytes.Contains(documents[0], []byte(word)) {
			t.Errorf("the document has %s in it", word)
		}
	}
}

// A script's settings count where no flag says otherwise, and its faults show.
func TestSimFaults(t *testing.T) {
	t.Parallel()
	script := filepath.Join(t.TempDir(), "x.faults")
	if err := os.WriteFile(script, []byte("seed 7\npeers 6\nrefresh 1s\n2s-6s cut 3003 server\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := invoke(t.Context(), "-sim", "-faults", script, "-scenario", "steady", "-trace", "-until", "7s", "-quiet")
	for _, want := range []string{"# steady, seed 7\n0.000000000 launched 3000\n", "cut 3003>3000 keep-alive", "6 simulated peers", "1 false positive", "1 fault"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in the output", want)
		}
	}
	if code != 0 || stderr != "" || strings.Contains(stdout, "\n8.") {
		t.Errorf("exit %d, stderr %q, stdout ends with %q", code, stderr, stdout[max(0, len(stdout)-500):])
	}
	if _, stdout, _ := invoke(t.Context(), "-sim", "-faults", script, "-scenario", "join", "-peers", "9", "-quiet"); !strings.Contains(stdout, "9 simulated peers") {
		t.Errorf("-peers 9 does not outdo the script:\n%s", stdout)
	}
}

// What cannot be run is left out, and said, where nobody has asked for it by name.
func TestLeftOut(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"-peers 1":                     "meshbench: without crash: it takes two peers or more, one to see what becomes of another\n",
		"-peers 3 -scenario all":       "meshbench: without saturate: no load is too high for a host whose computing costs nothing, want one such as -cores 2\n",
		"-peers 3 -cores 1":            "",
		"-peers 2 -scenario join,loss": "",
	} {
		code, stdout, stderr := invoke(t.Context(), append([]string{"-sim", "-duration", "1s", "-garbage", "1k"}, strings.Fields(args)...)...)
		name, _, _ := strings.Cut(strings.TrimPrefix(want, "meshbench: without "), ":")
		if code != 0 || strings.Count(stderr, "without") != min(len(want), 1) || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit %d, stderr %q, want %q", args, code, stderr, want)
		}
		if want != "" && strings.Contains(stdout, "\n"+name+" ") || !strings.Contains(stdout, "\njoin ") {
			t.Errorf("%s: %s", args, stdout)
		}
	}
}

// A metric that got worse beyond the threshold is exit code 3; one that got
// better is none.
func TestRegression(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(file("slow.faults"), []byte("network delay=5ms\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, slow := range map[string][]string{"fast": nil, "slow": {"-faults", file("slow.faults")}} {
		if code, _, stderr := invoke(t.Context(), append(slow, "-sim", "-peers", "5", "-quiet", "-seed", "1", "-scenario", "join,steady", "-repeat", "8", "-cores", "1", "-json", file(name))...); code != 0 {
			t.Fatalf("exit %d, %q", code, stderr)
		}
	}
	for _, test := range []struct {
		limit, old, new string
		code            int
		says            string
	}{
		{"5%", "fast", "slow", 3, "metrics got worse by more than 5%, the first is join.converge"},
		{"5%", "slow", "fast", 0, ""},
		{"5%", "fast", "fast", 0, ""},
		{"100000%", "fast", "slow", 0, ""},
		{"5", "fast", "slow", 2, `"5" is no percentage`},
	} {
		code, _, stderr := invoke(t.Context(), "compare", "-fail-on-regression", test.limit, file(test.old), file(test.new))
		if code != test.code || !strings.Contains(stderr, test.says) || test.says == "" && stderr != "" {
			t.Errorf("%+v: exit %d, stderr %q", test, code, stderr)
		}
	}
}
