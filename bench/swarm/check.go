package swarm

import (
	"bytes"
	"fmt"
	"net/netip"
	"time"

	"p2plocal/bench/faults"
	"p2plocal/core"
	"p2plocal/core/simnet"
	"p2plocal/core/wire"
)

// Finding is a broken invariant.
type Finding struct {
	Invariant string        // one of Invariants
	At        time.Duration // virtual time
	Detail    string
}

func (f *Finding) String() string {
	return fmt.Sprintf("%s at %v: %s", f.Invariant, f.At, f.Detail)
}

// Invariants are what is checked, and what each demands.
var Invariants = [][2]string{
	{"membership", "the server has exactly those whose birth it took, names and ports unique, less those it reaped or replaced"},
	{"early-removal", "nobody whom the server has heard within the deadline is removed, nor within one of an overflow of its queue, four deadlines at most"},
	{"late-removal", "nobody is still there a reap interval after that"},
	{"announce", "every change goes to all members within 2 x Pace"},
	{"bounded", "the server sends no more than its pacing and answers allow"},
	{"directory", "every directory sent is valid"},
	{"accounts", "every machine's counters add up: what came in is what it was taken for"},
	{"view", "a peer knows the last directory it took, without itself, and broadcasts to all of it"},
	{"timers", "a peer's births, keep-alives and broadcasts go out when they are due by its own clock, not before and not after; those missed while it was stopped, once"},
	{"counter", "a broadcast has the number of its tick: 0 for the first after a launch, then one more each time"},
	{"heal", "in the end all are members and every view is the server's (with refresh), or all have been members (without); but for those whose name or port a ghost holds, one with a keep-alive of its own where there is refresh"},
	{"gap", "without refresh, a view that is not the server's in the end has one of the known gaps: its last directory was lost, or overtaken by an older one, or the server does not have the peer any more, because it was restarted, or another was born with its name or port, or it had heard nothing: the peer was stopped, or what it sent was lost or late"},
}

// server and member are what the checker reads of the machines.
type server interface {
	core.Machine
	Members() []core.Member
	Len() int
	Counters() core.Counters
}

type member interface {
	core.Machine
	Others() []core.Member
	Joined() bool
	Counters() core.Counters
}

// checker follows a run from outside: it sees the datagrams that the machines
// take and send, keeps a book of its own of who must be a member, and
// compares.
type checker struct {
	entries wire.Entries // scratch: the directory
	net     *simnet.Net
	timing  core.Timing
	found   *Finding
	dirty   bool // the server has run at this instant
	look    time.Duration
	members [256]presence // by name
	size    int           // how many have one

	resumed   time.Duration // when the server was last let go on
	losing    bool          // its queue has overflowed since it last ran
	lost      time.Duration // when it last learnt of that
	announced []byte        // the last directory sent to all members
	owed      bool
	since     time.Duration
	excess    float64 // announcements sent in excess of the pace
	excessAt  time.Duration

	peers [core.MaxPeers]peer // in the order of their ports
	fresh []*watched          // those that took a directory at this instant
	gaps  map[Gap]int         // seen in the end
}

// presence is what the server must know of a member.
type presence struct {
	entry       wire.Entry // without a port: nobody has the name
	heard, born time.Duration
	source      uint16 // of the birth
	proven      bool   // a keep-alive came from there or from its own port
}

func newChecker(n *simnet.Net, timing core.Timing) *checker {
	return &checker{net: n, timing: timing, gaps: map[Gap]int{}}
}

// has reports that the server must know e.
func (c *checker) has(e wire.Entry) bool { return e.Port != 0 && c.members[e.Name].entry == e }

// remove takes a member out, and notes why.
func (c *checker) remove(p *presence, why Gap) {
	c.gone(p.entry, why)
	*p = presence{}
	c.size--
}

func (c *checker) fail(invariant, format string, args ...any) {
	if c.found == nil {
		c.found = &Finding{invariant, c.net.Now(), fmt.Sprintf(format, args...)}
	}
}

// observe is the Net's trace.
func (c *checker) observe(e simnet.Event) {
	c.followDirectory(e)
	c.followUplink(e)
	switch {
	case e.What == simnet.Sent && e.From == simnet.ServerPort:
		c.serverSent(e)
	case e.What == simnet.Taken && e.To == simnet.ServerPort:
		c.dirty = true
		c.serverTook(e)
	case e.What == simnet.Launched && e.From == simnet.ServerPort:
		for i := range c.members {
			if p := &c.members[i]; p.entry.Port != 0 {
				c.remove(p, GapRestarted)
			}
		}
		c.announced, c.owed, c.excess = nil, false, 0
		c.losing, c.lost = false, 0
	case e.What == simnet.Overflowed && e.To == simnet.ServerPort:
		c.losing = true
	case e.What == simnet.Resumed && e.From == simnet.ServerPort:
		c.since, c.resumed = e.At, e.At
	}
}

