package core

import (
	"errors"
	"net/netip"
	"slices"
	"time"
)

// Pacing bounds what the server sends, whatever comes in (PROTOCOL.md,
// "Additions"): after a burst, at most MaxPeers directories every Pace.
const (
	Pace      = 10 * time.Millisecond  // between announcements, after the burst
	Burst     = 8                      // announcements that may go without waiting
	AnswerGap = 100 * time.Millisecond // between answers to one peer's repeated births
)

// Patience is how many deadlines an entry may be silent while datagrams are lost.
const Patience = 4

// DirectoryConfig describes a directory server.
type DirectoryConfig struct {
	Port        uint16      // the server's own, which no peer may claim
	Timing      Timing      // Reap and Deadline count
	SourceCheck bool        // take a birth or keep-alive only from the port that it names
	Observe     func(Event) // optional: hears what the server does, and must not call it
}

// Directory is the directory server (PROTOCOL.md, "Server").
type Directory struct {
	account
	cfg DirectoryConfig

	slots    [MaxPeers]slot // by name, from ' '
	n        int            // slots in use
	ports    [MaxPeers]uint16
	datagram [4 + maxEntries]byte // what is announced; entry i is of ports[i]

	nextReap time.Time
	lost     time.Time // when datagrams were last known to be lost

	changed time.Time // since when an announcement is owed; zero: none is
	held    bool      // this announcement has been counted as held
	paid    time.Time // all announcements so far, at one each Pace, take until here

	answers    int // slots with an answer owed
	nextAnswer time.Time
	answering  [MaxPeers]uint16
}

// slot is one name's entry.
type slot struct {
	stamp    time.Time // last sign of life
	born     time.Time
	source   netip.AddrPort // of the birth
	proven   bool           // a keep-alive came from there, or from the entry's own port
	answered time.Time      // last answer to a repeated birth
	asked    time.Time      // since when such an answer is owed; zero: none is
	port     uint16         // 0: the name is free
}

// NewDirectory starts a server's life at now, with nobody in it.
func NewDirectory(cfg DirectoryConfig, now time.Time) (*Directory, error) {
	if err := cfg.Timing.Validate(); err != nil {
		return nil, err
	}
	if cfg.Port == 0 {
		return nil, errors.New("the server's own port is 0, want 1 to 65535")
	}
	d := &Directory{cfg: cfg, nextReap: now.Add(cfg.Timing.Reap)}
	d.observe = cfg.Observe
	Message{Type: TypeDirectory}.Append(d.datagram[:0])
	return d, nil
}

// Entries is the directory as it stands, valid until the next Step or Poll.
func (d *Directory) Entries() Entries { return Entries(d.datagram[4 : 4+entry*d.n]) }

// Step implements Machine.
func (d *Directory) Step(now time.Time, from netip.AddrPort, datagram []byte) {
	var m Message
	if !d.open(&m, now, from, datagram) {
		return
	}
	switch m.Type {
	case TypeKeepAlive:
		s := d.slot(m.Entry.Name)
		switch {
		case s.port == 0:
			if d.count(Unknown) {
				d.observe(Event{Kind: Unknown, At: now, From: from, Peer: m.Entry})
			}
		case d.cfg.SourceCheck && from.Port() != s.port:
			d.drop(Stranger, now, from, datagram, ErrStranger)
		default:
			d.counters.Events[Alive]++
			s.stamp = now
			s.proven = s.proven || from.Port() == s.port || from == s.source
		}
	case TypeBirth:
		switch {
		case m.Entry.Port == d.cfg.Port:
			d.drop(Rejected, now, from, datagram, ErrRejected)
		case d.cfg.SourceCheck && from.Port() != m.Entry.Port:
			d.drop(Stranger, now, from, datagram, ErrStranger)
		default:
			d.birth(now, from, m.Entry)
		}
	default:
		d.drop(Misdirected, now, from, datagram, ErrMisdirected)
	}
}

