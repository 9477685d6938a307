package main

import (
	"errors"
	"flag"
	"io"
	"time"

	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/printing"
	"p2plocal/fuzz/conform"
	"p2plocal/reports"
)

// output says where results go.
type output struct {
	json, junit, html     string
	verbose, quiet, ascii bool
	out                   cli.Outputs
}

func (o *output) flags(fs *flag.FlagSet) {
	fs.StringVar(&o.json, "json", "", "write the results as JSON to `file`; - is standard output, in place of the text")
	fs.StringVar(&o.junit, "junit", "", "write the results as JUnit's XML to `file`")
	fs.StringVar(&o.html, "html", "", "write the results as a page for the browser to `file`")
	fs.BoolVar(&o.verbose, "v", false, "print every case, and of a matrix every failure in full")
	fs.BoolVar(&o.quiet, "quiet", false, "no progress on standard error")
	fs.BoolVar(&o.ascii, "ascii", false, "no character above ASCII in the text")
}

// files ensures that the files can be written: better now than after the run.
func (o *output) files() (err error) {
	if o.junit == "-" || o.html == "-" {
		return cli.Usagef("- is for -json only")
	}
	o.out, err = cli.Open(o.json, o.junit, o.html)
	return err
}

// write writes the results wherever they are wanted. One place that fails does
// not keep them from the others.
func (o *output) write(c *reports.Conformance, stdout io.Writer) error {
	d, format := c.Document(), "txt"
	if o.json == "-" {
		format = "json"
	}
	errs := []error{d.Write(stdout, format, printing.Options(stdout, o.ascii, o.verbose))}
	for _, f := range []struct{ name, format string }{{o.json, "json"}, {o.junit, "xml"}, {o.html, "html"}} {
		if f.name != "" && f.name != "-" {
			errs = append(errs, o.out.Write(f.name, func(w io.Writer) error { return d.Write(w, f.format, reports.Options{}) }))
		}
	}
	return errors.Join(errs...)
}

// progress shows one line of how far the run is, on a terminal only, until wipe.
func progress(w io.Writer, name string, quiet bool) (show func(done, all int, last conform.Result), wipe func()) {
	line, wipe := printing.Line(w, quiet)
	started, wrong := time.Now(), 0
	return func(done, all int, last conform.Result) {
		if last.Outcome == conform.Fail || last.Outcome == conform.Broken {
			wrong++
		}
		line("%s: %d of %d cases, %d wrong, %.0f s", cli.Printable(name), done, all, wrong, time.Since(started).Seconds())
	}, wipe
}