func (c *checker) serverTook(e simnet.Event) {
	m, err := wire.Parse(e.Datagram)
	if err != nil {
		return
	}
	switch m.Type {
	case core.TypeKeepAlive:
		if p := &c.members[m.Entry.Name]; p.entry.Port != 0 {
			p.heard, p.proven = e.At, p.proven || e.From == p.source || e.From == p.entry.Port
		}
	case core.TypeBirth:
		c.serverTookBirth(e, m.Entry)
	}
}

func (c *checker) serverTookBirth(e simnet.Event, x wire.Entry) {
	if c.has(x) {
		c.members[x.Name].heard = e.At
		return
	}
	var rivals []*presence
	for i := range c.members {
		p := &c.members[i]
		if y := p.entry; y.Port == 0 || y.Name != x.Name && y.Port != x.Port {
			continue
		}
		home := e.From == x.Port && p.source != p.entry.Port // it comes from the port that it names, as the rival did not
		if p.proven || e.At <= c.expires(p.born, c.timing.Deadline*2/3) && !home {
			return
		}
		rivals = append(rivals, p)
	}
	if x.Port == simnet.ServerPort {
		return
	}
	for _, p := range rivals {
		c.remove(p, GapDisplaced)
	}
	c.members[x.Name] = presence{entry: x, heard: e.At, born: e.At, source: e.From}
	c.size++
}

func (c *checker) serverSent(e simnet.Event) {
	c.dirty = true
	m, err := wire.Parse(e.Datagram)
	if err != nil || m.Type != core.TypeDirectory {
		c.fail("directory", "the server sent %q: %v", e.Datagram, err)
		return
	}
	if toAll(e.Ports, m.Entries) {
		c.announced = append(c.announced[:0], m.Entries...)
	}
	// Announcements in full, and each member's answer every AnswerGap.
	const rate = 1/float64(core.Pace) + 1/float64(core.AnswerGap)
	c.excess = max(0, c.excess-float64(e.At-c.excessAt)*rate) + float64(len(e.Ports))/float64(max(1, m.Entries.Len()))
	c.excessAt = e.At
	if c.excess > core.Burst+2 {
		c.fail("bounded", "%.1f directories to all beyond one every %v", c.excess, core.Pace)
	}
}

// toAll reports that the ports are those of the entries, in their order.
func toAll(ports []uint16, all wire.Entries) bool {
	for i, port := range ports {
		if i == all.Len() || all.At(i).Port != port {
			return false
		}
	}
	return len(ports) == all.Len()
}

// instant checks what holds whenever everything at an instant is done.
func (c *checker) instant() {
	now := c.net.Now()
	for _, w := range c.fresh {
		w.fresh = false
		w.view()
		c.checkCounters(w.self.Port, w.Counters())
	}
	c.fresh = c.fresh[:0]
	x := c.net.Node(simnet.ServerPort)
	if !x.Running() || x.Paused() {
		return
	}
	c.checkCounters(x.Port(), x.Machine().(server).Counters())
	if c.losing {
		c.losing, c.lost = false, now
	}
	directory := x.Machine().(server)
	if !c.dirty && now < c.look && directory.Len() == c.size {
		return // a removal shows in the length at once, though pacing may hold its news
	}
	c.dirty, c.look = false, now+50*time.Millisecond
	c.entries = wire.EntriesOf(c.entries[:0], directory.Members())
	entries := c.entries
	for i := range entries.Len() {
		e := entries.At(i)
		if !c.has(e) {
			c.fail("membership", "%v is a member, and must not be", e)
		} else if heard := c.members[e.Name].heard; now > c.due(heard) {
			c.fail("late-removal", "%v has been silent for %v", e, now-heard)
		}
	}
	if entries.Len() != c.size {
		c.removed(entries)
	}
	if late := now - c.since; c.owed && late > 2*core.Pace {
		c.fail("announce", "a change has been waiting for %v", late)
	}
	if bytes.Equal(c.announced, entries) || entries.Len() == 0 {
		c.owed = false
	} else if !c.owed {
		c.owed, c.since = true, now
	}
}

