package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"slices"
	"strings"

	"p2plocal/bench/result"
	"p2plocal/bench/stat"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/printing"
	"p2plocal/reports"
)

// stringList is a flag that may be given several times.
type stringList []string

func (l *stringList) String() string     { return strings.Join(*l, " ") }
func (l *stringList) Set(s string) error { *l = append(*l, s); return nil }

// output says where results go, and how text looks.
type output struct {
	json, gobench     string
	reports, asserts  stringList
	quiet, ascii, all bool
	files             cli.Outputs
}

// textFlags are for what only prints, reportFlags for what also writes reports, and
// outputFlags for what has a result of its own.
func textFlags(fs *flag.FlagSet) *output {
	o := new(output)
	fs.BoolVar(&o.ascii, "ascii", false, "no character above ASCII in the text")
	return o
}

func reportFlags(fs *flag.FlagSet, endings string) *output {
	o := textFlags(fs)
	fs.Var(&o.reports, "report", "write a report to `file`, its form by the ending: "+endings+"; may be given several times")
	fs.BoolVar(&o.quiet, "quiet", false, "no progress on standard error")
	return o
}

func outputFlags(fs *flag.FlagSet) *output {
	o := reportFlags(fs, "."+strings.Join(reports.Formats, ", ."))
	fs.StringVar(&o.json, "json", "", "write the result as JSON to `file`; - is standard output, in place of the text")
	fs.StringVar(&o.gobench, "bench", "", "write the result in the Go benchmark format, for benchstat, to `file`")
	fs.Var(&o.asserts, "assert", "`condition` such as steady.latency.p99<5ms that every run must meet, or the exit code is 3; may be given several times")
	return o
}

// check reads the assertions, and ensures that the files can be written:
// better now than after the measurement.
func (o *output) check(scenarios []string, parse func(string) (result.Assert, error)) ([]result.Assert, error) {
	var asserts []result.Assert
	for _, text := range o.asserts {
		a, err := parse(text)
		if err == nil {
			err = a.Check(scenarios)
		}
		if err != nil {
			return nil, cli.UsageError{Err: err}
		}
		asserts = append(asserts, a)
	}
	for _, name := range o.reports {
		format, err := reports.FormatOf(name)
		if err != nil {
			return nil, cli.UsageError{Err: err}
		}
		if format == "xml" && len(o.asserts) == 0 {
			return nil, cli.Usagef("-report %q is JUnit's XML of assertions, and there are none", name)
		}
	}
	if o.gobench == "-" {
		return nil, cli.Usagef("only -json takes - for standard output")
	}
	var err error
	o.files, err = cli.Open(append([]string{o.json, o.gobench}, o.reports...)...)
	return asserts, err
}

// print prints a document.
func (o *output) print(stdout io.Writer, format string, d *reports.Document) error {
	return d.Write(stdout, format, printing.Options(stdout, o.ascii, o.all))
}

// write writes a document, by the name of the file that it goes to, and the Go
// benchmark format wherever they are wanted. One place that fails does not keep it
// from the others.
func (o *output) write(stdout io.Writer, gobench func(io.Writer) error, document func(name string) *reports.Document) error {
	format := "txt"
	if o.json == "-" {
		format = "json"
	}
	errs := []error{o.print(stdout, format, document(""))}
	if o.json != "" && o.json != "-" {
		errs = append(errs, o.files.Write(o.json, func(w io.Writer) error { return document("").Write(w, "json", reports.Options{}) }))
	}
	if o.gobench != "" {
		errs = append(errs, o.files.Write(o.gobench, gobench))
	}
	for _, name := range o.reports {
		errs = append(errs, o.files.Write(name, func(w io.Writer) error {
			format, _ := reports.FormatOf(name) // check has seen that it is right
			return document(name).Write(w, format, reports.Options{ASCII: o.ascii, All: o.all})
		}))
	}
	return cli.Join(errs...)
}

// writeReport writes a document that has neither JSON nor benchmarks of its own.
func (o *output) writeReport(stdout io.Writer, d *reports.Document) error {
	return o.write(stdout, nil, func(string) *reports.Document { return d })
}

func reportUsage() string {
	return "usage: meshbench report [flags] FORMAT RESULT.json ...\n\nFORMAT is one of " + strings.Join(reports.Formats, ", ") + ".\n"
}

// report draws saved results again.
func report(fs *flag.FlagSet, _ *cli.Groups) func(context.Context, *call) error {
	out := textFlags(fs)
	fs.BoolVar(&out.all, "all", false, "print all metrics of a result of compare-servers")
	return func(_ context.Context, c *call) error {
		if len(c.others) < 2 {
			return cli.Usagef("report takes a format and result files, as in report txt result.json")
		}
		format, files := c.others[0], c.others[1:]
		if !slices.Contains(reports.Formats, format) {
			return cli.Usagef("format %q, want one of %s", format, strings.Join(reports.Formats, ", "))
		}
		var results []reports.Named
		for _, name := range files {
			r, err := readResult(name)
			if errors.Is(err, result.ErrPairing) && len(files) == 1 {
				p, err := readFile(name, stat.ReadPairing)
				if err != nil {
					return err
				}
				return out.print(c.stdout, format, reports.Pairing(p))
			}
			if err != nil {
				return err
			}
			results = append(results, reports.Named{Name: name, Result: r})
		}
		return out.print(c.stdout, format, reports.Results(results))
	}
}
