package main

import (
	"flag"
	"time"

	"p2plocal/bench/faults"
	"p2plocal/bench/result"
	"p2plocal/cmd/internal/cli"
	"p2plocal/core/simnet"
)

// simulation is what -sim and its flags say.
type simulation struct {
	on, trace bool
	faults    string
	host      *string
	until     time.Duration
}

func simFlags(fs *flag.FlagSet) *simulation {
	s := new(simulation)
	fs.BoolVar(&s.on, "sim", false, "simulate: a virtual network and clock instead of UDP")
	fs.StringVar(&s.faults, "faults", "", "sim: the faults that happen to every mesh, a script in `file`. Its seed, peers and refresh count where no flag says otherwise")
	s.host = hostFlag(fs, "none")
	fs.BoolVar(&s.trace, "trace", false, "sim: print every event of every network, before the result")
	fs.DurationVar(&s.until, "until", 0, "sim: end every mesh at this virtual `time`; 0: when its scenario ends")
	return s
}

func hostFlag(fs *flag.FlagSet, value string) *string {
	return fs.String("host", value, "sim: what computing costs, a `list` such as "+result.FormatHost(result.DefaultHost)+": cores, and what a turn on one, a datagram taken and one sent keep it busy for; none: nothing")
}

// apply puts the simulation into the configuration.
func (s *simulation) apply(call *call, c *config, out *output) error {
	if !s.on {
		for _, name := range []string{"faults", "host", "trace", "until"} {
			if call.given[name] {
				return cli.Usagef("-%s wants -sim: it is for a virtual network", name)
			}
		}
		return nil
	}
	switch {
	case call.given["isolation"]:
		return cli.Usagef("-isolation and -sim exclude each other: a simulated peer is neither goroutine nor process")
	case s.trace && out.JSON == "-":
		return cli.Usagef("-trace and -json - both want standard output")
	}
	v := &result.Simulation{Network: simnet.Fault{Delay: result.LoopbackDelay}, Queue: result.QueueOf(max(c.Options.ReadBuffer, 0)), Until: s.until}
	var err error
	if v.Host, err = result.ParseHost(*s.host); err != nil {
		return cli.UsageError{Err: err}
	}
	if v.Host.Cores > 0 {
		v.Network.Delay = 0 // it is the host's wake and send
	}
	if s.trace {
		v.Trace = call.stdout
	}
	if call.given["faults"] {
		script, err := readScript(s.faults)
		if err != nil {
			return err
		}
		v.Network, v.Faults = script.Network, faults.Lines(script.Faults)
		if script.Queue > 0 {
			v.Queue = script.Queue
		}
		if !call.given["seed"] {
			c.Seed = script.Seed
		}
		if !call.given["peers"] {
			c.Peers = script.Peers
		}
		if !call.given["refresh"] {
			c.timing.Refresh = script.Refresh
		}
	}
	c.Isolation, c.Simulation = result.Virtual, v
	return nil
}
