// Command udpgarbage sends hostile datagrams at a live directory server or
// peer and says whether it survived. udpgarbage -h says how.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/printing"
	"p2plocal/fuzz/campaign"
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/send"
)

func main() { cli.Main("udpgarbage", run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stdout)
	if err != nil {
		return err
	}
	show, wipe := printing.Line(stderr, o.Quiet)
	say := func(line string) {
		wipe()
		fmt.Fprintf(stderr, "udpgarbage: %s\n", cli.Printable(line))
	}
	if !o.Target.Addr().IsLoopback() {
		say(fmt.Sprintf("warning: %v is no loopback address; %v datagrams a second at most", o.Target, o.Rate))
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
	o.Progress = func(what string, so campaign.Result) {
		show("%s: batch %d, %s datagrams sent, %d findings", what, so.Next, short(float64(so.Total.Sent)), len(so.Findings))
	}
	o.Found = func(f campaign.Finding) error {
		path, err := write(o.out, f)
		if err == nil {
			say(fmt.Sprintf("%s by %s, %s, in %s", f.Kind, f.Case, datagrams(f.Count), path))
		}
		return err
	}
	result, err := campaign.Run(ctx, o.Config)
	if err == nil && ctx.Err() == nil && result.Total.Sent == 0 { // no target has survived that
		err = fmt.Errorf("nothing was sent to the %v: %s", o.Role, idle(o.Config, result))
	}
	wipe()
	if len(result.Tallies) > 0 {
		if result.Findings == nil {
			result.Findings = []campaign.Finding{} // a list for programs
		}
		if e := o.Write(stdout, files, func(w io.Writer) error { return text(w, result, o.ASCII) }, result); e != nil {
			return cli.Join(err, e)
		}
	}
	switch {
	case ctx.Err() != nil:
		return cli.Interrupted
	case err == nil && len(result.Findings) > 0:
		return cli.Failed
	}
	return err
}

// idle says why a campaign has sent nothing.
func idle(c campaign.Config, r campaign.Result) string {
	switch {
	case c.From > 0:
		return fmt.Sprintf("-from %d is past the last batch", c.From)
	case len(c.Replay) > 0 && r.Left == 0:
		return fmt.Sprintf("there is no socket to send the file's %s from", datagrams(len(c.Replay)))
	}
	return fmt.Sprintf("-duration %v is over before the first batch", c.Duration)
}

// write makes a new file in dir for a finding, and dir if need be.
func write(dir string, f campaign.Finding) (string, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", err
	}
	name := string(f.Kind) + "-" + strings.ReplaceAll(f.Case, "/", "-")
	for n := 1; ; n++ {
		path := filepath.Join(dir, name+".jsonl")
		if n > 1 {
			path = filepath.Join(dir, fmt.Sprintf("%s-%d.jsonl", name, n))
		}
		file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		if err = errors.Join(hostile.WriteShots(file, f.Shots), file.Sync(), file.Close()); err != nil {
			os.Remove(path) // half a finding is none
		}
		return path, err
	}
}
