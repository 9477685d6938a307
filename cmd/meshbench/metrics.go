package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"strings"

	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/cmd/internal/cli"
)

// metrics lists the definitions.
func metrics(fs *flag.FlagSet, _ *cli.Groups) func(context.Context, *call) error {
	var out cli.Common
	out.Register(fs)
	return func(_ context.Context, c *call) error {
		files, err := cli.Open(out.JSON)
		if err != nil {
			return err
		}
		return out.Write(c.stdout, files, metricList, scenario.Definitions.All())
	}
}

var metricNaming = fmt.Sprintf("A metric is called\nSCENARIO.NAME, as in join.converge. A distribution, marked *, has the figures\n%s,\nas in steady.latency.p99.\n", strings.Join(result.Fields, ", "))

// marked is a metric's name, and whether it is a distribution.
func marked(d scenario.Metric) string {
	if d.Dist {
		return d.Name + " *"
	}
	return d.Name
}

// metricList writes the definitions, of what several scenarios have once: on a terminal in
// lines as wide as that, else a line each.
func metricList(w io.Writer) error {
	const column = 35
	width := cli.Columns(w)
	err := cli.Wrapped(w, width, 0, "", metricNaming)
	for _, g := range scenario.MetricGroups() {
		fmt.Fprintln(w)
		err = cmp.Or(err, cli.Wrapped(w, width, 0, "", g.Of))
		for _, d := range g.Metrics {
			name, column := fmt.Sprintf("  %-21s %-10s", marked(d), d.Unit), column
			if width > 0 && width < 2*column {
				fmt.Fprintln(w, strings.TrimRight(name, " "))
				name, column = "", 6
			}
			err = cmp.Or(err, cli.Wrapped(w, width, column, name, d.Text))
		}
	}
	return err
}
