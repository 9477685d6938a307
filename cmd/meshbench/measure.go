package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"

	"p2plocal/bench/machine"
	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/jobs"
	"p2plocal/reports"
)

// measure runs scenarios, over UDP or simulated.
func measure(fs *flag.FlagSet, groups *cli.Groups) func(context.Context, *call) error {
	cfg := benchFlags(fs, groups)
	groups.Begin("output", "")
	out := outputFlags(fs)
	groups.Begin("simulation", "")
	virtual := simFlags(fs)
	groups.Begin("several hosts", "")
	fs.IntVar(&cfg.Options.Hosts, "hosts", 0, "`number` of workers at the NATS server that -wide's mesh is laid over, the server on one of them")
	over := &jobs.Where{Access: jobs.Access(fs)}
	groups.Begin("live", "a page that shows the mesh while it runs")
	shown := liveFlags(fs)
	return func(ctx context.Context, c *call) error {
		if err := virtual.apply(c, cfg, out); err != nil {
			return err
		}
		if err := cfg.finish(ctx, c); err != nil {
			return err
		}
		switch err := over.Check(); {
		case err != nil:
			return err
		case (over.URL == "") != (cfg.Options.Hosts == 0):
			return cli.Usagef("want -hosts, how many workers the mesh is laid over, and -nats, where they are, together")
		}
		if err := shown.play(c, cfg); err != nil {
			return err
		}
		asserts, err := out.check(cfg.Scenarios)
		if err != nil {
			return err
		}
		args := append(strings.Fields(c.fs.Name())[1:], c.args...)
		if virtual.on {
			args = c.shaping()
		}
		var status scenario.Status
		if over.URL != "" {
			conn, err := jobs.Connect(over.Access, "mesh", c.log)
			if err != nil {
				return err
			}
			defer conn.Close()
			status.Hosts = hosts(conn, c.log)
		}
		hide, err := shown.start(c, &cfg.Config, asserts, &status)
		if err != nil {
			return err
		}
		defer hide()
		stop := c.showProgress(ctx, &status, cfg.Config, out.Quiet)
		r, failed := scenario.Execute(ctx, cfg.Config, machine.Version(args), &status)
		stop()
		if failed != nil && (r == nil || !r.Measured()) {
			shown.end(ctx, c, nil)
			return failed
		}
		if r.Touched() {
			c.log("touched by hand: no assertion is held against it")
		} else {
			r.Assertions = result.Evaluate(asserts, r)
		}
		err = outcome(c, r, failed, out.Write(c.stdout, reports.Results(r)))
		shown.end(ctx, c, r)
		return err
	}
}

// outcome is what a result that has been written, or not, comes to.
func outcome(c *call, r *result.Result, failed, written error) error {
	broken := false
	for _, a := range r.Assertions {
		if broken = broken || !a.OK; !a.OK {
			c.log("%s", cli.Printable(a.String()))
		}
	}
	why := cmp.Or(r.Failure(), unstable(r))
	switch {
	case failed == nil && !r.Interrupted && why != "":
		return cli.Join(errors.New(why), written)
	case failed != nil || written != nil:
		return cli.Join(failed, written)
	case r.Interrupted:
		return cli.Interrupted
	case broken:
		return cli.Failed
	}
	return nil
}

// unstable says that the timing lets no mesh stay together, if that has shown in the result: then
// what was measured says nothing of meshes.
func unstable(r *result.Result) string {
	warning := cli.TimingWarning(r.Config.Timing)
	for _, run := range r.Runs {
		for _, s := range run.Scenarios {
			if n := s.Metrics[s.Name+".false_positives"].Value; warning != "" && n != nil && *n > 0 {
				return fmt.Sprintf("%s: live peers were removed %s: %s", s.Name, result.Plural(uint64(*n), "time"), strings.TrimPrefix(warning, "warning: "))
			}
		}
	}
	return ""
}

// playing is measure for a mesh to play with.
func playing(fs *flag.FlagSet, groups *cli.Groups) func(context.Context, *call) error {
	do := measure(fs, groups)
	for name, value := range map[string]string{"scenario": scenario.Play, "peers": "20", "interval": "500ms", "live": "true", "live-control": "true"} {
		f := fs.Lookup(name)
		f.Value.Set(value)
		f.DefValue = f.Value.String()
	}
	return do
}
