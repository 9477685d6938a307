package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"p2plocal/bench/faults"
	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
	"p2plocal/bench/swarm"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/printing"
	"p2plocal/core/simnet"
)

const swarmIntro = `usage: meshbench swarm [-seeds FIRST..LAST]
       meshbench swarm -seed N [-trace] [-until T]
       meshbench swarm -faults FILE [-trace] [-until T]

A swarm runs meshes on a virtual network and clock, with core's own machines, under
faults that each seed draws for itself, or that a script describes. It checks
the protocol's invariants as they run. A failing seed prints what broke and
when, how to replay it, and the fewest faults that still break it, as a script.

With -wide, and -key, the meshes speak the wide dialect.

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

// dialect is what the meshes of a swarm speak.
type dialect struct {
	simulate swarm.Simulation
	flags    string // that say so
}

func dialectOf(isWide, keyed bool) (dialect, error) {
	switch {
	case !isWide && keyed:
		return dialect{}, cli.Usagef("-key wants -wide: the exact dialect has none")
	case !isWide:
		return dialect{swarm.Exact(swarm.Core), ""}, nil
	case keyed:
		return dialect{swarm.Wide(swarm.WideCore, true), " -wide -key"}, nil
	}
	return dialect{swarm.Wide(swarm.WideCore, false), " -wide"}, nil
}

// runSwarm is "meshbench swarm".
func runSwarm(fs *flag.FlagSet, _ *cli.Groups) func(context.Context, *call) error {
	var common cli.Common
	seeds := fs.String("seeds", "1..2000", "the `range` of seeds to run, each with faults of its own")
	seed := fs.Uint64("seed", 0, "run this one seed")
	file := fs.String("faults", "", "run the script in `FILE`")
	trace := fs.Bool("trace", false, "print the event log of the one run")
	until := fs.Duration("until", 0, "stop the one run at this virtual `time`; 0: at its end")
	isWide := fs.Bool("wide", false, "the meshes speak the wide dialect")
	keyed := fs.Bool("key", false, "with -wide, a key: every datagram is sealed")
	common.Register(fs)
	return func(ctx context.Context, c *call) (err error) {
		meshes, err := dialectOf(*isWide, *keyed)
		if err != nil {
			return err
		}
		one := c.given["seed"] || c.given["faults"]
		switch {
		case c.given["seed"] && c.given["faults"]:
			return cli.Usagef("-seed and -faults exclude each other: a script names its seed")
		case one && c.given["seeds"]:
			return cli.Usagef("-seeds is for many runs, -seed and -faults for one")
		case !one && (c.given["trace"] || c.given["until"]):
			return cli.Usagef("-trace and -until want -seed or -faults")
		case *trace && common.JSON == "-":
			return cli.Usagef("-trace and -json - both want standard output")
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
				if s, err = readScript(*file); err != nil {
					return err
				}
			}
			t, err = meshes.oneSeed(ctx, text, s, *until, *trace)
		} else {
			t, err = meshes.manySeeds(ctx, text, c.stderr, common.Quiet, first, last)
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

func parseRange(s string) (first, last uint64, err error) {
	a, b, ok := strings.Cut(s, "..")
	first, err1 := strconv.ParseUint(a, 10, 64)
	last, err2 := strconv.ParseUint(b, 10, 64)
	if !ok || err1 != nil || err2 != nil || first > last || last-first == 1<<64-1 {
		return 0, 0, cli.Usagef("-seeds %q, want a range such as 1..2000", s)
	}
	return first, last, nil
}

// readScript reads a file of faults. One that makes no sense is a usage error.
func readScript(name string) (faults.Script, error) {
	f, err := os.Open(name)
	if err != nil {
		return faults.Script{}, err
	}
	defer f.Close()
	s, err := faults.Parse(f)
	if err != nil {
		return s, cli.Usagef("%q: %w", name, err)
	}
	return s, nil
}

// oneSeed runs one scenario and says what came of it.
func (d dialect) oneSeed(ctx context.Context, text io.Writer, s faults.Script, until time.Duration, trace bool) (*swarm.Tally, error) {
	var hear func(*simnet.Event)
	flush := func() error { return nil }
	if trace {
		hear, flush = simnet.Log(text)
	}
	t, came := swarm.NewTally(1), d.simulate(ctx, s, until, hear)
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

// manySeeds runs seed after seed.
func (d dialect) manySeeds(ctx context.Context, text, stderr io.Writer, quiet bool, first, last uint64) (*swarm.Tally, error) {
	start := time.Now()
	ctx, cancel := context.WithCancel(ctx) // what cannot be written ends it, too
	defer cancel()
	t := swarm.NewTally(last - first + 1)
	var seeds, findings atomic.Uint64
	aside, stop := printing.Watch(ctx, stderr, quiet, func(int) string {
		return printing.Done(start, fmt.Sprintf("seeds, %s", result.Plural(findings.Load(), "finding")), seeds.Load(), t.Of)
	})
	var failed error
	swarm.Swarm(ctx, first, last, runtime.GOMAXPROCS(0), d.simulate, func(s faults.Script, r swarm.Result) {
		if f := r.Finding; f != nil && len(t.Findings) < shown {
			s = swarm.Shrink(ctx, s, d.simulate)
			aside(func() {
				_, failed = fmt.Fprintf(text, "seed %d: %s\nreplay: meshbench swarm%s -seed %d -trace -until %v\nshrunk, for meshbench swarm%s -faults FILE:\n", s.Seed, cli.Printable(f.String()), d.flags, s.Seed, f.At, d.flags)
				failed = cmp.Or(failed, s.Write(text))
			})
			if failed != nil {
				cancel()
			}
		}
		t.Add(s, r)
		seeds.Store(t.Seeds)
		findings.Store(uint64(len(t.Findings)))
	})
	stop()
	t.Interrupted = ctx.Err() != nil
	line := fmt.Sprintf("%s of %s, %s", result.Grouped(float64(t.Seeds)), result.Plural(t.Of, "seed"), result.Plural(uint64(len(t.Findings)), "finding"))
	if t.Interrupted {
		line += ", interrupted"
	}
	virtual := time.Duration(t.Virtual * 1e9)
	line += fmt.Sprintf("\n%.1f virtual hours in %s\n%s taken", virtual.Hours(), result.Span(time.Since(start)), result.Plural(t.Taken, "datagram"))
	for i, gap := range swarm.Gaps {
		if d.flags == "" { // the wide dialect leaves none
			line += fmt.Sprintf("%s%d %s", []string{"\npeers left with a known gap: ", ", "}[min(i, 1)], t.Gaps[gap], gap)
		}
	}
	_, err := fmt.Fprintln(text, line)
	return t, cli.Join(failed, err)
}
