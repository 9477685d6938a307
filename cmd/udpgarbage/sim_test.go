package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"

	"p2plocal/bench/work"
	"p2plocal/bench/work/natstest"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/jobs"
)

// A list of seeds comes to the same here, again, and by workers at a NATS server.
func TestSimulated(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	url := " -nats " + s.ClientURL()
	conn, err := work.Access{URL: s.ClientURL()}.Connect("worker", t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	w := work.Worker{ID: "w", Cores: 2}
	if w.Version, err = jobs.Version(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var working sync.WaitGroup
	working.Go(func() { w.Work(ctx, conn, jobs.Kinds, t.Logf) })
	defer working.Wait()
	defer cancel()
	for _, args := range []string{"-sim -seeds 1..10", "-sim -seed 7", "-sim -wide -seeds 3..8"} {
		var all [3]bytes.Buffer
		for i := range all {
			if err := run(ctx, strings.Fields(args+" -json - -quiet"+[]string{"", "", url}[i]), &all[i], io.Discard); err != nil {
				t.Fatalf("%s: %v, %s", args, err, all[i].Bytes())
			}
		}
		if a, b, c := all[0].String(), all[1].String(), all[2].String(); a != b || a != c || !strings.Contains(a, `"name": "udpgarbage"`) {
			t.Errorf("%s: here\n%s\nagain\n%s\nby workers\n%s", args, a, b, c)
		}
	}
}

func TestSimulatedFlags(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"-sim -exec x":             "-exec is for a target that runs",
		"-sim -wide -key x":        "-key is for a target that runs",
		"-sim -seed 1 -seeds 1..2": "exclude each other",
		"-sim -seeds 2..1":         "want a range",
		"-sim -run x":              "want -nats",
		"-sim x":                   `argument "x", want none`,
		"-seeds 1..2":              "-seeds wants -sim",
		"-nats x":                  "-nats wants -sim",
	} {
		var out, said bytes.Buffer
		if code := cli.Exit(&said, "udpgarbage", run(t.Context(), strings.Fields(args), &out, &said)); code != cli.ExitUsage || !strings.Contains(said.String(), want) {
			t.Errorf("%s: exit code %d, %s, want %q", args, code, said.String(), want)
		}
	}
}
