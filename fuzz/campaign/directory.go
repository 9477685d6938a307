package campaign

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
)

// Who may be in a server's directory, and who must be.

// claim is why an entry may be in the directory.
type claim struct {
	before bool // it was there before anything was sent; all else is then unknown
	batch  *openBatch
	last   time.Duration // on the clock, when its last birth had been taken
	born   time.Time     // likewise
	gone   time.Time     // of the directory in which it was missing; zero: none
}

// sign is a sign of life that the target may not have taken yet.
type sign struct {
	entry wire.Entry // Port 0: a keep-alive
	batch *openBatch
	index int // of sent, behind it
}

// note keeps whose sign of life a datagram is.
func (s *serverJudge) note(m wire.Message, _ hostile.Origin, o *openBatch) {
	switch {
	case m.Type == core.TypeBirth && m.Entry.Port != s.server.Port():
		s.signs = append(s.signs, sign{m.Entry, o, s.total()})
	case m.Type == core.TypeKeepAlive:
		s.signs = append(s.signs, sign{wire.Entry{Name: m.Entry.Name}, o, s.total()})
	}
}

// confirm dates the signs of life that the target has taken.
func (t *trial) confirm() {
	t.signs = slices.DeleteFunc(t.signs, func(x sign) bool {
		if x.index <= t.acked {
			t.date(x)
		}
		return x.index <= t.acked
	})
}

func (t *trial) date(x sign) {
	if x.entry.Port == 0 {
		t.spoke[x.entry.Name] = t.clock
		return
	}
	t.owners[x.entry] = &claim{batch: x.batch, last: t.clock, born: t.now}
}

// listed judges a directory.
func (s *serverJudge) listed(p *endpoint, all wire.Entries) {
	switch {
	case !p.waits || !s.asking: // another one may be a newcomer's
	case p.same:
		p.waits = false
		s.answered()
	case s.now.Sub(s.asked) < quickAnswer: // the answer, or news before it: whoever is asked now has no more news
		s.askAgain = 0
	}
	s.checkMembers(p, all)
	for e := range all.Each() {
		if s.Exec != "" || s.birthplace(e.Port) {
			s.checkEntry(e)
		}
	}
	if p == s.members[0] {
		s.forget(p.view)
	}
}

// forget notes who is gone, and forgets those who have been gone for so long that no late directory
// can name them.
func (s *serverJudge) forget(all wire.Entries) {
	for e, c := range s.owners {
		switch {
		case all.Contains(e) || slices.ContainsFunc(s.signs, func(x sign) bool { return x.entry == e }):
			c.gone = time.Time{}
		case c.gone.IsZero() && s.viewAt.Sub(c.born) > underWay:
			c.gone = s.viewAt
		case !c.gone.IsZero() && s.viewAt.Sub(c.gone) > kept:
			delete(s.owners, e)
		}
	}
}

// checkMembers wants every live peer in each directory whose receiver has seen it listed before.
func (s *serverJudge) checkMembers(p *endpoint, all wire.Entries) {
	for i := range s.own {
		if o := &s.own[i]; o.seen && !all.Contains(o.entry) && o.process.Ended() == "" && waited(o.process) < heartbeat/2 {
			s.suspectRecent(Removed, fmt.Sprintf("its own live peer %v is not in the directory of %v", o.entry, p.entry))
		} else {
			o.seen = o.process != nil && p.joined && all.Contains(o.entry)
		}
	}
	for _, m := range s.members {
		seen := slices.Contains(p.seen, m.entry)
		switch in := all.Contains(m.entry); {
		case in && !seen:
			p.seen = append(p.seen, m.entry)
		case in || !m.joined:
		case !seen: // it has missed its removal: what it took for its return was older
			m.joined = s.now.Sub(m.since) < lateBeat
		default:
			s.removed(m, p)
			return
		}
	}
}

// removed judges that a directory for p no longer has member m.
func (s *serverJudge) removed(m, p *endpoint) {
	if s.excused() {
		m.joined, s.missed = false, s.now // it is born again
		for _, q := range s.all {
			q.seen = slices.DeleteFunc(q.seen, func(e wire.Entry) bool { return e == m.entry })
		}
		return
	}
	if found := s.suspectThese(Removed, fmt.Sprintf("the live peer %v is not in the directory of %v", m.entry, p.entry), func(_ int, x *sentShot) bool {
		return s.now.Sub(x.at) < removeTime+lateBeat
	}); found != nil {
		found.hold, found.victim = ghostTime, victim(m.entry)
	}
}

