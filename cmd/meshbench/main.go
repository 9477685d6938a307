// Meshbench measures a mesh of the p2plocal protocol on this machine.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/cmd/internal/cli"
)

const usage = `usage: meshbench [flags]
       meshbench -sim [-faults FILE] [-trace] [-until T] [flags]
       meshbench COMMAND [flags]

Meshbench starts a directory server and peers on loopback, does to them what
the scenarios say, and prints what it measured. Without flags: 80 peers join,
broadcast for 13 seconds, and one of them vanishes. With -sim the mesh lives on
a virtual network and clock instead, and the result depends on the flags alone.

Commands ("meshbench help COMMAND" or "meshbench COMMAND -h" says more):
`

const exitCodes = `
Exit codes: 0 done, 1 could not measure, 2 usage, 3 an assertion failed, a
metric got worse or an invariant was broken, 130 interrupted (what had been
measured is written).
`

func main() {
	if mesh.IsChild() {
		os.Exit(mesh.Child())
	}
	cli.Main("meshbench", run)
}

// command is what meshbench does under one name.
type command struct {
	name, about string
	run         func(ctx context.Context, args []string, stdout, stderr io.Writer) error
}

var commands = []command{
	{"compare", "set two results side by side and say what has changed", compare},
	{"compare-servers", "measure two servers in turn, A B B A, pair by pair", compareServers},
	{"report", "draw results that -json has written, as text or in another form", report},
	{"metrics", "list all metrics with their definitions", metrics},
	{"agree", "set what is measured over UDP and simulated side by side", agree},
	{"swarm", "check the protocol's invariants on simulated meshes under random faults", runSwarm},
	{"study", "sum up many simulated meshes: removals of live peers, healing, churn", runStudy},
	{"sweep", "try settings of the timing on simulated meshes: which are worth choosing", runSweep},
}

// commandList is the commands, one a line.
func commandList() string {
	var b strings.Builder
	for _, c := range commands {
		fmt.Fprintf(&b, "  %-15s  %s\n", c.name, c.about)
	}
	return b.String()
}

// run is the whole program. The first argument may name a command; without one it measures.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == "help" {
		if len(args) > 2 {
			return cli.Usagef("help takes one command, not %d", len(args)-1)
		}
		args = append(args[1:len(args):len(args)], "-h")
	}
	if len(args) == 0 || args[0] == "" || args[0][0] == '-' {
		return measure(ctx, args, stdout, stderr)
	}
	for _, c := range commands {
		if c.name == args[0] {
			err := c.run(ctx, args[1:], stdout, stderr)
			if usage, ok := errors.AsType[cli.UsageError](err); ok {
				usage.Of = "meshbench " + c.name
				return usage
			}
			return err
		}
	}
	return noCommand(args[0])
}

// noCommand says what there is instead of a word that is neither flag nor command.
func noCommand(word string) error {
	if slices.Contains(scenario.Scenarios, word) {
		return cli.Usagef("%q is no flag and no command: for the scenario say -scenario %s", word, word)
	}
	var names []string
	for _, c := range commands {
		names = append(names, c.name)
	}
	return cli.Usagef("%q is no flag and no command, want one of %s", word, strings.Join(names, ", "))
}

// measure runs scenarios, over UDP or simulated.
func measure(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("meshbench", flag.ContinueOnError)
	cfg, out, groups := benchFlags(fs)
	groups.Begin("simulation", "")
	virtual := simFlags(fs)
	others, err := cli.ParseGrouped(fs, groups, args, usage+commandList()+exitCodes, stdout)
	switch {
	case err != nil:
		return err
	case len(others) > 0:
		return noCommand(others[0])
	}
	if err := virtual.apply(fs, cfg, out, stdout); err != nil {
		return err
	}
	if err := cfg.finish(fs, stderr); err != nil {
		return err
	}
	asserts, err := out.check(cfg.Scenarios, scenario.Metrics.ParseAssertion)
	if err != nil {
		return err
	}
	var status scenario.Status
	stop := showProgress(&status, cfg.Config, stderr, out.quiet)
	started := time.Now()
	r, failed := scenario.Execute(ctx, cfg.Config, mesh.Version(virtual.args(fs, args)), &status)
	stop()
	if !out.quiet {
		virtual.speed(stderr, r, time.Since(started))
	}
	if failed != nil && (r == nil || !r.Measured()) {
		return failed
	}
	r.Assertions = result.Evaluate(asserts, r)
	if failed == nil && !r.Interrupted && r.Failure() != "" {
		failed = errors.New(r.Failure())
	}
	return outcome(out.write(r, stdout), failed, r.Interrupted, r.Assertions)
}

// outcome is what a command ends with: what could not be written, or measured,
// before what was interrupted, before what was not as it should be.
func outcome(written, failed error, interrupted bool, asserted []result.Assertion) error {
	switch {
	case written != nil && failed != nil:
		return fmt.Errorf("%w; %w", failed, written)
	case written != nil || failed != nil:
		return cmp.Or(written, failed)
	case interrupted:
		return cli.Interrupted
	case slices.ContainsFunc(asserted, func(a result.Assertion) bool { return !a.OK }):
		return cli.Failed
	}
	return nil
}

// metrics lists the definitions.
func metrics(_ context.Context, args []string, stdout, _ io.Writer) error {
	fs := flag.NewFlagSet("meshbench metrics", flag.ContinueOnError)
	if others, err := cli.Parse(fs, args, "usage: meshbench metrics\n", stdout); err != nil {
		return err
	} else if len(others) > 0 {
		return cli.Usagef("metrics takes no arguments, not %q", others[0])
	}
	var b strings.Builder
	fmt.Fprintf(&b, "A distribution, marked *, has the figures %s,\nsuch as steady.latency.p99.\n\n", strings.Join(result.Fields, ", "))
	for _, d := range scenario.Metrics.All() {
		name := d.Name
		if d.Dist {
			name += " *"
		}
		fmt.Fprintf(&b, "%-30s %-10s %s\n", name, d.Unit, d.Text)
	}
	_, err := io.WriteString(stdout, b.String())
	return err
}

// readResult reads one result file.
func readResult(name string) (*result.Result, error) { return readFile(name, result.Read) }

func readFile[T any](name string, read func(io.Reader) (*T, error)) (*T, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := read(f)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", name, err)
	}
	return r, nil
}
