package main

import (
	"context"
	"flag"

	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/bench/stat"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/printing"
	"p2plocal/core/simnet"
	"p2plocal/reports"
)

const agreeUsage = `usage: meshbench agree [flags]

Agree runs the same scenarios over UDP and simulated, -repeat times each, and
sets the distributions of what they measured side by side.

Unless -host says otherwise, the simulated host has one core, because a mesh over UDP
is no faster on two, and its wake-up is what the runs over UDP have measured: the CPU time of a
datagram in steady, or without that half a bare round trip, less one datagram
sent and taken. Nothing is fitted to latencies.
`

// mostRuns is how many runs a side an exact test takes in its stride.
const mostRuns = 1000

// agree compares simulation with reality.
func agree(fs *flag.FlagSet, groups *cli.Groups) func(context.Context, *call) error {
	cfg := benchFlags(fs, groups)
	groups.Begin("simulation", "")
	const measured = "measured"
	host := hostFlag(fs, measured)
	groups.Begin("output", "")
	var out printing.Output
	out.Register(fs, false)
	fs.Lookup("repeat").DefValue, cfg.Repeat = "20", 20
	fs.Lookup("scenario").DefValue, cfg.scenarios = "join,crash", "join,crash"
	return func(ctx context.Context, c *call) (err error) {
		if cfg.Repeat > mostRuns {
			return cli.Usagef("-repeat %d, want at most %d", cfg.Repeat, mostRuns)
		}
		if err := cfg.finish(c); err != nil {
			return err
		}
		v := &result.Simulation{Queue: result.QueueOf(cfg.Options.ReadBuffer), Host: result.DefaultHost}
		if *host != measured {
			if v.Host, err = result.ParseHost(*host); err != nil {
				return cli.UsageError{Err: err}
			}
		}
		if v.Host.Cores == 0 {
			v.Network = simnet.Fault{Delay: result.LoopbackDelay}
		}
		same := cfg.Config
		same.Isolation, same.Simulation = result.Virtual, v
		if err := scenario.Validate(&same); err != nil { // better now than after the real runs
			return cli.UsageError{Err: err}
		}
		if err := out.Open(); err != nil {
			return err
		}
		var status scenario.Status
		stop := showProgress(ctx, &status, cfg.Config, c.stderr, out.Quiet)
		tool := mesh.Version(c.args)
		real, err := scenario.Execute(ctx, cfg.Config, tool, &status)
		stop()
		if err != nil {
			return err
		}
		if same.Repeat = len(real.Finished()); same.Repeat == 0 {
			return cli.Interrupted
		}
		if *host == measured {
			v.Host = scenario.MeasuredHost(&cfg.Config, real.Runs)
		}
		sim, err := scenario.Execute(context.WithoutCancel(ctx), same, tool, &status)
		if err != nil {
			return err
		}
		if err := out.Write(c.stdout, reports.Agreement(stat.Agree(scenario.Definitions, real, sim), real, sim)); err != nil {
			return err
		}
		if real.Interrupted {
			return cli.Interrupted
		}
		return nil
	}
}