func (d *Directory) slot(n Name) *slot { return &d.slots[n-' '] }

func (d *Directory) birth(now time.Time, from netip.AddrPort, e Entry) {
	s := d.slot(e.Name)
	if s.port == e.Port {
		s.stamp = now
		d.ask(now, s)
		if d.count(Repeated) {
			d.observe(Event{Kind: Repeated, At: now, From: from, Peer: e})
		}
		return
	}
	rivals := [...]uint16{s.port, e.Port} // whoever has the name, whoever has the port
	for _, port := range rivals {
		if i := d.index(port); i >= 0 && !d.yields(now, i, from.Port() == e.Port) {
			if d.count(Conflict) {
				d.observe(Event{Kind: Conflict, At: now, From: from, Peer: e, Other: d.Entries().At(i)})
			}
			return
		}
	}
	for _, port := range rivals {
		if i := d.index(port); i >= 0 {
			d.replace(now, i, e)
		}
	}
	*s = slot{stamp: now, born: now, source: from, port: e.Port}
	d.put(d.n, e)
	d.resize(now, d.n+1)
	if d.count(Born) {
		d.observe(Event{Kind: Born, At: now, From: from, Peer: e})
	}
}

// index is where the entry of a port stands, -1 where there is none.
func (d *Directory) index(port uint16) int { return slices.Index(d.ports[:d.n], port) }

// yields reports that entry i gives way to a birth that wants its name or
// port: whoever was born in earnest has sent two keep-alives by then. To a birth
// that comes from the port it names it gives way at once if its own did not.
func (d *Directory) yields(now time.Time, i int, home bool) bool {
	s := d.slot(d.Entries().At(i).Name)
	return !s.proven && (home && s.source.Port() != s.port || d.silent(now, s.born, d.cfg.Timing.Deadline*2/3))
}

// silent reports that nothing has come of somebody since a time for longer than
// a deadline, and not because it was lost: that runs from the last loss, but
// Patience deadlines are enough in any case.
func (d *Directory) silent(now, since time.Time, deadline time.Duration) bool {
	if d.lost.After(since) && now.Sub(since) <= Patience*deadline {
		since = d.lost
	}
	return now.Sub(since) > deadline
}

func (d *Directory) replace(now time.Time, i int, by Entry) {
	e := d.Entries().At(i)
	d.remove(now, i)
	if d.count(Replaced) {
		d.observe(Event{Kind: Replaced, At: now, Peer: e, Other: by})
	}
}

// remove frees entry i's name and port.
func (d *Directory) remove(now time.Time, i int) {
	s := d.slot(d.Entries().At(i).Name)
	if !s.asked.IsZero() {
		d.answers--
	}
	*s = slot{}
	d.put(i, d.Entries().At(d.n-1)) // the order is free: the last entry fills the gap
	d.resize(now, d.n-1)
}

// put writes entry i; resize sets how many there are and owes everybody the news.
func (d *Directory) put(i int, e Entry) {
	d.ports[i] = e.Port
	appendEntry(d.datagram[:4+entry*i], e)
}

func (d *Directory) resize(now time.Time, n int) {
	d.n = n
	d.datagram[2] = byte(n)
	if d.changed.IsZero() {
		d.changed = now
	}
}

// ask owes the slot's peer a directory of its own, AnswerGap after the last.
func (d *Directory) ask(now time.Time, s *slot) {
	if s.asked.IsZero() {
		s.asked = now
		d.answers++
		d.nextAnswer = earliest(d.nextAnswer, s.answerAt())
	}
}

func (s *slot) answerAt() time.Time {
	if at := s.answered.Add(AnswerGap); !s.answered.IsZero() && at.After(s.asked) {
		return at
	}
	return s.asked
}

