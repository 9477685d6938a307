package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/cmd/internal/printing"
)

// showProgress says on stderr how far the benchmark is, until the function
// that it returns is called: on a terminal in one line that changes, else in
// a line for each scenario.
func showProgress(ctx context.Context, status *scenario.Status, cfg result.Config, stderr io.Writer, quiet bool) (stop func()) {
	if quiet {
		return func() {}
	}
	lasts := "until Ctrl-C"
	if d := scenario.Estimate(&cfg).Round(time.Second); d > 0 {
		lasts = fmt.Sprintf("about %v", d)
		if cfg.Simulation != nil {
			lasts += " of virtual time"
		}
	}
	fmt.Fprintf(stderr, "meshbench: %s, %s, %s\n", result.Plural(uint64(cfg.Peers), "peer"), strings.Join(cfg.Scenarios, ", "), lasts)
	if printing.Columns(stderr) == 0 {
		status.Begun = func(p *scenario.Progress) { fmt.Fprintf(stderr, "meshbench: %s\n", p) }
	}
	_, stop = printing.Watch(ctx, stderr, quiet, func(int) string {
		if p := status.Now(); p != nil {
			return progressLine(p)
		}
		return "starting"
	})
	return stop
}

// progressLine is one moment: what is under way, how long it has been, how long
// everything will still take, and how the messages fare.
func progressLine(p *scenario.Progress) string {
	elapsed := p.Elapsed()
	line := fmt.Sprintf("%s %s %v, %v left", p, printing.Bar(12, float64(elapsed)/float64(max(p.Expected, 1))),
		elapsed.Round(time.Second), (max(p.Expected-elapsed, 0) + p.Left).Round(time.Second))
	if sent, delivered := p.Messages(); sent > 0 {
		line += fmt.Sprintf(", %s delivered, %s missing", result.Grouped(float64(delivered)), result.Grouped(float64(sent-min(sent, delivered))))
	}
	return line
}
