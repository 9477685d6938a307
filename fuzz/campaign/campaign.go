// Package campaign turns hostile input on a live server or peer, judges whether it
// survived, and narrows down what it did not survive.
//
// A trial is one life of the target: a loop that sends what a plan gives it, asks the
// target something that it answers only when it has taken all before, and judges what
// comes back. All that takes time, such as the removal of a silent member, goes on beside.
// The first suspicion ends a trial; where a command starts the target, the same loop then
// tries smaller and smaller parts of what was sent to it on new ones.
package campaign

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"p2plocal/core"
	"p2plocal/core/wide"
	"p2plocal/core/wire"
	"p2plocal/fuzz/gateway"
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/target"
)

// Config describes a campaign against a server or a peer.
type Config struct {
	Role         hostile.Role   // what is attacked
	Target       netip.AddrPort // the server under attack; its host is a peer's
	Exec         string         // the command line that starts the server under attack; empty: it runs
	PeerExec     string         // that starts the peer under attack; beside Exec, peers of the server's own that must live
	Wide         bool           // what is attacked speaks the wide dialect,
	Keys         wide.Keys      // with these keys
	Modes        []string       // of Modes
	Seed         uint64         // of every random choice
	Ports        uint16         // the first of the PortsUsed that it uses; 0: by the seed, the next that are free
	Duration     time.Duration  // 0: until Count, or the catalogue's end
	Count        uint64         // datagrams; 0: no bound
	Most         int            // findings; 0: no bound
	Rate         float64        // datagrams a second; 0: no bound
	ProbeTimeout time.Duration  // within which the target must answer
	Narrow       time.Duration  // the longest that one finding may be narrowed down
	Replay       []hostile.Shot // sent first, as they are
	Host         target.Host    // nil: this machine
	Sent         func(now time.Time, from, to netip.AddrPort, datagram []byte)
	Found        func(*Finding) error
	Log          func(line string)
	Progress     func(Progress) // at each batch
}

// Progress is how far a campaign has come.
type Progress struct {
	What         string // the batch
	Narrowing    string // the kind of what is being narrowed down; "": nothing is
	Batches      int
	Sent         uint64
	Findings     int
	Elapsed      time.Duration
	Listed, Left int // batches of the catalogue
}

// Modes are those that a campaign knows.
var Modes = []string{"catalogue", "mutate", "generate", "random", "flood", "replay"}

// campaign is a campaign under way.
type campaign struct {
	Config
	sockets
	gate    *gateway.Host // over which all sockets translate; nil: the exact dialect
	names   names
	env     hostile.Env // for random batches
	plan    *plan
	start   time.Time
	result  Result
	judged  bool            // a target has shown that it has taken something
	culprit map[string]bool // the looks of datagrams that have been found alone: not sent again
	peer    wire.Entry      // the peer under attack
	manners
	startup  time.Duration // that the last target took to start, had it not waited for a processor
	starting time.Duration // and of a processor's time; 0: little, or not known
}

// manners are how the peer under attack shows that it has understood something.
type manners struct {
	learned  bool
	prints   bool          // it prints messages,
	hearsAll bool          // and those of strangers
	interval time.Duration // between its broadcasts; 0: not known
}

const (
	startTimeout = 30 * time.Second // for a process to come up
	endTime      = 5 * time.Second  // for which a campaign may outlast its duration and the aftermath
	mostStalls   = 2                // after which a new target is of no use
)

