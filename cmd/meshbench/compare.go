package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"p2plocal/bench"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/printing"
	"p2plocal/reports"
)

// compare sets two results side by side.
func compare(args []string, stdout, stderr io.Writer) error {
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
	c := bench.Compare([]*bench.Result{old}, []*bench.Result{new})
	if err := reports.Compare(stdout, c, *all, printing.TextOptions(stdout, *ascii)); err != nil {
		return err
	}
	if threshold < 0 {
		return nil
	}
	if worse := c.Regressions(threshold); len(worse) > 0 {
		fmt.Fprintf(stderr, "meshbench: %d metrics got worse by more than %s, the first is %s\n", len(worse), *limit, worse[0].Metric)
		return exitFailed
	}
	return nil
}

// compareServers measures two servers in turn.
func compareServers(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("meshbench compare-servers", flag.ContinueOnError)
	cfg, out := benchFlags(fs)
	var servers stringList
	fs.Lookup("server-exec").Value = &servers
	fs.Lookup("server-exec").Usage = "`command` that starts a server, given twice; ours stands for our own"
	fs.Lookup("repeat").DefValue, cfg.Repeat = "3", 3
	others, err := cli.Parse(fs, args, "usage: meshbench compare-servers -server-exec 'CMD1' -server-exec 'CMD2' [flags]\n", stdout)
	switch {
	case err != nil:
		return err
	case len(others) > 0:
		return cli.Usagef("%q is no flag", others[0])
	case len(servers) != 2:
		return cli.Usagef("compare-servers takes -server-exec twice, not %d times", len(servers))
	case len(out.asserts) > 0 || out.json != "" || out.gobench != "":
		return cli.Usagef("compare-servers prints ratios: it has no result for -json, -bench or -assert")
	}
	if err := cfg.finish(fs); err != nil {
		return err
	}
	var sides [2][]bench.Run
	var status bench.Status
	stop := showProgress(&status, cfg.Config, stderr, out.quiet)
	defer stop()
	pairs := cfg.Repeat
	for i := 0; i < pairs && ctx.Err() == nil; i++ {
		for side, command := range servers {
			one := cfg.Config
			one.Repeat, one.Seed = 1, cfg.Seed+uint64(i)
			if one.Options.ServerExec = command; command == "ours" {
				one.Options.ServerExec = ""
			}
			r, err := bench.Execute(ctx, one, bench.Version(args), &status)
			if err != nil {
				return fmt.Errorf("server %q: %w", command, err)
			}
			if !r.Interrupted {
				sides[side] = append(sides[side], r.Runs...)
			}
		}
	}
	n := min(len(sides[0]), len(sides[1]))
	if err := reports.Ratios(stdout, [2]string(servers), bench.Pair(sides[0][:n], sides[1][:n]), printing.TextOptions(stdout, out.ascii)); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return exitInterrupted
	}
	return nil
}
