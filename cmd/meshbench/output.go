package main

import (
	"context"
	"flag"
	"slices"
	"strings"

	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/printing"
	"p2plocal/reports"
)

// output is a measurement's: it has assertions.
type output struct {
	printing.Output
	asserts printing.Strings
}

func outputFlags(fs *flag.FlagSet) *output {
	o := new(output)
	o.Register(fs, true)
	fs.Var(&o.asserts, "assert", "`condition` such as steady.latency.p99<5ms that every run must meet, or the exit code is 3; may be given several times")
	return o
}

// check reads the assertions, and makes sure that the files can be written.
func (o *output) check(scenarios []string) (asserts []result.Assert, err error) {
	for _, text := range o.asserts {
		a, err := scenario.Definitions.ParseAssertion(text)
		if err == nil {
			err = a.Check(scenarios)
		}
		if err != nil {
			return nil, cli.UsageError{Err: err}
		}
		asserts = append(asserts, a)
	}
	o.Verdicts = len(asserts) > 0
	return asserts, o.Open()
}

func reportUsage() string {
	return "usage: meshbench report [flags] FORMAT RESULT.json\n\nFORMAT is one of " + strings.Join(reports.Formats, ", ") + ".\n"
}

// report draws a saved result again.
func report(fs *flag.FlagSet, _ *cli.Groups) func(context.Context, *call) error {
	var out printing.Output
	out.Register(fs, true)
	return func(_ context.Context, c *call) error {
		if len(c.others) != 2 {
			return cli.Usagef("report takes a format and a result file, as in report txt result.json")
		}
		if out.Format = c.others[0]; !slices.Contains(reports.Formats, out.Format) {
			return cli.Usagef("format %q, want one of %s", out.Format, strings.Join(reports.Formats, ", "))
		}
		if err := out.Open(); err != nil {
			return err
		}
		r, err := readFile(c.others[1])
		if err != nil {
			return err
		}
		return out.Write(c.stdout, reports.Results(r))
	}
}
