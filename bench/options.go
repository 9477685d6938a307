package bench

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"p2plocal/core"
	"p2plocal/core/udp"
)

// Options are what the scenarios can be told.
type Options struct {
	Duration time.Duration `json:"duration"` // that steady, churn, loss and garbage measure
	Warmup   time.Duration `json:"warmup"`   // before steady's measured window
	Interval time.Duration `json:"interval"` // between a peer's measured broadcasts
	Payload  int           `json:"payload"`  // bytes of a broadcast's text; 0: the protocol's own
	InStep   bool          `json:"in_step"`  // all broadcast at the same instant
	Join     string        `json:"join"`     // storm or spread
	Spread   time.Duration `json:"spread"`   // over which spread births lie
	Kill     int           `json:"kill"`     // peers that crash, relaunch and loss kill
	Churn    float64       `json:"churn"`    // deaths and returns a second, together
	Refresh  time.Duration `json:"refresh"`  // of the halves of restart and pause that have it
	Impair   Impairment    `json:"impair"`   // of the loss scenario
	Search   Search        `json:"search"`   // of saturate
	Garbage  Garbage       `json:"garbage"`  // of garbage

	ReadBuffer  int    `json:"read_buffer"` // bytes asked for on each socket
	SourceCheck bool   `json:"source_check"`
	External    int    `json:"external"`              // peers that are processes of another implementation
	PeerExec    string `json:"peer_exec,omitempty"`   // their command line
	Server      string `json:"server,omitempty"`      // address of a server that runs already
	ServerExec  string `json:"server_exec,omitempty"` // command line of one that is not ours
}

// DefaultOptions end the default scenarios within 30 s.
func DefaultOptions() Options {
	return Options{
		Duration:   13 * time.Second,
		Interval:   4 * time.Second,
		Join:       "storm",
		Spread:     time.Second,
		Kill:       1,
		Churn:      1,
		Refresh:    time.Second,
		Impair:     Impairment{Loss: 0.01, Delay: 2 * time.Millisecond, Jitter: time.Millisecond, Duplicate: 0.001, Reorder: 0.005},
		Search:     DefaultSearch(),
		Garbage:    Garbage{Rate: 100_000, Kind: "garbage", At: "server"},
		ReadBuffer: udp.ReadBuffer,
	}
}

// Cannot says why a scenario cannot be run with these options; "" where it can.
func (c *Config) Cannot(scenario string) string {
	o := &c.Options
	ours := c.Peers - o.External
	switch {
	case scenario == "restart" && o.Server != "":
		return fmt.Sprintf("the server at %s was not started here", o.Server)
	case scenario == "garbage" && o.Garbage.At == "peer" && ours == 0:
		return "its target is a peer, and none is ours"
	case scenario == "saturate" && ours < 2:
		return fmt.Sprintf("it takes two peers of ours, one to send to the other, not %d", ours)
	case scenario == "saturate" && c.Simulation != nil && c.Simulation.Host.Cores == 0:
		return "no load is too high for a host whose computing costs nothing, want one such as -host cores=2"
	case c.Peers < 2 && slices.Contains([]string{"crash", "relaunch", "churn", "restart", "pause"}, scenario):
		return "it takes two peers or more, one to see what becomes of another"
	}
	return ""
}

// Validate names the first option that makes no sense.
func (c *Config) Validate() error {
	o := &c.Options
	known := make(map[string]bool)
	for _, s := range Scenarios {
		known[s] = true
	}
	if len(c.Scenarios) == 0 {
		return errors.New("no scenario")
	}
	for _, s := range c.Scenarios {
		if !known[s] {
			return fmt.Errorf("scenario %q, want some of %v, each once", s, Scenarios)
		}
		known[s] = false
	}
	switch {
	case c.Peers < 1 || c.Peers > core.MaxPeers:
		return fmt.Errorf("%d peers, want 1 to %d", c.Peers, core.MaxPeers)
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
	case o.Join != "storm" && o.Join != "spread":
		return fmt.Errorf("join %q, want storm or spread", o.Join)
	case o.Spread <= 0:
		return fmt.Errorf("spread %v, want more than 0", o.Spread)
	case o.Kill < 1 || o.Kill > max(c.Peers-1, 1):
		return fmt.Errorf("kill %d of %d peers, want 1 or more, and one to survive", o.Kill, c.Peers)
	case !(o.Churn > 0 && o.Churn <= 1000):
		return fmt.Errorf("churn %v a second, want more than 0, at most 1000", o.Churn)
	case o.Refresh <= 0:
		return fmt.Errorf("refresh %v, want more than 0", o.Refresh)
	case o.ReadBuffer < 0:
		return fmt.Errorf("read buffer of %d bytes, want 0 or more", o.ReadBuffer)
	case o.External < 0 || o.External > c.Peers:
		return fmt.Errorf("%d external peers, want 0 to the number of peers, %d", o.External, c.Peers)
	case o.External > 0 && o.PeerExec == "":
		return errors.New("external peers, but no -peer-exec that says how to start one")
	case o.External == 0 && o.PeerExec != "":
		return errors.New("-peer-exec, but 0 external peers for it to start")
	case o.Server != "" && o.ServerExec != "":
		return errors.New("both -server and -server-exec, want one")
	case o.External == c.Peers && (o.Server != "" || o.ServerExec != ""):
		return fmt.Errorf("%d external peers of %d and a server that is not ours: nothing to measure, want a peer of ours", o.External, c.Peers)
	}
	if o.Server != "" {
		if addr, err := netip.ParseAddrPort(o.Server); err != nil || !addr.Addr().Is4() || addr.Port() == 0 {
			return fmt.Errorf("server address %q, want one such as 127.0.0.1:3000", o.Server)
		}
	}
	for _, s := range c.Scenarios {
		if why := c.Cannot(s); why != "" {
			return fmt.Errorf("scenario %s cannot be run: %s", s, why)
		}
	}
	if err := o.Impair.Validate(); err != nil {
		return err
	}
	if err := o.Garbage.Validate(); err != nil {
		return err
	}
	if err := o.Search.Validate(); err != nil {
		return err
	}
	if c.Simulation != nil {
		if err := c.Simulation.validate(c); err != nil {
			return err
		}
	}
	return c.Timing.Validate()
}
