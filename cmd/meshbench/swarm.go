package main

import (
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
	return text + "\n" + faults.Grammar + `
Exit codes: 0 every invariant held, 1 failure, 2 usage, 3 one was broken,
130 interrupted.
`
}

// swarmRun is a run of one seed or of many.
type swarmRun struct {
	*call
	cli.Common
	text   io.Writer // stdout, or nothing
	result struct {  // what -json writes
		Tool        result.Tool          `json:"tool"`
		Seeds       uint64               `json:"seeds"` // that were run to their end
		Of          uint64               `json:"of"`
		Interrupted bool                 `json:"interrupted"`
		Virtual     float64              `json:"virtual_seconds"`
		Taken       uint64               `json:"datagrams_taken"`
		Gaps        map[swarm.Gap]uint64 `json:"gaps"`
		Findings    []swarmFinding       `json:"findings"`
	}
}

type swarmFinding struct {
	Seed      uint64  `json:"seed"`
	Invariant string  `json:"invariant"`
	At        float64 `json:"at_seconds"`
	Detail    string  `json:"detail"`
	Script    string  `json:"script"` // that breaks it
}

func (r *swarmRun) found(s faults.Script, f *swarm.Finding) {
	var script strings.Builder
	s.Write(&script)
	r.result.Findings = append(r.result.Findings, swarmFinding{s.Seed, f.Invariant, f.At.Seconds(), f.Detail, script.String()})
}

