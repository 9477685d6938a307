package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/bench/sample"
	"p2plocal/bench/scenario"
	"p2plocal/cmd/internal/cli"
	"p2plocal/reports"
	"p2plocal/reports/live"
)

// view is what -live and its flags say, and what shows the mesh.
type view struct {
	at            cli.Optional
	open, control bool
	paced         bool

	server *live.Server
	feed   *sample.Feed
	look   func(*result.Result) (string, []sample.Assertion)
	result *result.Result // once it is there
}

func liveFlags(fs *flag.FlagSet) *view {
	v := new(view)
	fs.Var(&v.at, "live", "show the mesh in the browser while it runs: print the URL of a page, and go on. -live=`ADDR` says where, such as -live=:8080; at an address that is not loopback whoever has the URL can look on (default 127.0.0.1 and any port)")
	fs.BoolVar(&v.open, "live-open", false, "-live, and open the page")
	fs.BoolVar(&v.control, "live-control", false, "-live, and the page can kill, pause, relaunch, cut and flood. What it does is in the result, as a script for -faults; what was measured then is not compared")
	return v
}

// play applies what is special to a mesh without a scenario.
func (v *view) play(c *call, cfg *config) error {
	if !slices.Contains(cfg.Scenarios, scenario.Play) {
		return nil
	}
	v.paced = true
	if c.given["duration"] {
		cfg.Options.Play = cfg.Options.Duration
	} else if cfg.Simulation != nil && !v.at.IsValid() {
		return cli.Usagef("a simulated mesh at which nobody looks would go on for ever: want -duration, or -live")
	}
	if !v.at.IsValid() && !c.given["live-control"] {
		v.control = false
	}
	return nil
}

// start serves the page, if one is wanted, and has the status feed it.
func (v *view) start(c *call, cfg *result.Config, asserts []result.Assert, status *scenario.Status) (stop func(), err error) {
	if !v.at.IsValid() && (v.open || v.control) {
		v.at.Set("true")
	}
	if !v.at.IsValid() {
		return func() {}, nil
	}
	head := sample.Head{Title: strings.Join(cfg.Scenarios, ", "), Control: v.control, Server: cfg.Target == "" && cfg.Options.Driver == nil}
	for i := range cfg.Peers {
		head.Peers = append(head.Peers, string(record.SlotName(i)))
	}
	v.feed = sample.NewFeed(head)
	watch := &mesh.Watch{Feed: v.feed, Paced: v.paced}
	page := live.Config{Feed: v.feed, Report: v.report}
	if v.control {
		page.Obey = watch.Control()
	}
	if v.server, err = live.Listen(v.at.AddrPort, page); err != nil {
		return nil, err
	}
	c.log("live at %s", v.server.URL())
	if v.open {
		if err := openPage(v.server.URL()); err != nil {
			c.log("cannot open the page: %v", err)
		}
	}
	v.look = func(r *result.Result) (string, []sample.Assertion) { return look(r, asserts) }
	status.Live = &scenario.Live{Watch: watch, Look: v.look}
	return func() { v.server.Close() }, nil
}

// look is the headline of a result that is not complete yet, and how its assertions stand.
func look(r *result.Result, asserts []result.Assert) (string, []sample.Assertion) {
	tiles := []sample.Assertion{}
	if len(r.Runs) == 0 {
		return reports.Headline(r), tiles
	}
	for i, a := range result.Evaluate(asserts, r) {
		name, _, _ := strings.Cut(asserts[i].Metric, ".")
		last := r.Runs[len(r.Runs)-1].Scenarios
		goesOn := slices.ContainsFunc(last, func(s result.Scenario) bool { return s.Name == name && s.Interrupted })
		state := "held"
		switch {
		case a.Actual != nil && !a.OK || a.Actual == nil && r.Assertions != nil:
			state = "failed"
		case a.Actual == nil || goesOn || len(r.Runs) < r.Config.Repeat:
			state = "open"
		}
		tiles = append(tiles, sample.Assertion{Text: a.Text, State: state})
	}
	return reports.Headline(r), tiles
}

// report is the ordinary one.
func (v *view) report(w io.Writer) error {
	return reports.Results(v.result).Write(w, "html", reports.Options{})
}

// end says that all is over, and waits for as long as somebody watches; a script, which nobody
// watches, does not wait.
func (v *view) end(ctx context.Context, c *call, r *result.Result) {
	if v.server == nil {
		return
	}
	v.result = r
	if r != nil {
		s := sample.Sample{Phase: "over", Doing: "all is over"}
		s.Headline, s.Assertions = v.look(r)
		v.feed.Add(s)
	}
	v.feed.End(r != nil && ctx.Err() == nil) // who has had enough does not wait for the report to be read
	if !v.server.Watched() || ctx.Err() != nil {
		return
	}
	c.log("done; the page stays until it is closed, or Ctrl-C")
	for v.server.Watched() && mesh.Sleep(ctx, time.Second/4) {
	}
}

// openPage has the system show a URL. What it starts may be the browser itself, which stays; that
// there is none shows at once.
func openPage(url string) error {
	command := map[string][]string{"darwin": {"open"}, "windows": {"rundll32", "url.dll,FileProtocolHandler"}}[runtime.GOOS]
	if command == nil {
		command = []string{"xdg-open"}
	}
	open := exec.Command(command[0], append(command[1:], url)...)
	if err := open.Start(); err != nil {
		return err
	}
	const atOnce = time.Second
	ended := make(chan error, 1)
	go func() { ended <- open.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("%s: %w", command[0], err)
		}
	case <-time.After(atOnce):
	}
	return nil
}
