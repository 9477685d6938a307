package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/study"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/printing"
	"p2plocal/reports"
)

const studyUsage = `usage: meshbench study [AXIS=VALUES ...] [flags]
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

// studyEnd is what the usage of both ends with.
func studyEnd() string {
	var b strings.Builder
	b.WriteString("\nAn AXIS given takes the place of a study's own. VALUES have commas between them; those of\nintervals may be ranges: A..B (five points), A..B/STEP or A..B/POINTS. Axes:\n\n")
	for _, s := range study.Settings {
		fmt.Fprintf(&b, "  %-9s  %s\n", s.Name, s.About)
	}
	b.WriteString("\nExit codes: 0 done, 1 failure, 2 usage, 130 interrupted (what was finished is\nwritten).\n")
	return b.String()
}

// studyCommand is what study and sweep have in common.
type studyCommand struct {
	fs            *flag.FlagSet
	seed          uint64
	runs, workers int
	files         stringList
	ascii, quiet  bool
}

func newStudyCommand(name string) *studyCommand {
	c := &studyCommand{fs: flag.NewFlagSet("meshbench "+name, flag.ContinueOnError)}
	c.fs.Uint64Var(&c.seed, "seed", 1, "`seed` of every random choice; run r of a combination takes seed+r")
	c.fs.IntVar(&c.runs, "repeat", 0, "`runs` of each combination; 0: as many as the study takes")
	c.fs.IntVar(&c.workers, "workers", runtime.GOMAXPROCS(0), "combinations that run at once")
	c.fs.Var(&c.files, "report", "also write a report to `file`, its form by the ending: .txt, .md, .html (with charts), .csv or .json (all figures); may be given several times")
	c.fs.BoolVar(&c.ascii, "ascii", false, "no character above ASCII in the text")
	c.fs.BoolVar(&c.quiet, "quiet", false, "no progress on standard error")
	return c
}

// runStudy is "meshbench study".
func runStudy(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c := newStudyCommand("study")
	only := c.fs.String("only", "", "`studies` to do, with commas between them (default all)")
	scenario := c.fs.String("scenario", "", "study this `scenario` instead")
	show := c.fs.String("show", "", "`metrics` of the scenario to show, with commas between them; meshbench metrics lists them")
	usage := studyUsage
	presets := study.Presets(1)
	var names []string
	for _, g := range presets {
		usage += fmt.Sprintf("  %-9s  %s\n", g.Name, g.About)
		names = append(names, g.Name)
	}
	axes, err := cli.Parse(c.fs, args, usage+studyEnd(), stdout)
	switch {
	case err != nil:
		return err
	case (*scenario == "") != (*show == ""):
		return cli.Usagef("-scenario and -show belong together: what to run, and what to show of it")
	case *scenario != "" && *only != "":
		return cli.Usagef("-scenario and -only exclude each other: a study of your own, or one that there is")
	case *scenario != "":
		g, err := study.Custom(*scenario, strings.Split(*show, ","))
		if err != nil {
			return cli.UsageError{Err: err}
		}
		return c.run(ctx, []study.Grid{g}, axes, stdout, stderr)
	}
	wanted := names
	if *only != "" {
		wanted = strings.Split(*only, ",")
	}
	var grids []study.Grid
	for _, name := range wanted {
		i := slices.IndexFunc(presets, func(g study.Grid) bool { return g.Name == name })
		if i < 0 {
			return cli.Usagef("%q is no study, want some of %s", name, strings.Join(names, ", "))
		}
		grids = append(grids, presets[i])
	}
	return c.run(ctx, grids, axes, stdout, stderr)
}

// runSweep is "meshbench sweep".
func runSweep(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c := newStudyCommand("sweep")
	axes, err := cli.Parse(c.fs, args, sweepUsage+studyEnd(), stdout)
	if err != nil {
		return err
	}
	return c.run(ctx, []study.Grid{study.Sweep(c.seed)}, axes, stdout, stderr)
}

// run does the studies with these axes, and writes what came of them.
func (c *studyCommand) run(ctx context.Context, grids []study.Grid, axes []string, stdout, stderr io.Writer) error {
	var given []study.Axis
	for _, text := range axes {
		a, err := study.ParseAxis(text)
		if err != nil {
			return cli.UsageError{Err: err}
		}
		given = append(given, a)
	}
	for i := range grids {
		g := &grids[i]
		if g.Config.Seed = c.seed; c.runs != 0 {
			g.Config.Repeat = c.runs
		}
		if err := g.Vary(given); err != nil {
			return cli.UsageError{Err: err}
		}
	}
	if c.workers < 1 || c.workers > 1024 {
		return cli.Usagef("-workers %d, want 1 to 1024", c.workers)
	}
	for _, file := range c.files {
		if format, err := reports.FormatOf(file); err != nil {
			return cli.UsageError{Err: err}
		} else if format == "xml" {
			return cli.Usagef("-report %q: a study has no verdicts for JUnit", file)
		}
	}
	if err := printing.Check(c.files...); err != nil {
		return err
	}
	start := time.Now()
	show, wipe := printing.Line(stderr, c.quiet)
	report, err := study.Run(ctx, grids, mesh.Version(shaping(c.fs, axes)), c.workers, func(done, all int) { show("%s", doneLine(start, "combinations", uint64(done), uint64(all))) })
	wipe()
	if err != nil {
		return err
	}
	errs := []error{reports.Study(report).Write(stdout, "txt", printing.Options(stdout, c.ascii, false))}
	for _, file := range c.files {
		errs = append(errs, printing.Report(file, reports.Study(report), reports.Options{ASCII: c.ascii}))
	}
	if err := errors.Join(errs...); err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	if report.Interrupted {
		return cli.Interrupted
	}
	return nil
}

// shaping are the arguments that the figures depend on: not those that say
// where they go, or how many combinations run at once.
func shaping(fs *flag.FlagSet, others []string) []string {
	args := append(strings.Fields(fs.Name())[1:], others...)
	fs.Visit(func(f *flag.Flag) {
		if !slices.Contains([]string{"report", "ascii", "quiet", "workers"}, f.Name) {
			args = append(args, "-"+f.Name, f.Value.String())
		}
	})
	return args
}
