package campaign

import (
	"fmt"
	"slices"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
	"p2plocal/fuzz/figure"
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
		s.suspectRecent(Amplified, fmt.Sprintf("%s bytes drew %s bytes of directories that said nothing new", figure.Grouped(in), figure.Grouped(s.repeats)))
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
