package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"

	"p2plocal/bench/machine"
	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/bench/stat"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/printing"
	"p2plocal/reports"
)

// comparing is what the commands that compare two sides have in common.
type comparing struct {
	printing.Output
	limit     string
	threshold float64
}

func comparingFlags(fs *flag.FlagSet) *comparing {
	c := new(comparing)
	fs.StringVar(&c.limit, "fail-on-regression", "", "exit code 3 if a metric got significantly worse by more than this `percentage`, such as 5%, and by more than 0.02 cores, 1 MB or 5µs where that is its unit")
	c.Register(fs, false)
	return c
}

// check reads the threshold, and makes sure that the files can be written.
func (c *comparing) check() error {
	if c.limit != "" {
		v, err := result.ParseRatio(c.limit)
		if err != nil || !(v >= 0) || !strings.HasSuffix(c.limit, "%") { // 5 could mean 5 % or 500 %
			return cli.Usagef("-fail-on-regression %q is no percentage, want one such as 5%%", c.limit)
		}
		c.threshold = v
	}
	return c.Open()
}

// measured is finish for sides that have just been measured: a failure meanwhile counts for more
// than the comparison.
func (c *comparing) measured(call *call, names [2]string, sides [2]*result.Result, failed error) error {
	for i, r := range sides {
		if why := r.Failure(); why != "" && failed == nil && !r.Interrupted {
			failed = fmt.Errorf("%s: %s", names[i], why)
		}
	}
	err := c.finish(call, names, sides)
	switch {
	case failed != nil:
		return cli.Join(failed, err)
	case sides[0].Interrupted || sides[1].Interrupted:
		return cli.Interrupted
	}
	return err
}

// finish writes the comparison, and judges it.
func (c *comparing) finish(call *call, names [2]string, sides [2]*result.Result) error {
	for i, r := range sides {
		if r.Touched() {
			return fmt.Errorf("the %s result was touched by hand (-live-control): it is not compared", names[i])
		}
	}
	comparison := stat.Compare(scenario.Definitions, names, sides[0], sides[1])
	if err := c.Write(call.stdout, reports.Compare(comparison)); err != nil || c.limit == "" {
		return err
	}
	if worse := comparison.Regressions(c.threshold); len(worse) > 0 {
		call.log("%s got worse by more than %s, the first is %s", result.Plural(uint64(len(worse)), "metric"), c.limit, worse[0].Metric)
		return cli.Failed
	}
	return nil
}

// compare sets two results side by side.
func compare(fs *flag.FlagSet, _ *cli.Groups) func(context.Context, *call) error {
	out := comparingFlags(fs)
	return func(_ context.Context, c *call) error {
		if len(c.others) != 2 {
			return cli.Usagef("compare takes two result files, not %d", len(c.others))
		}
		if err := out.check(); err != nil {
			return err
		}
		var sides [2]*result.Result
		for i, name := range c.others {
			var err error
			if sides[i], err = readFile(name); err != nil {
				return err
			}
		}
		return out.finish(c, [2]string{"old", "new"}, sides)
	}
}

// agree compares simulation with reality.
func agree(fs *flag.FlagSet, groups *cli.Groups) func(context.Context, *call) error {
	cfg := benchFlags(fs, groups)
	groups.Begin("simulation", "")
	cores := coresFlag(fs, 1)
	groups.Begin("output", "")
	out := comparingFlags(fs)
	fs.Lookup("repeat").DefValue, cfg.Repeat = "20", 20
	fs.Lookup("scenario").DefValue, cfg.scenarios = "join,crash", "join,crash"
	return func(ctx context.Context, c *call) (err error) {
		if err := cfg.finish(ctx, c); err != nil {
			return err
		}
		same := cfg.Config
		same.Isolation, same.Simulation = result.Virtual, virtualNetwork(cfg, *cores)
		if err := scenario.Validate(&same); err != nil { // better now than after the real runs
			return cli.UsageError{Err: err}
		}
		if err := out.check(); err != nil {
			return err
		}
		var status scenario.Status
		stop := c.showProgress(ctx, &status, cfg.Config, out.Quiet)
		tool := machine.Version(c.args)
		real, failed := scenario.Execute(ctx, cfg.Config, tool, &status)
		stop()
		if real == nil || len(real.Runs) == 0 {
			return cmp.Or(failed, error(cli.Interrupted))
		}
		same.Repeat = len(real.Runs)
		sim, err := scenario.Execute(context.WithoutCancel(ctx), same, tool, &status)
		if err != nil {
			return errors.Join(failed, err)
		}
		return out.measured(c, [2]string{"UDP", "simulated"}, [2]*result.Result{real, sim}, failed)
	}
}
