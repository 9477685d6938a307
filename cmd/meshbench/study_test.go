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
		{"study loss peers=5 -repeat 2 refresh=0s loss=0,30%", 0, "30 %"},
		{"study restart churn peers=5,10 -repeat 1 loss=0 churn=1 refresh=1s", 0, "stranded"},
		{"sweep deadline=1s,1.5s,2s -repeat 2 refresh=0s,5s peers=4 loss=10%", 0, "which settings of the timing are worth choosing"},
		{"help sweep", 0, "Pareto"},
		{"study -h", 0, "churn"},
		{"study peers=96", 2, "96 peers, want 1 to 95"},
		{"study peers=5,x", 2, `"x" makes no sense, want size of the mesh`},
		{"study -repeat -1", 2, "repeat -1"},
		{"study deadline=0s", 2, "deadline interval is 0"},
		{"study fog", 2, `"fog" is neither a study nor an axis`},
		{"sweep loss", 2, `"loss" is neither a study nor an axis`},
		{"study loss loss", 2, `"loss" is neither a study`},
		{"study loss=200%", 2, "impairment loss of 2"},
		{"study -report x.pdf", 2, "x.pdf"},
		{"study -report x.xml", 2, "want one that ends in"},
		{"study restart peers=2 refresh=1s -repeat 1 -report /nosuch/x.html", 2, "/nosuch/x.html"},
		{"study x=1", 2, `axis "x=1", want NAME=VALUES`},
		{"sweep fog=1s", 2, "want NAME=VALUES"},
		{"sweep deadline=1s deadline=2s", 2, "two axes deadline"},
		{"sweep deadline=1s -workers 2", 2, "flag provided but not defined: -workers"},
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
	if err := run(ctx, []string{"study", "-json", file}, &stdout, io.Discard); err != cli.Interrupted || !strings.Contains(stdout.String(), "Interrupted") {
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
	args := strings.Fields("sweep deadline=1s,2s heartbeat=500ms -repeat 1 loss=10% peers=4 refresh=0s -seed 5 -json " + file)
	if err := run(context.Background(), args, &stdout, io.Discard); err != nil {
		t.Fatal(err)
	}
	var r study.Report
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	const want = "sweep deadline=1s,2s heartbeat=500ms loss=10% peers=4 refresh=0s -repeat 1 -seed 5"
	if got := strings.Join(r.Tool.Args, " "); err != nil || got != want || r.Tool.Version == "" {
		t.Errorf("%v, version %q, args %q, want %q", err, r.Tool.Version, got, want)
	}
	if flat := strings.Join(strings.Fields(stdout.String()), " "); !strings.Contains(flat, want) {
		t.Errorf("no %q in\n%s", want, flat)
	}
}
