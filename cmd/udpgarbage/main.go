// Command udpgarbage sends hostile datagrams at a live directory server and
// says whether it survived. udpgarbage -h says how.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/tw"

	"p2plocal/cmd/internal/cli"
	"p2plocal/fuzz"
)

const usage = `udpgarbage sends hostile datagrams at a directory server and says whether it survived:

	udpgarbage                          attacks the server on 127.0.0.1:3000
	udpgarbage -exec COMMAND            starts it first, and again after a death
	udpgarbage -mode replay FILE        sends what a finding's file says

Exit code: 0 survived, 3 findings, 2 usage, 1 could not run.
`

// errFindings ends the command with exit code 3.
var errFindings = errors.New("the target did not survive")

const exitFindings = 3

func main() {
	cli.Main("udpgarbage", func(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
		err := run(ctx, args, stdin, stdout, stderr)
		if errors.Is(err, errFindings) {
			os.Exit(exitFindings)
		}
		return err
	})
}

// options are the command line.
type options struct {
	fuzz.Config
	json bool
	pcap string
	out  string
}

// remoteRate is the rate, in datagrams a second, that a target on another host gets at most.
const remoteRate = 1000

func parse(args []string, stdout io.Writer) (o options, err error) {
	fs := flag.NewFlagSet("udpgarbage", flag.ContinueOnError)
	target := fs.String("target", "127.0.0.1:3000", "the server's `address`")
	mode := fs.String("mode", "catalogue,mutate,generate,random", "`modes`, separated by commas: "+strings.Join(fuzz.Modes, ", "))
	fs.StringVar(&o.Exec, "exec", "", "`command` line, split at blanks, that starts the target")
	fs.DurationVar(&o.Duration, "duration", 0, "end after this `time` (0: 30s, or -count; catalogue and replay alone end with their last datagram)")
	fs.Uint64Var(&o.Count, "count", 0, "end after this `number` of datagrams (0: no bound)")
	fs.Float64Var(&o.Rate, "rate", 0, "`datagrams` a second at most (0: no bound)")
	fs.Uint64Var(&o.Seed, "seed", 1, "`seed` of every random choice")
	fs.DurationVar(&o.ProbeTimeout, "probe-timeout", 500*time.Millisecond, "`time` within which a fresh peer must be let in")
	fs.Float64Var(&o.Amplification, "amplification", 4, "unasked `bytes` out per byte in that are a finding if exceeded")
	fs.DurationVar(&o.Narrow, "narrow", 20*time.Second, "longest `time` to narrow one finding down")
	fs.IntVar(&o.Most, "findings-max", 0, "end after this `number` of findings (0: no bound)")
	fs.BoolVar(&o.GSO, "gso", true, "flood with UDP_SEGMENT where the kernel has it: each datagram up to 64 times in a row")
	fs.StringVar(&o.out, "findings", ".", "`directory` for the findings' files")
	fs.StringVar(&o.pcap, "pcap", "", "write all but floods to this `file`, for Wireshark")
	fs.BoolVar(&o.json, "json", false, "print the result as JSON")
	remote := fs.Bool("allow-remote", false, fmt.Sprintf("let the target be on another host, at %d datagrams a second at most", remoteRate))
	files, err := cli.Parse(fs, args, usage, stdout)
	if err != nil {
		return o, err
	}
	if o.Target, err = netip.ParseAddrPort(*target); err != nil || !o.Target.Addr().Is4() || o.Target.Port() == 0 {
		return o, cli.Usagef("-target %q is not an IPv4 address and a port, such as 127.0.0.1:3000", *target)
	}
	if !o.Target.Addr().IsLoopback() {
		if !*remote {
			return o, cli.Usagef("-target %v is not on this host, want 127.x.x.x, or -allow-remote", o.Target)
		}
		if o.Rate == 0 || o.Rate > remoteRate {
			o.Rate = remoteRate
		}
		o.GSO = false
	}
	o.Modes = strings.Split(*mode, ",")
	for _, m := range o.Modes {
		if !slices.Contains(fuzz.Modes, m) {
			return o, cli.Usagef("-mode %q, want some of %s", m, strings.Join(fuzz.Modes, ", "))
		}
	}
	switch {
	case o.Duration < 0:
		return o, cli.Usagef("-duration %v, want 0 or more", o.Duration)
	case o.ProbeTimeout < 10*time.Millisecond:
		return o, cli.Usagef("-probe-timeout %v, want at least 10ms", o.ProbeTimeout)
	case o.Narrow < 0:
		return o, cli.Usagef("-narrow %v, want 0 or more", o.Narrow)
	case !(o.Rate >= 0):
		return o, cli.Usagef("-rate %v, want 0 or more", o.Rate)
	case !(o.Amplification >= 0):
		return o, cli.Usagef("-amplification %v, want 0 or more", o.Amplification)
	}
	replay := slices.Contains(o.Modes, "replay")
	switch {
	case replay && len(files) != 1:
		return o, cli.Usagef("-mode replay with %d files, want one", len(files))
	case !replay && len(files) > 0:
		return o, cli.Usagef("argument %q, want none without -mode replay", files[0])
	case replay:
		f, err := os.Open(files[0])
		if err != nil {
			return o, err
		}
		defer f.Close()
		if o.Replay, err = fuzz.ReadShots(f); err != nil {
			return o, fmt.Errorf("%q: %w", files[0], err)
		}
		if len(o.Replay) == 0 {
			return o, fmt.Errorf("%q has no datagrams", files[0])
		}
	}
	endless := slices.ContainsFunc(o.Modes, func(m string) bool { return m != "catalogue" && m != "replay" })
	if endless && o.Duration == 0 && o.Count == 0 {
		o.Duration = 30 * time.Second
	}
	return o, nil
}

