package main

import (
	"context"
	"flag"
	"strings"

	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/printing"
	"p2plocal/core"
	"p2plocal/fuzz/target"
)

// config is the configuration as flags give it.
type config struct {
	result.Config
	timing    *core.Timing
	driver    result.Driver
	scenarios string
}

// benchFlags registers everything that shapes a measurement, group by group as -h
// shows them.
func benchFlags(fs *flag.FlagSet, groups *cli.Groups) *config {
	c := &config{Config: result.Config{Options: scenario.DefaultOptions()}}
	o := &c.Options
	groups.Begin("mesh", "")
	fs.StringVar(&c.scenarios, "scenario", "join,steady,crash", "comma-separated `list` of scenarios, or all that can be run: "+strings.Join(scenario.Known, ", "))
	fs.IntVar(&c.Peers, "peers", 80, "`number` of peers, 1 to 95, with -wide to 4000")
	fs.Uint64Var(&c.Seed, "seed", 1, "`seed` of every random choice; run r of -repeat takes seed+r")
	fs.IntVar(&c.Repeat, "repeat", 1, "`times` that the whole is run")
	fs.StringVar(&c.Isolation, "isolation", "goroutine", "every peer is a goroutine or a process: goroutine, process")
	fs.IntVar(&o.ReadBuffer, "rcvbuf", o.ReadBuffer, "receive buffer in `bytes` to ask for on each socket; 0: the system's default")
	fs.BoolVar(&o.SourceCheck, "source-check", false, "our server takes births and keep-alives only from the port that they name")
	fs.BoolVar(&o.Wide, "wide", false, "the mesh speaks the wide dialect")
	fs.BoolVar(&o.Keyed, "key", false, "with -wide, a key: every datagram is sealed")
	groups.Begin("timing", "")
	c.timing = cli.Timing(fs)
	groups.Begin("scenarios", "what several of them take; each one's own are below")
	fs.DurationVar(&o.Duration, "duration", o.Duration, "`time` that steady, churn, loss and garbage measure; 13s are three of the protocol's broadcast rounds")
	fs.DurationVar(&o.Warmup, "warmup", o.Warmup, "`time` of broadcasting that steady, loss and garbage leave out first (default 0s)")
	fs.DurationVar(&o.Interval, "interval", o.Interval, "`interval` between a peer's broadcasts in steady, loss and garbage; that of -broadcast if it is not given")
	fs.IntVar(&o.Payload, "payload", 0, "fill a broadcast's text up to so many `bytes`, at most 65502; 0: the protocol's own")
	fs.BoolVar(&o.InStep, "in-step", false, "all broadcast at the same instant, not spread over the interval by the seed")
	fs.IntVar(&o.Kill, "kill", o.Kill, "`number` of peers that crash, relaunch and loss kill")
	fs.DurationVar(&o.Timeout, "timeout", 0, "`time` after which what has not happened is given up, beyond what the protocol takes (default 10s, 30s behind a driver)")
	for _, s := range scenario.List {
		groups.Begin(s.Name, s.Text)
		if s.Flags != nil {
			s.Flags(fs, o)
		}
	}
	groups.Begin("other implementations", target.Quoting)
	fs.StringVar(&o.Server, "target", "", "measure the server that runs at `addr`, instead of ours")
	fs.StringVar(&o.ServerExec, "exec", "", "measure the server that this `command` starts; without {addr} and {port} in it, on port 3000")
	fs.StringVar(&o.PeerExec, "peer-exec", "", "`command` that starts an external peer, with {name}, {port} and {server} in it")
	fs.IntVar(&o.External, "external", 0, "`number` of peers that -peer-exec starts (default 1 with -peer-exec)")
	groups.Begin("meshes of another kind", "")
	fs.StringVar(&c.driver.Exec, "driver", "", "measure the mesh that this `command` hosts, by bench/driver/PROTOCOL.md, such as 'meshdriver memberlist', instead of ours (default -scenario all)")
	fs.Var((*printing.Keyed)(&c.driver.Options), "driver-option", "`KEY=VALUE` of an option that the driver is given; may be given several times")
	return c
}

// finish puts together what the flags mean.
func (c *config) finish(ctx context.Context, call *call) error {
	c.Timing = *c.timing
	if long := scenario.Bearable(c.Peers, c.Timing.Broadcast); c.Timing.Broadcast > 0 && !call.given["broadcast"] {
		c.Timing.Broadcast = long
	}
	if c.driver.Exec != "" {
		if !call.given["scenario"] && call.fs.Name() == "meshbench" {
			c.scenarios = "all"
		}
		c.Options.Driver = &c.driver
		probed := c.Config
		probed.Scenarios = []string{"join"}
		if err := scenario.Validate(&probed); err != nil { // before anything is started
			return cli.UsageError{Err: err}
		}
		if err := mesh.ProbeDriver(ctx, &c.driver, c.Peers); ctx.Err() != nil {
			return cli.Interrupted
		} else if err != nil {
			return err
		}
	} else if len(c.driver.Options) > 0 {
		return cli.Usagef("-driver-option, but no -driver that takes it")
	}
	if c.scenarios == "all" {
		c.Scenarios = scenario.Known
	} else {
		for name := range strings.SplitSeq(c.scenarios, ",") {
			c.Scenarios = append(c.Scenarios, strings.TrimSpace(name))
		}
	}
	o := &c.Options
	if !call.given["interval"] && c.Timing.Broadcast > 0 && c.scenarios != scenario.Play {
		o.Interval = c.Timing.Broadcast
	}
	if c.Timing.Refresh > 0 {
		o.Refresh = c.Timing.Refresh // restart and pause compare without it and with it
	}
	if o.PeerExec != "" && !call.given["external"] {
		o.External = 1
	}
	if o.Server != "" {
		addr, err := cli.Address(o.Server)
		if err != nil {
			return cli.Usagef("invalid value %q for flag -target: %w", o.Server, err)
		}
		o.Server = addr.String()
	}
	var without []string
	if !call.given["scenario"] || c.scenarios == "all" {
		without = c.leaveOut()
	}
	if err := scenario.Validate(&c.Config); err != nil {
		return cli.UsageError{Err: err}
	}
	if warning := cli.TimingWarning(c.Timing); warning != "" {
		call.log("%s", warning)
	}
	for _, why := range without {
		call.log("without %s", why)
	}
	return nil
}

// leaveOut drops the scenarios that cannot be run, where nobody has asked for
// them by name, and says why.
func (c *config) leaveOut() (without []string) {
	var can []string
	for _, name := range c.Scenarios {
		if why := scenario.Find(name).CannotRun(&c.Config); why != "" {
			without = append(without, name+": "+why)
		} else {
			can = append(can, name)
		}
	}
	c.Scenarios = can
	return without
}
