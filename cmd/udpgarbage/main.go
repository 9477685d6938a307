// Command udpgarbage sends hostile datagrams at a live directory server or
// peer and says whether it survived. udpgarbage -h says how.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"

	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/printing"
	"p2plocal/fuzz/campaign"
	"p2plocal/fuzz/figure"
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/send"
)

func main() { cli.Main("udpgarbage", run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stdout)
	if err != nil {
		return err
	}
	if o.virtual.on {
		return o.virtual.run(ctx, o, stdout, stderr)
	}
	return o.attack(ctx, stdout, stderr)
}

// attack carries the campaign out, and writes what comes of it.
func (o options) attack(ctx context.Context, stdout, stderr io.Writer) (err error) {
	var so atomic.Pointer[campaign.Progress]
	aside, stop := printing.Watch(ctx, stderr, o.Quiet, func(columns int) string { return progress(so.Load(), o, columns) })
	defer func() { stop() }()
	say := func(line string) {
		aside(func() { fmt.Fprintf(stderr, "udpgarbage: %s\n", cli.Printable(line)) })
	}
	if err := cli.CheckDirectory(o.out); err != nil {
		return err
	}
	files, err := cli.Open(o.pcap, o.JSON)
	if err != nil {
		return err
	}
	if file := files[o.pcap]; file != nil {
		if err := file.Begin(); err != nil {
			return err
		}
		capture := send.NewCapture(file)
		o.Sent = capture.Add
		defer func() {
			if e := file.End(capture.Close()); errors.As(err, new(cli.Code)) {
				err = cmp.Or(e, err)
			} else {
				err = cli.Join(err, e)
			}
		}()
	}
	o.Log = say
	o.Progress = func(p campaign.Progress) { so.Store(&p) }
	kept := true
	o.Found = func(f *campaign.Finding) (err error) {
		defer func() { kept = err == nil }()
		setup := hostile.Setup{As: o.Role.String(), Target: o.Target.String(), Exec: o.Exec, PeerExec: o.PeerExec, Wide: o.Wide, Key: o.dialect.KeyFile, Ports: f.Ports}
		if f.File, err = write(o.out, setup, f); err == nil {
			say(fmt.Sprintf("%s by %s, %s, in %s", f.Kind, f.Case, datagrams(f.Count), f.File))
		}
		return err
	}
	result, err := campaign.Run(ctx, o.Config)
	stop()
	stop = func() {}
	if len(result.Tallies) > 0 {
		if result.Findings == nil {
			result.Findings = []*campaign.Finding{} // a list for programs
		}
		if e := o.Write(stdout, files, func(w io.Writer) error { return text(w, result, o.ASCII) }, result); e != nil {
			return cli.Join(err, e)
		}
	}
	switch {
	case ctx.Err() != nil:
		return cli.Interrupted
	case len(result.Findings) > 0 && kept:
		if err != nil {
			say(err.Error()) // why there are no more
		}
		return cli.Failed
	case err == nil:
		return tooLittle(o.Config, result)
	}
	return err
}

// tooLittle says why nothing that was found means nothing.
func tooLittle(c campaign.Config, r campaign.Result) error {
	var modes []string
	for _, m := range r.Missing {
		if strings.HasPrefix(m, "mode ") {
			modes = append(modes, m)
		}
	}
	var unjudged []string
	for _, y := range r.Tallies {
		if !y.Conclusive() {
			unjudged = append(unjudged, fmt.Sprintf("%d of %s of %s", y.Unjudged, batches(y.Batches), y.What))
		}
	}
	skipped := r.Skipped()
	switch {
	case r.Sent == 0 && skipped > 0:
		return fmt.Errorf("nothing was sent to the %v: there is no socket to send %s from", c.Role, datagrams(skipped))
	case r.Sent == 0:
		return fmt.Errorf("nothing was sent to the %v: -duration %v is over before the first batch", c.Role, c.Duration)
	case uint64(skipped) > r.Sent:
		return fmt.Errorf("too little was sent to say that the %v survived: %s, and %d that there is no socket to send from", c.Role, datagrams(int(r.Sent)), skipped)
	case len(unjudged) > 0:
		return fmt.Errorf("%w: %s could not be judged: this machine was late, or datagrams were lost", campaign.ErrUnjudged, strings.Join(unjudged, ", "))
	case len(modes) > 0:
		return fmt.Errorf("too little was sent to say that the %v survived: %s not begun", c.Role, strings.Join(modes, ", "))
	}
	return nil
}

// progress is a line of how far the campaign is.
func progress(p *campaign.Progress, o options, columns int) string {
	if p == nil {
		return "starting " + o.Role.String()
	}
	sent, tell := datagrams(p.Sent), []string{plural(p.Findings, "finding")}
	last := fmt.Sprintf("%.0f s", p.Elapsed.Seconds())
	switch left := o.Duration - p.Elapsed; {
	case p.Narrowing != "":
		last = "narrowing " + p.Narrowing
	case o.Duration > 0 && left <= 0:
		last = "the time is up: late effects"
	case o.Duration > 0:
		tell = append(tell, fmt.Sprintf("%.0f of %.0f s", p.Elapsed.Seconds(), o.Duration.Seconds()))
		last = fmt.Sprintf("%.0f s left", left.Seconds())
	case o.Count > 0:
		sent += " of " + figure.Grouped(o.Count)
	default:
		tell = append(tell, fmt.Sprintf("%d of %d of the catalogue", p.Listed-p.Left, p.Listed))
	}
	line := printing.Fit(columns, "", fmt.Sprintf("batch %s, %s", figure.Grouped(p.Batches), sent), tell, last)
	if len(line)+2+len(p.What) <= columns {
		line += ": " + p.What
	}
	return line
}

// write makes a new file in dir for a finding, and dir if need be.
func write(dir string, setup hostile.Setup, f *campaign.Finding) (string, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", err
	}
	file, err := os.CreateTemp(dir, string(f.Kind)+"-"+strings.ReplaceAll(f.Case, "/", "-")+"-*.jsonl")
	if err != nil {
		return "", err
	}
	if err = cmp.Or(hostile.WriteShots(file, setup, f.Shots), file.Chmod(0o644), file.Sync(), file.Close()); err != nil {
		os.Remove(file.Name()) // half a finding is none
		return "", fmt.Errorf("cannot keep a finding: %w", err)
	}
	return file.Name(), nil
}
