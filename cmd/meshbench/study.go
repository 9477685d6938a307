package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
	"p2plocal/bench/study"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/printing"
	"p2plocal/core"
	"p2plocal/reports"
)

const studyUsage = `usage: meshbench study [flags]

A study asks what one run cannot tell, of many meshes on the virtual network:

`

const sweepUsage = `usage: meshbench sweep [NAME=VALUES ...] [flags], as in
       meshbench sweep deadline=1s..5s/500ms refresh=0,5s

A sweep tries settings of the timing on meshes on the virtual network, and marks
those that no other dominates: the Pareto front of how soon a dead peer is noticed,
how often a live one is removed, and traffic. Several NAMEs make a grid. VALUES are
durations, ranges A..B (five points), A..B/STEP or A..B/POINTS, with commas between
them, for heartbeat (the keep-alive interval), reap, deadline or refresh.
`

const studyEnd = `
The text defines the columns. -report also writes it, a page with charts, or all
figures to a FILE.txt, FILE.html or FILE.json.

Exit codes: 0 done, 1 failure, 2 usage, 130 interrupted (what was finished is
written).
`

// list is a flag of values with commas between them.
type list[T any] struct {
	values []T
	parse  func(string) (T, error)
	print  func(T) string
}

func (l *list[T]) Set(s string) error {
	l.values = nil
	for part := range strings.SplitSeq(s, ",") {
		v, err := l.parse(part)
		if err != nil {
			return fmt.Errorf("%q makes no sense there", part)
		}
		l.values = append(l.values, v)
	}
	return nil
}

func (l *list[T]) String() string {
	var all []string
	for _, v := range l.values {
		all = append(all, l.print(v))
	}
	return strings.Join(all, ",")
}

func printRatio(v float64) string {
	return strconv.FormatFloat(v*100, 'g', 6, 64) + "%"
}

// studyCommand is what study and sweep have in common.
type studyCommand struct {
	fs           *flag.FlagSet
	plan         study.Plan
	peers        list[int]
	losses       list[float64]
	refresh      list[time.Duration]
	files        []string
	ascii, quiet bool
}

func newStudyCommand(name string) *studyCommand {
	c := &studyCommand{fs: flag.NewFlagSet("meshbench "+name, flag.ContinueOnError), plan: study.Plan{Timing: core.DefaultTiming()},
		peers:   list[int]{nil, strconv.Atoi, strconv.Itoa},
		losses:  list[float64]{nil, result.ParseRatio, printRatio},
		refresh: list[time.Duration]{nil, time.ParseDuration, time.Duration.String}}
	p := &c.plan
	c.fs.Float64Var(&p.Hours, "hours", 200, "peer-hours of membership to watch for each line of loss and sweep")
	c.fs.Uint64Var(&p.Seed, "seed", 1, "where the random numbers begin")
	c.fs.IntVar(&p.Workers, "workers", runtime.GOMAXPROCS(0), "lines that run at once")
	c.fs.DurationVar(&p.Timing.Heartbeat, "heartbeat", p.Timing.Heartbeat, "between a peer's keep-alives")
	c.fs.DurationVar(&p.Timing.Reap, "reap", p.Timing.Reap, "between the server's looks for silent peers")
	c.fs.DurationVar(&p.Timing.Deadline, "deadline", p.Timing.Deadline, "a peer silent for longer is reaped")
	c.fs.Func("report", "also write `FILE`.txt, .html or .json; may be repeated", func(s string) error {
		c.files = append(c.files, s)
		return nil
	})
	c.fs.BoolVar(&c.ascii, "ascii", false, "no character above ASCII in the text")
	c.fs.BoolVar(&c.quiet, "quiet", false, "no progress")
	return c
}

