package scenario

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/mlrsearch"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/core"
	"p2plocal/core/simnet"
	"p2plocal/core/udp"
	"p2plocal/fuzz/target"
)

// DefaultOptions end the default scenarios within 30 s.
func DefaultOptions() result.Options {
	return result.Options{
		Duration:   13 * time.Second,
		Interval:   4 * time.Second,
		Join:       "storm",
		Spread:     time.Second,
		Kill:       1,
		Churn:      1,
		Refresh:    time.Second,
		Impair:     result.Impairment{Loss: 0.01, Delay: 2 * time.Millisecond, Jitter: time.Millisecond, Duplicate: 0.001, Reorder: 0.005},
		Search:     mlrsearch.Default(),
		Garbage:    result.Garbage{Rate: 100_000, Kind: "garbage", At: "server"},
		ReadBuffer: udp.ReadBuffer,
	}
}

// Simulated is a configuration with the protocol's own timing on a virtual
// network whose links are as slow as loopback, and where computing costs nothing.
func Simulated(peers int, scenarios ...string) result.Config {
	o := DefaultOptions()
	return result.Config{Scenarios: scenarios, Peers: peers, Seed: 1, Repeat: 1, Isolation: result.Virtual, Options: o, Timing: core.DefaultTiming(),
		Simulation: &result.Simulation{Network: simnet.Fault{Delay: result.LoopbackDelay}, Queue: result.QueueOf(o.ReadBuffer)}}
}

// Bearable is the interval between a peer's broadcasts, or a longer one where so many peers
// would send more messages than a machine with little else to do carries unnoticed.
func Bearable(peers int, interval time.Duration) time.Duration {
	const most = 20_000 // messages a second
	round := time.Duration(peers*(peers-1)) * time.Second / most
	return max(interval, (round + time.Second - 1).Truncate(time.Second))
}

// Validate names the first option that makes no sense.
func Validate(c *result.Config) error {
	o := &c.Options
	if len(c.Scenarios) == 0 {
		return errors.New("no scenario")
	}
	for i, name := range c.Scenarios {
		if Find(name) == nil || slices.Contains(c.Scenarios[:i], name) {
			return fmt.Errorf("scenario %q, want some of %v, each once", name, Known)
		}
	}
	for _, err := range []error{validatePeers(c), validateMesh(c), validateDialect(c), validateOthers(c), validateFaults(c)} {
		if err != nil {
			return err
		}
	}
	for _, s := range c.Scenarios {
		if why := Find(s).CannotRun(c); why != "" {
			return fmt.Errorf("scenario %s cannot be run: %s", s, why)
		}
	}
	for _, s := range List {
		if s.Check == nil {
			continue
		}
		if err := s.Check(o); err != nil {
			return err
		}
	}
	if c.Simulation != nil {
		if err := validateSimulation(c); err != nil {
			return err
		}
	}
	return c.Timing.Validate()
}

// validatePeers is about how many there may be.
func validatePeers(c *result.Config) error {
	switch {
	case c.Peers < 1 || c.Peers > record.MostPeers || c.Peers > core.MaxPeers && !c.Options.Wide:
		return fmt.Errorf("%d peers, want 1 to %d, or to %d with -wide", c.Peers, core.MaxPeers, record.MostPeers)
	case c.Isolation == "process" && c.Peers > core.MaxPeers:
		return fmt.Errorf("isolation process for %d peers, want %d or fewer, or goroutine", c.Peers, core.MaxPeers)
	}
	return nil
}

// validateMesh is about our own peers and what they do.
func validateMesh(c *result.Config) error {
	o := &c.Options
	switch {
	case o.Driver != nil && (o.Wide || o.SourceCheck || o.External > 0 || o.Server != "" || o.ServerExec != "" || c.Isolation != "goroutine"):
		return errors.New("-driver hosts a mesh of another kind: want it without -wide, -source-check, -isolation process, -sim, and without -target, -exec and -peer-exec")
	case c.Repeat < 1:
		return fmt.Errorf("repeat %d, want 1 or more", c.Repeat)
	case c.Isolation != "goroutine" && c.Isolation != "process" && c.Simulation == nil:
		return fmt.Errorf("isolation %q, want goroutine or process", c.Isolation)
	case o.Duration <= 0:
		return fmt.Errorf("duration %v, want more than 0", o.Duration)
	case o.Warmup < 0:
		return fmt.Errorf("warmup %v, want 0 or more", o.Warmup)
	case o.Interval <= 0:
		return fmt.Errorf("interval %v, want more than 0", o.Interval)
	case o.Payload < 0 || o.Payload > core.MaxPayload:
		return fmt.Errorf("payload of %d bytes, want 0 to %d", o.Payload, core.MaxPayload)
	case o.Kill < 1 || o.Kill > max(c.Peers-1, 1):
		return fmt.Errorf("kill %d of %d peers, want 1 or more, and one to survive", o.Kill, c.Peers)
	case o.Refresh <= 0:
		return fmt.Errorf("refresh %v, want more than 0", o.Refresh)
	case o.Timeout < 0:
		return fmt.Errorf("timeout %v, want more than 0", o.Timeout)
	case o.ReadBuffer < 0:
		return fmt.Errorf("read buffer of %d bytes, want 0 or more", o.ReadBuffer)
	}
	return nil
}

