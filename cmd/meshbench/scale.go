package main

import (
	"context"
	"flag"
	"fmt"
	"strconv"
	"strings"

	"p2plocal/bench/mesh"
	"p2plocal/bench/record"
	"p2plocal/bench/scale"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/printing"
	"p2plocal/reports"
)

const scaleUsage = `usage: meshbench scale [-udp LIST] [-sim LIST]

Scale has more and more peers of the wide dialect born at once at one directory server, and
kills one when all know all. Over UDP server and peers are in this process; simulated, the
server is the real one, and each datagram takes it what the kernel does: 2.2 us to send, 0.6 us
to take.
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
	var out printing.Output
	out.Register(fs, false)
	return func(ctx context.Context, c *call) error {
		measured, err := sizes("udp", *udp, record.MostPeers)
		if err != nil {
			return err
		}
		simulated, err := sizes("sim", *sim, 30_000)
		if err != nil {
			return err
		}
		if err := out.Open(); err != nil {
			return err
		}
		all := reports.Scale{Tool: mesh.Version(c.args)}
		for i, n := range append(measured, simulated...) {
			if ctx.Err() != nil {
				break
			}
			if !out.Quiet {
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
			all.Points = append(all.Points, p)
		}
		if ctx.Err() != nil {
			err = cli.Interrupted
		}
		return cli.Join(out.Write(c.stdout, all.Document()), err)
	}
}