// runStudy is "meshbench study".
func runStudy(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c := newStudyCommand("study")
	fs, p := c.fs, &c.plan
	parts := list[string]{nil, func(s string) (string, error) { return s, nil }, func(s string) string { return s }}
	c.peers.values = []int{10, 40, 95}
	c.losses.values = []float64{0, 0.01, 0.02, 0.05, 0.10, 0.15, 0.20, 0.25, 0.30}
	c.refresh.values = []time.Duration{0, 5 * time.Second}
	p.Heal = []time.Duration{0, time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second}
	p.Deaths = []float64{0.02, 0.05, 0.1, 0.2, 0.5, 1, 2}
	fs.Var(&parts, "only", "`studies` to do, with commas between them (default all)")
	fs.Var(&c.peers, "peers", "`sizes` of the meshes")
	fs.Var(&c.losses, "loss", "parts of the `datagrams` lost on every link")
	fs.Var(&c.refresh, "refresh", "`intervals` between the births of a member; 0: no more")
	fs.IntVar(&p.Meshes, "meshes", 20, "meshes to watch for each line of heal and churn")
	usage := studyUsage
	var names []string
	for _, part := range study.Parts {
		names = append(names, part[0])
		usage += fmt.Sprintf("  %-6s %s\n", part[0], part[1])
	}
	others, err := cli.Parse(fs, args, usage+studyEnd, stdout)
	if err != nil {
		return err
	}
	if len(others) > 0 {
		return cli.Usagef("a study takes no arguments, not %q", others[0])
	}
	p.Peers, p.Losses, p.Refresh, p.Parts, p.SweepPeers, p.SweepLoss = c.peers.values, c.losses.values, c.refresh.values, parts.values, sweepPeers, sweepLoss
	if len(p.Parts) == 0 {
		p.Parts = names
	}
	if p.Grid, err = study.Grid(p.Timing, studySweep); err != nil {
		return cli.UsageError{Err: err}
	}
	return c.run(ctx, nil, stdout, stderr)
}

// What is swept where nothing else is asked for.
const (
	sweepPeers = 40
	sweepLoss  = 0.05
)

// runSweep is "meshbench sweep".
func runSweep(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c := newStudyCommand("sweep")
	fs, p := c.fs, &c.plan
	p.Parts, p.Meshes = []string{"sweep"}, 1
	fs.IntVar(&p.SweepPeers, "peers", sweepPeers, "`size` of the meshes")
	p.SweepLoss = sweepLoss
	fs.Var((*ratio)(&p.SweepLoss), "loss", "part of the `datagrams` lost on every link")
	fs.DurationVar(&p.Timing.Refresh, "refresh", p.Timing.Refresh, "between the births of a member; 0: no more (default 0s)")
	others, err := cli.Parse(fs, args, sweepUsage+studyEnd, stdout)
	if err != nil {
		return err
	}
	ranges := studySweep
	if len(others) > 0 {
		ranges = nil
	}
	for _, text := range others {
		r, err := study.ParseRange(text)
		if err != nil {
			return cli.UsageError{Err: err}
		}
		ranges = append(ranges, r)
	}
	if p.Grid, err = study.Grid(p.Timing, ranges); err != nil {
		return cli.UsageError{Err: err}
	}
	return c.run(ctx, others, stdout, stderr)
}

// run does what is planned and writes what came of it.
func (c *studyCommand) run(ctx context.Context, swept []string, stdout, stderr io.Writer) error {
	if err := c.plan.Validate(); err != nil {
		return cli.UsageError{Err: err}
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
	line := newStatusLine(stderr, c.quiet)
	report := c.plan.Run(ctx, func(done, all int) { line.show("lines", uint64(done), uint64(all)) })
	line.wipe()
	report.Version, report.Args = version(), shaping(c.fs, swept)
	d := reports.Study(report)
	errs := []error{d.Write(stdout, "txt", printing.Options(stdout, c.ascii, false))}
	for _, file := range c.files {
		errs = append(errs, printing.Report(file, d, reports.Options{ASCII: c.ascii}))
	}
	if err := errors.Join(errs...); err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	if report.Interrupted {
		return cli.Interrupted
	}
	return nil
}

// version is the program's, with its commit where that is known.
func version() string {
	t := mesh.Version(nil)
	v := t.Version
	if t.Commit != "" {
		v += " " + t.Commit
	}
	if t.Dirty {
		v += " with uncommitted changes"
	}
	return v
}

// shaping are the arguments that the figures depend on: not those that say
// where they go, or how many lines run at once.
func shaping(fs *flag.FlagSet, others []string) []string {
	args := append(strings.Fields(fs.Name())[1:], others...)
	fs.Visit(func(f *flag.Flag) {
		if !slices.Contains([]string{"report", "ascii", "quiet", "workers"}, f.Name) {
			args = append(args, "-"+f.Name, f.Value.String())
		}
	})
	return args
}

// studySweep is what a study sweeps by itself.
var studySweep = []study.Range{
	{Name: "heartbeat", Values: []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second}},
	{Name: "refresh", Values: []time.Duration{0, 2 * time.Second, 5 * time.Second}},
	{Name: "deadline", Values: []time.Duration{time.Second, 1500 * time.Millisecond, 2 * time.Second, 2500 * time.Millisecond, 3 * time.Second, 4 * time.Second, 5 * time.Second}},
}
