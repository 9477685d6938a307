package campaign

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/target"
)

// A lane is a campaign that only tries what another one suspects: on a loopback address of
// its own, with the same ports and names, so that each datagram means the same there. Most
// effects take seconds to show, in which several targets can be tried at once.

const (
	mostLanes  = 16
	slowEffect = 2500 * time.Millisecond // what most take that are not seen at once
)

// moreLanes opens some for an effect that takes so long, where the command is told the address:
// as many as starting their targets takes no longer than that.
func (n *narrowing) moreLanes(effect time.Duration) {
	c := n.campaign
	most := min(int(effect/max(c.startup, step)), mostLanes)
	host := c.Target.Addr()
	told := target.HasServer(c.PeerExec)
	if c.Role == hostile.Server {
		told = target.HasHost(c.Exec)
	}
	if !told || !host.Is4() || !host.IsLoopback() {
		return
	}
	prints, broadcasts := c.prints, c.interval > 0
	for a := host.As4(); len(n.lanes) < most; {
		a[2]++
		lane := &campaign{Config: c.Config, names: c.names, start: c.start, peer: c.peer}
		lane.Target = netip.AddrPortFrom(netip.AddrFrom4(a), c.Target.Port())
		lane.Log, lane.Progress, lane.Sent = func(string) {}, nil, nil
		lane.plan = &plan{c: lane}
		if prints { // which is seen at once, so that nothing else need be learned again
			lane.interval = c.interval
		}
		lane.shows = func() bool { return lane.prints == prints && lane.interval > 0 == broadcasts }
		if lane.Host.Bound(lane.Target) || lane.open() != nil {
			break
		}
		for i, p := range c.members {
			lane.members[i].entry = p.entry
		}
		lane.probers = lane.probers[:len(c.probers)]
		for i, p := range c.probers {
			lane.probers[i].entry = p.entry
		}
		n.lanes = append(n.lanes, lane)
	}
}

// closeLanes ends those that moreLanes has opened.
func (n *narrowing) closeLanes() {
	for _, lane := range n.lanes[1:] {
		lane.close()
		n.result.Restarts += lane.result.Restarts
		n.result.Sent += lane.result.Sent
		n.result.Bytes += lane.result.Bytes
	}
}

// outcome is what came of a trial.
type outcome struct {
	why    string        // what is suspected has come about so; "": it has not
	void   bool          // nor would it have been seen
	broken bool          // no target can be tried there
	took   time.Duration // on its clock
}

// try sends shots to a new target, until what is suspected comes about or could have, or
// until enough is done.
func (c *campaign) try(ctx, enough context.Context, s *suspicion, shots []hostile.Shot, deadline time.Time) outcome {
	limit := time.Now().Add(s.hold + mostLate*endTime)
	if n := len(shots); n > 0 {
		limit = limit.Add(shots[n-1].At)
	}
	if limit.Before(deadline) {
		limit = deadline
	}
	t, err := c.begin(ctx, limit)
	if err != nil || c.shows != nil && !c.shows() {
		if t != nil {
			t.end()
		}
		return outcome{broken: true}
	}
	t.plain, t.wants, t.ctx = true, s, enough
	c.result.Restarts++
	b := c.asFound(shots)
	b.hold = s.hold
	got, _ := t.run(&plan{c: c, first: []batch{b}, unbounded: true})
	t.ctx = ctx // its end is waited for: the next one needs its ports
	t.end()
	if got == nil || got.kind != s.kind {
		return outcome{void: !t.missed.IsZero(), took: t.clock}
	}
	return outcome{why: got.why, took: t.clock}
}

// narrowing is what it takes to reduce a suspicion.
type narrowing struct {
	*campaign
	ctx      context.Context
	suspect  *suspicion
	lanes    []*campaign   // the campaign itself first
	deadline time.Time     // while the machine is late
	spent    time.Duration // on the clocks of trials
	why      string        // what came of the last that failed
}

// first is the first of lists of shots that brings about what is suspected, but a shorter one
// if that does so almost as soon; -1: none does.
func (n *narrowing) first(lists [][]hostile.Shot) int {
	enough, stop := context.WithCancel(n.ctx)
	defer stop()
	queue := make(chan int, len(lists))
	for i := range lists {
		queue <- i
	}
	part := len(lists[0]) // all that are shorter come first
	var mu sync.Mutex
	found, why, longest := -1, "", time.Duration(0)
	work := func(lane *campaign) {
		var spent time.Duration
		defer func() {
			mu.Lock()
			defer mu.Unlock()
			longest = max(longest, spent)
		}()
		for {
			var i int
			select {
			case i = <-queue:
			default:
				return
			}
			var o outcome
			for range mostTries {
				if enough.Err() != nil {
					return
				}
				o = lane.try(n.ctx, enough, n.suspect, lists[i], n.deadline)
				spent += o.took
				if o.why != "" || !o.void {
					break
				}
			}
			if o.broken && lane != n.campaign {
				queue <- i
				return
			}
			if o.why == "" {
				continue
			}
			mu.Lock()
			if found < 0 || len(lists[i]) < len(lists[found]) {
				found, why = i, o.why
			}
			mu.Unlock()
			if len(lists[i]) > part {
				time.AfterFunc(n.ProbeTimeout, stop)
			} else {
				stop()
			}
		}
	}
	var all sync.WaitGroup
	for _, lane := range n.lanes {
		all.Go(func() { work(lane) })
	}
	all.Wait()
	work(n.campaign) // what a lane that broke has left
	n.spent += longest
	if found >= 0 {
		n.why = why
	}
	return found
}