// checkCounters adds up a machine's counters.
func (c *checker) checkCounters(port uint16, n core.Counters) {
	known := n.Events.Dropped() + n.Events.Taken()
	if in := n.In.Total().Datagrams; in != known {
		c.fail("accounts", "%d datagrams came to %d, and %d are accounted for", in, port, known)
	}
}

// expires is when a silence since a time has lasted for a deadline. What the
// server has lost may have broken it, for core.Patience deadlines at most.
func (c *checker) expires(since, deadline time.Duration) time.Duration {
	return min(max(since, c.lost)+deadline, since+core.Patience*deadline)
}

// due is when somebody heard last at a time must have been removed.
func (c *checker) due(heard time.Duration) time.Duration {
	return max(c.expires(heard, c.timing.Deadline), c.resumed) + c.timing.Reap
}

// removed strikes those out who are no longer in the directory.
func (c *checker) removed(entries wire.Entries) {
	for i := range c.members {
		p := &c.members[i]
		e, heard, now := p.entry, p.heard, c.net.Now()
		if e.Port == 0 || entries.Contains(e) {
			continue
		}
		if silent := now - heard; now <= c.expires(heard, c.timing.Deadline) {
			c.fail("early-removal", "%v was removed, heard %v ago", e, silent)
		} else if due := c.due(heard); now > due {
			c.fail("late-removal", "%v was removed %v too late, heard %v ago", e, now-due, silent)
		}
		c.remove(p, c.silence(e, heard))
	}
}

// known reports that others is all without the one on port, in any order.
func known(others, all wire.Entries, port uint16) bool {
	n := 0
	for i := range all.Len() {
		if e := all.At(i); e.Port != port {
			if !(n < others.Len() && others.At(n) == e) && !others.Contains(e) { // most have the same order
				return false
			}
			n++
		}
	}
	return n == others.Len()
}

// Healed is when everything must have healed, and whether it has is checked.
func Healed(s faults.Script) time.Duration {
	t := core.DefaultTiming()
	t.Refresh = s.Refresh
	return s.Calm + Bound(t)
}

// Bound is how long after the last fault everything must have healed: the
// longest that a peer waits with its next birth, and the time in which ghosts
// are reaped.
func Bound(t core.Timing) time.Duration {
	return 2*max(t.Refresh, t.Retry) + t.Deadline + t.Reap + time.Second
}

// end checks what must hold when the faults are long over. One gap is the
// protocol's own, with refresh and without: a ghost that was born with
// somebody's name and has proven itself by a keep-alive is kept alive by that
// peer's own keep-alives, which name no port, and shuts it out for good.
func (c *checker) end(refresh bool) {
	all := wire.EntriesOf(nil, c.net.Node(simnet.ServerPort).Machine().(server).Members())
	for i, x := range c.net.Nodes()[1:] {
		self := faults.PeerEntry(i)
		p := x.Machine().(member)
		in, others := all.Contains(self), wire.EntriesOf(nil, p.Others())
		switch {
		case !in && c.shutOut(self, refresh):
			c.gaps[GapDisplaced]++
		case !p.Joined(), refresh && !in:
			c.fail("heal", "peer %v is still outside", self)
		case refresh && !known(others, all, x.Port()):
			c.fail("heal", "peer %v knows %d others, the server %d members", self, others.Len(), all.Len())
		case !refresh:
			c.gap(self, others, all)
		}
	}
}

// shutOut reports that another entry has the name or the port of e, for good.
// One that is not proven stays only where e is not born again.
func (c *checker) shutOut(e wire.Entry, reborn bool) bool {
	for _, p := range c.members {
		if x := p.entry; x.Port != 0 && x != e && (x.Name == e.Name || x.Port == e.Port) && (p.proven || !reborn) {
			return true
		}
	}
	return false
}

// Machines makes the machines of a run: core's own, or copies with a fault
// planted, on which the checker is tried.
type Machines struct {
	Server func(core.DirectoryConfig, time.Time) core.Machine
	Peer   func(core.PeerConfig, time.Time) core.Machine
}

// Core are core's own machines. They panic on an invalid config.
var Core = Machines{
	Server: func(cfg core.DirectoryConfig, now time.Time) core.Machine { return must(core.NewDirectory(cfg, now)) },
	Peer:   func(cfg core.PeerConfig, now time.Time) core.Machine { return must(core.NewPeer(cfg, now)) },
}

func must[M any](m M, err error) M {
	if err != nil {
		panic(err)
	}
	return m
}

var serverAddr netip.AddrPort = simnet.Addr(simnet.ServerPort)