// Run carries out a campaign. When ctx is done it returns early, with what it has.
func Run(ctx context.Context, cfg Config) (Result, error) {
	c := &campaign{Config: cfg, culprit: map[string]bool{}, start: time.Now()}
	c.result.Seed = cfg.Seed
	if c.Host == nil {
		m, err := target.NewMonitor(10 * time.Millisecond)
		if err != nil {
			return c.result, err
		}
		defer m.Close()
		c.Host = target.Local{Monitor: m}
	}
	switch bound := c.Host.Bound(c.Target); {
	case c.command() == "" && !bound:
		return c.result, fmt.Errorf("nobody listens on %v, want a server there, or a command that starts one", c.Target)
	case c.Exec != "" && bound:
		return c.result, fmt.Errorf("%v is in use, want an address for %q that nobody listens on", c.Target, c.Exec)
	}
	if err := c.open(); err != nil {
		return c.result, err
	}
	defer c.close()
	c.result.Ports = c.Ports
	err := c.trials(ctx)
	c.result.Elapsed = time.Since(c.start)
	if c.plan != nil {
		c.result.Missing = c.plan.missing()
	}
	return c.result, err
}

// command starts what is attacked; "": it was running already.
func (c *campaign) command() string {
	if c.Role == hostile.Peer {
		return c.PeerExec
	}
	return c.Exec
}

// trials goes on with a new target after each suspicion.
func (c *campaign) trials(ctx context.Context) error {
	stalls := 0
	for first := true; ; first = false {
		t, err := c.next(ctx, first)
		if t == nil || err != nil {
			return err
		}
		s, err := t.run(c.plan)
		t.end()
		if s != nil && len(s.shots) == 0 && len(s.more) == 0 {
			err = fmt.Errorf("%w: %s: %s, though nothing was sent to it", ErrUnjudged, s.kind, s.why)
		}
		switch {
		case err != nil:
			if stalls++; c.command() == "" || c.enough() || stalls > mostStalls {
				return err
			}
			c.Log(fmt.Sprintf("once more with a new target: %v", err))
			c.plan.again(t.pending, nil)
		case s == nil || ctx.Err() != nil:
			return nil
		default:
			if err := c.pursue(ctx, s); err != nil || c.enough() || ctx.Err() != nil {
				return err
			}
		}
	}
}

// next begins a trial, and with the first one makes the plan; nil: there is nobody to attack any
// more.
func (c *campaign) next(ctx context.Context, first bool) (*trial, error) {
	t, err := c.begin(ctx, c.limit())
	if err == nil && first {
		c.start = time.Now()
		c.plan, err = c.newPlan(t)
	}
	switch {
	case err == nil:
		if !first && c.command() != "" {
			c.result.Restarts++
		}
		t.limit = c.limit()
		c.plan.restarted()
		return t, nil
	case t != nil:
		t.end()
	}
	if first || c.command() != "" || ctx.Err() != nil {
		return nil, cmp.Or(ctx.Err(), err)
	}
	c.Log(fmt.Sprintf("the end: %v", err)) // of one that ran
	return nil, nil
}

// enough reports that the campaign has reached a bound.
func (c *campaign) enough() bool {
	return c.Duration > 0 && time.Since(c.start) > c.Duration ||
		c.Count > 0 && c.result.Sent >= c.Count ||
		c.Most > 0 && len(c.result.Findings) >= c.Most
}

// aftermath is how long, on the clock, what was sent may have consequences.
func (c *campaign) aftermath() time.Duration {
	if c.Role == hostile.Server {
		return leaseTime
	}
	return max(c.broadcastTime(), removeTime) + 2*c.ProbeTimeout
}

// limit is when a campaign with a duration must end; zero: there is none, or it has not begun.
func (c *campaign) limit() (end time.Time) {
	if c.plan != nil && c.Duration > 0 {
		end = c.start.Add(c.Duration + c.aftermath() + endTime)
	}
	return end
}

