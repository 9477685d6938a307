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
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"
)

// Exit codes. A Code is an error of which everything has been said already.
const (
	ExitOK      = 0
	ExitFailure = 1 // what was asked for could not be done
	ExitUsage   = 2 // what was asked for makes no sense

	NotSound    Code = 1   // meshcheck: a case failed
	Failed      Code = 3   // there is a finding, what was asserted does not hold, or a target is out of reach
	Void        Code = 4   // meshcheck: nothing failed, but the machine was too late for some cases
	Interrupted Code = 130 // by a signal; what was finished has been written
)

// A Command is a whole program but for its process. Its results go to stdout
// and all else to stderr; ctx is done when a signal asks it to end.
type Command func(ctx context.Context, args []string, stdout, stderr io.Writer) error

// Main runs a command as this process and never returns. The first Ctrl-C
// (or SIGTERM) ends ctx, the second the process.
func Main(name string, command Command) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(Exit(os.Stderr, name, command(ctx, os.Args[1:], os.Stdout, os.Stderr)))
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
		return int(code)
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "%s: %s (%s -h says how)\n", name, Printable(err.Error()), cmp.Or(usage.Of, name))
		return ExitUsage
	}
	fmt.Fprintf(stderr, "%s: %s\n", name, Printable(err.Error()))
	return ExitFailure
}

// Parse parses args, in which flags may stand before, between and after the
// other arguments, and returns those; after "--" all are others. On -h it
// prints the usage text and the flags to stdout and returns flag.ErrHelp. Any
// other error is a UsageError.
func Parse(fs *flag.FlagSet, args []string, usage string, stdout io.Writer) ([]string, error) {
	return ParseGrouped(fs, nil, args, usage, stdout)
}

// ParseGrouped is Parse for flags that -h shows in groups, if any has begun.
func ParseGrouped(fs *flag.FlagSet, groups *Groups, args []string, usage string, stdout io.Writer) ([]string, error) {
	fs.Init(fs.Name(), flag.ContinueOnError)
	fs.SetOutput(io.Discard) // of an error's two dozen lines Exit prints the one that counts
	fs.Usage = func() {}
	var others []string
	for {
		switch err := fs.Parse(args); {
		case errors.Is(err, flag.ErrHelp):
			if groups != nil && len(groups.all) > 0 {
				fmt.Fprint(stdout, usage, "\nFlags, group by group:\n")
				groups.Print(stdout)
				return nil, err
			}
			fmt.Fprint(stdout, usage, "\nFlags:\n")
			fs.SetOutput(stdout)
			fs.PrintDefaults()
			return nil, err
		case err != nil:
			return nil, UsageError{Err: errors.New(wanted(fs, err.Error()))}
		}
		rest := fs.Args()
		if end := len(args) - len(rest); len(rest) == 0 || end > 0 && args[end-1] == "--" {
			return append(others, rest...), nil
		}
		others, args = append(others, rest[0]), rest[1:]
	}
}

// wanted is what package flag says of a bad value, with what would be right
// where it says no more than "parse error".
func wanted(fs *flag.FlagSet, said string) string {
	before, found := strings.CutSuffix(said, "parse error")
	if !found {
		return said
	}
	name := strings.TrimSuffix(before[strings.LastIndex(before, " -")+1:], ": ")
	f := fs.Lookup(strings.TrimPrefix(name, "-"))
	if f == nil {
		return said
	}
	value, ok := f.Value.(flag.Getter)
	if !ok {
		return said
	}
	switch value.Get().(type) {
	case time.Duration:
		return before + "want a duration such as 500ms or 2s"
	case int, int64:
		return before + "want a whole number"
	case uint, uint64:
		return before + "want a whole number from 0 on"
	case float64:
		return before + "want a number"
	case bool:
		return before + "want true or false"
	}
	return said
}

// Given are the names of the flags that were given.
func Given(fs *flag.FlagSet) map[string]bool {
	given := make(map[string]bool)
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	return given
}

// Join is errors.Join on one line.
func Join(errs ...error) error {
	if err := errors.Join(errs...); err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
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