// runSwarm is "meshbench swarm".
func runSwarm(fs *flag.FlagSet, _ *cli.Groups) func(context.Context, *call) error {
	r := new(swarmRun)
	r.result.Findings, r.result.Gaps = []swarmFinding{}, map[swarm.Gap]uint64{}
	seeds := fs.String("seeds", "1..2000", "the `range` of seeds to run, each with faults of its own")
	seed := fs.Uint64("seed", 0, "run this one seed")
	file := fs.String("faults", "", "run the script in `FILE`")
	trace := fs.Bool("trace", false, "print the event log of the one run")
	until := fs.Duration("until", 0, "stop the one run at this virtual `time`; 0: at its end")
	r.Register(fs)
	return func(ctx context.Context, c *call) (err error) {
		one := c.given["seed"] || c.given["faults"]
		switch {
		case c.given["seed"] && c.given["faults"]:
			return cli.Usagef("-seed and -faults exclude each other: a script names its seed")
		case one && c.given["seeds"]:
			return cli.Usagef("-seeds is for many runs, -seed and -faults for one")
		case !one && (c.given["trace"] || c.given["until"]):
			return cli.Usagef("-trace and -until want -seed or -faults")
		case *trace && r.JSON == "-":
			return cli.Usagef("-trace and -json - both want standard output")
		}
		files, err := cli.Open(r.JSON)
		if err != nil {
			return err
		}
		r.call, r.text, r.result.Tool = c, c.stdout, mesh.Version(c.shaping())
		if r.JSON == "-" {
			r.text = io.Discard
		}
		if one {
			s := swarm.Draw(*seed)
			if c.given["faults"] {
				if s, err = readScript(*file); err != nil {
					return err
				}
			}
			err = r.oneSeed(ctx, s, *until, *trace)
		} else {
			first, last, e := parseRange(*seeds)
			if e != nil {
				return e
			}
			err = r.manySeeds(ctx, first, last)
		}
		err = cli.Join(r.Write(c.stdout, files, func(io.Writer) error { return nil }, r.result), err) // its text is there
		switch {
		case err != nil:
			return err
		case len(r.result.Findings) > 0:
			return cli.Failed
		case r.result.Interrupted:
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
func (r *swarmRun) oneSeed(ctx context.Context, s faults.Script, until time.Duration, trace bool) error {
	var hear func(*simnet.Event)
	flush := func() error { return nil }
	if trace {
		hear, flush = simnet.Log(r.text)
	}
	came := swarm.Simulate(ctx, s, swarm.Core, until, hear)
	if err := flush(); err != nil {
		return err
	}
	verdict := "every invariant held"
	switch {
	case came.Finding != nil:
		verdict = cli.Printable(came.Finding.String())
		r.found(s, came.Finding)
	case came.Interrupted:
		verdict = "interrupted; until then every invariant held"
	case !came.Ended:
		verdict = fmt.Sprintf("every invariant held but heal and gap,\nwhich are not checked before %v", swarm.Healed(s))
	}
	n := came.Stats
	r.result.Of, r.result.Interrupted, r.result.Virtual, r.result.Taken = 1, came.Interrupted, came.Virtual.Seconds(), n.Taken
	if !came.Interrupted {
		r.result.Seeds = 1
	}
	for gap, peers := range came.Gaps {
		r.result.Gaps[gap] = uint64(peers)
	}
	_, err := fmt.Fprintf(r.text, "seed %d, %s, %v of virtual time: %s\n%s: %d taken, %d lost, %d cut,\n%d duplicated, %d overflowed, %d unreachable\n", s.Seed, result.Plural(uint64(s.Peers), "peer"), came.Virtual, verdict,
		result.Plural(n.Sent, "datagram"), n.Taken, n.Lost, n.Cut, n.Duplicated, n.Overflowed, n.Unreachable)
	return err
}

// manySeeds runs seed after seed.
func (r *swarmRun) manySeeds(ctx context.Context, first, last uint64) error {
	start := time.Now()
	ctx, cancel := context.WithCancel(ctx) // what cannot be written ends it, too
	defer cancel()
	all := last - first + 1
	var seeds, findings atomic.Uint64
	aside, stop := printing.Watch(ctx, r.stderr, r.Quiet, func(int) string {
		return printing.Done(start, fmt.Sprintf("seeds, %s", result.Plural(findings.Load(), "finding")), seeds.Load(), all)
	})
	var failed error
	t := swarm.Swarm(ctx, first, last, runtime.GOMAXPROCS(0), swarm.Core, func(t *swarm.Tally, s faults.Script, f *swarm.Finding) {
		seeds.Store(t.Seeds)
		findings.Store(t.Findings)
		if f == nil {
			return
		}
		if len(r.result.Findings) >= shown || failed != nil {
			r.found(s, f)
			return
		}
		small, how := swarm.Shrink(ctx, s, swarm.Core), "shrunk"
		if ctx.Err() != nil {
			how = "shrunk as far as time was"
		}
		r.found(small, f)
		aside(func() {
			_, failed = fmt.Fprintf(r.text, "seed %d: %s\nreplay: meshbench swarm -seed %d -trace -until %v\n%s, for meshbench swarm -faults FILE:\n%s\n",
				s.Seed, cli.Printable(f.String()), s.Seed, f.At, how, r.result.Findings[len(r.result.Findings)-1].Script)
		})
		if failed != nil {
			cancel()
		}
	})
	stop()
	r.result.Seeds, r.result.Of, r.result.Interrupted = t.Seeds, all, ctx.Err() != nil
	r.result.Virtual, r.result.Taken, r.result.Gaps = t.Virtual.Seconds(), t.Taken, t.Gaps
	if failed != nil {
		return failed
	}
	took := time.Since(start)
	line := fmt.Sprintf("%s of %s, %s", result.Grouped(float64(t.Seeds)), result.Plural(all, "seed"), result.Plural(t.Findings, "finding"))
	if r.result.Interrupted {
		line += ", interrupted"
	}
	line += fmt.Sprintf("\n%.1f virtual hours in %v (%s x real time)\n%s taken\npeers left with a known gap: ", t.Virtual.Hours(), took.Round(100*time.Millisecond),
		result.Grouped(t.Virtual.Seconds()/took.Seconds()), result.Plural(t.Taken, "datagram"))
	for i, gap := range swarm.Gaps {
		line += fmt.Sprintf("%s%d %s", []string{"", ", "}[min(i, 1)], t.Gaps[gap], gap)
	}
	for _, c := range t.Cut {
		line += fmt.Sprintf("\nseed %d was under way, at %v of virtual time", c.Seed, c.Virtual)
	}
	_, err := fmt.Fprintln(r.text, line)
	return err
}
