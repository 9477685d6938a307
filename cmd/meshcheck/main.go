// Command meshcheck tests whether a server or a peer speaks the protocol that
// core/PROTOCOL.md describes. meshcheck -h says how.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"p2plocal/bench/driver"
	"p2plocal/bench/machine"
	"p2plocal/bench/result"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/printing"
	"p2plocal/fuzz/conform"
	"p2plocal/reports"
)

func main() { cli.Main("meshcheck", run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stdout)
	if err != nil {
		return err
	}
	if o.list {
		return list(stdout, o.targets)
	}
	if err := o.Open(); err != nil {
		return err
	}
	found := &reports.Conformance{Schema: 1, Tool: machine.Version(args)}
	found.Tool.Name = "meshcheck"
	var failed error
	for _, c := range o.targets {
		var done, all, wrong atomic.Int64
		start := time.Now()
		aside, stop := printing.Watch(ctx, stderr, o.Quiet, func(columns int) string {
			return printing.Done(columns, start, uint64(done.Load()), uint64(all.Load()), "cases of "+cli.Printable(c.Name), fmt.Sprint(wrong.Load())+" wrong")
		})
		if o.driver {
			c = driver.ForDrivers(c, o.driverOptions)
		}
		var begun sync.Once
		var printed atomic.Int64 // when, where a line cannot change, in seconds
		c.Progress = func(d, a, w int) {
			begun.Do(func() { // the target has been reached
				if !o.Quiet {
					aside(func() {
						fmt.Fprintf(stderr, "meshcheck: %s: %s, at most %v\n", cli.Printable(c.Name), result.Plural(uint64(a), "case"), c.Bound())
					})
				}
			})
			const often = 10
			now, before := int64(time.Since(start).Seconds()), printed.Load()
			if !o.Quiet && cli.Columns(stderr) == 0 && now >= before+often && printed.CompareAndSwap(before, now) {
				fmt.Fprintf(stderr, "meshcheck: %s: %d of %s, %d wrong, %d s\n", cli.Printable(c.Name), d, result.Plural(uint64(a), "case"), w, now)
			}
			done.Store(int64(d))
			all.Store(int64(a))
			wrong.Store(int64(w))
		}
		c.Log = func(format string, arguments ...any) {
			aside(func() { fmt.Fprintf(stderr, "meshcheck: %s\n", cli.Printable(fmt.Sprintf(format, arguments...))) })
		}
		r, err := conform.Run(ctx, c)
		stop()
		if len(r.Results) > 0 {
			found.Targets = append(found.Targets, r)
		}
		if failed = err; err != nil || ctx.Err() != nil {
			break
		}
	}
	if len(found.Targets) > 0 {
		failed = errors.Join(failed, o.Write(stdout, found.Document()))
	}
	if failed != nil {
		return cli.Join(failed)
	}
	return exitCode(ctx, found, stderr)
}

// exitCode tells the worst of the results, and why nothing failed and yet not all is well.
func exitCode(ctx context.Context, found *reports.Conformance, stderr io.Writer) (code error) {
	for _, r := range found.Targets {
		void, notRun := r.Count(conform.Void), r.Count(conform.NotRun)
		switch {
		case r.Gone != "":
			fmt.Fprintf(stderr, "meshcheck: %s cannot be reached: %s\n", cli.Printable(r.Name), cli.Printable(r.Gone))
		case notRun > 0 && ctx.Err() == nil:
			i := slices.IndexFunc(r.Results, func(x conform.Result) bool { return x.Outcome == conform.NotRun })
			fmt.Fprintf(stderr, "meshcheck: %s: %s of %d not run: %s\n", cli.Printable(r.Name), result.Plural(uint64(notRun), "case"), len(r.Results), cli.Printable(r.Results[i].Detail))
		case void > 0:
			fmt.Fprintf(stderr, "meshcheck: %s: %s of %d void: this machine was too late to judge\n", cli.Printable(r.Name), result.Plural(uint64(void), "case"), len(r.Results))
		}
		if !r.Sound() {
			code = cli.Failed
		} else if code == nil && (r.Gone != "" || void+notRun > 0) {
			code = cli.Code(cli.ExitFailure)
		}
	}
	if ctx.Err() != nil {
		return cli.Interrupted
	}
	return code
}

// list prints the cases that would be run.
func list(w io.Writer, targets []conform.Config) error {
	seen := map[string]bool{}
	var b strings.Builder
	for _, t := range targets {
		for _, c := range t.Cases {
			if !seen[c.ID] {
				seen[c.ID] = true
				fmt.Fprintf(&b, "%-44s %-6s  %s (%s)\n", c.ID, c.Level, c.Title, c.Section)
			}
		}
	}
	return printing.Text(w, b.String())
}
