package campaign

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/send"
)

// traffic is what has been sent and what is to be.
type traffic struct {
	sent        []sentShot // the last of them
	forgotten   int        // how many were sent before those; numbers of datagrams count them
	timed       []timedShot
	pending     []*openBatch
	current     *openBatch       // not all of which has been sent
	fired       time.Time        // when the first datagram was sent
	count       int              // datagrams since then
	weight      int              // of the datagrams since the last question
	window      int              // that may be sent before the next question
	lingers     bool             // nothing else goes before the next question
	paused      time.Time        // until when nobody speaks
	flooding    chan send.Counts // under way; nil: none is
	flooder     *openBatch
	bytesBefore uint64 // that the campaign had sent
}

// sentShot is what has been sent, and for which batch.
type sentShot struct {
	hostile.Shot
	at    time.Time
	batch *openBatch
}

type timedShot struct {
	due time.Time
	hostile.Shot
	batch *openBatch
}

// openBatch is a batch that may still have consequences.
type openBatch struct {
	batch
	next  int // of its shots
	began time.Time
	last  int           // of sent, behind its last shot
	until time.Duration // on the clock

	clocked time.Duration // when it began, on the clock

	listed bool // somebody that it had born was in the directory
	unsure bool // something was seen that it may have brought about, or the machine
}

// fire sends what is due, and asks the target whether it has taken it.
func (t *trial) fire(from *plan) {
	t.timed = slices.DeleteFunc(t.timed, func(x timedShot) bool {
		return x.batch.insist > 0 && x.At > x.batch.insist && t.clock-x.batch.clocked > x.batch.insist
	})
	for len(t.timed) > 0 && !t.timed[0].due.After(t.now) {
		s := t.timed[0]
		if len(s.Datagram) >= heavy && (t.asking || t.weight >= t.window) {
			break // it would find no room
		}
		t.timed = t.timed[1:]
		t.shoot(s.Shot, s.batch)
	}
	if t.out() || t.asking || t.flooding != nil || t.now.Before(t.paused) || t.suspect != nil {
		return
	}
	if t.advance(from); t.flooding != nil {
		return
	}
	if (t.acked < t.total() || t.expecting() || t.now.Sub(t.asked) > slowLooks) && t.now.After(t.paused) && t.judge.ready() {
		t.question()
	}
}

// advance sends as much of a plan's batches as may go before the next question.
func (t *trial) advance(from *plan) {
	if t.current != nil && !t.plain && t.Count > 0 && t.result.Sent >= t.Count {
		t.current.next, t.current = len(t.current.shots), nil
	}
	for t.hasRoom() && t.allowed() {
		switch o := t.current; {
		case o == nil:
			b, ok := from.next(t)
			if !ok {
				return
			}
			t.beginBatch(b)
		case o.burst && o.next == 0 && t.acked < t.total():
			return // it begins when nothing else waits
		default:
			t.sendNext(o)
		}
	}
}

// hasRoom says that something may go before the next question.
func (t *trial) hasRoom() bool {
	if t.lingers || t.flooding != nil || t.current == nil && t.now.Before(t.paused) {
		return false
	}
	return t.weight < t.window || t.current != nil && t.current.burst
}

// sendNext sends the next shot of a batch, or keeps it for later.
func (t *trial) sendNext(o *openBatch) {
	s := o.shots[o.next]
	if o.next++; s.At > 0 {
		t.later(s, o)
	} else {
		t.shoot(s, o)
	}
	if o.next == len(o.shots) {
		t.current, t.lingers = nil, o.linger
	}
}

// allowed says that a bound lets one more datagram go.
func (t *trial) allowed() bool {
	if t.plain {
		return true
	}
	if t.Rate > 0 && !t.fired.IsZero() && float64(t.count) >= t.now.Sub(t.fired).Seconds()*t.Rate+1 {
		return false
	}
	return t.Count == 0 || t.result.Sent < t.Count
}

func (t *trial) beginBatch(b batch) {
	o := &openBatch{batch: b, began: t.now, clocked: t.clock}
	t.pending = append(t.pending, o)
	if !t.plain {
		t.result.tally(b.what).add(b)
	}
	switch {
	case b.flood:
		t.flood(o)
		t.flooder = o
	case b.quiet > 0: // nobody else speaks until then
		t.keepAlive()
		t.paused = t.now.Add(b.quiet)
		t.current = o
	case len(b.shots) > 0:
		t.current = o
	}
}

// later keeps a shot until it is due.
func (t *trial) later(s hostile.Shot, o *openBatch) {
	x := timedShot{o.began.Add(s.At), s, o}
	i, _ := slices.BinarySearchFunc(t.timed, x, func(a, b timedShot) int { return a.due.Compare(b.due)*2 - 1 })
	t.timed = slices.Insert(t.timed, i, x)
}