// excused reports that a removal may be this machine's fault: a member could not speak in time,
// what it said was lost, or the target could not run.
func (s *serverJudge) excused() bool {
	if s.lost() {
		return true
	}
	const fresh = 1200 * time.Millisecond                                 // what it has heard of so lately it must not remove
	stale := s.now.Sub(s.beatTaken) > fresh || s.viewAt.Before(s.takenBy) // sockets are not read in the order in which all comes
	return s.now.Sub(s.missed) < excuseTime || stale && s.machineLate()
}

// machineLate reports that this machine was late not long ago, or that the target could not run.
func (t *trial) machineLate() bool {
	return t.Host.Late(t.now.Add(-excuseTime)) > lateBeat/4 || t.process != nil && waited(t.process)-t.waits[0] > lateBeat/4
}

// lost reports that the kernel dropped datagrams for the target not long ago. A patient server
// keeps silent members for longer then: their silence begins anew with each loss that it sees, and
// it looks once a heartbeat.
func (t *trial) lost() bool {
	_, n, known := t.Host.Backlog(t.address)
	if known && n > t.drops {
		t.drops, t.dropped, t.patient = n, t.now, t.clock+heartbeat+ghostTime
	}
	return !t.dropped.IsZero() && t.now.Sub(t.dropped) < core.Patience*removeTime
}

// checkEntry wants a reason for an entry that is none of ours.
func (s *serverJudge) checkEntry(e wire.Entry) {
	if s.flooding != nil || s.ours(e) || s.now.Sub(s.viewAt) > underWay { // who was in so long ago may be forgotten
		return
	}
	if c := s.owners[e]; c == nil || !c.gone.IsZero() {
		s.taken(e)
	}
	if c := s.owners[e]; c != nil && c.batch != nil {
		c.batch.listed = true
	}
	c := s.owners[e] // who is gone comes back by a birth alone, whatever else the target may just have taken
	switch {
	case c == nil && s.lost():
		s.unsure(nil)
	case c == nil:
		s.blame(e, nil, fmt.Sprintf("%v is in the directory, though nothing that was sent is its birth", e))
	case c.before || s.viewAt.Before(c.gone):
	case !c.gone.IsZero() && s.viewAt.Sub(c.gone) > overtaken:
		s.blame(e, c.batch, fmt.Sprintf("%v has come back into the directory without a birth", e))
	case slices.ContainsFunc(s.signs, func(x sign) bool { return x.entry.Name == e.Name }): // it may just have spoken
	default:
		switch silent := s.clock - max(c.last, s.spoke[e.Name]); {
		case silent <= ghostTime:
		case s.mayBePatient(silent):
			s.unsure(c.batch)
		default:
			s.blame(e, c.batch, fmt.Sprintf("%v is in the directory, though silent for %.1f s", e, silent.Seconds()))
		}
	}
}

// mayBePatient reports that a sound server may keep a member that has been silent for so long.
func (t *trial) mayBePatient(silent time.Duration) bool {
	t.lost()
	return t.clock < t.patient && silent < core.Patience*removeTime
}

// ours reports that an entry is a member's, a prober's, or one of the server's own peers'.
func (s *serverJudge) ours(e wire.Entry) bool {
	is := func(p *endpoint) bool { return p.entry == e }
	return slices.ContainsFunc(s.members, is) || slices.ContainsFunc(s.probers, is) || slices.ContainsFunc(s.own[:], func(o ownPeer) bool { return o.entry == e })
}

// taken dates the signs of life by which an entry is in the directory: the target must have taken
// them if it lists it.
func (s *serverJudge) taken(e wire.Entry) {
	i := slices.IndexFunc(s.signs, func(x sign) bool { return x.entry == e })
	if i < 0 {
		return
	}
	b := s.signs[i].batch
	s.signs = slices.DeleteFunc(s.signs, func(x sign) bool {
		taken := x.batch == b && x.entry.Name == e.Name
		if taken {
			s.date(x)
		}
		return taken
	})
}

// blame suspects what names an entry, or the batch that has brought it in.
func (s *serverJudge) blame(e wire.Entry, b *openBatch, why string) {
	name := []byte{byte(e.Name)}
	port := binary.LittleEndian.AppendUint16(nil, e.Port)
	found := s.suspectThese(Ghost, why, func(_ int, x *sentShot) bool {
		if b != nil {
			return x.batch == b
		}
		return bytes.Contains(x.Datagram, name) && (bytes.Contains(x.Datagram, port) || b == nil && len(x.Datagram) < heavy)
	})
	if found != nil && b != nil && b.insist > 0 {
		found.shots = slices.Clone(b.shots) // also what a later target may need of it
	}
	if found != nil {
		found.lead = slices.ContainsFunc(found.shots, func(x hostile.Shot) bool { return x.Case == leadCase })
	}
}