func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stdout)
	if err != nil {
		return err
	}
	if !o.Target.Addr().IsLoopback() {
		fmt.Fprintf(stderr, "udpgarbage: warning: %v is another host; %v datagrams a second at most\n", o.Target, o.Rate)
	}
	if o.pcap != "" {
		f, e := os.Create(o.pcap)
		if e != nil {
			return e
		}
		capture := fuzz.NewCapture(f, o.Target)
		o.Sent = capture.Add
		defer func() {
			if e := errors.Join(capture.Close(), f.Close()); e != nil && (err == nil || errors.Is(err, errFindings)) {
				err = fmt.Errorf("cannot write %q: %w", o.pcap, e)
			}
		}()
	}
	n := 0
	o.Log = func(line string) { fmt.Fprintf(stderr, "udpgarbage: %s\n", cli.Printable(line)) }
	o.Found = func(f fuzz.Finding) error {
		n++
		path := filepath.Join(o.out, fmt.Sprintf("finding-%d-%s.jsonl", n, f.Kind))
		o.Log(fmt.Sprintf("%s by %s, %d datagrams, in %s", f.Kind, f.Case, f.Count, path))
		return write(path, f)
	}
	result, err := fuzz.Run(ctx, o.Config)
	if len(result.Tallies) > 0 {
		if e := report(stdout, result, o.json); e != nil && err == nil {
			err = e
		}
	}
	if err == nil && len(result.Findings) > 0 {
		return errFindings
	}
	return err
}

func write(path string, f fuzz.Finding) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(fuzz.WriteShots(file, f.Shots), file.Close())
}

func report(w io.Writer, r fuzz.Result, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	t := tablewriter.NewTable(w, tablewriter.WithHeaderAutoFormat(tw.Off),
		tablewriter.WithRowAlignmentConfig(tw.CellAlignment{PerColumn: []tw.Align{tw.AlignLeft, tw.AlignRight, tw.AlignRight, tw.AlignRight, tw.AlignRight, tw.AlignRight}}))
	t.Header("what", "batches", "sent", "bytes", "answers", "findings")
	for _, y := range r.Tallies {
		if err := t.Append(y.What, fmt.Sprint(y.Batches), fmt.Sprint(y.Sent), fmt.Sprint(y.Bytes), fmt.Sprint(y.Answers), fmt.Sprint(y.Findings)); err != nil {
			return err
		}
	}
	if err := t.Render(); err != nil {
		return err
	}
	for _, f := range r.Findings {
		fmt.Fprintf(w, "%s: %s: %s (%d datagrams, %d bytes)\n", f.Kind, f.Case, cli.Printable(f.What), f.Count, f.Bytes)
	}
	_, err := fmt.Fprintf(w, "sent %d datagrams in %.1f s, %d findings, %d restarts, seed %d\n",
		r.Total.Sent, r.Elapsed.Seconds(), len(r.Findings), r.Restarts, r.Seed)
	return err
}
