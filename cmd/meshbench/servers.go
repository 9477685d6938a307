package main

import (
	"context"
	"errors"
	"flag"
	"io"

	"p2plocal/bench/mesh"
	"p2plocal/bench/scenario"
	"p2plocal/cmd/internal/cli"
	"p2plocal/reports"
)

// compareServers measures two servers in turn.
func compareServers(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("meshbench compare-servers", flag.ContinueOnError)
	cfg, out, groups := benchFlags(fs)
	var servers stringList
	fs.Lookup("server-exec").Value = &servers
	fs.Lookup("server-exec").Usage = "`command` that starts a server, given twice, A's and B's; ours stands for our own"
	fs.Lookup("repeat").Usage = "`pairs` of runs, in the order A B B A"
	fs.Lookup("repeat").DefValue, cfg.Repeat = "6", 6
	fs.Lookup("assert").Usage = "`condition` on the median ratio of B to A, such as steady.latency.p99<=1.3, or the exit code is 3; may be given several times"
	all := fs.Bool("all", false, "print all metrics")
	others, err := cli.ParseGrouped(fs, groups, args, "usage: meshbench compare-servers -server-exec 'CMD1' -server-exec 'CMD2' [flags]\n", stdout)
	switch {
	case err != nil:
		return err
	case len(others) > 0:
		return cli.Usagef("%q is no flag", others[0])
	case len(servers) != 2:
		return cli.Usagef("compare-servers takes -server-exec twice, not %d times", len(servers))
	}
	if err := cfg.finish(fs, stderr); err != nil {
		return err
	}
	if cfg.Options.Server != "" {
		return cli.Usagef("compare-servers starts its servers: -server %s has no place in it", cfg.Options.Server)
	}
	asserts, err := out.check(cfg.Scenarios, scenario.Metrics.ParseRatioAssertion)
	if err != nil {
		return err
	}
	var status scenario.Status
	twice := cfg.Config
	twice.Repeat *= 2
	stop := showProgress(&status, twice, stderr, out.quiet)
	p, failed := scenario.ExecutePairs(ctx, cfg.Config, [2]string(servers), mesh.Version(append([]string{"compare-servers"}, args...)), &status)
	stop()
	if failed != nil && !p.Measured() {
		return failed
	}
	p.Evaluate(asserts)
	if failed == nil && !p.Interrupted && p.Failure() != "" {
		failed = errors.New(p.Failure())
	}
	err = out.writeAll(stdout, *all, func(w io.Writer) error { return p.WriteGoBench(scenario.Metrics, w) }, func(string) *reports.Document { return reports.Pairing(p) })
	return outcome(err, failed, p.Interrupted, p.Assertions)
}
