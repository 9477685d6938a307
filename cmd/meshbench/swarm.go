package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"time"

	"p2plocal/bench/faults"
	"p2plocal/bench/machine"
	"p2plocal/bench/result"
	"p2plocal/bench/swarm"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/jobs"
	"p2plocal/cmd/internal/printing"
	"p2plocal/core/simnet"
)

// runSwarm is "meshbench swarm".
func runSwarm(fs *flag.FlagSet, _ *cli.Groups) func(context.Context, *call) error {
	seeds := fs.String("seeds", "1..2000", "the `range` of seeds to run, each with faults of its own")
	seed := fs.Uint64("seed", 0, "run this one seed")
	file := fs.String("faults", "", "run the script in `FILE`")
	trace := fs.Bool("trace", false, "print the event log of the one run")
	until := fs.Duration("until", 0, "stop the one run at this virtual `time`; 0: at its end")
	s := jobs.Swarm{Where: jobs.WhereFlags(fs), Replay: func(m swarm.Meshes, f swarm.Found) string {
		return fmt.Sprintf("meshbench swarm%s -seed %d -trace -until %v", jobs.Flags(m), f.Seed, f.When())
	}}
	fs.BoolVar(&s.Meshes.Wide, "wide", false, "the meshes speak the wide dialect")
	fs.BoolVar(&s.Meshes.Key, "key", false, "with -wide, a key: every datagram is sealed")
	s.Register(fs)
	return func(ctx context.Context, c *call) (err error) {
		one := c.given["seed"] || c.given["faults"]
		if err := cmp.Or(conflicting(c.given, s.Meshes, *trace && s.JSON == "-"), s.Where.Check()); err != nil {
			return err
		}
		first, last, err := jobs.ParseRange(*seeds)
		if err != nil {
			return err
		}
		s.Tool = machine.Version(c.shaping())
		if !one {
			return s.Seeds(ctx, c.stdout, c.stderr, first, last)
		}
		return s.Run(c.stdout, func(text io.Writer) (*swarm.Tally, error) {
			script := swarm.Draw(*seed)
			if c.given["faults"] {
				if script, err = readScript(*file, faults.Default()); err != nil {
					return nil, err
				}
				if slices.ContainsFunc(script.Faults, func(f faults.Fault) bool { return f.Verb == faults.Flood }) {
					return nil, cli.Usagef("%q: a flood wants a mesh that is measured, meshbench -sim: here hostile does", *file)
				}
			}
			return oneSeed(ctx, text, script, s.Meshes.Simulation(), *until, *trace)
		})
	}
}

// conflicting says which flags exclude each other; twice: both want standard output.
func conflicting(given map[string]bool, meshes swarm.Meshes, twice bool) error {
	one := given["seed"] || given["faults"]
	switch {
	case meshes.Key && !meshes.Wide:
		return cli.Usagef("-key wants -wide: the exact dialect has none")
	case one && (given["nats"] || given["run"]):
		return cli.Usagef("-nats and -run are for many seeds, -seed and -faults for one")
	case given["seed"] && given["faults"]:
		return cli.Usagef("-seed and -faults exclude each other: a script names its seed")
	case one && given["seeds"]:
		return cli.Usagef("-seeds is for many runs, -seed and -faults for one")
	case !one && (given["trace"] || given["until"]):
		return cli.Usagef("-trace and -until want -seed or -faults")
	case twice:
		return cli.Usagef("-trace and -json - both want standard output")
	}
	return nil
}

// oneSeed runs one scenario and says what came of it.
func oneSeed(ctx context.Context, text io.Writer, s faults.Script, simulate swarm.Simulation, until time.Duration, trace bool) (*swarm.Tally, error) {
	var hear func(*simnet.Event)
	flush := func() error { return nil }
	if trace {
		hear, flush = simnet.Log(text)
	}
	t, came := swarm.NewTally(1), simulate(ctx, s, until, hear)
	t.Add(s, came)
	if err := flush(); err != nil {
		return t, err
	}
	verdict := "every invariant held"
	switch {
	case came.Finding != nil:
		verdict = cli.Printable(came.Finding.String())
	case came.Interrupted:
		verdict = "interrupted; until then every invariant held"
	case !came.Ended:
		verdict = fmt.Sprintf("every invariant held but heal and gap, which are not checked before %v", came.Healed)
	}
	return t, printing.Text(text, fmt.Sprintf("seed %d, %s, %v of virtual time, %s: %s\n", s.Seed, result.Plural(uint64(s.Peers), "peer"), came.Virtual, result.Plural(came.Stats.Sent, "datagram"), verdict))
}