// shoot sends one datagram.
func (t *trial) shoot(s hostile.Shot, o *openBatch) {
	from := t.source(s, o.shots)
	from.socket.Send(t.address, s.Datagram)
	if t.Config.Sent != nil && !t.plain {
		t.Config.Sent(t.now, from.socket.Addr(), t.address, onWire(from, s.Datagram))
	}
	if t.fired.IsZero() {
		t.fired = t.now
	}
	t.count++
	t.result.Sent++
	t.result.Bytes += uint64(len(s.Datagram))
	if !t.plain {
		y := t.result.tally(o.what)
		y.Sent, y.Bytes = y.Sent+1, y.Bytes+uint64(len(s.Datagram))
	}
	t.weight += 1 + len(s.Datagram)/bulk
	t.sent = append(t.sent, sentShot{s, t.now, o})
	o.last = t.total()
	t.note(s, o)
}

// note tells the judge of a well-formed datagram.
func (t *trial) note(s hostile.Shot, o *openBatch) {
	if m, err := t.message(s.Datagram, t.source(s, o.shots)); err == nil {
		t.judge.note(m, s.From, o)
	}
}

// settle closes batches that can have no more consequences.
func (t *trial) settle() {
	t.pending = slices.DeleteFunc(t.pending, func(o *openBatch) bool {
		if o.next < len(o.shots) || o.last > t.acked || slices.ContainsFunc(t.timed, func(s timedShot) bool { return s.batch == o }) {
			return false
		}
		if o.until == 0 {
			o.until = t.clock + o.hold
		}
		over := t.clock >= o.until
		if over && (o.unsure || t.hidden(o) || !t.missed.IsZero() && o.began.Sub(t.missed) < excuseTime) {
			t.unjudged(o)
		}
		return over
	})
	if n := len(t.sent) - mostSuspects; n > mostSuspects {
		t.sent = append(t.sent[:0], t.sent[n:]...)
		t.forgotten += n
	}
}

// hidden reports that a member kept by a batch would not have been seen: it was never let in, or
// may have left by the server's clock before it had to by ours, which stands while the target waits
// for a processor.
func (t *trial) hidden(o *openBatch) bool {
	most := heartbeat
	if o.insist > 0 {
		most += insistence
	}
	lag := t.now.Sub(o.began) - (t.clock - o.clocked)
	return o.hold > 0 && (!t.plain || t.wants.kind == Ghost) && (lag > most || !o.listed && len(o.shots) > 0 && o.shots[0].Case == leadCase)
}

// unjudged repeats a batch of which nothing can be said.
func (t *trial) unjudged(o *openBatch) {
	if t.plain {
		t.void = true
	} else {
		t.plan.repeat(o.batch)
	}
}

// unsure notes that a batch, or with nil any open one, may have brought something about that the
// machine may have, too.
func (t *trial) unsure(b *openBatch) {
	for _, o := range t.pending {
		o.unsure = o.unsure || b == nil || o == b
	}
	if b != nil && !b.unsure {
		b.unsure = true
		t.unjudged(b)
	}
}

// total is how many datagrams have been sent.
func (t *trial) total() int { return t.forgotten + len(t.sent) }

// since are the datagrams from a number on, as far as they are remembered.
func (t *trial) since(n int) []sentShot { return t.sent[max(0, n-t.forgotten):] }

// flood sends a batch over and over for a second, as fast as it can, beside the loop.
func (t *trial) flood(o *openBatch) {
	done := make(chan send.Counts, 1)
	t.flooding = done
	var set [][]byte
	for _, s := range o.shots {
		set = append(set, s.Datagram)
	}
	t.noteAll(o)
	go func() {
		s, err := send.Dial(netip.AddrPortFrom(t.address.Addr(), 0), t.address)
		if err != nil {
			done <- send.Counts{}
			return
		}
		defer s.Close()
		ctx, cancel := context.WithTimeout(t.ctx, time.Second)
		defer cancel()
		s.Run(ctx, send.Pack(set, s.Supported()), t.Rate)
		done <- s.Counts()
	}()
}

// noteAll notes all of a batch's datagrams as sent by now.
func (t *trial) noteAll(o *openBatch) {
	for _, s := range o.shots {
		t.sent = append(t.sent, sentShot{s, t.now, o})
		t.note(s, o)
	}
	o.next, o.last = len(o.shots), t.total()
}

// flooded counts what a flood has sent, the last of which may still wait to be read.
func (t *trial) flooded(n send.Counts, o *openBatch) {
	t.flooding = nil
	t.noteAll(o)
	drops := t.drops
	t.lost()
	r := &t.result
	r.Flooding += time.Second
	r.Flood += n.Sent
	r.Taken += n.Sent - min(n.Sent, t.drops-drops)
	r.Sent, r.Bytes, t.count = r.Sent+n.Sent, r.Bytes+n.Bytes, t.count+int(n.Sent)
	y := r.tally(o.what)
	y.Sent, y.Bytes = y.Sent+n.Sent, y.Bytes+n.Bytes
}
