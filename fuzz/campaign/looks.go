package campaign

import (
	"context"
	"math"
	"net/netip"
	"time"

	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/send"
)

type auditResult struct {
	now  targetCounters
	err  error
	sent uint64 // datagrams to the target before they were read
}

// slowLook makes the checks that cost time.
func (t *trial) slowLook() {
	copy(t.waits[:], t.waits[1:])
	if t.process != nil {
		t.waits[len(t.waits)-1] = waited(t.process)
	}
	if u, ok := t.process.(user); ok {
		if why := grown(u.Usage(), t.usage); why != "" {
			t.suspectThese(Leaked, why, func(int, *sentShot) bool { return true })
		}
	}
	if t.audit != nil && t.auditing == nil && !t.asking && t.acked == t.total() {
		t.startAudit()
	}
}

// lastLook makes them at the end of a trial, and waits until all that has come has been
// read; true: that was all.
func (t *trial) lastLook() bool {
	if t.overdue == 0 {
		t.marked()
		t.overdue = t.marks
		if t.slowLook(); t.audit != nil && t.auditing == nil {
			t.startAudit()
		}
		return false
	}
	return t.auditing == nil && t.audit.clean() && t.passed()
}

// startAudit reads the target's counters; nothing is sent meanwhile but keep-alives.
func (t *trial) startAudit() {
	done := make(chan auditResult, 1)
	t.auditing = done
	sent := uint64(t.count) + t.meshSent()
	go func() {
		now, err := t.audit.read()
		done <- auditResult{now, err, sent}
	}()
}

// audited judges what the target counts. What members have just sent may be under way, so it
// has its time to become right.
func (t *trial) audited(r auditResult) {
	t.auditing = nil
	const underWay = mostMembers + 2
	a := t.audit
	kind, why := Kind(""), ""
	if r.err != nil {
		kind, why = Hung, r.err.Error()
	} else {
		alone := t.process != nil // one that ran already may have other peers
		least, most := r.sent-a.most, uint64(t.count)+t.meshSent()-a.least+underWay
		mesh := uint64(math.MaxUint32) // a peer hears its server and fellow peers, who count nothing
		if t.Role == hostile.Server {
			mesh = t.meshSent() - a.mesh + underWay
		}
		why = a.wrong(&r.now, t.Role, least, most, mesh, alone)
	}
	switch {
	case kind == "" && why == "":
		a.since = -1
		if why = a.grown(&r.now); why == "" {
			a.good = t.total()
			return
		}
		kind = Leaked
	case a.since < 0:
		a.since = t.clock
	}
	if kind == "" {
		if t.clock-a.since < t.ProbeTimeout {
			t.looked = time.Time{}
			return
		}
		kind = Miscount
		if r.err == nil && t.machineLate() { // what is lost then is not always counted: void, and from here on anew
			a.first, a.known, a.others, a.since, a.good = r.now, [len(classes)]uint64{}, 0, -1, t.total()
			a.least, a.most, a.mesh = r.sent, uint64(t.count)+t.meshSent(), t.meshSent()
			return
		}
	}
	from := a.good
	t.suspectThese(kind, why, func(i int, _ *sentShot) bool { return i >= from || kind == Leaked })
}

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
		s.Run(ctx, send.Pack(set, t.GSO && s.Supported()), t.Rate)
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
	if t.audit != nil {
		t.audit.others += n.Sent
	}
}
