package simcmd

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"p2plocal/bench"
	"p2plocal/bench/study"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/printing"
	"p2plocal/core"
	"p2plocal/reports"
)

const studyUsage = `usage: meshbench -sim -study [flags]
       meshbench -sim -sweep deadline=1s..5s/500ms [-sweep refresh=0,5s] [flags]

A study asks what one run cannot tell, of many meshes on the virtual network:

`

const sweepUsage = `
With -sweep it tries settings of the timing instead, and marks those that no
other dominates: the Pareto front of how soon a dead peer is noticed, how often
a live one is removed, and traffic. Several -sweep make a grid. A sweep's values
are durations, ranges A..B (five points), A..B/STEP or A..B/POINTS, with commas
between them, for heartbeat (the keep-alive interval), reap, deadline or refresh.

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

func ratio(s string) (float64, error) {
	number, percent := strings.CutSuffix(s, "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if percent {
		v /= 100
	}
	return v, err
}

func printRatio(v float64) string {
	return strconv.FormatFloat(v*100, 'g', 6, 64) + "%"
}

// Study is "meshbench -sim -study" and "meshbench -sim -sweep".
func Study(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("meshbench -sim -study", flag.ContinueOnError)
	p := study.Plan{Timing: core.DefaultTiming(), Heal: []time.Duration{0, time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second},
		Deaths: []float64{0.02, 0.05, 0.1, 0.2, 0.5, 1, 2}}
	var ranges []study.Range
	peers := list[int]{[]int{10, 40, 95}, strconv.Atoi, strconv.Itoa}
	losses := list[float64]{[]float64{0, 0.01, 0.02, 0.05, 0.10, 0.15, 0.20, 0.25, 0.30}, ratio, printRatio}
	refresh := list[time.Duration]{[]time.Duration{0, 5 * time.Second}, time.ParseDuration, time.Duration.String}
	parts := list[string]{nil, func(s string) (string, error) { return s, nil }, func(s string) string { return s }}
	var files []string
	virtual := fs.Bool("sim", false, "simulate")
	fs.Bool("study", false, "study many meshes, instead of measuring scenarios")
	var swept []string
	fs.Func("sweep", "try these values: `NAME=VALUES`, may be repeated", func(s string) error {
		swept = append(swept, s)
		r, err := study.ParseRange(s)
		ranges = append(ranges, r)
		return err
	})
	fs.Var(&parts, "only", "`studies` to do, with commas between them (default all)")
	fs.Var(&peers, "peers", "`sizes` of the meshes; a sweep takes one (default 40)")
	fs.Var(&losses, "loss", "parts of the `datagrams` lost on every link; a sweep takes one (default 5%)")
	fs.Var(&refresh, "refresh", "`intervals` between the births of a member; 0: no more; a sweep without -sweep refresh takes one (default 0)")
	fs.Float64Var(&p.Hours, "hours", 200, "peer-hours of membership to watch for each line of loss and sweep")
	fs.IntVar(&p.Meshes, "meshes", 20, "meshes to watch for each line of heal and churn")
	fs.Uint64Var(&p.Seed, "seed", 1, "where the random numbers begin")
	fs.IntVar(&p.Workers, "workers", runtime.GOMAXPROCS(0), "lines that run at once")
	fs.DurationVar(&p.Timing.Heartbeat, "heartbeat", p.Timing.Heartbeat, "between a peer's keep-alives")
	fs.DurationVar(&p.Timing.Reap, "reap", p.Timing.Reap, "between the server's looks for silent peers")
	fs.DurationVar(&p.Timing.Deadline, "deadline", p.Timing.Deadline, "a peer silent for longer is reaped")
	fs.Func("report", "also write `FILE`.txt, .html or .json; may be repeated", func(s string) error {
		files = append(files, s)
		return nil
	})
	ascii := fs.Bool("ascii", false, "no character above ASCII in the text")
	quiet := fs.Bool("quiet", false, "no progress")
	names := studyNames()
	usage := studyUsage
	for _, part := range study.Parts {
		usage += fmt.Sprintf("  %-6s %s\n", part[0], part[1])
	}
	others, err := cli.Parse(fs, args, usage+sweepUsage, stdout)
	if err != nil {
		return err
	}
	if !*virtual {
		return cli.Usagef("a study is simulated: it wants -sim")
	}
	if len(others) > 0 {
		return cli.Usagef("a study takes no arguments, not %q", others[0])
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	p.Peers, p.Losses, p.Refresh, p.Parts, p.SweepPeers, p.SweepLoss = peers.values, losses.values, refresh.values, parts.values, 40, 0.05
	if len(ranges) > 0 {
		for _, f := range []struct {
			name string
			n    int
		}{{"peers", len(p.Peers)}, {"loss", len(p.Losses)}, {"refresh", len(p.Refresh)}} {
			if given[f.name] && f.n != 1 {
				return cli.Usagef("-%s %s: a sweep takes one", f.name, fs.Lookup(f.name).Value)
			}
		}
		if given["only"] || given["meshes"] {
			return cli.Usagef("-only and -meshes are for studies, not for -sweep")
		}
		p.Parts = []string{"sweep"}
		if given["peers"] {
			p.SweepPeers = p.Peers[0]
		}
		if given["loss"] {
			p.SweepLoss = p.Losses[0]
		}
		if given["refresh"] {
			p.Timing.Refresh = p.Refresh[0]
		}
	} else {
		if len(p.Parts) == 0 {
			p.Parts = names
		}
		ranges = studySweep
	}
	if p.Grid, err = study.Grid(p.Timing, ranges); err != nil {
		return cli.UsageError{Err: err}
	}
	if err := p.Validate(); err != nil {
		return cli.UsageError{Err: err}
	}
	for _, file := range files {
		if !slices.Contains(reports.StudyFormats, strings.TrimPrefix(filepath.Ext(file), ".")) {
			return cli.Usagef("-report %q, want a file that ends in .%s", file, strings.Join(reports.StudyFormats, ", ."))
		}
	}
	say, stop := showLines(stderr, *quiet)
	report := p.Run(ctx, say)
	stop()
	report.Version, report.Args = version(), shaping(fs, swept)
	errs := []error{reports.Study(stdout, "txt", report, printing.TextOptions(stdout, *ascii))}
	for _, file := range files {
		errs = append(errs, printing.WriteFile(file, func(w io.Writer) error {
			return reports.Study(w, strings.TrimPrefix(filepath.Ext(file), "."), report, reports.TextOptions{ASCII: *ascii})
		}))
	}
	if err := errors.Join(errs...); err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	if report.Interrupted {
		return exitInterrupted
	}
	return nil
}

// version is the program's, with its commit where that is known.
func version() string {
	t := bench.Version(nil)
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
func shaping(fs *flag.FlagSet, swept []string) (args []string) {
	fs.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "report", "ascii", "quiet", "workers":
		case "sim", "study":
			args = append(args, "-"+f.Name)
		case "sweep":
			for _, s := range swept {
				args = append(args, "-sweep", s)
			}
		default:
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

func studyNames() (names []string) {
	for _, p := range study.Parts {
		names = append(names, p[0])
	}
	return names
}

// showLines says on a terminal how many lines of the report are finished.
func showLines(stderr io.Writer, quiet bool) (say func(done, all int), stop func()) {
	if _, terminal := printing.Terminal(stderr); quiet || !terminal {
		return nil, func() {}
	}
	var mu sync.Mutex
	start := time.Now()
	return func(done, all int) {
			mu.Lock()
			defer mu.Unlock()
			const width = 20
			full := width * done / all
			left := time.Duration(float64(time.Since(start)) / float64(done) * float64(all-done))
			fmt.Fprintf(stderr, "\r\x1b[K%d of %d lines [%s%s] %v left", done, all, strings.Repeat("=", full), strings.Repeat(" ", width-full), left.Round(time.Second))
		}, func() {
			fmt.Fprint(stderr, "\r\x1b[K")
		}
}