// begin starts a target and has the mesh around it join. It may return a trial beside an error.
func (c *campaign) begin(ctx context.Context, limit time.Time) (t *trial, err error) {
	t = &trial{campaign: c, ctx: ctx, limit: limit, traffic: traffic{window: leastWindow}, evidence: evidence{owners: map[wire.Entry]*claim{}, spoke: map[wire.Name]time.Duration{}}}
	t.now = time.Now()
	t.ticked, t.born, t.bytesBefore = t.now, t.now, c.result.Bytes
	c.reset()
	t.server = c.Target
	if c.Role == hostile.Server {
		t.judge = &serverJudge{trial: t}
		t.address = c.Target
		if c.Exec != "" {
			within := startTimeout
			if !limit.IsZero() {
				within = min(within, limit.Sub(t.now))
			}
			if t.process, err = target.StartServer(ctx, c.Host, target.Command{Line: c.Exec, Listen: c.Target, Output: &t.output}, within); err != nil {
				return nil, err
			}
		}
	} else {
		t.judge = &peerJudge{trial: t}
		if err := t.serveHome(); err != nil {
			return nil, err
		}
	}
	if err := t.join(); err != nil {
		return t, err
	}
	if c.names.pool == nil {
		c.names.assign(t)
	}
	for i := range t.own {
		t.own[i].entry = c.names.own[i]
	}
	if err := t.judge.join(); err != nil {
		return t, err
	}
	t.joining = false
	if c.startup = time.Since(t.born) - t.learning; t.process != nil {
		c.startup -= min(c.startup, waited(t.process))
	}
	_, t.drops, _ = t.Host.Backlog(t.address)
	if u, ok := t.process.(user); ok {
		t.usage = u.Usage()
		c.starting = t.usage.CPU
	}
	return t, nil
}

// user is a process that can be asked what it uses of the machine.
type user interface{ Usage() target.Usage }

// startPeer starts a peer's command.
func (t *trial) startPeer(e wire.Entry) (target.Program, error) {
	return t.Host.Start(target.Command{Line: t.PeerExec, Name: e.Name.String(), Listen: netip.AddrPortFrom(t.server.Addr(), e.Port), Server: t.server, Output: &t.output})
}

// serveHome makes this process the server of a peer that is to be started.
func (t *trial) serveHome() error {
	d, err := core.NewDirectory(core.DirectoryConfig{Addr: t.home.socket.Addr(), Timing: core.DefaultTiming()}, t.now)
	t.home.machine = d
	t.server = t.home.socket.Addr()
	return err
}

// pursue makes a finding of a suspicion, unless it does not come about again.
func (c *campaign) pursue(ctx context.Context, s *suspicion) error {
	c.Log(fmt.Sprintf("%s: %s", s.kind, s.why))
	c.plan.progress("", string(s.kind))
	f := Finding{Kind: s.kind, What: s.why, Shots: s.shots, Ports: c.Ports, Seen: time.Since(c.start).Seconds()}
	if c.command() != "" {
		if !c.narrow(ctx, s, &f) {
			if ctx.Err() == nil {
				c.Log(fmt.Sprintf("%s once, not again, no finding: %s", s.kind, s.why))
			}
			c.plan.again(s.open, nil)
			return nil
		}
	}
	if len(f.Shots) == 0 {
		return nil
	}
	c.plan.again(s.open, f.Shots)
	return c.record(f)
}

// record keeps a finding, or counts it with one that has the same cause.
func (c *campaign) record(f Finding) error {
	f.Case, f.After, f.Times = f.hostile()[0].Case, time.Since(c.start).Seconds(), 1
	if c.asFound(f.Shots).flood {
		for i := range f.Shots {
			f.Shots[i].Comment = "sent over and over in a flood"
		}
	}
	f.count()
	if f.Count == 1 {
		c.culprit[c.look(f.hostile()[0])] = true
	}
	c.result.tally(c.what(f.Case)).Findings++
	for _, before := range c.result.Findings {
		if before.sameCause(&f) {
			before.Times++
			if !slices.Contains(before.Also, f.Case) && f.Case != before.Case {
				before.Also = append(before.Also, f.Case)
			}
			c.Log(fmt.Sprintf("%s by %s: as by %s", f.Kind, f.Case, before.Case))
			return nil
		}
	}
	c.result.Findings = append(c.result.Findings, &f)
	if c.Found != nil {
		return c.Found(&f)
	}
	return nil
}
