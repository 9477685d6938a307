package main

import (
	"bytes"
	"flag"
	"os"
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
	cores     *int
	until     time.Duration
}

func simFlags(fs *flag.FlagSet) *simulation {
	s := new(simulation)
	fs.BoolVar(&s.on, "sim", false, "simulate: a virtual network and clock instead of UDP")
	fs.StringVar(&s.faults, "faults", "", "the faults that happen to every mesh, a script in `file`; over UDP all but drift, jump and hostile. Its seed, peers and refresh count where no flag says otherwise")
	s.cores = coresFlag(fs, 0)
	fs.BoolVar(&s.trace, "trace", false, "sim: print every event of every network, before the result")
	fs.DurationVar(&s.until, "until", 0, "sim: end every mesh at this virtual `time`; 0: when its scenario ends")
	return s
}

func coresFlag(fs *flag.FlagSet, value int) *int {
	return fs.Int("cores", value, "sim: computing takes time, on this `number` of cores: 8 µs a turn, 600 ns a datagram taken, 2.2 µs one sent; 0: it costs nothing")
}

// virtualNetwork is like loopback.
func virtualNetwork(c *config, cores int) *result.Simulation {
	v := &result.Simulation{Queue: result.QueueOf(max(c.Options.ReadBuffer, 0)), Host: result.HostOf(cores)}
	if cores == 0 { // else it is the host's wake and send
		v.Network = simnet.Fault{Delay: result.LoopbackDelay}
	}
	return v
}

// apply puts the simulation into the configuration.
func (s *simulation) apply(call *call, c *config, out *output) error {
	if !s.on {
		for _, name := range []string{"cores", "trace", "until"} {
			if call.given[name] {
				return cli.Usagef("-%s wants -sim: it is for a virtual network", name)
			}
		}
		if !call.given["faults"] {
			return nil
		}
		script, err := s.script(call, c)
		if err == nil && script.Network != faults.Default().Network {
			err = cli.Usagef("%q: network %q wants -sim: over UDP say what happens to links by lines with link", s.faults, script.Network)
		}
		c.Faults = faults.Lines(script.Faults)
		return err
	}
	switch {
	case call.given["isolation"]:
		return cli.Usagef("-isolation and -sim exclude each other: a simulated peer is neither goroutine nor process")
	case s.trace && out.JSON == "-":
		return cli.Usagef("-trace and -json - both want standard output")
	}
	v := virtualNetwork(c, *s.cores)
	v.Until = s.until
	if s.trace {
		v.Trace = call.stdout
	}
	if call.given["faults"] {
		script, err := s.script(call, c)
		if err != nil {
			return err
		}
		v.Network, v.Faults = script.Network, faults.Lines(script.Faults)
		if script.Queue > 0 {
			v.Queue = script.Queue
		}
	}
	c.Isolation, c.Simulation = result.Virtual, v
	return nil
}

// script reads the faults, and takes from their script what no flag says.
func (s *simulation) script(call *call, c *config) (faults.Script, error) {
	whole := faults.Default() // a mesh that is measured is never calm
	whole.Duration, whole.Calm = time.Hour, time.Hour
	script, err := readScript(s.faults, whole)
	if err != nil {
		return script, err
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
	return script, nil
}

// readScript reads a fault script from a file, with defaults for what it leaves out. A script that
// makes no sense is a usage error.
func readScript(name string, s faults.Script) (faults.Script, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return faults.Script{}, err
	}
	s, err = s.Parse(bytes.NewReader(b))
	if err != nil {
		return s, cli.Usagef("%q: %w", name, err)
	}
	return s, nil
}
