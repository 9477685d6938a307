package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"p2plocal/bench/faults"
	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
	"p2plocal/bench/swarm"
	"p2plocal/bench/work"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/printing"
	"p2plocal/core/simnet"
)

const swarmIntro = `usage: meshbench swarm [-seeds FIRST..LAST] [-nats URL [-run ID]]
       meshbench swarm -seed N [-trace] [-until T]
       meshbench swarm -faults FILE [-trace] [-until T]

A swarm runs meshes on a virtual network and clock, with core's own machines, under
faults that each seed draws for itself, or that a script describes. It checks
the protocol's invariants as they run. A failing seed prints what broke and
when, how to replay it, and the fewest faults that still break it, as a script.

With -wide, and -key, the meshes speak the wide dialect. With -nats, all workers
at that server run the seeds ("meshbench worker -h"); what is interrupted goes on with -run.

Invariants:
`

// shown is how many failing seeds are printed in full.
const shown = 10

// swarmUsage lists the invariants.
func swarmUsage() string {
	text := swarmIntro
	for _, i := range swarm.Invariants {
		text += fmt.Sprintf("  %-13s %s\n", i[0], i[1])
	}
	text += "\nOf the wide dialect:\n"
	for _, i := range swarm.WideInvariants {
		text += fmt.Sprintf("  %-13s %s\n", i[0], i[1])
	}
	return text + "\n" + faults.Grammar + `
Exit codes: 0 every invariant held, 1 failure, 2 usage, 3 one was broken,
130 interrupted.
`
}

// flagsOf are those that say what meshes speak.
func flagsOf(m swarm.Meshes) (flags string) {
	if m.Wide {
		flags += " -wide"
	}
	if m.Key {
		flags += " -key"
	}
	return flags
}

