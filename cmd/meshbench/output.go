package main

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/printing"
	"p2plocal/fuzz/figure"
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

// showProgress says on stderr how far the benchmark is, until the function
// that it returns is called: on a terminal in one line that changes, else in
// a line for each scenario.
func (c *call) showProgress(ctx context.Context, status *scenario.Status, cfg result.Config, quiet bool) (stop func()) {
	if quiet {
		return func() {}
	}
	lasts := ""
	if d := scenario.Estimate(&cfg).Round(time.Second); d > 0 {
		lasts = fmt.Sprintf(", about %v", d)
		if cfg.Simulation != nil {
			lasts += " of virtual time"
		}
	} else if slices.Contains(cfg.Scenarios, scenario.Play) {
		lasts = ", until Ctrl-C"
	}
	c.log("%s, %s%s", result.Plural(uint64(cfg.Peers), "peer"), strings.Join(cfg.Scenarios, ", "), lasts)
	if cli.Columns(c.stderr) == 0 {
		status.Begun = func(p *scenario.Progress) { c.log("%s", p) }
	}
	_, stop = printing.Watch(ctx, c.stderr, quiet, func(columns int) string {
		if p := status.Now(); p != nil {
			return progressLine(p, columns)
		}
		return "starting"
	})
	return stop
}

// progressLine is one moment: what is under way, how long it has been, how long
// everything will still take, if it ends by itself, and how the messages fare.
func progressLine(p *scenario.Progress, columns int) string {
	elapsed := p.Elapsed()
	bar, times := "", elapsed.Round(time.Second).String()
	if p.Expected > 0 {
		bar = printing.Bar(12, float64(elapsed)/float64(p.Expected)) + " "
		times += fmt.Sprintf(", %v left", (max(p.Expected-elapsed, 0) + p.Left).Round(time.Second))
	}
	var tell []string
	if sent, delivered := p.Messages(); sent > 0 {
		tell = []string{figure.Grouped(delivered) + " delivered", figure.Grouped(sent-min(sent, delivered)) + " missing"}
	}
	name := p.String() + " "
	return name + printing.Fit(columns-len(name), bar, times, tell)
}
