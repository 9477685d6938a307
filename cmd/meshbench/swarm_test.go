package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"p2plocal/cmd/internal/cli"
)

func TestSwarm(t *testing.T) {
	const scripts = "../../bench/swarm/testdata/"
	for _, test := range []struct {
		args string
		code int
		want string // in stdout, or for a failure in stderr
	}{
		{"-seeds 1..20", 0, "20 of 20 seeds, 0 findings\n"},
		{"-seed 7", 0, "seed 7, 86 peers, 1m0s of virtual time, 116,019 datagrams: every invariant held"},
		{"-seed 7 -until 48s", 0, "every invariant held but heal and gap, which are not checked before 49s"},
		{"-seed 7 -trace -until 1ms", 0, "0.000000000 launched 3000"},
		{"-faults " + scripts + "partition.faults", 0, "every invariant held"},
		{"-h", 0, "early-removal"},
		{"-wide -seeds 1..20", 0, "20 of 20 seeds, 0 findings\n"},
		{"-wide -key -seed 7", 0, "seed 7, 86 peers, 1m0s of virtual time, 116,464 datagrams: every invariant held"},
		{"-wide -faults " + scripts + "partition.faults", 0, "every invariant held"},
		{"-key", 2, "-key wants -wide"},
		{"-seeds 5", 2, `-seeds "5", want a range such as 1..2000`},
		{"-seeds 5..4", 2, "want a range"},
		{"-seeds 0..18446744073709551615", 2, "want a range"},
		{"-seed 1 -seeds 1..2", 2, "for many runs"},
		{"-trace", 2, "want -seed or -faults"},
		{"-seed 1 -until -1s", 2, "for flag -until"},
		{"-seed 7 -trace -json -", 2, "both want standard output"},
		{"-seed 7 -json -", 0, "{\n"},
		{"-seeds 1..2 -json -", 0, `"seeds": 2,`},
		{"-seed 1 -faults x", 2, "exclude each other"},
		{"x", 2, `not "x"`},
		{"-faults nosuch", 1, "nosuch"},
		{"-faults main.go", 2, "line 1"},
	} {
		expect(t, "swarm "+test.args, test.code, test.want)
	}
}

// expect runs a command and wants its exit code, and a text in what it printed,
// or for a failure in what it complained of.
func expect(t *testing.T, args string, code int, want string) {
	t.Helper()
	exit, got, said := invoke(t.Context(), strings.Fields(args)...)
	if exit != 0 {
		got = said
	}
	if exit != code || !strings.Contains(got, want) {
		t.Errorf("%s: exit %d, want %d, and %q in\n%.800s", args, exit, code, want, got)
	}
}

func TestSwarmInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var stdout bytes.Buffer
	if err := run(ctx, []string{"swarm"}, &stdout, io.Discard); err != cli.Interrupted || !strings.HasPrefix(stdout.String(), "0 of 2,000 seeds") {
		t.Errorf("%v, %q", err, stdout.String())
	}
}

// One that would take for ever ends when it is told to, and says how far it came.
func TestInterruptedSeed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "long.faults")
	if err := os.WriteFile(file, []byte("peers 95\nduration 1h\ncalm 1h\n0s-1h link * * duplicate=0.5 jitter=1s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"-seeds 0..18446744073709551614", "-trace -faults " + file} {
		ctx, cancel := context.WithCancel(context.Background())
		var stdout interrupter
		stdout.f, stdout.after = cancel, 1<<16
		if !strings.Contains(args, "trace") { // it prints nothing until its end
			time.AfterFunc(100*time.Millisecond, cancel)
		}
		err := run(ctx, strings.Fields("swarm "+args), &stdout, io.Discard)
		if got := stdout.String(); err != cli.Interrupted || !strings.Contains(got, "interrupted") {
			t.Errorf("%s: %v, %q", args, err, got[max(0, len(got)-400):])
		}
	}
}

// interrupter calls f when more than so many bytes have been written.
type interrupter struct {
	bytes.Buffer
	after int
	f     func()
}

func (w *interrupter) Write(b []byte) (int, error) {
	if n := w.Len(); n <= w.after && n+len(b) > w.after {
		w.f()
	}
	return w.Buffer.Write(b)
}
