package simcmd

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
	"time"

	"p2plocal/bench/sim"
	"p2plocal/cmd/internal/cli"
	"p2plocal/core"
)

const studyUsage = `usage: meshbench study [flags]

Study asks, on the virtual network, how often a mesh removes live peers when
its datagrams are lost at random, and how soon it notices dead ones. All lines
begin at one seed and share their random numbers, so neighbours err alike.

  culls       live peers that the server removed
  culls/h     the same for each hour that a peer is a member
  95% CI      where the true rate lies, with 95 % confidence (Poisson, Byar's approximation)
  theory      the rate to expect where deadline/heartbeat keep-alives in a row must be
              lost, "-" where no formula is known; repeated births make it an upper bound
  traffic     births and keep-alives a second that all peers together owe
  detection   from a peer's end until the server removes it: median and longest,
              "-" for no samples

`

// losses are what a study goes through.
var losses = []float64{0, 0.01, 0.02, 0.05, 0.10, 0.15, 0.20, 0.25, 0.30}

// Study is "meshbench study".
func Study(ctx context.Context, args []string, stdout io.Writer) error {
	fs := flag.NewFlagSet("meshbench study", flag.ContinueOnError)
	t := core.DefaultTiming()
	peers := fs.Int("peers", 40, "peers in a mesh, 1 to 95")
	hours := fs.Float64("hours", 50, "peer-hours of membership to watch for each line")
	seed := fs.Uint64("seed", 1, "where the random numbers begin")
	fs.DurationVar(&t.Heartbeat, "heartbeat", t.Heartbeat, "between a peer's keep-alives")
	fs.DurationVar(&t.Reap, "reap", t.Reap, "between the server's looks for silent peers")
	fs.DurationVar(&t.Deadline, "deadline", t.Deadline, "a peer silent for longer is reaped")
	fs.DurationVar(&t.Refresh, "refresh", t.Refresh, "between the births of a member; 0: no more")
	others, err := cli.Parse(fs, args, studyUsage, stdout)
	switch {
	case err != nil:
		return err
	case len(others) > 0:
		return cli.Usagef("study takes no arguments, not %q", others[0])
	case *peers < 1 || *peers > core.MaxPeers:
		return cli.Usagef("-peers %d, want 1 to %d", *peers, core.MaxPeers)
	case !(*hours > 0 && *hours <= 1e6):
		return cli.Usagef("-hours %v, want more than 0, at most 1e6", *hours)
	}
	if err := t.Validate(); err != nil {
		return cli.UsageError{Err: err}
	}
	for _, d := range []time.Duration{t.Heartbeat, t.Reap, t.Deadline, t.Refresh} {
		if d != 0 && d < time.Millisecond || d > time.Minute {
			return cli.Usagef("interval of %v, want 1ms to 1m for a study", d)
		}
	}
	perSecond := float64(*peers) / t.Heartbeat.Seconds()
	if t.Refresh > 0 {
		perSecond += float64(*peers) / t.Refresh.Seconds()
	}
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "loss\tpeer-hours\tculls\tculls/h\t95%% CI\ttheory\ttraffic/s\tdetection p50\tmax\t\n")
	for _, loss := range losses {
		p := sim.Study{Peers: *peers, Timing: t, Loss: loss, Hours: *hours, Seed: *seed}.Run(ctx)
		if ctx.Err() != nil {
			break // a line that is cut short would mislead
		}
		theory := "-"
		if !math.IsNaN(p.Theory) {
			theory = fmt.Sprintf("%.3g", p.Theory)
		}
		slices.Sort(p.Detection)
		median, longest := "-", "-"
		if n := len(p.Detection); n > 0 {
			median, longest = seconds(p.Detection[n/2]), seconds(p.Detection[n-1])
		}
		fmt.Fprintf(w, "%.0f %%\t%.1f\t%d\t%.3g\t%.3g to %.3g\t%s\t%.0f\t%s\t%s\t\n",
			100*loss, p.PeerHours, p.Culls, p.Rate, p.Low, p.High, theory, perSecond, median, longest)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return exitInterrupted
	}
	return nil
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
