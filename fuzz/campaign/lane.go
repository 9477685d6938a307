package campaign

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"time"

	"p2plocal/core"
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/target"
)

// A lane is a campaign that only tries what another one suspects, beside it, at ports of its own,
// which its datagrams name instead of the other's. Most effects take seconds to show: meanwhile
// several targets, which start in a moment of a processor's time, can be tried at once.
type lane struct {
	*campaign
	beside   *campaign   // whose datagrams it sends; nil: its own, it is the campaign itself
	shows    func() bool // that a peer shows as much there; may be nil
	giveBack func()      // the server's port
}

const (
	mostLanes  = 16
	mostVoids  = 5                       // trials of the same, of which nothing can be said
	slowEffect = 2500 * time.Millisecond // what most take that are not seen at once
)

// moreLanes opens lanes for so many units, if the command can be told its port: as many as the
// processors can start targets for while an effect takes to show, and as two rounds need. All cases
// that follow a lead are tried at once, since they take longest.
func (n *narrowing) moreLanes(units int) {
	c := n.campaign
	effect := max(n.suspect.hold, c.startup+2*c.interval)
	if slices.Contains([]Kind{Hung, Deaf, Removed, Ghost, Slow}, n.suspect.kind) {
		effect = max(effect, slowEffect)
	}
	most := 2 + int(math.Ceil(math.Sqrt(float64(units))))
	if n.suspect.lead {
		most = 2 + units
	}
	if most = min(most, mostLanes); c.starting > 0 {
		most = min(most, runtime.NumCPU()*int(effect/c.starting))
	}
	if c.Role == hostile.Server && !target.HasListen(c.Exec) || c.Role == hostile.Peer && !target.HasServer(c.PeerExec) {
		most = 1
	}
	for len(n.lanes) < most {
		lane := c.newLane()
		if lane == nil {
			return
		}
		n.lanes = append(n.lanes, lane)
	}
}

// newLane opens one; nil: there are no more ports or descriptors.
func (c *campaign) newLane() *lane {
	l := &lane{campaign: &campaign{Config: c.Config, names: c.names, start: c.start}, beside: c, giveBack: func() {}}
	l.Log, l.Progress, l.Sent, l.Ports = func(string) {}, nil, nil, 0
	l.plan = &plan{c: l.campaign}
	if c.Role == hostile.Server {
		port, release, err := c.Host.Reserve(c.Target.Addr())
		if err != nil {
			return nil
		}
		l.Target, l.giveBack = netip.AddrPortFrom(c.Target.Addr(), port), release
	}
	prints, broadcasts := c.prints, c.interval > 0
	if prints { // which is seen at once, so that nothing else need be learned again
		l.interval = c.interval
	}
	l.shows = func() bool { return l.prints == prints && l.interval > 0 == broadcasts }
	if l.open() != nil {
		l.giveBack()
		return nil
	}
	for i := range l.names.own {
		l.names.own[i].Port = l.Ports + ownPort + uint16(i)
	}
	for i, p := range c.members {
		l.members[i].entry.Name = p.entry.Name
	}
	l.probers = l.probers[:len(c.probers)]
	for i, p := range c.probers {
		l.probers[i].entry.Name = p.entry.Name
	}
	for _, p := range slices.Concat(l.members, l.probers) {
		p.entry.Port = p.socket.Addr().Port()
	}
	return l
}

// moved are shots as the lane sends them. Messages have no ports in them.
func (l *lane) moved(shots []hostile.Shot) []hostile.Shot {
	if l.beside == nil {
		return shots
	}
	step := 2 // the exact protocol's fields are words
	if l.gate != nil {
		step = 1
	}
	shots = slices.Clone(shots)
	for i := range shots {
		s := &shots[i]
		if len(s.Datagram) > 1 && s.Datagram[0] == byte(core.TypeVanilla) {
			continue
		}
		s.Datagram = slices.Clone(s.Datagram)
		for at := 2; at+1 < len(s.Datagram); at += step {
			for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
				was := order.Uint16(s.Datagram[at:])
				if is := l.port(was); is != was {
					order.PutUint16(s.Datagram[at:], is)
					break
				}
			}
		}
	}
	return shots
}

// port is the lane's port instead of the other campaign's.
func (l *lane) port(of uint16) uint16 {
	switch i := int(of) - int(l.beside.Ports); {
	case of == l.beside.server().Port():
		return l.server().Port()
	case i >= 0 && i < PortsUsed:
		return l.Ports + uint16(i)
	}
	return of
}

// closeLane ends a lane.
func (n *narrowing) closeLane(l *lane) {
	l.close()
	l.giveBack()
	n.result.Restarts += l.result.Restarts
	n.result.Sent += l.result.Sent
	n.result.Bytes += l.result.Bytes
}

