package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
	"p2plocal/bench/scale"
	"p2plocal/cmd/internal/cli"
)

const scaleUsage = `usage: meshbench scale [-udp LIST] [-sim LIST]

Scale has more and more peers of the wide dialect born at once at one directory server, and
kills one when all know all. Over UDP server and peers are in this process; simulated, the
server is the real one, and each datagram takes it what the kernel does: 2.2 us to send, 0.6 us
to take. Busy is its time until all knew all, over UDP without the kernel's.

  join        from the births until every view is complete
  detection   from a peer's death until it is in no view
  removed     live peers that the server removed

`

// sizes is a list of numbers of peers.
func sizes(flag, list string, most int) (all []int, err error) {
	if list == "" {
		return nil, nil
	}
	for s := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < 2 || n > most {
			return nil, cli.Usagef("-%s has %q, want numbers of peers from 2 to %d", flag, s, most)
		}
		all = append(all, n)
	}
	return all, nil
}

// runScale is "meshbench scale".
func runScale(fs *flag.FlagSet, _ *cli.Groups) func(context.Context, *call) error {
	udp := fs.String("udp", "95,300,1000,3000", "numbers of peers, a `list`, over UDP")
	sim := fs.String("sim", "95,300,1000,3000,10000,30000", "numbers of peers, a `list`, simulated")
	var common cli.Common
	common.Register(fs)
	return func(ctx context.Context, c *call) error {
		measured, err := sizes("udp", *udp, 10_000)
		if err != nil {
			return err
		}
		simulated, err := sizes("sim", *sim, 30_000)
		if err != nil {
			return err
		}
		files, err := cli.Open(common.JSON)
		if err != nil {
			return err
		}
		var document struct {
			Tool   result.Tool   `json:"tool"`
			Points []scale.Point `json:"points"`
		}
		document.Tool = mesh.Version(c.args)
		for i, n := range append(measured, simulated...) {
			if ctx.Err() != nil {
				break
			}
			if !common.Quiet {
				fmt.Fprintf(c.stderr, "meshbench: %d peers\n", n)
			}
			var p scale.Point
			if i < len(measured) {
				p, err = scale.Measure(ctx, n)
			} else {
				p, err = scale.Simulate(n)
			}
			if err != nil {
				break
			}
			document.Points = append(document.Points, p)
		}
		if ctx.Err() != nil {
			err = cli.Interrupted
		}
		return cli.Join(common.Write(c.stdout, files, func(w io.Writer) error { return writeScale(w, document.Points) }, document), err)
	}
}

func writeScale(w io.Writer, points []scale.Point) error {
	const row = "%-9s %6v %9v %13v %10v %9v %9v %9v %8v\n"
	_, err := fmt.Fprintf(w, row, "", "peers", "join", "announcements", "datagrams", "MB", "busy", "detection", "removed")
	for _, p := range points {
		kind := "UDP"
		if p.Simulated {
			kind = "simulated"
		}
		if err == nil {
			_, err = fmt.Fprintf(w, row, kind, p.Peers, orNever(p.Join), p.Announcements, p.Datagrams, fmt.Sprintf("%.1f", float64(p.Bytes)/1e6),
				brief(p.Busy), orNever(p.Detection), p.Removed)
		}
	}
	return err
}

// orNever is a time that 0 stands for no end of.
func orNever(d time.Duration) string {
	if d == 0 {
		return "over 1m"
	}
	return brief(d)
}

func brief(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.1f ms", float64(d)/1e6)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