// validateDialect is about what the exact dialect has and the wide one has not, or the reverse.
func validateDialect(c *result.Config) error {
	o := &c.Options
	switch {
	case o.Keyed && !o.Wide:
		return errors.New("a key, but not the wide dialect, which alone has one")
	case o.Hosts != 0 && (o.Hosts < 2 || o.Hosts > c.Peers):
		return fmt.Errorf("%d hosts for %d peers, want 2 or more, and a peer for each", o.Hosts, c.Peers)
	case o.Hosts > 0 && (!o.Wide || c.Isolation != "goroutine" || o.Driver != nil):
		return errors.New("a mesh over hosts without the wide dialect, which alone knows of hosts, or with -isolation process, -driver or -sim")
	case o.Wide && (o.SourceCheck || o.External > 0 || o.Server != "" || o.ServerExec != ""):
		return errors.New("the wide dialect with -source-check or another implementation, which speak the exact one")
	}
	return nil
}

// validateOthers is about other implementations.
func validateOthers(c *result.Config) error {
	o := &c.Options
	switch {
	case o.External < 0 || o.External > c.Peers:
		return fmt.Errorf("%d external peers, want 0 to the number of peers, %d", o.External, c.Peers)
	case o.External > 0 && o.PeerExec == "":
		return errors.New("external peers, but no -peer-exec that says how to start one")
	case o.External == 0 && o.PeerExec != "":
		return errors.New("-peer-exec, but 0 external peers for it to start")
	case o.Server != "" && o.ServerExec != "":
		return errors.New("both -target and -exec, want one")
	case o.External == c.Peers && (o.Server != "" || o.ServerExec != ""):
		return fmt.Errorf("%d external peers of %d and a server that is not ours: nothing to measure, want a peer of ours", o.External, c.Peers)
	}
	elsewhere := o.ServerExec != "" && target.HasListen(o.ServerExec) || o.Server != "" && !strings.HasSuffix(o.Server, fmt.Sprintf(":%d", target.StandardPort))
	if elsewhere && o.External > 0 && !target.HasServer(o.PeerExec) {
		return fmt.Errorf("-peer-exec %q cannot be told of a server at another port than %d, want {server} or {server-port} in it", o.PeerExec, target.StandardPort)
	}
	if o.Server != "" {
		if addr, err := netip.ParseAddrPort(o.Server); err != nil || !addr.Addr().Is4() || addr.Port() == 0 {
			return fmt.Errorf("server address %q, want one such as 127.0.0.1:3000", o.Server)
		}
	}
	return nil
}

// validateSimulation names what cannot be simulated.
func validateSimulation(c *result.Config) error {
	s, o := c.Simulation, &c.Options
	switch {
	case c.Isolation != result.Virtual:
		return fmt.Errorf("isolation %q of a simulated mesh, want %s", c.Isolation, result.Virtual)
	case o.Server != "" || o.ServerExec != "":
		return errors.New("a server of somebody else's cannot be simulated")
	case o.External > 0:
		return errors.New("external peers cannot be simulated")
	case s.Until < 0:
		return fmt.Errorf("until %v, want 0 or more", s.Until)
	}
	if err := s.Host.Validate(); err != nil {
		return fmt.Errorf("host: %w", err)
	}
	script, err := mesh.Scripted(c, c.Seed)
	if err != nil {
		return err
	}
	return script.Validate()
}

// validateFaults names what a script cannot do over UDP.
func validateFaults(c *result.Config) error {
	for _, line := range c.Faults {
		if err := mesh.CanOverUDP(c, line); err != nil {
			return fmt.Errorf("fault %q: %w", line, err)
		}
	}
	return nil
}
