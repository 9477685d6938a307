package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"p2plocal/bench/result"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/printing"
	"p2plocal/reports"
)

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

// readFile reads one result.
func readFile(name string) (*result.Result, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	r, err := result.Read(bytes.NewReader(b))
	if err != nil {
		err = fmt.Errorf("%q: %w", name, err)
	}
	return r, err
}
