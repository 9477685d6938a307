package printing

import (
	"cmp"
	"errors"
	"flag"
	"io"
	"strings"

	"p2plocal/cmd/internal/cli"
	"p2plocal/reports"
)

// Output is where what a command has to say goes, and how its text looks.
type Output struct {
	cli.Common
	All      bool   // the text shows everything
	Format   string // of what goes to stdout; "": text
	Verdicts bool   // there are some, for JUnit
	Files    cli.Outputs
	reports  Strings
	junit    string
}

// Strings is a flag that may be given several times.
type Strings []string

func (l *Strings) String() string     { return strings.Join(*l, " ") }
func (l *Strings) Set(s string) error { *l = append(*l, s); return nil }

// Keyed is a flag KEY=VALUE that may be given several times.
type Keyed map[string]string

func (k Keyed) String() (s string) {
	for key, value := range k {
		s += key + "=" + value + " "
	}
	return s
}

func (k *Keyed) Set(s string) error {
	key, value, ok := strings.Cut(s, "=")
	if !ok || key == "" {
		return errors.New("want KEY=VALUE")
	}
	if *k == nil {
		*k = Keyed{}
	}
	(*k)[key] = value
	return nil
}

// Register registers its flags.
func (o *Output) Register(fs *flag.FlagSet, verdicts bool) {
	o.Common.Register(fs)
	fs.Var(&o.reports, "report", "write a report to `file`, its form by the ending: ."+strings.Join(reports.Formats, ", .")+"; may be given several times")
	if o.Verdicts = verdicts; verdicts {
		fs.StringVar(&o.junit, "junit", "", "write the verdicts as JUnit's XML to `file`")
	}
}

// Open makes sure before the run that its files can be written.
func (o *Output) Open() (err error) {
	if o.junit != "" && !o.Verdicts {
		return cli.Usagef("-junit is for verdicts, and there are none: want -assert with it")
	}
	names := append([]string{o.junit}, o.reports...)
	for i, name := range names {
		if _, err := reports.FormatOf(name); i > 0 && err != nil {
			return cli.UsageError{Err: err}
		}
		if name == "-" {
			return cli.Usagef("only -json takes - for standard output")
		}
	}
	o.Files, err = cli.Open(append(names, o.JSON)...)
	return err
}

// Write writes a document wherever it is wanted. One place that fails does not keep
// it from the others.
func (o *Output) Write(stdout io.Writer, d *reports.Document) error {
	format := cmp.Or(o.Format, "txt")
	if o.JSON == "-" {
		format = "json"
	}
	errs := []error{d.Write(stdout, format, Options(stdout, o.ASCII, o.All))}
	to := func(name, format string) {
		if name != "" && name != "-" {
			errs = append(errs, o.Files.Write(name, func(w io.Writer) error {
				return d.Write(w, format, reports.Options{ASCII: o.ASCII, All: o.All})
			}))
		}
	}
	to(o.JSON, "json")
	to(o.junit, "xml")
	for _, name := range o.reports {
		format, _ := reports.FormatOf(name) // Open has seen that it is right
		to(name, format)
	}
	return cli.Join(errs...)
}
