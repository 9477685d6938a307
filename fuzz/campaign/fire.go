package campaign

import (
	"context"
	"fmt"
	"math"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/send"
	"p2plocal/fuzz/target"
)

// measures are what a tally is the difference of.
type measures struct {
	counts  send.Counts
	answers uint64
	drops   uint64
	firing  time.Duration
}

func (c *campaign) measure() measures {
	m := measures{counts: c.counts(), firing: c.firing}
	if c.mesh != nil {
		m.answers = c.mesh.got.Load()
	}
	var told bool
	m.drops, told = target.Drops(c.address)
	c.result.Delivery = c.result.Delivery || told
	return m
}

// fire sends a batch's shots at their times.
func (c *campaign) fire(ctx context.Context, b batch) {
	start := time.Now()
	defer func() { c.firing += time.Since(start) }()
	if b.flood {
		c.flood(ctx, b.shots)
		return
	}
	var due [][]byte
	from := hostile.FromStranger
	flush := func() {
		if len(due) > 0 {
			before := c.sources[from].Counts().Failed
			c.sources[from].Send(send.Pack(due, false))
			if c.audit != nil {
				c.audit.sent(c.Role, due, c.sources[from].Counts().Failed-before)
			}
			due = due[:0]
		}
	}
	for i, s := range b.shots {
		at := s.At
		if c.Rate > 0 {
			at = max(at, time.Duration(float64(i)/c.Rate*float64(time.Second)))
		}
		if early := at - time.Since(start); early > 0 {
			flush()
			pause(ctx, early)
			if ctx.Err() != nil {
				return
			}
		}
		if s.From != from {
			flush()
			from = s.From
		}
		if c.Sent != nil {
			c.Sent(time.Now(), c.sources[s.From].Addr(), c.address, s.Datagram)
		}
		if due = append(due, s.Datagram); len(due) == send.BatchSize {
			flush()
			time.Sleep(100 * time.Microsecond) // so that the target's queue is not what fails
		}
	}
	flush()
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// flood sends shots over and over for a second, as fast as it can.
func (c *campaign) flood(ctx context.Context, shots []hostile.Shot) {
	var set [][]byte
	for _, s := range shots {
		set = append(set, s.Datagram)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	stranger := c.sources[hostile.FromStranger].(*send.Sender)
	before := stranger.Counts().Sent
	defer func() {
		if c.audit != nil {
			c.audit.others += stranger.Counts().Sent - before
		}
	}()
	stranger.Run(ctx, send.Pack(set, c.GSO && stranger.Supported()), c.Rate)
}

// fireAndCheck fires b and says what it did to the target. With watch it takes the
// time to tell a hung target from a slow one.
func (c *campaign) fireAndCheck(ctx context.Context, b batch, watch bool) (Kind, string) {
	c.mesh.reset()
	var heard heardMessages
	if c.Role == hostile.Peer {
		heard = c.mesh.canaries[0].heardFrom(c.targetPeer.entry.Name)
	}
	before, strays, printed, started := c.sources.counts(), c.bystanders.strays(), c.said(), time.Now()
	drops, _ := target.Drops(c.address)
	c.fire(ctx, b)
	late := time.Since(started)
	if len(b.shots) > 0 {
		late -= b.shots[len(b.shots)-1].At
	}
	if b.linger && c.targetPeer.interval > 0 {
		c.mesh.awaitBroadcasts(&c.targetPeer)
	}
	if c.process != nil {
		time.Sleep(settle)
		if how := c.process.Ended(); how != "" {
			return Died, how
		}
	}
	in := c.sources.counts().Bytes - before.Bytes
	var kind Kind
	var why string
	if c.Role == hostile.Server {
		kind, why = c.mesh.checkServer(in, c.Amplification, watch)
	} else {
		kind, why = c.mesh.checkPeer(&c.targetPeer, heard, started, watch)
	}
	switch {
	case ctx.Err() != nil:
		return "", ""
	case c.process != nil:
		if how := c.process.Ended(); how != "" {
			return Died, how
		}
	}
	if kind == Hung && c.process == nil && target.Refused(c.address, settle) {
		return Died, fmt.Sprintf("nobody listens on %v any more", c.address)
	}
	if kind != "" {
		return kind, why
	}
	if c.mesh.reconnected { // another try must tell why the canary was removed
		c.mesh.stale = true
		return "", ""
	}
	if n := c.bystanders.strays() - strays; n > 0 {
		return Strayed, fmt.Sprintf("the target sent %d datagrams to ports that had asked for none", n)
	}
	if n := c.said() - printed; c.Role == hostile.Peer && n > printedMost+printedMore*int64(in) {
		return Spilled, fmt.Sprintf("the target printed %d bytes, though only %d came in", n, in)
	}
	if c.process != nil {
		if why := grown(c.process.Usage(), c.usage); why != "" {
			return Leaked, why
		}
	}
	if kind, why := c.checkCounters(); kind != "" {
		return kind, why
	}
	if lost, _ := target.Drops(c.address); lost > drops {
		return "", "" // a patient server keeps the silent for longer
	}
	return c.checkGhosts(ctx, b, started.Add(late))
}

func (c *campaign) said() int64 {
	if c.process == nil {
		return 0
	}
	return c.process.Printed()
}

// underWay is how many keep-alives may have been on their way to the target when
// its counters were read first.
const underWay = canaries + 1

// checkCounters looks into the target's counters. What the canaries have just sent may
// be under way.
func (c *campaign) checkCounters() (Kind, string) {
	if c.audit == nil {
		return "", ""
	}
	var why string
	var now targetCounters
	var err error
	right := c.mesh.await(c.ProbeTimeout, func() bool {
		least := c.sources.counts().Sent + c.mesh.sent() - c.audit.most
		if now, err = c.audit.read(); err != nil {
			return true
		}
		most := c.sources.counts().Sent + c.mesh.sent() - c.audit.least + underWay
		if why = wrongSum(now.P2P.Counters); why != "" {
			return false
		}
		took, known := c.audit.taken(&now)
		alone := c.process != nil // a target that ran already may have other peers
		switch {
		case !known:
			return true
		case c.Role == hostile.Server && (took < least || alone && took > most):
			why = fmt.Sprintf("it counts %d datagrams taken or dropped, of %d sent", took, most)
		default:
			mesh := uint64(math.MaxUint32) // a peer hears its server and fellow peers, who count nothing
			if c.Role == hostile.Server {
				mesh = c.mesh.sent() - c.audit.least + underWay
			}
			why = c.audit.wrongClass(&now, c.Role, mesh, alone)
		}
		return why == ""
	})
	switch {
	case err != nil:
		return Hung, err.Error()
	case !right:
		return Miscount, why
	}
	if why := c.audit.grown(&now); why != "" {
		return Leaked, why
	}
	return "", ""
}

// checkGhosts looks for the silent in the directory, when they must have been reaped
// after the last sign of life that b's shots, sent from begun on, gave of them, and
// a while later, so that a server that was only late has its chance.
func (c *campaign) checkGhosts(ctx context.Context, b batch, started time.Time) (Kind, string) {
	for _, e := range b.ghosts {
		last, born := signOfLife(b.shots, e)
		if !born {
			continue
		}
		for c.mesh.canaries[0].sees(e) && time.Since(started) < last+removeTime && ctx.Err() == nil {
			pause(ctx, pollInterval)
		}
		if !c.mesh.canaries[0].sees(e) {
			continue
		}
		grace := time.Second
		if b.mode == "replay" { // when the reaper makes its rounds must not decide whether a finding is found again
			grace -= 600 * time.Millisecond
		}
		pause(ctx, last+removeTime+grace-time.Since(started))
		kind, _ := c.mesh.probe(false)
		if c.mesh.catchUp(); kind == "" && c.mesh.canaries[0].sees(e) {
			return Ghost, fmt.Sprintf("%v is in the directory though silent for %.1f s", e, (time.Since(started) - last).Seconds())
		}
	}
	return "", ""
}

// signOfLife is when the last of shots that a sound server takes for a sign of
// life of e is due, and whether e is born by one of them.
func signOfLife(shots []hostile.Shot, e wire.Entry) (last time.Duration, born bool) {
	for _, s := range shots {
		m, err := wire.Parse(s.Datagram)
		switch {
		case err != nil:
		case m.Type == core.TypeBirth && m.Entry == e:
			last, born = s.At, true
		case m.Type == core.TypeKeepAlive && m.Entry.Name == e.Name:
			last = s.At
		}
	}
	return last, born
}
