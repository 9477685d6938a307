package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/bench/stat"
	"p2plocal/cmd/internal/cli"
	"p2plocal/core/simnet"
	"p2plocal/reports"
)

const agreeUsage = `usage: meshbench agree [flags]
       meshbench agree REAL.json SIM.json [-report FILE]

Agree runs the same scenarios over UDP and simulated, -repeat times each, and
sets the distributions of what they measured side by side. Given two results
that -json has written, it takes those.

Unless -host says otherwise, the simulated host has one core, because a mesh over UDP
is no faster on two, and its wake-up is what the runs over UDP have measured: the CPU time of a
datagram in steady, or without that half a bare round trip, less one datagram
sent and taken. Nothing is fitted to latencies.
`

// mostRuns is how many runs a side an exact test takes in its stride.
const mostRuns = 1000

// agree compares simulation with reality.
func agree(fs *flag.FlagSet, groups *cli.Groups) func(context.Context, *call) error {
	cfg, out := benchFlags(fs, groups)
	groups.Begin("simulation", "")
	virtual := simFlags(fs)
	fs.Lookup("repeat").DefValue, cfg.Repeat = "20", 20
	fs.Lookup("scenario").DefValue, cfg.scenarios = "join,crash", "join,crash"
	fs.Lookup("host").DefValue, virtual.host = "measured", "measured"
	return func(ctx context.Context, c *call) error {
		switch {
		case virtual.on || virtual.trace || virtual.until != 0 || virtual.faults != "":
			return cli.Usagef("agree runs both: -sim, -faults, -trace and -until are for one of them")
		case len(out.asserts) > 0 || out.gobench != "":
			return cli.Usagef("agree has no result of its own for -bench or -assert: give it two that meshbench and meshbench -sim have written")
		case len(c.others) != 0 && len(c.others) != 2:
			return cli.Usagef("agree takes two result files or none, not %d", len(c.others))
		case cfg.Repeat > mostRuns:
			return cli.Usagef("-repeat %d, want at most %d", cfg.Repeat, mostRuns)
		}
		if err := cfg.finish(c); err != nil {
			return err
		}
		if _, err := out.check(cfg.Scenarios, scenario.Definitions.ParseAssertion); err != nil {
			return err
		}
		var real, sim *result.Result
		var err error
		if len(c.others) == 2 {
			real, sim, err = readSides(c.others)
		} else {
			real, sim, err = runSides(ctx, cfg, virtual, mesh.Version(c.args), out.Quiet, c.stderr)
		}
		if err != nil {
			return err
		}
		if err := out.Write(c.stdout, reports.Agreement(stat.Agree(scenario.Definitions, real, sim), real, sim)); err != nil {
			return err
		}
		if real.Interrupted || sim.Interrupted {
			return cli.Interrupted
		}
		return nil
	}
}

// readSides reads two results, of which the second must be simulated and the first not.
func readSides(files []string) (real, sim *result.Result, err error) {
	var sides [2]*result.Result
	for i, name := range files {
		if sides[i], err = readResult(name); err != nil {
			return nil, nil, err
		}
		if sides[i].Env.Simulated != (i == 1) {
			return nil, nil, cli.Usagef("%q is a result of the wrong kind: agree takes one over UDP and then a simulated one", name)
		}
		if n := len(sides[i].Runs); n > mostRuns {
			return nil, nil, cli.Usagef("%q has %d runs, agree takes at most %d", name, n, mostRuns)
		}
	}
	return sides[0], sides[1], nil
}

// runSides runs the configuration over UDP and then, as often, simulated.
func runSides(ctx context.Context, cfg *config, virtual *simulation, tool result.Tool, quiet bool, stderr io.Writer) (real, sim *result.Result, err error) {
	v := &result.Simulation{Queue: result.QueueOf(cfg.Options.ReadBuffer), Host: result.DefaultHost}
	if virtual.host != "measured" {
		if v.Host, err = result.ParseHost(virtual.host); err != nil {
			return nil, nil, cli.UsageError{Err: err}
		}
	}
	if v.Host.Cores == 0 {
		v.Network = simnet.Fault{Delay: result.LoopbackDelay}
	}
	same := cfg.Config
	same.Isolation, same.Simulation = "virtual", v
	if err := scenario.Validate(&same); err != nil { // better now than after the real runs
		return nil, nil, cli.UsageError{Err: err}
	}
	var status scenario.Status
	stop := showProgress(ctx, &status, cfg.Config, stderr, quiet)
	real, err = scenario.Execute(ctx, cfg.Config, tool, &status)
	stop()
	if err != nil {
		return nil, nil, err
	}
	if same.Repeat = len(real.Finished()); same.Repeat == 0 {
		return nil, nil, cli.Interrupted
	}
	if virtual.host == "measured" {
		v.Host = scenario.MeasuredHost(&cfg.Config, real.Runs)
	}
	start := time.Now()
	sim, err = scenario.Execute(context.WithoutCancel(ctx), same, tool, &status)
	if err != nil {
		return nil, nil, err
	}
	if !quiet {
		fmt.Fprintf(stderr, "meshbench: simulated in %v\n", time.Since(start).Round(time.Millisecond))
	}
	return real, sim, nil
}