// closeLanes ends those that moreLanes has opened.
func (n *narrowing) closeLanes() {
	for _, lane := range n.lanes[1:] {
		n.closeLane(lane)
	}
}

// outcome is what became of a trial.
type outcome struct {
	why  string        // what is suspected has come about so; "": it has not
	void bool          // nor would it have been seen
	err  error         // no target can be tried there
	took time.Duration // on its clock
}

// try sends shots to a new target until what is suspected comes about or could have, or until
// enough is done.
func (l *lane) try(ctx, enough context.Context, s *suspicion, shots []hostile.Shot, deadline time.Time) outcome {
	limit := time.Now().Add(s.hold + mostLate*endTime)
	if n := len(shots); n > 0 {
		limit = limit.Add(shots[n-1].At)
	}
	if limit.Before(deadline) {
		limit = deadline
	}
	t, err := l.begin(ctx, limit)
	if err == nil && l.shows != nil && !l.shows() {
		err = errUnlike
	}
	if err != nil {
		if t != nil {
			t.end()
		}
		return outcome{err: err}
	}
	t.plain, t.wants, t.ctx = true, s, enough
	l.result.Restarts++
	b := l.asFound(l.moved(shots))
	b.hold = s.hold
	got, err := t.run(&plan{c: l.campaign, first: []batch{b}, unbounded: true})
	t.ctx = ctx // its end is waited for: the next one needs its ports
	t.end()
	if got == nil || got.kind != s.kind {
		return outcome{void: err != nil || t.over() || t.void || !t.missed.IsZero(), took: t.clock}
	}
	return outcome{why: got.why, took: t.clock}
}

var errUnlike = errors.New("a target beside does not show what the first one does")

// round is a number of lists that are tried side by side.
type round struct {
	*narrowing
	lists   [][]int // of units, and which of them are still to be tried
	left    chan int
	enough  context.Context
	stop    func()
	mu      sync.Mutex // guards all below
	found   int        // of lists; -1: none
	said    string     // what came of it
	longest time.Duration
	broken  []*lane // on which no target can be tried
}

// first is the first list of units that brings about what is suspected, or a shorter one that does
// so almost as soon; -1: none does.
func (n *narrowing) first(lists [][]int) int {
	r := &round{narrowing: n, lists: lists, left: make(chan int, len(lists)), found: -1}
	r.enough, r.stop = context.WithCancel(n.ctx)
	defer r.stop()
	for i := range lists {
		r.left <- i
	}
	var all sync.WaitGroup
	for _, lane := range n.lanes {
		all.Go(func() { r.work(lane) })
	}
	all.Wait()
	n.lanes = slices.DeleteFunc(n.lanes, func(l *lane) bool {
		broken := l != n.lanes[0] && slices.Contains(r.broken, l)
		if broken {
			n.closeLane(l)
		}
		return broken
	})
	if err := r.work(n.lanes[0]); err != nil && r.found < 0 && n.ctx.Err() == nil { // what others have left
		n.err = err
	}
	n.spent += r.longest
	if r.found >= 0 {
		n.why = r.said
	}
	return r.found
}

// work tries lists until none is left, or enough is done, or no target can be tried.
func (r *round) work(l *lane) error {
	var spent time.Duration
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.longest = max(r.longest, spent)
	}()
	for r.enough.Err() == nil {
		var i int
		select {
		case i = <-r.left:
		default:
			return nil
		}
		o := r.insist(l, i)
		if spent += o.took; o.err != nil {
			r.left <- i
			r.mu.Lock()
			defer r.mu.Unlock()
			r.broken = append(r.broken, l)
			return o.err
		}
		if o.why != "" {
			r.failed(i, o.why)
		} else if o.void && r.enough.Err() == nil {
			r.mu.Lock()
			r.void = true
			r.mu.Unlock()
		}
	}
	return nil
}

// insist tries a list, and again where nothing can be said of that, while there is time.
func (r *round) insist(l *lane, i int) (o outcome) {
	for range mostVoids {
		took := o.took
		o = l.try(r.ctx, r.enough, r.suspect, r.of(r.lists[i]), r.deadline)
		if o.took += took; !o.void || r.enough.Err() != nil || time.Now().After(r.deadline) {
			break
		}
	}
	return o
}

// failed notes that a list has brought it about. No other one is waited for that is not shorter
// than the first, the shortest of all.
func (r *round) failed(i int, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.found < 0 || len(r.lists[i]) < len(r.lists[r.found]) {
		r.found, r.said = i, why
	}
	if len(r.lists[i]) > len(r.lists[0]) {
		time.AfterFunc(2*r.ProbeTimeout, r.stop)
	} else {
		r.stop()
	}
}
