package mesh

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/core"
	"p2plocal/core/wide"
	"p2plocal/fuzz/target"
)

// server is what a mesh can do to its directory server.
type server interface {
	Addr() netip.AddrPort
	Kill() error
	Restart() error
	Died() string // how it ended, if it did so by itself
	Stop()
}

// localServer is our server, a goroutine of this process.
type localServer struct {
	*Member
	opt    *result.Options
	timing core.Timing
	impair result.Impairment
	seed   uint64

	directory wide.Server   // nil: it is not running
	past      core.Counters // of former lives
	Started   int64         // the present life, by the clock
	changes   []change
}

// newServer is a server that is not running yet: Restart starts it.
func newServer(s *Member, timing core.Timing, opt *result.Options, impair result.Impairment, seed uint64) *localServer {
	return &localServer{Member: s, opt: opt, timing: timing, impair: impair, seed: seed}
}

func (l *localServer) Addr() netip.AddrPort { return l.sock.Addr() }

func (l *localServer) Restart() (err error) {
	l.retire() // if it has not been killed
	l.sock.Do(func(now time.Time) {
		cfg := core.DirectoryConfig{
			Addr:        l.sock.Addr(),
			Timing:      l.timing,
			SourceCheck: l.opt.SourceCheck,
			Observe:     l.observe,
		}
		if l.directory, err = wide.ServerOf(cfg, l.identity(now), now); err == nil {
			l.Started = l.rec.Clock.At(now)
			l.run(l.directory, l.impair, l.seed)
		}
	})
	return err
}

// change is who came into the server's directory or left it, and when.
type change struct {
	at  int64
	who uint16 // by the store's index
	in  bool
}

// observe notes changes of the directory beside what a recorder notes.
func (l *localServer) observe(e *core.Event) {
	if e.Kind == core.Born || e.Kind == core.Removed {
		l.changes = append(l.changes, change{l.rec.Clock.At(e.At), l.rec.Index[e.Peer.Addr.Port()], e.Kind == core.Born})
	}
	l.rec.Observe(e)
}

// Removals counts how often the server removed a live peer, and for how many seconds it had live
// peers as members, all together; of peers from first on.
func (l *localServer) Removals(r *record.Roster, first int, from, to int64) (times int, present float64) {
	var changes []change
	l.sock.Do(func(time.Time) { changes = slices.Clone(l.changes) })
	since := make([]int64, l.rec.Peers) // 0: it is no member
	leave := func(i int, at int64) {
		if since[i] > 0 {
			present += max(0, float64(min(at, to)-max(since[i], from))/1e9)
		}
		since[i] = 0
	}
	for _, c := range changes {
		i := int(c.who)
		switch {
		case c.who >= record.ServerSlot || i < first || c.at > to:
		case c.in:
			since[i] = max(1, c.at)
		default:
			leave(i, c.at)
			if c.at >= from && r.Lived(i, c.at-int64(l.timing.Deadline), c.at) {
				times++
			}
		}
	}
	for i := range since {
		leave(i, to)
	}
	return times, present
}

// Lost, Announces and Accepts are what a socket asks of a server's machine to withstand floods.
func (l *localServer) Lost(now time.Time) {
	if l.directory != nil {
		l.directory.Lost(now)
	}
}

func (l *localServer) Announces(now time.Time) bool {
	return l.directory != nil && l.directory.Announces(now)
}

func (l *localServer) Accepts() []core.Shape {
	if l.directory == nil {
		return nil
	}
	return l.directory.Accepts()
}

func (l *localServer) Kill() error {
	l.Do(Command{Do: Kill})
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

// Counters are those of all its lives.
func (l *localServer) Counters() (c core.Counters) {
	l.sock.Do(func(time.Time) {
		c = l.past
		if l.directory != nil {
			c = c.Plus(l.directory.Counters())
		}
	})
	return c
}

func (l *localServer) Died() string { return "" }

// RemoteServer was running already, somewhere on this machine.
type RemoteServer netip.AddrPort

func (r RemoteServer) Addr() netip.AddrPort { return netip.AddrPort(r) }
func (r RemoteServer) Kill() error          { return fmt.Errorf("server %v was not started here", r.Addr()) }
func (r RemoteServer) Restart() error       { return r.Kill() }
func (r RemoteServer) Died() string {
	if !r.Addr().Addr().IsLoopback() || target.Bound(r.Addr()) {
		return ""
	}
	s, err := target.Listen(r.Addr()) // which never errs, but is in the way of a server that starts
	if err != nil {
		return ""
	}
	s.Close()
	return "nothing listens at " + r.Addr().String()
}
func (r RemoteServer) Stop() {}

// commandServer is somebody else's program, started here.
type commandServer struct {
	command target.Command
	release func() // gives its port back
	proc    *target.Process
	killed  bool
	cpu     time.Duration // of former lives
	memory  int64
}

// start waits until the port is bound.
func (c *commandServer) start(ctx context.Context) (err error) {
	const patience = 5 * time.Second
	p, err := target.StartServer(ctx, target.Local{}, c.command, patience)
	c.proc, _ = p.(*target.Process)
	c.killed = err != nil
	return err
}

func (c *commandServer) Addr() netip.AddrPort { return c.command.Listen }

func (c *commandServer) Kill() error {
	c.usage() // for the memory
	c.proc.Kill()
	c.cpu, _ = c.usage()
	c.killed = true
	return nil
}

func (c *commandServer) Restart() error { return c.start(context.Background()) }

// usage is what it has used in all its lives.
func (c *commandServer) usage() (time.Duration, int64) {
	if c.killed {
		return c.cpu, c.memory
	}
	cpu, memory := usage(c.proc)
	c.memory = max(c.memory, memory)
	return c.cpu + cpu, c.memory
}

func (c *commandServer) Died() string {
	if c.killed {
		return ""
	}
	return c.proc.Ended()
}

func (c *commandServer) Stop() {
	if !c.killed {
		c.Kill()
	}
	c.release()
}

// usage is what a process and all that it has started have used: CPU time and, while
// it lives, the most memory: a dead one's, in getrusage(2), is also this program's
// from before its exec.
func usage(p *target.Process) (cpu time.Duration, memory int64) {
	if s, _ := p.State(); s != nil {
		return s.UserTime() + s.SystemTime(), 0
	}
	for _, pid := range target.GroupOf(p.Pid()) {
		cpu, memory = cpu+target.CPUOf(pid), memory+target.PeakOf(pid)
	}
	return cpu, memory
}
