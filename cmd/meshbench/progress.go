package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/cmd/internal/printing"
)

// showProgress says on stderr how far the benchmark is, until the function
// that it returns is called: on a terminal in one line that changes, else in
// a line for each scenario.
func showProgress(status *scenario.Status, cfg result.Config, stderr io.Writer, quiet bool) (stop func()) {
	if quiet {
		return func() {}
	}
	of := ""
	if cfg.Simulation != nil {
		of = " of virtual time"
	}
	fmt.Fprintf(stderr, "meshbench: %d peers, %s, about %v%s\n", cfg.Peers, strings.Join(cfg.Scenarios, ", "), scenario.Expected(&cfg).Round(time.Second), of)
	f, terminal := printing.Terminal(stderr)
	if !terminal || os.Getenv("TERM") == "dumb" {
		status.Begun = func(p *scenario.Progress) { fmt.Fprintf(stderr, "meshbench: %s\n", progressName(p)) }
		return func() {}
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				fmt.Fprint(stderr, "\r\x1b[K")
				return
			case <-tick.C:
			}
			if p := status.Now(); p != nil {
				columns, _, err := term.GetSize(int(f.Fd()))
				if err != nil {
					columns = 80
				}
				fmt.Fprint(stderr, "\r\x1b[K", progressLine(p, columns-1)) // the last column would break the line
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

// progressName says what is under way.
func progressName(p *scenario.Progress) string {
	name := p.Scenario
	if p.Runs > 1 {
		name = fmt.Sprintf("run %d of %d, %s", p.Run, p.Runs, name)
	}
	if p.Label != "" {
		name = p.Label + ", " + name
	}
	return name
}

// progressLine is one moment in so many columns: what is under way, how long
// it has been, how long everything will still take, and how the messages fare.
// What has no room is left out, the bar first.
func progressLine(p *scenario.Progress, columns int) string {
	elapsed := p.Elapsed()
	line := progressName(p)
	texts := []string{
		fmt.Sprintf(" %v, %v left", elapsed.Round(time.Second), (max(p.Expected-elapsed, 0) + p.Left).Round(time.Second)),
	}
	if sent, delivered := p.Messages(); sent > 0 {
		texts = append(texts, fmt.Sprintf(", %d delivered", delivered), fmt.Sprintf(", %d missing", sent-min(sent, delivered)))
	}
	room := columns - len(line)
	rest := ""
	for _, t := range texts {
		if room -= len(t); room < 0 {
			break
		}
		rest += t
	}
	if bar := min(columns-len(line)-len(rest)-3, 20); bar >= 5 {
		full := min(int(time.Duration(bar)*elapsed/max(p.Expected, 1)), bar)
		line += " [" + strings.Repeat("=", full) + strings.Repeat(" ", bar-full) + "]"
	}
	line += rest
	return line[:min(len(line), max(columns, 0))]
}

// doneLine says how many of all parts are done, and how long the others will take.
func doneLine(start time.Time, unit string, done, all uint64) string {
	const width = 20
	part := float64(done) / float64(all)
	full, left := int(width*part), ""
	if done > 0 {
		left = fmt.Sprintf(", %v left", time.Duration(float64(time.Since(start))*(1/part-1)).Round(time.Second))
	}
	return fmt.Sprintf("[%s%s] %d of %d %s%s", strings.Repeat("=", full), strings.Repeat(" ", width-full), done, all, unit, left)
}
