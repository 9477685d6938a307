package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/bench/stat"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/printing"
	"p2plocal/reports"
)

// compare sets two results side by side.
func compare(_ context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("meshbench compare", flag.ContinueOnError)
	limit := fs.String("fail-on-regression", "", "exit code 3 if a metric got significantly worse by more than this `percentage`, such as 5%")
	all := fs.Bool("all", false, "print all metrics, also those without a significant change")
	ascii := fs.Bool("ascii", false, "no character above ASCII in the text")
	files, err := cli.Parse(fs, args, "usage: meshbench compare [flags] OLD.json NEW.json\n", stdout)
	switch {
	case err != nil:
		return err
	case len(files) != 2:
		return cli.Usagef("compare takes two result files, not %d", len(files))
	}
	threshold := -1.0
	if *limit != "" {
		if threshold, err = parsePercent(*limit); err != nil {
			return cli.UsageError{Err: err}
		}
	}
	old, err := readResult(files[0])
	if err != nil {
		return err
	}
	new, err := readResult(files[1])
	if err != nil {
		return err
	}
	c := stat.Compare(scenario.Metrics, []*result.Result{old}, []*result.Result{new})
	if err := reports.Compare(c).Write(stdout, "txt", printing.Options(stdout, *ascii, *all)); err != nil {
		return err
	}
	if threshold < 0 {
		return nil
	}
	if worse := c.Regressions(threshold); len(worse) > 0 {
		fmt.Fprintf(stderr, "meshbench: %d metrics got worse by more than %s, the first is %s\n", len(worse), *limit, worse[0].Metric)
		return cli.Failed
	}
	return nil
}
