package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"p2plocal/bench"
	"p2plocal/cmd/internal/cli"
	"p2plocal/reports"
)

// write writes the result wherever it is wanted. One place that fails does not
// keep it from the others.
func (o *output) write(r *bench.Result, stdout io.Writer) error {
	var errs []error
	if o.json == "-" {
		errs = append(errs, r.Write(stdout))
	} else {
		errs = append(errs, reports.Text(stdout, r, textOptions(stdout, o.ascii)))
	}
	for _, f := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{o.json, r.Write},
		{o.gobench, func(w io.Writer) error { return bench.WriteGoBench(w, r) }},
	} {
		if f.name != "" && f.name != "-" {
			errs = append(errs, writeFile(f.name, f.write))
		}
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

func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	err = write(f)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("cannot write %q: %w", name, err)
	}
	return nil
}

// textOptions fit a terminal, where stdout is one.
func textOptions(stdout io.Writer, ascii bool) reports.TextOptions {
	o := reports.TextOptions{ASCII: ascii}
	f, ok := stdout.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return o
	}
	o.Color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	if width, _, err := term.GetSize(int(f.Fd())); err == nil {
		o.Width = min(width, 120)
	}
	return o
}

// show prints a result file.
func show(args []string, stdout io.Writer) error {
	fs := flag.NewFlagSet("meshbench show", flag.ContinueOnError)
	ascii := fs.Bool("ascii", false, "no character above ASCII in the text")
	files, err := cli.Parse(fs, args, "usage: meshbench show RESULT.json\n", stdout)
	if err != nil {
		return err
	}
	if len(files) != 1 {
		return cli.Usagef("show takes one result file, not %d", len(files))
	}
	r, err := readResult(files[0])
	if err != nil {
		return err
	}
	return reports.Text(stdout, r, textOptions(stdout, *ascii))
}

// showProgress says on stderr how far the benchmark is, until the function
// that it returns is called: on a terminal in one line that changes, else in
// a line for each scenario.
func showProgress(status *bench.Status, cfg bench.Config, stderr io.Writer, quiet bool) (stop func()) {
	if quiet {
		return func() {}
	}
	f, ok := stderr.(*os.File)
	terminal := ok && term.IsTerminal(int(f.Fd()))
	fmt.Fprintf(stderr, "meshbench: %d peers, %s, about %v\n", cfg.Peers, strings.Join(cfg.Scenarios, ", "), cfg.Expected().Round(time.Second))
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
	elapsed := time.Since(p.Started)
	full := min(int(width*elapsed/max(p.Expected, 1)), width)
	line := fmt.Sprintf("%s [%s%s] %v left", name, strings.Repeat("=", full), strings.Repeat(" ", width-full),
		(max(p.Expected-elapsed, 0) + p.Left).Round(time.Second))
	if sent, delivered := p.Messages(); sent > 0 {
		line += fmt.Sprintf(", %d of %d messages delivered", delivered, sent)
	}
	return line
}
