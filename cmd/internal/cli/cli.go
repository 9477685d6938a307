// Package cli is what the commands have in common at their edge: how they read
// their arguments, how they report an error, and how a signal ends them.
package cli

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"
)

// Exit codes. A Code is an error of which everything has been said already.
const (
	ExitOK      = 0
	ExitFailure = 1 // what was asked for could not be done, or measured
	ExitUsage   = 2 // what was asked for makes no sense

	Failed      Code = 3   // there is a finding, a case failed, or what was asserted does not hold
	Interrupted Code = 130 // by a signal; what was finished has been written
)

// A Command is a whole program but for its process. Its results go to stdout
// and all else to stderr; ctx is done when a signal asks it to end.
type Command func(ctx context.Context, args []string, stdout, stderr io.Writer) error

// Main runs a command as this process and never returns. Ctrl-C, SIGTERM and SIGHUP end
// ctx, and then the process, if it does not end by itself: one that comes within a second
// of the first, such as timeout(1) sends to the process and to its group, is the same one.
func Main(name string, command Command) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup(1) has it
		signal.Notify(signals, syscall.SIGHUP)
	}
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // who reads stdout no more ends no run
	go func() {
		<-signals
		cancel()
		for first := time.Now(); ; {
			if <-signals; time.Since(first) > time.Second {
				os.Exit(int(Interrupted))
			}
		}
	}()
	stdout := &Stdout{file: os.Stdout}
	err := command(ctx, os.Args[1:], stdout, os.Stderr)
	os.Exit(Exit(os.Stderr, name, stdout.outcome(err)))
}

// Until runs what does not look at ctx itself, and leaves it behind when ctx is done.
func Until(ctx context.Context, run func() error) error {
	done := make(chan error, 1)
	go func() { done <- run() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return Interrupted
	}
}

// UsageError is an error in what the caller asked for.
type UsageError struct {
	Err error
	Of  string // the subcommand whose -h says how, such as "meshbench swarm"; "": the program's
}

func (e UsageError) Error() string { return e.Err.Error() }
func (e UsageError) Unwrap() error { return e.Err }

// Usagef is fmt.Errorf for a UsageError.
func Usagef(format string, args ...any) error { return UsageError{Err: fmt.Errorf(format, args...)} }

// Code is an exit code, of which what it means has been said already.
type Code int

func (c Code) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// Exit writes err as one line to stderr and gives the exit code for it.
func Exit(stderr io.Writer, name string, err error) int {
	var usage UsageError
	var code Code
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return ExitOK
	case errors.As(err, &code):
		if code == Interrupted {
			fmt.Fprintf(stderr, "%s: interrupted\n", name)
		}
		return int(code)
	case errors.As(err, &usage):
		Say(stderr, "%s: %s (%s -h says how)", name, shortened(err.Error()), cmp.Or(usage.Of, name))
		return ExitUsage
	}
	Say(stderr, "%s: %s", name, shortened(err.Error()))
	return ExitFailure
}

var word = regexp.MustCompile(`\S+`)

// shortened is a text whose longest words, such as a number of a million digits, are cut,
// and then its middle.
func shortened(s string) string {
	s = Printable(word.ReplaceAllStringFunc(s, func(w string) string {
		if w := []rune(w); len(w) >= 250 {
			return string(w[:40]) + "..." + string(w[len(w)-10:])
		}
		return w
	}))
	if runes := []rune(s); len(runes) > 600 {
		s = string(runes[:400]) + "..." + string(runes[len(runes)-100:])
	}
	return s
}

// Parse parses args, in which flags may stand before, between and after the
// other arguments, and returns those; after "--" all are others. On -h it
// prints the usage text and the flags to stdout and returns flag.ErrHelp. Any
// other error is a UsageError.
func Parse(fs *flag.FlagSet, args []string, usage string, stdout io.Writer) ([]string, error) {
	return ParseGrouped(fs, NewGroups(fs), args, usage, stdout)
}

