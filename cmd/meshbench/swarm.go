package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"p2plocal/bench/faults"
	"p2plocal/bench/swarm"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/printing"
	"p2plocal/core/simnet"
)

const swarmIntro = `usage: meshbench swarm [-seeds FIRST..LAST] [-workers N]
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
	return text + `
Exit codes: 0 every invariant held, 1 failure, 2 usage, 3 one was broken,
130 interrupted.
`
}

// runSwarm is "meshbench swarm".
func runSwarm(fs *flag.FlagSet, _ *cli.Groups) func(context.Context, *call) error {
	seeds := fs.String("seeds", "1..2000", "the `range` of seeds to run, each with faults of its own")
	workers := fs.Int("workers", runtime.GOMAXPROCS(0), "seeds that run at once")
	seed := fs.Uint64("seed", 0, "run this one seed")
	file := fs.String("faults", "", "run the script in `FILE`")
	quiet := fs.Bool("quiet", false, "no progress on standard error")
	trace := fs.Bool("trace", false, "print the event log of the one run")
	until := fs.Duration("until", 0, "stop the one run at this virtual `time`; 0: at its end")
	return func(ctx context.Context, c *call) (err error) {
		one := c.given["seed"] || c.given["faults"]
		switch {
		case c.given["seed"] && c.given["faults"]:
			return cli.Usagef("-seed and -faults exclude each other: a script names its seed")
		case one && (c.given["seeds"] || c.given["workers"]):
			return cli.Usagef("-seeds and -workers are for many runs, -seed and -faults for one")
		case !one && (c.given["trace"] || c.given["until"]):
			return cli.Usagef("-trace and -until want -seed or -faults")
		case *until < 0:
			return cli.Usagef("-until %v is negative", *until)
		case *workers < 1 || *workers > 1024:
			return cli.Usagef("-workers %d, want 1 to 1024", *workers)
		case !one:
			first, last, err := parseRange(*seeds)
			if err != nil {
				return err
			}
			return manySeeds(ctx, first, last, *workers, *quiet, c.stdout, c.stderr)
		}
		s := swarm.Draw(*seed)
		if c.given["faults"] {
			if s, err = readScript(*file); err != nil {
				return err
			}
		}
		return oneSeed(ctx, s, *until, *trace, c.stdout)
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
func oneSeed(ctx context.Context, s faults.Script, until time.Duration, trace bool, stdout io.Writer) error {
	var hear func(*simnet.Event)
	flush := func() error { return nil }
	if trace {
		hear, flush = simnet.Log(stdout)
	}
	r := swarm.Simulate(ctx, s, swarm.Core, until, hear)
	if err := flush(); err != nil {
		return err
	}
	verdict := "every invariant held"
	switch {
	case r.Finding != nil:
		verdict = cli.Printable(r.Finding.String())
	case r.Interrupted:
		verdict = "interrupted; until then every invariant held"
	case !r.Ended:
		verdict = fmt.Sprintf("every invariant held but heal and gap, which are not checked before %v", swarm.Healed(s))
	}
	n := r.Stats
	err := say(stdout, fmt.Sprintf("seed %d, %d peers, %v of virtual time: %s", s.Seed, s.Peers, r.Virtual, verdict),
		fmt.Sprintf("datagrams: %d sent, %d taken, %d lost, %d cut, %d duplicated, %d overflowed, %d unreachable",
			n.Sent, n.Taken, n.Lost, n.Cut, n.Duplicated, n.Overflowed, n.Unreachable))
	switch {
	case err != nil:
		return err
	case r.Finding != nil:
		return cli.Failed
	case r.Interrupted:
		return cli.Interrupted
	}
	return nil
}

// say writes lines, on a terminal broken between words where they are too long for it.
func say(w io.Writer, lines ...string) error {
	if width := printing.Options(w, false, false).Width; width > 0 {
		for i, line := range lines {
			lines[i] = fold(line, width)
		}
	}
	_, err := io.WriteString(w, strings.Join(lines, "\n")+"\n")
	return err
}

// fold breaks a line between words, and indents what follows.
func fold(line string, width int) string {
	var b strings.Builder
	column := 0
	for word := range strings.FieldsSeq(line) {
		n := utf8.RuneCountInString(word)
		switch {
		case column == 0:
		case column+1+n > width:
			b.WriteString("\n  ")
			column = 2
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}

// manySeeds runs seed after seed.
func manySeeds(ctx context.Context, first, last uint64, workers int, quiet bool, stdout, stderr io.Writer) error {
	start := time.Now()
	ctx, cancel := context.WithCancel(ctx) // what cannot be written ends it, too
	defer cancel()
	progress := func(t *swarm.Tally) string {
		return fmt.Sprintf("%d of %d seeds, %d findings", t.Seeds, last-first+1, t.Findings)
	}
	speed := func(t *swarm.Tally) string {
		took := time.Since(start)
		return fmt.Sprintf("%.1f virtual hours in %v (%.0f x real time)", t.Virtual.Hours(), took.Round(100*time.Millisecond), t.Virtual.Seconds()/took.Seconds())
	}
	show, wipe := printing.Line(stderr, quiet)
	_, terminal := printing.Terminal(stderr)
	next, printed := start.Add(time.Minute), 0
	var failed error
	t := swarm.Swarm(ctx, first, last, workers, swarm.Core, func(t *swarm.Tally, s faults.Script, f *swarm.Finding) {
		show("%s", doneLine(start, fmt.Sprintf("seeds, %d findings", t.Findings), t.Seeds, last-first+1))
		if now := time.Now(); !terminal && !quiet && now.After(next) {
			say(stderr, progress(t)+", "+speed(t))
			next = now.Add(time.Minute)
		}
		if f == nil || printed == shown || failed != nil {
			return
		}
		printed++
		wipe()
		if failed = printFinding(ctx, stdout, s, f); failed != nil {
			cancel()
		}
	})
	wipe()
	if failed != nil {
		return failed
	}
	var gaps []string
	for _, gap := range swarm.Gaps {
		gaps = append(gaps, fmt.Sprintf("%d %s", t.Gaps[gap], gap))
	}
	lines := []string{progress(&t), fmt.Sprintf("%s, %d datagrams taken", speed(&t), t.Taken),
		"peers left with a known gap: " + strings.Join(gaps, ", ")}
	if ctx.Err() != nil {
		lines[0] += ", interrupted"
	}
	for _, c := range t.Cut {
		lines = append(lines, fmt.Sprintf("seed %d was under way, at %v of virtual time", c.Seed, c.Virtual))
	}
	if err := say(stdout, lines...); err != nil {
		return err
	}
	switch {
	case t.Findings > 0:
		return cli.Failed
	case ctx.Err() != nil:
		return cli.Interrupted
	}
	return nil
}

// printFinding says what broke, how to replay it, and the fewest faults that do.
func printFinding(ctx context.Context, stdout io.Writer, s faults.Script, f *swarm.Finding) error {
	small, how := swarm.Shrink(ctx, s, swarm.Core), "shrunk"
	if ctx.Err() != nil {
		how = "shrunk as far as time was"
	}
	if err := say(stdout, fmt.Sprintf("seed %d: %s", s.Seed, cli.Printable(f.String()))); err != nil {
		return err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "replay: meshbench swarm -seed %d -trace -until %v\n%s, for meshbench swarm -faults FILE:\n", s.Seed, f.At, how)
	small.Write(&b)
	_, err := stdout.Write(append(b.Bytes(), '\n'))
	return err
}
