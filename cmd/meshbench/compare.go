package main

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/bench/stat"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/printing"
	"p2plocal/reports"
)

const (
	compareUsage        = "usage: meshbench compare [flags] OLD.json NEW.json\n"
	compareServersUsage = "usage: meshbench compare-servers -exec 'CMD1' -exec 'CMD2' [flags]\n"
)

// compare sets two results side by side.
func compare(fs *flag.FlagSet, _ *cli.Groups) func(context.Context, *call) error {
	limit := fs.String("fail-on-regression", "", "exit code 3 if a metric got significantly worse by more than this `percentage`, such as 5%, and by more than 0.02 cores, 1 MB or 5µs where that is its unit")
	var out printing.Output
	out.Register(fs, false)
	fs.BoolVar(&out.All, "all", false, "print all metrics, also those without a significant change")
	return func(_ context.Context, c *call) error {
		if len(c.others) != 2 {
			return cli.Usagef("compare takes two result files, not %d", len(c.others))
		}
		threshold := -1.0
		if *limit != "" {
			var err error
			if threshold, err = parsePercent(*limit); err != nil {
				return cli.UsageError{Err: err}
			}
		}
		if err := out.Open(); err != nil {
			return err
		}
		var sides [2]*result.Result
		for i, name := range c.others {
			var err error
			if sides[i], err = readFile(name, result.Read); err != nil {
				return err
			}
		}
		comparison := stat.Compare(scenario.Definitions, sides[0], sides[1])
		if err := out.Write(c.stdout, reports.Compare(comparison)); err != nil || threshold < 0 {
			return err
		}
		if worse := comparison.Regressions(threshold); len(worse) > 0 {
			fmt.Fprintf(c.stderr, "meshbench: %s got worse by more than %s, the first is %s\n", result.Plural(uint64(len(worse)), "metric"), *limit, worse[0].Metric)
			return cli.Failed
		}
		return nil
	}
}

// parsePercent reads 5%. A bare number is refused: 5 could mean 5 % or 500 %.
func parsePercent(s string) (float64, error) {
	v, err := result.ParseRatio(s)
	if err != nil || !(v >= 0) || !strings.HasSuffix(s, "%") {
		return 0, fmt.Errorf("%q is no percentage, want one such as 5%%", s)
	}
	return v, nil
}

// compareServers measures two servers in turn.
func compareServers(fs *flag.FlagSet, groups *cli.Groups) func(context.Context, *call) error {
	cfg := benchFlags(fs, groups)
	groups.Begin("output", "")
	out := outputFlags(fs)
	var servers printing.Strings
	fs.Lookup("exec").Value = &servers
	fs.Lookup("exec").Usage = "`command` that starts a server, given twice, A's and B's; ours stands for our own"
	fs.Lookup("repeat").Usage = "`pairs` of runs, in the order A B B A"
	fs.Lookup("repeat").DefValue, cfg.Repeat = "6", 6
	fs.Lookup("assert").Usage = "`condition` on the median ratio of B to A, such as steady.latency.p99<=1.3, or the exit code is 3; may be given several times"
	fs.BoolVar(&out.All, "all", false, "print all metrics")
	return func(ctx context.Context, c *call) error {
		if len(servers) != 2 {
			return cli.Usagef("compare-servers takes -exec twice, not %d times", len(servers))
		}
		if err := cfg.finish(c); err != nil {
			return err
		}
		if cfg.Options.Server != "" {
			return cli.Usagef("compare-servers starts its servers: -target %s has no place in it", cfg.Options.Server)
		}
		asserts, err := out.check(cfg.Scenarios, scenario.Definitions.ParseRatioAssertion)
		if err != nil {
			return err
		}
		var status scenario.Status
		twice := cfg.Config
		twice.Repeat *= 2
		stop := showProgress(ctx, &status, twice, c.stderr, out.Quiet)
		p, failed := scenario.ExecutePairs(ctx, cfg.Config, [2]string(servers), mesh.Version(append([]string{"compare-servers"}, c.args...)), &status)
		stop()
		if failed != nil && !p.Measured() {
			return failed
		}
		p.Evaluate(asserts)
		err = out.Write(c.stdout, reports.Pairing(p))
		return outcome(c.stderr, err, failed, p, p.Interrupted, p.Assertions)
	}
}