// ParseGrouped is Parse for flags that -h shows in groups, if any has begun.
func ParseGrouped(fs *flag.FlagSet, groups *Groups, args []string, usage string, stdout io.Writer) ([]string, error) {
	fs.Init(fs.Name(), flag.ContinueOnError)
	fs.SetOutput(io.Discard) // of an error's two dozen lines Exit prints the one that counts
	fs.Usage = func() {}
	version := fs.Bool("version", false, "say which version this is")
	if len(args) > 0 && args[0] == "help" {
		args = []string{"-h"}
	}
	var others []string
	for {
		switch err := fs.Parse(args); {
		case errors.Is(err, flag.ErrHelp):
			var all strings.Builder
			all.WriteString(usage)
			groups.print(&all)
			Help(stdout, all.String())
			return nil, err
		case err != nil:
			return nil, UsageError{Err: errors.New(wanted(fs, err.Error()))}
		}
		rest := fs.Args()
		if end := len(args) - len(rest); len(rest) == 0 || end > 0 && args[end-1] == "--" {
			if *version {
				fmt.Fprintln(stdout, Version(fs.Name()))
				return nil, Code(ExitOK)
			}
			return append(others, rest...), sensible(fs)
		}
		others, args = append(others, rest[0]), rest[1:]
	}
}

// sensible refuses values that are there and yet none, as of a variable that is not set,
// and numbers beyond what a sum or a product of them can hold.
func sensible(fs *flag.FlagSet) (err error) {
	fs.Visit(func(f *flag.Flag) {
		want := ""
		if value, ok := f.Value.(flag.Getter); ok {
			switch v := value.Get().(type) {
			case time.Duration:
				if v < 0 || v > LongestTime {
					want = fmt.Sprintf("want 0 to %.0fh", LongestTime.Hours())
				}
			case float64:
				if v != 0 && !(v >= Least && v <= Most) {
					want = fmt.Sprintf("want 0, or %v to %v", Least, Most)
				}
			}
		}
		if f.Value.String() == "" {
			want = "want a value, or not the flag"
		}
		if want != "" && err == nil {
			err = Usagef("invalid value %q for flag -%s: %s", f.Value, f.Name, want)
		}
	})
	return err
}

// The bounds of flags that are times or numbers.
const (
	LongestTime = 10_000 * time.Hour
	Least, Most = 1e-6, 1e12
)

// Version says what program this is, and of what it was built.
func Version(name string) string {
	name, _, _ = strings.Cut(name, " ") // of a subcommand
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return name
	}
	return fmt.Sprintf("%s %s, %s", name, info.Main.Version, info.GoVersion)
}

// kinds are what a flag's value is, by its type.
var kinds = map[string]string{
	"time.Duration": "a duration such as 500ms or 2s", "bool": "true or false", "float64": "a number",
	"int": "a whole number", "int64": "a whole number", "uint": "a whole number from 0 on", "uint64": "a whole number from 0 on",
}

// wanted is what package flag says of a bad value, with what would be right
// where it says no more than "parse error".
func wanted(fs *flag.FlagSet, said string) string {
	if before, found := strings.CutSuffix(said, "parse error"); found {
		name := strings.TrimSuffix(before[strings.LastIndex(before, " -")+2:], ": ")
		if f := fs.Lookup(strings.TrimPrefix(name, "-")); f != nil {
			if value, ok := f.Value.(flag.Getter); ok && kinds[fmt.Sprintf("%T", value.Get())] != "" {
				return before + "want " + kinds[fmt.Sprintf("%T", value.Get())]
			}
		}
		return said
	}
	return strings.Replace(said, "invalid boolean value", "invalid value", 1) // of a flag whose value may be left out
}

// Given are the names of the flags that were given.
func Given(fs *flag.FlagSet) map[string]bool {
	given := make(map[string]bool)
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	return given
}

// Join is errors.Join on one line. A Code, of which everything has been said, stays one where there is nothing else.
func Join(errs ...error) error {
	var code Code
	said := slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return errors.As(err, new(Code)) })
	if err := errors.Join(said...); err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	if errors.As(errors.Join(errs...), &code) {
		return code
	}
	return nil
}

// Printable is s with everything that could steer a terminal, or that breaks
// the line, turned into its Go escape.
func Printable(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if strconv.IsPrint(r) && (r != utf8.RuneError || size > 1) {
			b.WriteString(s[:size])
		} else {
			quoted := strconv.Quote(s[:size])
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		s = s[size:]
	}
	return b.String()
}
