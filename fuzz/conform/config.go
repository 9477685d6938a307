package conform

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"p2plocal/core/wide"
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/target"
)

// Config says what is tested, and how.
type Config struct {
	Name       string // of the target in reports
	Role       hostile.Role
	Address    netip.AddrPort // a server that runs; or
	Exec       string         // the command that starts a target, with placeholders
	Shared     bool           // one process of a server for all cases
	ServerPort uint16         // peers: of the server that they are given; 0: any
	Wide       bool           // the target speaks the wide dialect,
	Keys       wide.Keys      // with these keys
	Cases      []Case
	Others     *Others                               // nil: the cases are this package's
	Parallel   int                                   // cases at a time; 0: 24
	Host       target.Host                           // where targets run; nil: this machine
	Progress   func(done, all, wrong int)            // nil: nobody wants to know
	Log        func(format string, arguments ...any) // likewise
}

// Others are cases of another package.
type Others struct {
	Role, Mode string                             // as in a Report
	Try        func(context.Context, Case) Result // tries one, with a target of its own
}

// DefaultParallel is how many cases run at a time.
const DefaultParallel = 24

// Validate is what is wrong with a Config.
func (c Config) Validate() error {
	running := c.Address.IsValid()
	switch {
	case c.Parallel < 0:
		return fmt.Errorf("%d cases at a time, want 1 or more", c.Parallel)
	case c.Others != nil:
		return nil
	case running == (c.Exec != ""):
		return errors.New("want the address of a server that runs, or a command")
	case running && c.Role == hostile.Peer:
		return errors.New("a peer can only be tested from its start on: want a command")
	case running && (!c.Address.Addr().Is4() || !c.Address.Addr().IsLoopback() || c.Address.Port() == 0):
		return fmt.Errorf("address %v, want an IPv4 one on this host, such as 127.0.0.1:3000: peers live on their server's host", c.Address)
	case c.Role == hostile.Peer && (!strings.Contains(c.Exec, "{name}") || !strings.Contains(c.Exec, "{port}")):
		return fmt.Errorf("command %q, want {name} and {port} in it", c.Exec)
	case c.Role == hostile.Peer && c.Shared:
		return errors.New("peers cannot share a process")
	case c.Wide && c.Role == hostile.Peer && (c.ServerPort != 0 || !strings.Contains(c.Exec, "{server}")):
		return fmt.Errorf("command %q, want {server} in it: wide peers have a server each", c.Exec)
	}
	return nil
}

// oneServer reports that all cases use one server process.
func (c Config) oneServer() bool {
	return c.Others == nil && c.Role == hostile.Server && (c.Shared || c.Address.IsValid() || !target.HasListen(c.Exec))
}

// Bound is how long Run takes at most, whatever the target does.
func (c Config) Bound() time.Duration {
	const most, names = 8 * time.Second, 8 // that waits add to a case; cases for which there are names at a time
	const slack = time.Minute              // that the machine may be
	width := cmp.Or(c.Parallel, DefaultParallel)
	if c.Others != nil { // each takes its Span at most
		return (c.makespan(width) + slack).Round(time.Second)
	}
	if c.oneServer() {
		width = min(width, names)
	}
	bound, longest := slack, time.Duration(0)
	for _, x := range c.Cases {
		takes := 2*x.Span + most
		longest = max(longest, takes)
		bound += takes / time.Duration(width)
		if alone := x.Span + most/8; c.oneServer() { // few wait for long
			bound += alone
		} else { // as many as fail while the machine is late
			bound += alone / 4
		}
	}
	return (bound + longest).Round(time.Second)
}

// makespan is how long all cases take at most, a number of them at a time, the longest first.
func (c Config) makespan(width int) time.Duration {
	spans := make([]time.Duration, 0, len(c.Cases))
	for _, x := range c.Cases {
		spans = append(spans, x.Span)
	}
	slices.Sort(spans)
	until := make([]time.Duration, max(width, 1)) // that each of them is busy
	for _, span := range slices.Backward(spans) {
		until[0] += span
		slices.Sort(until)
	}
	return until[len(until)-1]
}
