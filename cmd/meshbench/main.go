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

	"p2plocal/bench"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/simcmd"
)

const usage = `usage: meshbench [flags]
       meshbench -sim [-faults FILE] [-trace] [-until T] [flags]
       meshbench -sim -swarm [-seeds FIRST..LAST] [flags]
       meshbench -sim -study [flags]
       meshbench -sim -sweep deadline=1s..5s [flags]
       meshbench compare [flags] OLD.json NEW.json
       meshbench compare-servers -server-exec 'CMD1' -server-exec 'CMD2' [flags]
       meshbench report FORMAT RESULT.json ...
       meshbench agree [flags]
       meshbench metrics

Meshbench starts a directory server and peers on loopback, does to them what
the scenarios say, and prints what it measured. Without flags: 80 peers join,
broadcast for 13 seconds, and one of them vanishes. With -sim the mesh lives on
a virtual network and clock instead, and the result depends on the flags alone;
with -swarm as well, the protocol's invariants are checked under random faults;
-study and -sweep sum up many meshes (each says more with -h).

  compare          sets two results side by side and says what has changed
  compare-servers  measures two servers in turn, A B B A, pair by pair
  report           draws results that -json has written, as text or in another form
  agree            sets what is measured over UDP and simulated side by side
  metrics          lists all metrics with their definitions

Exit codes: 0 done, 1 could not measure, 2 usage, 3 an assertion failed or a
metric got worse, 130 interrupted (what had been measured is written).
`

// Exit codes of meshbench's own.
const (
	exitFailed      cli.Code = 3
	exitInterrupted cli.Code = 130
)

func main() {
	if bench.IsChild() {
		os.Exit(bench.Child())
	}
	cli.Main("meshbench", run)
}

func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case "metrics":
			return metrics(args[1:], stdout)
		case "compare":
			return compare(args[1:], stdout, stderr)
		case "compare-servers":
			return compareServers(ctx, args[1:], stdout, stderr)
		case "report":
			return report(args[1:], stdout)
		case "agree":
			return agree(ctx, args[1:], stdout, stderr)
		}
	}
	switch {
	case given(args, "swarm"):
		return simcmd.Swarm(ctx, args, stdout, stderr)
	case given(args, "study"), given(args, "sweep"):
		return simcmd.Study(ctx, args, stdout, stderr)
	case given(args, "seeds"), given(args, "workers"):
		return cli.Usagef("-seeds and -workers are for many meshes: they want -sim -swarm")
	}
	fs := flag.NewFlagSet("meshbench", flag.ContinueOnError)
	cfg, out := benchFlags(fs)
	virtual := simFlags(fs)
	others, err := cli.Parse(fs, args, usage, stdout)
	switch {
	case err != nil:
		return err
	case len(others) > 0:
		return cli.Usagef("%q is no flag and no command", others[0])
	}
	if err := virtual.apply(fs, cfg, out, stdout); err != nil {
		return err
	}
	if err := cfg.finish(fs, stderr); err != nil {
		return err
	}
	asserts, err := out.check(cfg.Scenarios, bench.ParseAssertion)
	if err != nil {
		return err
	}
	var status bench.Status
	stop := showProgress(&status, cfg.Config, stderr, out.quiet)
	started := time.Now()
	result, failed := bench.Execute(ctx, cfg.Config, bench.Version(virtual.args(fs, args)), &status)
	stop()
	if !out.quiet {
		virtual.speed(stderr, result, time.Since(started))
	}
	if failed != nil && (result == nil || !result.Measured()) {
		return failed
	}
	result.Assertions = bench.Evaluate(asserts, result)
	if failed == nil && !result.Interrupted && result.Failure() != "" {
		failed = errors.New(result.Failure())
	}
	return outcome(out.write(result, stdout), failed, result.Interrupted, result.Assertions)
}

// outcome is what a command ends with: what could not be written, or measured,
// before what was interrupted, before what was not as it should be.
func outcome(written, failed error, interrupted bool, asserted []bench.Assertion) error {
	switch {
	case written != nil && failed != nil:
		return fmt.Errorf("%w; %w", failed, written)
	case written != nil || failed != nil:
		return cmp.Or(written, failed)
	case interrupted:
		return exitInterrupted
	case slices.ContainsFunc(asserted, func(a bench.Assertion) bool { return !a.OK }):
		return exitFailed
	}
	return nil
}

// given reports that a flag is among the arguments.
func given(args []string, name string) bool {
	return slices.ContainsFunc(args, func(a string) bool {
		a, _, _ = strings.Cut(a, "=")
		return a == "-"+name || a == "--"+name
	})
}

// metrics lists the definitions.
func metrics(args []string, stdout io.Writer) error {
	fs := flag.NewFlagSet("meshbench metrics", flag.ContinueOnError)
	if others, err := cli.Parse(fs, args, "usage: meshbench metrics\n", stdout); err != nil {
		return err
	} else if len(others) > 0 {
		return cli.Usagef("metrics takes no arguments, not %q", others[0])
	}
	var b strings.Builder
	fmt.Fprintf(&b, "A distribution, marked *, has the figures %s,\nsuch as steady.latency.p99.\n\n", strings.Join(bench.Fields, ", "))
	for _, d := range bench.Definitions() {
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
func readResult(name string) (*bench.Result, error) { return readFile(name, bench.Read) }

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
