package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"slices"
	"strings"

	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/bench/stat"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/printing"
	"p2plocal/reports"
)

// write writes the result wherever it is wanted.
func (o *output) write(r *result.Result, stdout io.Writer) error {
	return o.writeAll(stdout, false, func(w io.Writer) error { return scenario.Metrics.WriteGoBench(w, r) },
		func(name string) *reports.Document { return reports.Results([]reports.Named{{Name: name, Result: r}}) })
}

// writeAll writes a document, by the name of the file that it goes to, and the
// Go benchmark format wherever they are wanted. One place that fails does not
// keep it from the others.
func (o *output) writeAll(stdout io.Writer, all bool, gobench func(io.Writer) error, document func(name string) *reports.Document) error {
	var errs []error
	format := "txt"
	if o.json == "-" {
		format = "json"
	}
	errs = append(errs, document("").Write(stdout, format, printing.Options(stdout, o.ascii, all)))
	if o.json != "" && o.json != "-" {
		errs = append(errs, printing.WriteFile(o.json, func(w io.Writer) error { return document("").Write(w, "json", reports.Options{}) }))
	}
	if o.gobench != "" {
		errs = append(errs, printing.WriteFile(o.gobench, gobench))
	}
	for _, name := range o.reports {
		errs = append(errs, printing.Report(name, document(name), reports.Options{ASCII: o.ascii, All: all}))
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
func report(_ context.Context, args []string, stdout, _ io.Writer) error {
	fs := flag.NewFlagSet("meshbench report", flag.ContinueOnError)
	ascii := fs.Bool("ascii", false, "no character above ASCII in the text")
	all := fs.Bool("all", false, "print all metrics of a result of compare-servers")
	others, err := cli.Parse(fs, args, "usage: meshbench report [flags] FORMAT RESULT.json ...\n\nFORMAT is one of "+strings.Join(reports.Formats, ", ")+".\n", stdout)
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
		if errors.Is(err, result.ErrPairing) && len(others) == 2 {
			p, err := readFile(name, stat.ReadPairing)
			if err != nil {
				return err
			}
			return reports.Pairing(p).Write(stdout, format, printing.Options(stdout, *ascii, *all))
		}
		if err != nil {
			return err
		}
		results = append(results, reports.Named{Name: name, Result: r})
	}
	return reports.Results(results).Write(stdout, format, printing.Options(stdout, *ascii, *all))
}
