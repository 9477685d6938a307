package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"slices"

	"p2plocal/bench/machine"
	bench "p2plocal/bench/result"
	"p2plocal/bench/swarm"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/jobs"
)

// simulation is a campaign against our own machines on a virtual network and clock, for each of a list of seeds.
type simulation struct {
	on          bool
	seeds       string
	first, last uint64
	where       *jobs.Where
	tool        bench.Tool
}

// virtualOnly are the flags that want -sim, and besides all that it takes.
var (
	virtualOnly = []string{"seeds", "nats", "run", "creds", "tlsca", "tlscert", "tlskey"}
	virtualToo  = []string{"sim", "seed", "wide", "json", "quiet", "ascii"}
)

func (v *simulation) register(fs *flag.FlagSet) {
	fs.BoolVar(&v.on, "sim", false, "attack our own server and peers, on a virtual network and clock")
	fs.StringVar(&v.seeds, "seeds", "1..1000", "with -sim: the `range` of seeds, each a campaign of its own")
	v.where = jobs.WhereFlags(fs)
}

// check says what is wrong with the flags.
func (v *simulation) check(fs *flag.FlagSet, files []string, o options) (err error) {
	given := cli.Given(fs)
	fs.Visit(func(f *flag.Flag) {
		switch only := slices.Contains(virtualOnly, f.Name); {
		case v.on && !only && !slices.Contains(virtualToo, f.Name):
			err = cli.Usagef("-%s is for a target that runs: -sim has its own", f.Name)
		case !v.on && only:
			err = cli.Usagef("-%s wants -sim: a target that runs is attacked from here, by one -seed", f.Name)
		}
	})
	switch {
	case err != nil || !v.on:
		return err
	case len(files) > 0:
		return cli.Usagef("argument %q, want none with -sim", files[0])
	case given["seed"] && given["seeds"]:
		return cli.Usagef("-seed and -seeds exclude each other")
	}
	v.tool = machine.Version(jobs.Shaping(fs, nil))
	v.tool.Name = fs.Name()
	if v.first, v.last, err = jobs.ParseRange(v.seeds); given["seed"] {
		v.first, v.last = o.Seed, o.Seed
	}
	return cmp.Or(err, v.where.Check())
}

func (v *simulation) run(ctx context.Context, o options, stdout, stderr io.Writer) error {
	s := jobs.Swarm{Common: o.Common, Meshes: swarm.Meshes{Wide: o.dialect.Wide, Hostile: true}, Where: v.where, Tool: v.tool, Replay: func(m swarm.Meshes, f swarm.Found) string {
		return fmt.Sprintf("udpgarbage -sim%s -seed %d", jobs.Flags(m), f.Seed)
	}}
	return s.Seeds(ctx, stdout, stderr, v.first, v.last)
}