// runSwarm is "meshbench swarm".
func runSwarm(fs *flag.FlagSet, _ *cli.Groups) func(context.Context, *call) error {
	var common cli.Common
	seeds := fs.String("seeds", "1..2000", "the `range` of seeds to run, each with faults of its own")
	seed := fs.Uint64("seed", 0, "run this one seed")
	file := fs.String("faults", "", "run the script in `FILE`")
	trace := fs.Bool("trace", false, "print the event log of the one run")
	until := fs.Duration("until", 0, "stop the one run at this virtual `time`; 0: at its end")
	var meshes swarm.Meshes
	fs.BoolVar(&meshes.Wide, "wide", false, "the meshes speak the wide dialect")
	fs.BoolVar(&meshes.Key, "key", false, "with -wide, a key: every datagram is sealed")
	remote := remoteFlags(fs)
	common.Register(fs)
	return func(ctx context.Context, c *call) (err error) {
		one := c.given["seed"] || c.given["faults"]
		if err := cmp.Or(conflicting(c.given, meshes, *trace && common.JSON == "-"), remote.check()); err != nil {
			return err
		}
		first, last, err := parseRange(*seeds)
		if err != nil {
			return err
		}
		files, err := cli.Open(common.JSON)
		if err != nil {
			return err
		}
		text := c.stdout
		if common.JSON == "-" {
			text = io.Discard
		}
		var t *swarm.Tally
		if one {
			s := swarm.Draw(*seed)
			if c.given["faults"] {
				if s, err = readScript(*file, faults.Default()); err != nil {
					return err
				}
				if slices.ContainsFunc(s.Faults, func(f faults.Fault) bool { return f.Verb == faults.Flood }) {
					return cli.Usagef("%q: a flood wants a mesh that is measured, meshbench -sim: here hostile does", *file)
				}
			}
			t, err = oneSeed(ctx, text, s, meshes.Simulation(), *until, *trace)
		} else {
			t, err = manySeeds(ctx, text, c.stderr, common.Quiet, first, last, meshes, remote)
		}
		if err != nil && t.Seeds == 0 {
			return err
		}
		t.Tool = mesh.Version(c.shaping())
		err = cli.Join(common.Write(c.stdout, files, func(io.Writer) error { return nil }, t), err) // its text is there
		switch {
		case err != nil:
			return err
		case len(t.Findings) > 0:
			return cli.Failed
		case t.Interrupted:
			return cli.Interrupted
		}
		return nil
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

func parseRange(s string) (first, last uint64, err error) {
	a, b, ok := strings.Cut(s, "..")
	first, err1 := strconv.ParseUint(a, 10, 64)
	last, err2 := strconv.ParseUint(b, 10, 64)
	if !ok || err1 != nil || err2 != nil || first > last || last-first == 1<<64-1 {
		return 0, 0, cli.Usagef("-seeds %q, want a range such as 1..2000", s)
	}
	return first, last, nil
}

// readScript reads a file of faults; what that leaves out is as in a script that is given. One
// that makes no sense is a usage error.
func readScript(name string, s faults.Script) (faults.Script, error) {
	f, err := os.Open(name)
	if err != nil {
		return faults.Script{}, err
	}
	defer f.Close()
	s, err = s.Parse(f)
	if err != nil {
		return s, cli.Usagef("%q: %w", name, err)
	}
	return s, nil
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
		verdict = fmt.Sprintf("every invariant held but heal and gap,\nwhich are not checked before %v", came.Healed)
	}
	_, err := fmt.Fprintf(text, "seed %d, %s, %v of virtual time, %s: %s\n", s.Seed, result.Plural(uint64(s.Peers), "peer"), came.Virtual, result.Plural(came.Stats.Sent, "datagram"), verdict)
	return t, err
}

// manySeeds runs seed after seed, here or on workers.
func manySeeds(ctx context.Context, text, stderr io.Writer, quiet bool, first, last uint64, meshes swarm.Meshes, remote *remote) (*swarm.Tally, error) {
	start := time.Now()
	params, err := json.Marshal(meshes)
	if err != nil {
		return swarm.NewTally(0), err
	}
	t, parts := swarm.NewTally(last-first+1), map[uint64]*swarm.Tally{}
	var seeds, findings, workers atomic.Uint64
	aside, stop := printing.Watch(ctx, stderr, quiet, func(int) string {
		what := "seeds, " + result.Plural(findings.Load(), "finding")
		if n := workers.Load(); n > 0 {
			what += ", " + result.Plural(n, "worker")
		}
		return printing.Done(start, what, seeds.Load(), t.Of)
	})
	by := map[string]bool{}
	compute := remote.compute(printing.Log(stderr, aside))
	err = compute(ctx, work.Job{Kind: "swarm", Params: params, First: first, Last: last}, swarm.Lease, func(d work.Done) (err error) {
		part := new(swarm.Tally)
		if err := json.Unmarshal(d.Result, part); err != nil {
			return err
		}
		for _, f := range part.Findings {
			if findings.Add(1) <= shown {
				aside(func() {
					_, err = fmt.Fprintf(text, "seed %d: %s at %v: %s\nreplay: meshbench swarm%s -seed %d -trace -until %v\nshrunk, for meshbench swarm%s -faults FILE:\n%s",
						f.Seed, f.Invariant, f.When(), cli.Printable(f.Detail), flagsOf(meshes), f.Seed, f.When(), flagsOf(meshes), f.Script)
				})
			}
		}
		if d.Worker != "" && !by[d.Worker] {
			by[d.Worker] = true
			workers.Add(1)
		}
		parts[d.Lease] = part
		seeds.Add(part.Seeds)
		return err
	})
	stop()
	for _, lease := range slices.Sorted(maps.Keys(parts)) { // in their order, so that sums are the same wherever they were computed
		t.Plus(parts[lease])
	}
	if t.Interrupted = ctx.Err() != nil; t.Interrupted {
		err = nil
	} else if err != nil && len(parts) == 0 {
		return t, err
	}
	line := fmt.Sprintf("%s of %s, %s", result.Grouped(float64(t.Seeds)), result.Plural(t.Of, "seed"), result.Plural(uint64(len(t.Findings)), "finding"))
	if t.Interrupted {
		line += ", interrupted"
	}
	virtual := time.Duration(t.Virtual * 1e9)
	line += fmt.Sprintf("\n%.1f virtual hours in %s\n%s taken", virtual.Hours(), result.Span(time.Since(start)), result.Plural(t.Taken, "datagram"))
	for i, gap := range swarm.Gaps {
		if !meshes.Wide { // the wide dialect leaves none
			line += fmt.Sprintf("%s%d %s", []string{"\npeers left with a known gap:\n  ", ", "}[min(i, 1)], t.Gaps[gap], gap)
		}
	}
	_, failed := fmt.Fprintln(text, line)
	return t, cli.Join(err, failed)
}
