package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"p2plocal/bench/study"
	"p2plocal/cmd/internal/cli"
)

func TestStudy(t *testing.T) {
	for _, test := range []struct {
		args string
		code int
		want string // in stdout, or for a failure in stderr
	}{
		{"study -only loss -peers 5 -hours 0.1 -refresh 0", 0, "30.0 %"},
		{"study -only heal,churn -peers 5,10 -meshes 1", 0, "partition"},
		{"sweep deadline=1s..2s/3 -hours 0.1 refresh=0,5s -peers 4 -loss 10%", 0, "settings of the timing, 4 peers, 10.0 % of the datagrams lost"},
		{"help sweep", 0, "Pareto"},
		{"study -h", 0, "churn"},
		{"study -peers 96", 2, "96 peers, want 2 to 95"},
		{"study -peers 5,x", 2, `"x" makes no sense`},
		{"study -hours NaN", 2, "NaN peer-hours"},
		{"study -deadline 0", 2, "deadline interval is 0"},
		{"study -heartbeat 1ns", 2, "interval of 1ns"},
		{"study -only fog", 2, `"fog" is no study`},
		{"study -loss 100%", 2, "loss of 1"},
		{"study -report x.pdf", 2, `"x.pdf", want one that ends in .txt`},
		{"study -only heal -peers 2 -meshes 1 -report /nosuch/x.html", 1, "/nosuch/x.html"},
		{"study x", 2, `not "x"`},
		{"sweep fog=1s", 2, "want heartbeat="},
		{"sweep deadline=1s deadline=2s", 2, "two sweeps of deadline"},
		{"sweep deadline=1s -peers 4,5", 2, `invalid value "4,5" for flag -peers`},
		{"sweep deadline=1s -only heal", 2, "flag provided but not defined: -only"},
	} {
		expect(t, test.args, test.code, test.want)
	}
}

// A study that is interrupted writes what it has, to every place that it is wanted.
func TestStudyInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var stdout bytes.Buffer
	file := filepath.Join(t.TempDir(), "x.json")
	if err := runStudy(ctx, []string{"-report", file}, &stdout, io.Discard); err != cli.Interrupted || !strings.Contains(stdout.String(), "Interrupted") {
		t.Errorf("%v, %q", err, stdout.String())
	}
	if b, err := os.ReadFile(file); err != nil || !bytes.Contains(b, []byte(`"interrupted": true`)) {
		t.Errorf("%v, %s", err, b)
	}
}

// A report says what made it, and not where it went.
func TestStudyArgs(t *testing.T) {
	var stdout bytes.Buffer
	file := filepath.Join(t.TempDir(), "x.json")
	args := strings.Fields("deadline=1s,2s heartbeat=500ms -hours 1 -peers 4 -loss 10% -seed 5 -workers 1 -report " + file)
	if err := runSweep(context.Background(), args, &stdout, io.Discard); err != nil {
		t.Fatal(err)
	}
	var r study.Report
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	const want = "sweep deadline=1s,2s heartbeat=500ms -hours 1 -loss 10% -peers 4 -seed 5"
	if got := strings.Join(r.Args, " "); err != nil || got != want || r.Version == "" {
		t.Errorf("%v, version %q, args %q, want %q", err, r.Version, got, want)
	}
	if flat := strings.Join(strings.Fields(stdout.String()), " "); !strings.Contains(flat, want) {
		t.Errorf("no %q in\n%s", want, flat)
	}
}
