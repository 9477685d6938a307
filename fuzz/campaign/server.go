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
	"p2plocal/fuzz/target"
)

// serverJudge watches a server. Its questions are births repeated by members, each of
// which a server answers with a directory to that one port, or where it does not,
// births of fresh peers; some of those come in any case.
type serverJudge struct {
	*trial
	newcomersOnly bool
	askAgain      time.Duration // after which a question that waits is asked by one more
	fresh         *endpoint     // a newcomer that waits to be let in
	freshAt       time.Duration // when it was born
	lastFresh     time.Duration // when one was let in
	repeats       int           // bytes of directories that nobody had asked for and that said nothing new
	freshSent     int           // of sent, what was sent before
	freshMark     uint64        // that must be read before it is said not to be let in
	letIn         int           // of sent, what was sent before the last that was let in
}

const (
	typeDirectory = core.TypeDirectory
	amplification = 4                      // bytes unasked for each that came in are too many above this
	restTime      = 105 * time.Millisecond // a server answers a repeated birth once in 100 ms
	freshInterval = 250 * time.Millisecond

	// A busy kernel delivers a datagram later than one that was sent after it, whatever the question says that came behind.
	underWay  = 600 * time.Millisecond // for which what was sent may be under way
	overtaken = 6 * step               // by which a directory that seems newer may be older
	kept      = 10 * time.Second       // for which who is gone is remembered
)

// ownPeer is one of the server's own implementation.
type ownPeer struct {
	entry   wire.Entry
	process target.Program
	seen    bool
}

// claim is what keeps an entry in the directory.
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

// join starts the server's own peers and finds out whether it answers repeated births to
// whoever repeats them alone.
func (s *serverJudge) join() error {
	if s.PeerExec != "" {
		for i := range s.own {
			o := &s.own[i]
			var err error
			if o.process, err = s.startPeer(o.entry); err != nil {
				return err
			}
			if !s.await(startTimeout, func() bool { return s.members[0].view.Contains(o.entry) || o.process.Ended() != "" }) || o.process.Ended() != "" {
				return fmt.Errorf("%q was not born as %v at %v: %s", s.PeerExec, o.entry, s.server, o.process.Ended())
			}
		}
	}
	first := s.members[0]
	s.await(5*step, func() bool { return false })
	for _, p := range s.members {
		p.asked = 0
	}
	first.same, first.asked = false, 1
	s.toServer(first, hostile.BirthOf(first.entry))
	s.newcomersOnly = !s.await(s.ProbeTimeout, func() bool { return first.same })
	s.await(2*step, func() bool { return s.repeats > 0 })
	if s.repeats > 0 {
		s.newcomersOnly = true
	}
	s.repeats = 0
	if s.plan != nil && s.process == nil { // what the trial before has sent may be under way
		s.await(underWay, func() bool { return false })
	}
	if s.plan != nil || s.process == nil {
		for e := range first.view.Each() {
			if !s.ours(e) {
				s.owners[e] = &claim{before: true}
			}
		}
	}
	return nil
}

func (s *serverJudge) ready() bool { return true }

// ask has a member repeat its birth, and another one when that is not answered soon: a server
// may tell it of a newcomer at once with the answer, which then is none.
func (s *serverJudge) ask() bool {
	waited := s.clock - s.askedAt
	if s.newcomersOnly && !s.asking {
		return s.fresh == nil && s.tryNewcomer()
	}
	if s.asking && waited > s.ProbeTimeout/2 {
		s.tryNewcomer()
	}
	if s.newcomersOnly || s.asking && s.now.Sub(s.asked) < s.askAgain {
		return s.asking
	}
	p := slices.MinFunc(s.members, func(a, b *endpoint) int { return a.rest.Compare(b.rest) })
	if s.now.Sub(p.rest) < restTime {
		return s.asking
	}
	if s.askAgain = max(2*s.askAgain, 2*quickAnswer); !s.asking {
		for _, m := range s.members {
			m.waits = false
		}
		s.askAgain = 2 * quickAnswer
	}
	p.rest, p.asked, p.waits = s.now, min(p.asked+1, 2), true
	if !s.plain {
		s.repeats = 0
	}
	s.toServer(p, hostile.BirthOf(p.entry))
	return true
}

