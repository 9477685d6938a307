package main

import (
	"context"
	"flag"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"p2plocal/bench/machine"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/bench/scale"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/jobs"
	"p2plocal/cmd/internal/printing"
	"p2plocal/reports"
)

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
	where := jobs.WhereFlags(fs)
	var out printing.Output
	out.Register(fs, false)
	return func(ctx context.Context, c *call) error {
		switch { // what is named, alone
		case !c.given["udp"] && (c.given["sim"] || where.URL != ""):
			*udp = ""
		case c.given["udp"] && !c.given["sim"] && where.URL == "":
			*sim = ""
		}
		measured, err := sizes("udp", *udp, record.MostPeers)
		if err != nil {
			return err
		}
		simulated, err := sizes("sim", *sim, scale.MostSimulated)
		if err != nil {
			return err
		}
		if err := where.Check(); err != nil {
			return err
		}
		if err := out.Open(); err != nil {
			return err
		}
		all := reports.Scale{Tool: machine.Version(c.shaping()), Points: []scale.Point{}}
		if len(measured) > 0 {
			all.Env = machine.Survey(time.Now(), 0)
		}
		p := scaling{start: time.Now()}
		for _, n := range slices.Concat(measured, simulated) {
			p.all += uint64(n)
		}
		aside, stop := printing.Watch(ctx, c.stderr, out.Quiet, p.line)
		begin := func(what string) {
			p.what.Store(&what)
			if !out.Quiet && cli.Columns(c.stderr) == 0 {
				c.log("%s", what)
			}
		}
		for _, n := range measured {
			begin(result.Plural(uint64(n), "peer") + " over UDP")
			point, failed := scale.Measure(ctx, n)
			if err = failed; err != nil || ctx.Err() != nil {
				break
			}
			all.Points = append(all.Points, point)
			p.done.Add(uint64(n))
		}
		if err == nil && ctx.Err() == nil && len(simulated) > 0 {
			begin(strings.ReplaceAll(*sim, ",", ", ") + " peers simulated")
			var some []scale.Point
			some, err = scale.Curve(ctx, simulated, where.Compute(printing.Log("meshbench", c.stderr, aside)), func(point scale.Point) { p.done.Add(uint64(point.Peers)) })
			all.Points = append(all.Points, some...)
		}
		stop()
		if all.Interrupted = ctx.Err() != nil; all.Interrupted {
			err = cli.Interrupted
		}
		return cli.Join(out.Write(c.stdout, all.Document()), err)
	}
}

// scaling is how far meshes of all sizes have come; they take about as long as they have peers.
type scaling struct {
	start time.Time
	all   uint64
	done  atomic.Uint64
	what  atomic.Pointer[string]
}

func (s *scaling) line(columns int) string {
	var tell []string
	if what := s.what.Load(); what != nil {
		tell = []string{*what}
	}
	return printing.Done(columns, s.start, s.done.Load(), s.all, "peers", tell...)
}