// Poll implements Machine.
func (d *Directory) Poll(now time.Time) (Outgoing, time.Time) {
	if !now.Before(d.nextReap) {
		d.reap(now)
		d.nextReap = after(now, d.nextReap, d.cfg.Timing.Reap)
	}
	next := d.nextReap
	if !d.changed.IsZero() {
		at := d.paid.Add(-(Burst - 1) * Pace)
		if !now.Before(at) {
			if out := d.announce(now); !out.Empty() {
				return out, now
			}
		} else {
			next = earliest(next, at)
			if !d.held {
				d.held = true
				d.count(Held)
			}
		}
	}
	if d.answers > 0 {
		if !now.Before(d.nextAnswer) {
			if out := d.answer(now); !out.Empty() {
				return out, now
			}
		}
		next = earliest(next, d.nextAnswer)
	}
	return Outgoing{}, next
}

// Shape describes datagrams by their length and, byte by byte, what they begin with:
// between Low and High, which are as long as each other and no longer than Shortest.
type Shape struct {
	Shortest, Longest int
	Low, High         string
}

// Accepts are the shapes of datagrams that a server has a use for: keep-alives and
// births. A driver may keep all others from it.
func (d *Directory) Accepts() []Shape {
	return []Shape{
		{4, 4, "\xC3\x00 \x00", "\xC3\x00~\x00"},
		{6, 6, "\xC0\x00 \x00", "\xC0\x00~\x00"},
	}
}

// Lost tells the server that by now the kernel has thrown away datagrams that
// were for it. Whoever has been silent until now may have spoken.
func (d *Directory) Lost(now time.Time) { d.lost = now }

// reap removes every entry that has been silent for longer than its deadline.
func (d *Directory) reap(now time.Time) {
	for i := 0; i < d.n; {
		e := d.Entries().At(i)
		stamp := d.slot(e.Name).stamp
		if !d.silent(now, stamp, d.cfg.Timing.Deadline) {
			i++
			continue
		}
		d.remove(now, i)
		if d.count(Removed) {
			d.observe(Event{Kind: Removed, At: now, Since: stamp, Peer: e})
		}
	}
}

// announce sends the directory to everybody. That answers all who asked, too.
func (d *Directory) announce(now time.Time) Outgoing {
	since := d.changed
	d.changed, d.held = time.Time{}, false
	if d.n == 0 {
		return Outgoing{}
	}
	if d.answers > 0 {
		for i := range d.n {
			d.slot(d.Entries().At(i).Name).asked = time.Time{}
		}
		d.answers, d.nextAnswer = 0, time.Time{}
	}
	d.pay(now, Pace)
	d.count(Announced)
	return d.send(now, since, d.datagram[:4+entry*d.n], d.ports[:d.n])
}

// answer sends the directory to the ports whose turn has come.
func (d *Directory) answer(now time.Time) Outgoing {
	n := 0
	since := d.nextAnswer
	d.nextAnswer = time.Time{}
	for i := range d.n {
		s := d.slot(d.Entries().At(i).Name)
		switch {
		case s.asked.IsZero():
		case now.Before(s.answerAt()):
			d.nextAnswer = earliest(d.nextAnswer, s.answerAt())
		default:
			s.asked, s.answered = time.Time{}, now
			d.answers--
			d.answering[n] = s.port
			n++
		}
	}
	if n == 0 { // the one whose turn it was has been reaped
		return Outgoing{}
	}
	// Answers come out of the same purse as announcements, so that both
	// together stay below MaxPeers datagrams each Pace.
	d.pay(now, time.Duration(n)*Pace/MaxPeers)
	return d.send(now, since, d.datagram[:4+entry*d.n], d.answering[:n])
}

// pay books a sending that uses up cost of the time that pacing grants
// (the generic cell rate algorithm, ITU-T I.371).
func (d *Directory) pay(now time.Time, cost time.Duration) {
	if d.paid.Before(now) {
		d.paid = now
	}
	d.paid = d.paid.Add(cost)
}