// tryNewcomer has a fresh peer born, or born again while it waits.
func (s *serverJudge) tryNewcomer() bool {
	if s.fresh == nil {
		if s.fresh = s.freshProber(); s.fresh == nil {
			return false
		}
		s.freshAt, s.freshSent, s.freshMark = s.clock, s.total(), 0
	}
	if s.now.Sub(s.fresh.rest) < restTime {
		return true
	}
	s.fresh.rest, s.fresh.asked = s.now, min(s.fresh.asked+1, 4)
	s.toServer(s.fresh, hostile.BirthOf(s.fresh.entry))
	return true
}

// holds says that somebody else has an entry's name or port.
func holds(all wire.Entries, x wire.Entry) bool {
	for e := range all.Each() {
		if e != x && (e.Name == x.Name || e.Port == x.Port) {
			return true
		}
	}
	return false
}

func (s *serverJudge) look() {
	if s.joining {
		return
	}
	for i := range s.own {
		if o := &s.own[i]; o.process != nil && o.process.Ended() != "" {
			s.suspectRecent(Died, fmt.Sprintf("its own peer %v: %s", o.entry, o.process.Ended()))
		}
	}
	if s.now.After(s.paused) && s.clock-s.lastFresh > freshInterval && !s.newcomersOnly {
		s.tryNewcomer()
	}
	if s.fresh != nil {
		s.lookForFresh()
	}
}

// lookForFresh looks whether the newcomer has been let in.
func (s *serverJudge) lookForFresh() {
	switch {
	case s.fresh.joined:
		s.fresh, s.lastFresh, s.letIn = nil, s.clock, s.freshSent
		if s.freshSent >= s.asks {
			s.answered()
		}
	case holds(s.members[0].view, s.fresh.entry): // somebody else got its name or port
		s.fresh = nil
	case s.now.After(s.paused) && s.clock-s.freshAt > s.patience():
		if s.read(&s.freshMark) && !s.unbound() {
			s.suspectThese(Hung, fmt.Sprintf("it answers, but a fresh peer, %v, was not let in within %v", s.fresh.entry, s.patience()), func(i int, _ *sentShot) bool {
				return i >= s.letIn
			})
		}
	case s.now.Sub(s.fresh.rest) > s.ProbeTimeout/2:
		s.tryNewcomer()
	}
}

// patience is for how long a fresh peer is waited for.
func (s *serverJudge) patience() time.Duration {
	if s.plain && s.wants.kind == Hung {
		return 2 * s.ProbeTimeout
	}
	return 2*s.ProbeTimeout + removeTime
}

func (s *serverJudge) hung() (Kind, string) {
	return Hung, fmt.Sprintf("neither members nor a fresh peer were answered within %v", 2*s.ProbeTimeout)
}

// received is what comes to others than members and probers, or not from the server.
func (s *serverJudge) received(p packet) {
	if p.from != s.address || p.to != s.outsider && p.to != s.sources[hostile.FromStranger] || s.now.Sub(p.at) > underWay {
		return
	}
	if port := p.to.socket.Addr().Port(); s.birthplace(port) && s.mayLive(port) {
		return // it was born there, and hears of it
	}
	if s.excused() { // it may have got a lost member's name
		s.unsure(nil)
		return
	}
	if m, err := wire.Parse(p.data); err == nil { // whoever has let it in sends it more, sooner or later
		for e := range m.Entries.Each() {
			if e.Port == p.to.socket.Addr().Port() {
				s.checkEntry(e)
			}
		}
	}
	s.suspectRecent(Strayed, fmt.Sprintf("the target sent %x to %v, which had asked for nothing", head(p.data), p.to.socket.Addr()))
}

// mayLive says that somebody may be in the directory with a port.
func (s *serverJudge) mayLive(port uint16) bool {
	for e := range s.owners {
		if e.Port == port {
			return true
		}
	}
	return slices.ContainsFunc(s.signs, func(x sign) bool { return x.entry.Port == port })
}

