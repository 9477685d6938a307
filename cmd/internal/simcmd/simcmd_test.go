package simcmd

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"p2plocal/cmd/internal/cli"
)

func TestSwarm(t *testing.T) {
	const scripts = "../../../bench/sim/testdata/"
	for _, test := range []struct {
		args string
		code int
		want string // in stdout, or for a failure in stderr
	}{
		{"-seeds 1..20", 0, "20 of 20 seeds, 0.3 virtual hours"},
		{"-seed 7", 0, "seed 7, 86 peers, 1m0s of virtual time: every invariant held"},
		{"-seed 7 -until 48s", 0, "every invariant held but heal and gap, which are not checked before 49s"},
		{"-seed 7 -trace -until 1ms", 0, "0.000000000 launched 3000"},
		{"-faults " + scripts + "partition.faults", 0, "every invariant held"},
		{"-h", 0, "early-reap"},
		{"-seeds 5", 2, `-seeds "5", want a range such as 1..2000`},
		{"-seeds 5..4", 2, "want a range"},
		{"-seeds 0..18446744073709551615", 2, "want a range"},
		{"-seed 1 -seeds 1..2", 2, "for many runs"},
		{"-trace", 2, "want -seed or -faults"},
		{"-seed 1 -until -1s", 2, "negative"},
		{"-workers 0", 2, "-workers 0"},
		{"-seed 1 -faults x", 2, "exclude each other"},
		{"x", 2, `not "x"`},
		{"-faults nosuch", 1, "nosuch"},
		{"-faults simcmd.go", 2, "line 1"},
	} {
		expect(t, Swarm, "-sim -swarm "+test.args, test.code, test.want)
	}
}

// expect runs a command and wants its exit code, and a text in what it printed,
// or for a failure in what it complained of.
func expect(t *testing.T, command func(context.Context, []string, io.Writer, io.Writer) error, args string, code int, want string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	exit := cli.Exit(&stderr, "meshbench", command(context.Background(), strings.Fields(args), &stdout, &stderr))
	got := stdout.String()
	if exit != 0 {
		got = stderr.String()
	}
	if exit != code || !strings.Contains(got, want) {
		t.Errorf("%s: exit %d, want %d, and %q in\n%.800s", args, exit, code, want, got)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var stdout bytes.Buffer
	if err := Swarm(ctx, []string{"-sim", "-swarm"}, &stdout, io.Discard); err != exitInterrupted || !strings.HasPrefix(stdout.String(), "0 of 2000 seeds") {
		t.Errorf("%v, %q", err, stdout.String())
	}
}
