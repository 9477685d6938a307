package main

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/study"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/printing"
	"p2plocal/reports"
)

const studyIntro = `usage: meshbench study [AXIS=VALUES ...] [flags]
       meshbench study -scenario NAME -show METRIC,METRIC AXIS=VALUES ... [flags]

A study runs a simulated scenario in all combinations of its axes' values, many
times each, and sums up what that comes to. There are these studies:

`

const sweepUsage = `usage: meshbench sweep [AXIS=VALUES ...] [flags], as in
       meshbench sweep deadline=1s..5s/500ms heartbeat=500ms refresh=0s,5s peers=40 loss=5%

A sweep is the study of which timing to choose: it marks those settings that no
other dominates, the Pareto front of how often a live peer is removed, how soon a
dead one is noticed, and traffic.

`

// studyUsage lists the studies.
func studyUsage() string {
	text := studyIntro
	for _, g := range study.Presets(1) {
		text += fmt.Sprintf("  %-9s  %s\n", g.Name, g.About)
	}
	return text + axesUsage()
}

// axesUsage is what the usage of study and of sweep ends with.
func axesUsage() string {
	text := "\nAn AXIS given takes the place of a study's own. VALUES have commas between them; those of\nintervals may be ranges, A..B/STEP. Axes:\n\n"
	for _, s := range study.Settings {
		text += fmt.Sprintf("  %-9s  %s\n", s.Name, s.About)
	}
	return text + "\nExit codes: 0 done, 1 failure, 2 usage, 130 interrupted (what was finished is\nwritten).\n"
}

// grids is what study and sweep have in common.
type grids struct {
	seed          uint64
	runs, workers int
	out           printing.Output
}

func gridFlags(fs *flag.FlagSet) *grids {
	g := new(grids)
	g.out.Register(fs, false)
	fs.Uint64Var(&g.seed, "seed", 1, "`seed` of every random choice; run r of a combination takes seed+r")
	fs.IntVar(&g.runs, "repeat", 0, "`runs` of each combination; 0: as many as the study takes")
	fs.IntVar(&g.workers, "workers", runtime.GOMAXPROCS(0), "combinations that run at once")
	return g
}

// runStudy is "meshbench study".
func runStudy(fs *flag.FlagSet, _ *cli.Groups) func(context.Context, *call) error {
	g := gridFlags(fs)
	only := fs.String("only", "", "`studies` to do, with commas between them (default all)")
	scenario := fs.String("scenario", "", "study this `scenario` instead")
	show := fs.String("show", "", "`metrics` of the scenario to show, with commas between them; meshbench metrics lists them")
	return func(ctx context.Context, c *call) error {
		switch {
		case (*scenario == "") != (*show == ""):
			return cli.Usagef("-scenario and -show belong together: what to run, and what to show of it")
		case *scenario != "" && *only != "":
			return cli.Usagef("-scenario and -only exclude each other: a study of your own, or one that there is")
		case *scenario != "":
			custom, err := study.Custom(*scenario, strings.Split(*show, ","))
			if err != nil {
				return cli.UsageError{Err: err}
			}
			return g.run(ctx, c, custom)
		}
		presets := study.Presets(1)
		if *only == "" {
			return g.run(ctx, c, presets...)
		}
		var names []string
		for _, p := range presets {
			names = append(names, p.Name)
		}
		var wanted []study.Grid
		for name := range strings.SplitSeq(*only, ",") {
			i := slices.Index(names, name)
			if i < 0 {
				return cli.Usagef("%q is no study, want some of %s", name, strings.Join(names, ", "))
			}
			wanted = append(wanted, presets[i])
		}
		return g.run(ctx, c, wanted...)
	}
}

// runSweep is "meshbench sweep".
func runSweep(fs *flag.FlagSet, _ *cli.Groups) func(context.Context, *call) error {
	g := gridFlags(fs)
	return func(ctx context.Context, c *call) error { return g.run(ctx, c, study.Sweep(g.seed)) }
}

// run does the studies with the axes given, and writes what came of them.
func (g *grids) run(ctx context.Context, c *call, studies ...study.Grid) error {
	var axes []study.Axis
	for _, text := range c.others {
		a, err := study.ParseAxis(text)
		if err != nil {
			return cli.UsageError{Err: err}
		}
		axes = append(axes, a)
	}
	for i := range studies {
		s := &studies[i]
		if s.Config.Seed = g.seed; g.runs != 0 {
			s.Config.Repeat = g.runs
		}
		if err := s.Vary(axes); err != nil {
			return cli.UsageError{Err: err}
		}
	}
	if g.workers < 1 || g.workers > 1024 {
		return cli.Usagef("-workers %d, want 1 to 1024", g.workers)
	}
	if err := g.out.Open(); err != nil {
		return err
	}
	start := time.Now()
	var finished, all atomic.Int64
	_, stop := printing.Watch(ctx, c.stderr, g.out.Quiet, func(int) string {
		return printing.Done(start, "combinations", uint64(finished.Load()), uint64(all.Load()))
	})
	report, err := study.Run(ctx, studies, mesh.Version(c.shaping()), g.workers, func(done, of int) {
		finished.Store(int64(done))
		all.Store(int64(of))
	})
	stop()
	if err != nil {
		return err
	}
	if err := g.out.Write(c.stdout, reports.Study(report)); err != nil {
		return err
	}
	if report.Interrupted {
		return cli.Interrupted
	}
	return nil
}
