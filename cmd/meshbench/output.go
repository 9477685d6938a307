package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"p2plocal/bench"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/printing"
	"p2plocal/reports"
)

// write writes the result wherever it is wanted. One place that fails does not
// keep it from the others.
func (o *output) write(r *bench.Result, stdout io.Writer) error {
	var errs []error
	if o.json == "-" {
		errs = append(errs, r.Write(stdout))
	} else {
		errs = append(errs, reports.Text(stdout, r, printing.TextOptions(stdout, o.ascii)))
	}
	for _, f := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{o.json, r.Write},
		{o.gobench, func(w io.Writer) error { return bench.WriteGoBench(w, r) }},
	} {
		if f.name != "" && f.name != "-" {
			errs = append(errs, printing.WriteFile(f.name, f.write))
		}
	}
	for _, name := range o.reports {
		format, err := reports.FormatOf(name)
		if err == nil {
			err = printing.WriteFile(name, func(w io.Writer) error {
				return reports.Write(w, format, []reports.Named{{Name: name, Result: r}}, reports.TextOptions{ASCII: o.ascii})
			})
		}
		errs = append(errs, err)
	}
	var lines []string
	for _, err := range errs {
		if err != nil {
			lines = append(lines, err.Error())
		}
	}
	if len(lines) > 0 {
		return errors.New(strings.Join(lines, "; "))
	}
	return nil
}

// report draws saved results again.
func report(args []string, stdout io.Writer) error {
	fs := flag.NewFlagSet("meshbench report", flag.ContinueOnError)
	ascii := fs.Bool("ascii", false, "no character above ASCII in the text")
	others, err := cli.Parse(fs, args, "usage: meshbench report FORMAT RESULT.json ...\n\nFORMAT is one of "+strings.Join(reports.Formats, ", ")+".\n", stdout)
	if err != nil {
		return err
	}
	if len(others) < 2 {
		return cli.Usagef("report takes a format and result files, as in report txt result.json")
	}
	format := others[0]
	if !slices.Contains(reports.Formats, format) {
		return cli.Usagef("format %q, want one of %s", format, strings.Join(reports.Formats, ", "))
	}
	var results []reports.Named
	for _, name := range others[1:] {
		r, err := readResult(name)
		if err != nil {
			return err
		}
		results = append(results, reports.Named{Name: name, Result: r})
	}
	return reports.Write(stdout, format, results, printing.TextOptions(stdout, *ascii))
}

// showProgress says on stderr how far the benchmark is, until the function
// that it returns is called: on a terminal in one line that changes, else in
// a line for each scenario.
func showProgress(status *bench.Status, cfg bench.Config, stderr io.Writer, quiet bool) (stop func()) {
	if quiet {
		return func() {}
	}
	_, terminal := printing.Terminal(stderr)
	of := ""
	if cfg.Simulation != nil {
		of = " of virtual time"
	}
	fmt.Fprintf(stderr, "meshbench: %d peers, %s, about %v%s\n", cfg.Peers, strings.Join(cfg.Scenarios, ", "), cfg.Expected().Round(time.Second), of)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		last := ""
		for {
			select {
			case <-done:
				if terminal {
					fmt.Fprint(stderr, "\r\x1b[K")
				}
				return
			case <-tick.C:
			}
			p := status.Now()
			if p == nil {
				continue
			}
			name := p.Scenario
			if p.Runs > 1 {
				name = fmt.Sprintf("run %d of %d, %s", p.Run, p.Runs, name)
			}
			switch {
			case terminal:
				fmt.Fprint(stderr, "\r\x1b[K", progressLine(name, p))
			case name != last:
				last = name
				fmt.Fprintf(stderr, "meshbench: %s\n", name)
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

// progressLine is one moment in less than 80 columns.
func progressLine(name string, p *bench.Progress) string {
	const width = 20
	elapsed := p.Elapsed()
	full := min(int(width*elapsed/max(p.Expected, 1)), width)
	line := fmt.Sprintf("%s [%s%s] %v left", name, strings.Repeat("=", full), strings.Repeat(" ", width-full),
		(max(p.Expected-elapsed, 0) + p.Left).Round(time.Second))
	if sent, delivered := p.Messages(); sent > 0 {
		line += fmt.Sprintf(", %d of %d messages delivered", delivered, sent)
	}
	return line
}
