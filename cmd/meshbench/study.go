package main

import (
	"context"
	"flag"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"p2plocal/bench/machine"
	"p2plocal/bench/study"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/jobs"
	"p2plocal/cmd/internal/printing"
	"p2plocal/reports"
)

// runStudy is "meshbench study".
func runStudy(fs *flag.FlagSet, _ *cli.Groups) func(context.Context, *call) error {
	return runGrids(fs, nil, study.Presets())
}

// runSweep is "meshbench sweep".
func runSweep(fs *flag.FlagSet, _ *cli.Groups) func(context.Context, *call) error {
	return runGrids(fs, []study.Grid{study.Sweep()}, nil)
}

// runGrids does the given studies, and those of the others that an argument names,
// all if none does, with the axes that further arguments are.
func runGrids(fs *flag.FlagSet, studies, named []study.Grid) func(context.Context, *call) error {
	var out printing.Output
	out.Register(fs, false)
	seed := fs.Uint64("seed", 1, "`seed` of every random choice; run r of a combination takes seed+r")
	where := jobs.WhereFlags(fs)
	runs := fs.Int("repeat", 0, "`runs` of each combination; 0: as many as the study takes")
	return func(ctx context.Context, c *call) error {
		var axes []study.Axis
		for _, text := range c.others {
			if i := slices.IndexFunc(named, func(g study.Grid) bool { return g.Name == text }); i >= 0 {
				studies, named = append(studies, named[i]), slices.Delete(named, i, i+1)
				continue
			}
			if !strings.Contains(text, "=") {
				return cli.Usagef("%q is neither a study nor an axis such as peers=10,40", text)
			}
			a, err := study.ParseAxis(text)
			if err != nil {
				return cli.UsageError{Err: err}
			}
			axes = append(axes, a)
		}
		if len(studies) == 0 {
			studies = named
		}
		for i := range studies {
			s := &studies[i]
			if s.Config.Seed = *seed; *runs != 0 {
				s.Config.Repeat = *runs
			}
			if err := s.Vary(axes); err != nil {
				return cli.UsageError{Err: err}
			}
		}
		if err := where.Check(); err != nil {
			return err
		}
		if err := out.Open(); err != nil {
			return err
		}
		start := time.Now()
		var finished, all atomic.Uint64
		aside, stop := printing.Watch(ctx, c.stderr, out.Quiet, func(columns int) string {
			return printing.Done(columns, start, finished.Load(), all.Load(), "combinations")
		})
		report, err := study.Run(ctx, studies, machine.Version(c.shaping()), where.Compute(printing.Log("meshbench", c.stderr, aside)), func(done, of int) {
			finished.Store(uint64(done))
			all.Store(uint64(of))
		})
		stop()
		if err != nil {
			return err
		}
		if err := out.Write(c.stdout, reports.Study(report)); err != nil {
			return err
		}
		if report.Interrupted {
			return cli.Interrupted
		}
		return nil
	}
}
