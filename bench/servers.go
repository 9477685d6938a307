package bench

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"p2plocal/bench/result"
	"p2plocal/core"
	"p2plocal/core/udp"
	fuzztarget "p2plocal/fuzz/target"
)

// server is what a mesh can do to its directory server.
type server interface {
	addr() netip.AddrPort
	kill() error
	restart() error
	usage() (cpu time.Duration, memory int64) // of a server that is not ours
	died() string                             // how it ended, if it did so by itself
	stop()
}

// localServer is ours, a goroutine of this process.
type localServer struct {
	*seat
	opt    *result.Options
	timing core.Timing
	impair result.Impairment
	seed   uint64

	directory *core.Directory
	past      core.Counters // of former lives
	started   int64         // the present life, by the clock
	changes   []change
}

// newServer is a server that has not been started yet: restart does so.
func newServer(s *seat, timing core.Timing, opt *result.Options, impair result.Impairment, seed uint64) *localServer {
	return &localServer{seat: s, opt: opt, timing: timing, impair: impair, seed: seed}
}

func (l *localServer) addr() netip.AddrPort { return l.sock.Addr() }

func (l *localServer) restart() (err error) {
	l.retire() // if it has not been killed
	l.sock.Do(func(now time.Time) {
		l.directory, err = core.NewDirectory(core.DirectoryConfig{
			Port:        l.sock.Addr().Port(),
			Timing:      l.timing,
			SourceCheck: l.opt.SourceCheck,
			Observe:     l.observe,
		}, now)
		if err == nil {
			l.started = l.rec.Clock.At(now)
			l.settle(l.directory, l.impair, l.seed)
		}
	})
	return err
}

// Lost makes the seat one whose socket withstands floods, as a server's does.
func (l *localServer) Lost(now time.Time) {
	if l.directory != nil {
		l.directory.Lost(now)
	}
}

// Accepts is part of that.
func (l *localServer) Accepts() []core.Shape {
	if l.directory == nil {
		return nil
	}
	return l.directory.Accepts()
}

func (l *localServer) kill() error {
	l.seat.kill()
	l.retire()
	return nil
}

// retire adds a dead server's counters to the past.
func (l *localServer) retire() {
	l.sock.Do(func(time.Time) {
		if l.directory != nil {
			l.past = l.past.Plus(l.directory.Counters())
			l.directory = nil
		}
	})
}

// counters are those of all its lives.
func (l *localServer) counters() (c core.Counters) {
	l.sock.Do(func(time.Time) {
		c = l.past
		if l.directory != nil {
			c = c.Plus(l.directory.Counters())
		}
	})
	return c
}

func (l *localServer) usage() (time.Duration, int64) { return 0, 0 }
func (l *localServer) died() string                  { return "" }
func (l *localServer) stop()                         { l.sock.Close() }

// remoteServer runs already, somewhere on this machine.
type remoteServer netip.AddrPort

func (r remoteServer) addr() netip.AddrPort          { return netip.AddrPort(r) }
func (r remoteServer) kill() error                   { return fmt.Errorf("server %v was not started here", r.addr()) }
func (r remoteServer) restart() error                { return r.kill() }
func (r remoteServer) usage() (time.Duration, int64) { return 0, 0 }
func (r remoteServer) died() string {
	if r.addr().Addr().IsLoopback() && !fuzztarget.Bound(r.addr()) && addrFree(r.addr()) { // the second never errs, but is in the way of one that starts
		return "nothing listens at " + r.addr().String()
	}
	return ""
}
func (r remoteServer) stop() {}

// commandServer is a program of somebody else's, started here.
type commandServer struct {
	command string
	at      netip.AddrPort
	proc    *process
	killed  bool
	cpu     time.Duration // of former lives
	memory  int64
}

// startCommand starts a server's command line, in which {addr} and {port}
// stand for where it is to listen; one without them listens on port 3000.
func startCommand(ctx context.Context, line string, host netip.Addr) (*commandServer, error) {
	port := uint16(3000)
	if strings.Contains(line, "{port}") || strings.Contains(line, "{addr}") {
		s, err := udp.Listen(netip.AddrPortFrom(host, 0), 0)
		if err != nil {
			return nil, err
		}
		port = s.Addr().Port()
		s.Close()
	} else if !addrFree(netip.AddrPortFrom(host, port)) {
		return nil, fmt.Errorf("port %d is taken, and %q has no {port} or {addr} to be given another", port, line)
	}
	at := netip.AddrPortFrom(host, port)
	c := &commandServer{at: at, command: strings.NewReplacer("{addr}", at.String(), "{port}", strconv.Itoa(int(port))).Replace(line)}
	return c, c.start(ctx)
}

// addrFree reports that a socket can be bound there.
func addrFree(addr netip.AddrPort) bool {
	s, err := udp.Listen(addr, 0)
	if err != nil {
		return false
	}
	s.Close()
	return true
}

// start waits until the port is bound, for five seconds at most.
func (c *commandServer) start(ctx context.Context) (err error) {
	c.killed = false
	if c.proc, err = startProcess(c.command); err != nil {
		return err
	}
	timeout := time.After(5 * time.Second)
	for !fuzztarget.Bound(c.at) {
		select {
		case <-c.proc.ended:
			return fmt.Errorf("server %q ended at once: %s", c.command, c.proc.died())
		case <-timeout:
			c.proc.kill()
			return fmt.Errorf("server %q has not bound UDP port %d within 5s", c.command, c.at.Port())
		case <-ctx.Done():
			c.proc.kill()
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

func (c *commandServer) addr() netip.AddrPort { return c.at }

func (c *commandServer) kill() error {
	c.proc.kill()
	cpu, memory := c.proc.usage()
	c.cpu, c.memory, c.killed = c.cpu+cpu, max(c.memory, memory), true
	return nil
}

func (c *commandServer) restart() error { return c.start(context.Background()) }

func (c *commandServer) usage() (time.Duration, int64) {
	if c.killed {
		return c.cpu, c.memory
	}
	cpu, memory := c.proc.usage()
	return c.cpu + cpu, max(c.memory, memory)
}

func (c *commandServer) died() string {
	if c.killed {
		return ""
	}
	return c.proc.died()
}

func (c *commandServer) stop() {
	if !c.killed {
		c.kill()
	}
}