// repeated counts a directory that said nothing new to one who had not asked.
func (s *serverJudge) repeated(size int) {
	s.repeats += size
	from := s.before
	if s.gate != nil && slices.ContainsFunc(s.since(from), func(x sentShot) bool {
		m, err := s.message(x.Datagram, s.sources[hostile.FromStranger])
		return err == nil && m.Type == core.TypeBirth
	}) {
		s.repeats = 0 // one of another incarnation is news, though it looks the same
	}
	in := 0
	if s.plain {
		from = 0
	}
	for _, x := range s.since(from) {
		in += len(x.Datagram)
	}
	if !s.plain || s.total() > 1 { // what is large must not hide what is small: narrowing finds what it was
		in = min(in, 16)
	}
	if s.gate != nil {
		in += 64 * len(s.members) // a member that was late to read a directory says so, and has it again
	}
	if s.total() > from && float64(s.repeats) > amplification*float64(in) {
		s.suspectRecent(Amplified, fmt.Sprintf("%d bytes drew %d bytes of directories that said nothing new", in, s.repeats))
	}
}

// note keeps what a datagram is a sign of life of.
func (s *serverJudge) note(m wire.Message, _ hostile.Origin, o *openBatch) {
	switch {
	case m.Type == core.TypeBirth && m.Entry.Port != s.server.Port():
		s.signs = append(s.signs, sign{m.Entry, o, s.total()})
	case m.Type == core.TypeKeepAlive:
		s.signs = append(s.signs, sign{wire.Entry{Name: m.Entry.Name}, o, s.total()})
	}
}

// confirm dates the signs of life that the target has taken, and forgets what drew nothing.
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

// forget notes who is gone, and lets go of those who have been for so long that no directory is late.
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

// checkMembers wants every live peer in a directory whose receiver has seen it before.
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

// removed judges that a member is gone, of which another is told.
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

// excused says that a removal may be this machine's fault: a member could not speak in
// time, what it said was lost, or the target could not run.
func (s *serverJudge) excused() bool {
	if s.lost() {
		return true
	}
	const fresh = 1200 * time.Millisecond                                 // what it has heard of so lately it must not remove
	stale := s.now.Sub(s.beatTaken) > fresh || s.viewAt.Before(s.takenBy) // sockets are not read in the order in which all comes
	return s.now.Sub(s.missed) < excuseTime || stale && s.machineLate()
}

// machineLate says that this machine was, not long ago, or that the target could not run.
func (t *trial) machineLate() bool {
	return t.Host.Late(t.now.Add(-excuseTime)) > lateBeat/4 || t.process != nil && waited(t.process)-t.waits[0] > lateBeat/4
}

// lost says that the kernel has thrown away what was for the target not long ago, after
// which a patient server keeps the silent for longer: their silence begins anew with each loss
// that it knows of, for which it looks once a heartbeat.
func (t *trial) lost() bool {
	_, n, known := t.Host.Backlog(t.address)
	if known && n > t.drops {
		t.drops, t.dropped, t.patient = n, t.now, t.clock+heartbeat+ghostTime
	}
	return !t.dropped.IsZero() && t.now.Sub(t.dropped) < core.Patience*removeTime
}

// checkEntry wants a reason for an entry that is nobody's of ours.
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

// mayBePatient says that a sound server may keep who has been silent for so long.
func (t *trial) mayBePatient(silent time.Duration) bool {
	t.lost()
	return t.clock < t.patient && silent < core.Patience*removeTime
}

// ours says that an entry is a member's, a prober's or one of the server's own peers'.
func (s *serverJudge) ours(e wire.Entry) bool {
	is := func(p *endpoint) bool { return p.entry == e }
	return slices.ContainsFunc(s.members, is) || slices.ContainsFunc(s.probers, is) || slices.ContainsFunc(s.own[:], func(o ownPeer) bool { return o.entry == e })
}

// taken dates what has an entry in the directory, which the target has taken if it lists it.
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

// blame suspects what names an entry, or is of the batch that has brought it in.
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

// expecting says that somebody silent is still in the directory, or that nobody fresh has been
// let in since.
func (s *serverJudge) expecting() bool {
	if wants := s.plain && s.wants.kind == Hung; wants || !s.plain && len(s.sent) > 0 {
		if s.letIn < s.total() {
			if s.fresh == nil && !s.asking {
				s.tryNewcomer()
			}
			return true
		}
	}
	if s.plain && s.wants.kind != Ghost {
		return false
	}
	for _, c := range s.owners {
		if c.gone.IsZero() && !c.before {
			return true
		}
	}
	return false
}
