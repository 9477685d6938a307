package conform

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/target"
)

// Sections of PROTOCOL.md.
const (
	secDatagrams = "Datagrams"
	secServer    = "Server"
	secPeer      = "Peer"
	secBad       = "Where a datagram is not one of the above"
	secAdditions = "Additions that an original never notices"
	secDiffer    = "Where the original and its description differ"
)

func serverCases() []group {
	return []group{
		{"birth", secServer, Must, false, serverBirths()},
		{"layout", secDatagrams, Must, false, serverLayouts()},
		{"conflict", secServer, Must, true, serverConflicts()},
		{"repeat", secServer, Must, true, serverRepeats()},
		{"keep-alive", secServer, Must, false, serverKeepAlives()},
		{"reaper", secServer, Must, false, serverReaper()},
		{"silence", secServer, Must, false, serverSilence()},
		{"full", secServer, Must, false, serverFull()},
		{"addition", secAdditions, Should, true, serverAdditions()},
		{"differs", secDiffer, Info, true, serverDiffers()},
	}
}

// join has n peers born, one after the other, and kept in the directory.
func (l *trial) join(n int) (peers []*endpoint) {
	for range n {
		peers = append(peers, l.newcomer())
		l.awaitAll(peers)
	}
	l.settle()
	return peers
}

// newcomer is one more peer whose birth is sent and that is kept alive.
func (l *trial) newcomer() *endpoint {
	p := l.peer()
	l.keepAlive(p)
	p.birth()
	return p
}

// awaitAll waits until each of some peers is told of just these.
func (l *trial) awaitAll(peers []*endpoint) {
	for _, p := range peers {
		l.awaitPeers(p, peers...)
	}
}

// in has one more peer born that nobody keeps.
func (l *trial) in() *endpoint {
	p := l.peer()
	l.admit(p)
	return p
}

// admit sends a birth and waits until the directory names the newcomer.
func (l *trial) admit(p *endpoint) time.Time {
	at := p.birth()
	l.named(p)
	return at
}

// named waits for a directory in which a peer stands itself.
func (l *trial) named(p *endpoint) {
	l.expect(p, 0, soon, fmt.Sprintf("%s is told within %v of a directory with itself in it", p, soon), func() bool {
		d, _ := last(l.came(p, 0))
		return d.lists(p.entry)
	})
}

func serverBirths() []Case {
	return []Case{
		{Title: "a newcomer is sent the directory, itself included", called: func(l *trial, _ []*endpoint) {
			p := l.peer()
			p.birth()
			l.awaitPeers(p, p)
		}},
		{Title: "the members are told of a newcomer, and it of them", members: 3, called: func(l *trial, all []*endpoint) {
			l.awaitAll(all)
		}},
		{Title: "the directory goes to the port that the birth names, not to where it came from", called: func(l *trial, _ []*endpoint) {
			p, s := l.peer(), l.stranger()
			s.toServer(hostile.BirthOf(p.entry))
			l.awaitPeers(p, p)
			l.wantNothing(s, "the birth's source, which is not the port that it names, is sent nothing")
		}},
		{Title: "everything leaves from the server's own socket", members: 2, called: func(l *trial, m []*endpoint) {
			for _, p := range m {
				for _, e := range l.got(p, 0) {
					if e.other != l.server {
						l.failCertain(p, 0, fmt.Sprintf("directories come from %v", l.server), fmt.Sprintf("one came from %v", e.other))
					}
				}
			}
		}},
		{Title: "births that come apart are announced one by one, once to each member", names: 8, members: 1, called: func(l *trial, m []*endpoint) {
			started, since := clock(), l.mark()
			all := []*endpoint{m[0]}
			for range 4 {
				all = append(all, l.newcomer())
				l.awaitPeers(m[0], all...)
				l.settle()
			}
			changes := 0
			var last []wire.Entry
			for _, d := range directories(l.got(m[0], since)) {
				if own := l.ownEntries(d); !slices.Equal(own, last) {
					changes, last = changes+1, own
				}
			}
			if changes != 4 && l.alone || changes < 4 {
				l.failf(m[0], "4 births, 60 ms apart, are 4 directories at a member", "%s was told of %d changes", m[0], changes)
			}
			l.wantNewsOnly(m[0], started, "each birth is announced once")
		}},
		{Title: "of births that come all at once, everybody ends up with the whole directory", names: 16, called: func(l *trial, _ []*endpoint) {
			all := l.peers(14)
			l.keepAlive(all...)
			for _, p := range all {
				p.birth()
			}
			l.awaitAll(all)
		}},
		{Title: "any printable ASCII character is a name", names: 14, odd: true, span: time.Second, called: func(l *trial, _ []*endpoint) {
			for range 13 { // all 95 together are full/1
				l.admit(l.peer())
			}
		}},
		{Title: "a port above 32767 is a port", called: func(l *trial, _ []*endpoint) {
			for port := uint16(60123); ; port++ {
				s, err := l.host.Listen(netip.AddrPortFrom(l.server.Addr(), port))
				if err != nil {
					continue
				}
				l.admit(l.nameEndpoint(l.adopt("", s)))
				return
			}
		}},
	}
}

func serverLayouts() []Case {
	return []Case{
		{Title: "a directory is 4 + 4n bytes: type, count n, n times name and port, little-endian", members: 3, called: func(l *trial, all []*endpoint) {
			for _, p := range all {
				for _, e := range l.got(p, 0) {
					m, err := wire.Parse(e.datagram)
					switch {
					case err != nil:
						l.failCertain(p, 0, "every datagram is a sound directory", fmt.Sprintf("one is %v", err))
					case m.Type != core.TypeDirectory:
						l.failCertain(p, 0, "every datagram is a directory", fmt.Sprintf("one is a %v", m.Type))
					}
				}
			}
		}},
		{Title: "a directory gives every name the port of its birth", members: 4, called: func(l *trial, all []*endpoint) {
			d := l.awaitPeers(all[0], all...)
			for _, p := range all {
				if !d.lists(p.entry) {
					l.failf(all[0], fmt.Sprintf("the directory has %v", p.entry), "it has not")
				}
			}
		}},
		{Title: "all are sent the same bytes", members: 3, called: func(l *trial, all []*endpoint) {
			first := l.awaitPeers(all[0], all...)
			for _, p := range all[1:] {
				l.wait(soon, func() bool {
					return slices.ContainsFunc(directories(l.came(p, 0)), func(d directorySeen) bool { return slices.Equal(d.entries, first.entries) })
				})
				if d := l.awaitPeers(p, all...); l.alone && !slices.Equal(d.entries, first.entries) {
					l.failf(p, "the directory that "+all[0].label+" was sent", "another order or other entries")
				}
			}
		}},
	}
}

// contest has a conflicting birth sent, and ensures that nothing comes of it.
func (l *trial) contest(loser *endpoint, datagram []byte, members ...*endpoint) {
	loser.toServer(datagram)
	l.settle()
	p := l.peer()
	p.birth()
	l.awaitPeers(p, append(members, p)...)
	l.wantNothing(loser, "a birth that conflicts is not answered, nor is its sender told of changes")
}

func serverConflicts() []Case {
	return []Case{
		{Title: "a birth with the name of another port is ignored, its sender hears nothing", members: 1, called: func(l *trial, m []*endpoint) {
			s := l.stranger()
			l.contest(s, s.claimOf(m[0]), m[0])
		}},
		{Title: "a birth with the port of another name is ignored", members: 1, called: func(l *trial, m []*endpoint) {
			l.contest(l.stranger(), hostile.BirthOf(wire.Entry{Name: l.name(), Port: m[0].entry.Port}), m[0])
		}},
		{Title: "a birth with one member's name and another's port is ignored", members: 2, called: func(l *trial, m []*endpoint) {
			l.contest(l.stranger(), hostile.BirthOf(wire.Entry{Name: m[0].entry.Name, Port: m[1].entry.Port}), m...)
		}},
		{Title: "whoever keeps its name alive keeps it, against conflicting births all the time", span: 2500 * time.Millisecond, members: 1, called: func(l *trial, m []*endpoint) {
			s := l.stranger()
			for range 12 {
				s.toServer(s.claimOf(m[0]))
				l.sleep(200 * time.Millisecond)
			}
			l.contest(s, s.claimOf(m[0]), m[0])
		}},
		{Title: "a conflicting birth is no sign of life of who holds the name", span: 2500 * time.Millisecond, members: 1, called: func(l *trial, m []*endpoint) {
			a := l.peer()
			at := l.admit(a)
			s := l.stranger()
			for clock().Sub(at) < 900*time.Millisecond { // the addition "proof" lets it in later
				s.toServer(s.claimOf(a))
				l.sleep(100 * time.Millisecond)
			}
			l.window(at, l.leaves(m[0], a))
		}},
		{Title: "once the holder is reaped, the name is free for another port", span: 2500 * time.Millisecond, members: 1, called: func(l *trial, m []*endpoint) {
			a := l.in()
			s := l.rival(a)
			l.leaves(m[0], a)
			s.birth()
			l.awaitPeers(m[0], m[0], s)
		}},
		{Title: "once the holder is reaped, the port is free for another name", span: 2500 * time.Millisecond, members: 1, called: func(l *trial, m []*endpoint) {
			a := l.in()
			l.leaves(m[0], a)
			a.entry.Name = l.name()
			a.birth()
			l.awaitPeers(m[0], m[0], a)
		}},
	}
}

func serverRepeats() []Case {
	return []Case{
		{Title: "an exactly repeated birth is answered by the directory, to its port", members: 2, called: func(l *trial, m []*endpoint) {
			l.sleep(150 * time.Millisecond)
			since := l.mark()
			m[0].birth()
			l.awaitEntries(soon, since, m[0], []wire.Entry{m[0].entry, m[1].entry})
		}},
		{Title: "a peer relaunched before it was reaped, on its port, is sent the directory", members: 2, called: func(l *trial, m []*endpoint) {
			l.sleep(150 * time.Millisecond)
			since := l.mark()
			l.stranger().toServer(hostile.BirthOf(m[0].entry)) // another process has another socket
			l.awaitEntries(soon, since, m[0], []wire.Entry{m[0].entry, m[1].entry})
		}},
		{Title: "a repeated birth renews the entry: births alone keep it", Level: Should, span: 4 * time.Second, members: 1, called: func(l *trial, m []*endpoint) {
			a := l.in()
			l.awaitPeers(m[0], m[0], a)
			for range 4 {
				l.stays(m[0], a, 900*time.Millisecond)
				a.birth()
			}
		}},
		{Title: "a peer that repeats its birth is reaped 1.5 to 2.0 s after the last one", Level: Should, names: 9, span: 3500 * time.Millisecond, called: func(l *trial, _ []*endpoint) {
			l.inTime((*endpoint).birth)
		}},
		{Title: "the answer to a repeated birth goes to the port that it names, not to where it came from", members: 2, called: func(l *trial, m []*endpoint) {
			l.sleep(150 * time.Millisecond)
			s, since := l.stranger(), l.mark()
			s.toServer(hostile.BirthOf(m[0].entry))
			l.awaitEntries(soon, since, m[0], entriesOf(m))
			l.wantNothing(s, "the source of a repeated birth is sent nothing")
		}},
		{Title: "each repeat is answered, by the directory as it stands by then: a peer that refreshes is always put right", names: 8, span: time.Second, members: 1, called: func(l *trial, m []*endpoint) {
			for range 4 {
				m = append(m, l.newcomer())
				l.awaitPeers(m[0], m...)
				l.sleep(150 * time.Millisecond) // they may be answered once every 100 ms
				since := l.mark()
				m[0].birth()
				l.awaitEntries(soon, since, m[0], entriesOf(m))
			}
		}},
	}
}

// stays ensures that a peer is in each directory that another is told of for
// a time, and in the last one before.
func (l *trial) stays(w, p *endpoint, d time.Duration) {
	since := l.mark()
	l.sleep(d)
	before, after := l.split(w, since)
	known, _ := last(before)
	for _, x := range append([]directorySeen{known}, directories(after)...) {
		if !x.lists(p.entry) {
			l.fail(w, 0, fmt.Sprintf("%s stays in the directory", p), fmt.Sprintf("%s was told that it is gone", w))
		}
	}
}

func serverKeepAlives() []Case {
	const long = 3500 * time.Millisecond
	background := func(l *trial, w, from, p *endpoint) {
		from.toServer(hostile.BirthOf(p.entry))
		l.awaitPeers(w, w, p)
		for end := clock().Add(long); clock().Before(end); {
			l.stays(w, p, heartbeat)
			from.toServer(hostile.KeepAliveOf(p.entry))
		}
	}
	return []Case{
		{Title: "a keep-alive every 500 ms keeps a peer in the directory", span: long, members: 1, called: func(l *trial, m []*endpoint) {
			p := l.peer()
			background(l, m[0], p, p)
		}},
		{Title: "birth and keep-alives may come from another socket than the peer's own", span: long, members: 1, called: func(l *trial, m []*endpoint) {
			background(l, m[0], l.stranger(), l.peer())
		}},
		{Title: "a keep-alive counts from whatever source port it comes", span: long, members: 1, called: func(l *trial, m []*endpoint) {
			p := l.in()
			p.alive()
			for range 7 {
				l.sleep(heartbeat)
				l.stranger().toServer(hostile.KeepAliveOf(p.entry))
				l.awaitPeers(m[0], m[0], p)
			}
		}},
		{Title: "a keep-alive every 1.3 s is enough", span: 4 * time.Second, called: func(l *trial, _ []*endpoint) {
			p := l.in()
			p.alive()
			w := l.newcomer()
			l.awaitPeers(w, w, p)
			for range 3 {
				l.stays(w, p, 1300*time.Millisecond)
				p.alive()
			}
		}},
		{Title: "a keep-alive is not answered", span: 1500 * time.Millisecond, members: 2, called: func(l *trial, m []*endpoint) {
			s := l.stranger()
			since := l.mark()
			for range 12 {
				m[0].alive()
				s.toServer(hostile.KeepAliveOf(m[1].entry))
				l.sleep(100 * time.Millisecond)
			}
			l.wantChanges(m[0], since, "keep-alives draw no directory")
			l.wantChanges(m[1], since, "keep-alives draw no directory")
			l.wantNothing(s, "keep-alives are not answered")
		}},
		{Title: "a keep-alive of a name that nobody has is ignored", members: 1, called: func(l *trial, m []*endpoint) {
			s := l.peer()
			since := l.mark()
			s.alive()
			l.sleep(6 * settle)
			l.wantChanges(m[0], since, "a keep-alive of nobody is not announced")
			p := l.peer()
			p.birth()
			l.awaitPeers(m[0], m[0], p)
			l.wantNothing(s, "a keep-alive of nobody is not answered")
		}},
		{Title: "the reaped do not come back by keep-alive", span: 3 * time.Second, members: 1, called: func(l *trial, m []*endpoint) {
			p := l.in()
			l.leaves(m[0], p)
			l.settle()
			since := l.mark()
			for range 4 {
				p.alive()
				l.sleep(100 * time.Millisecond)
			}
			l.wantChanges(m[0], since, "a keep-alive of the reaped is not announced")
			q := l.in()
			l.awaitPeers(m[0], m[0], q)
		}},
		{Title: "the reaped come back by birth", span: 3 * time.Second, members: 1, called: func(l *trial, m []*endpoint) {
			p := l.in()
			l.leaves(m[0], p)
			l.admit(p)
			l.awaitPeers(m[0], m[0], p)
		}},
	}
}

// leaves waits until a peer is gone from another's directory, and says when
// that was sent.
func (l *trial) leaves(w, p *endpoint) (at time.Time) {
	l.expect(w, 0, deadline+reap+soon, fmt.Sprintf("%s is told that %s, which is silent, has left", w, p), func() bool {
		all := directories(l.came(w, 0))
		i := len(all) - 1
		for ; i >= 0 && !all[i].lists(p.entry); i-- {
			at = all[i].at // the first of those since it stood there last
		}
		return 0 <= i && i < len(all)-1
	})
	return at
}

// window ensures that who gave the last sign of life at sign left in time.
func (l *trial) window(sign, left time.Time) {
	silence := left.Sub(sign)
	tolerance := overdue + l.tolerance(sign) + l.lag
	expected := fmt.Sprintf("a silent peer leaves between 1.5 and 2.0 s after its last sign of life (tolerated: %v before, %v after)", coarse, tolerance.Round(time.Millisecond))
	if l.over = max(deadline-coarse-silence, silence-deadline-reap-tolerance); l.over > 0 {
		l.failf(nil, expected, "it left after %.3f s", silence.Seconds())
	}
}

// staggered has peers give their last sign of life evenly over a reaper's round,
// and ensures that each leaves in time. So the shortest and the longest silence
// come within a sixth of a round of what the server allows. The sign is their birth,
// or what again sends some time later.
func (l *trial) staggered(again func(*endpoint) time.Time) (silences []time.Duration) {
	const n = 6
	w := l.join(1)[0]
	peers := l.peers(n)
	signs := make([]time.Time, n)
	for i, p := range peers {
		signs[i] = p.birth()
		l.sleep(reap / n)
	}
	for i, p := range peers {
		l.named(p)
		if again != nil {
			l.until(signs[i].Add(800 * time.Millisecond))
			signs[i] = again(p)
		}
	}
	for i, p := range peers {
		silences = append(silences, l.leaves(w, p).Sub(signs[i]))
	}
	return silences
}

// inTime is staggered with a judgement.
func (l *trial) inTime(again func(*endpoint) time.Time) {
	started := clock()
	for _, s := range l.staggered(again) {
		l.window(started, started.Add(s))
	}
}

func serverReaper() []Case {
	return []Case{
		{Title: "who is silent after its birth leaves 1.5 to 2.0 s after it", names: 9, span: 3 * time.Second, called: func(l *trial, _ []*endpoint) {
			l.inTime(nil)
		}},
		{Title: "who is silent after a keep-alive leaves 1.5 to 2.0 s after it", names: 9, span: 3500 * time.Millisecond, called: func(l *trial, _ []*endpoint) {
			l.inTime((*endpoint).alive)
		}},
		{Title: "those who stay are told once of who has left", span: 3 * time.Second, members: 2, called: func(l *trial, m []*endpoint) {
			p := l.in()
			at := l.leaves(m[0], p)
			l.awaitAll(m)
			l.sleep(700 * time.Millisecond)
			for _, x := range m {
				l.wantNewsOnly(x, at, "a departure is announced once")
			}
		}},
		{Title: "who has left is sent nothing more", span: 3 * time.Second, members: 1, called: func(l *trial, m []*endpoint) {
			p := l.in()
			l.leaves(m[0], p)
			l.settle()
			since := l.mark()
			l.in()
			l.settle()
			l.wantCount(p, since, 0, fmt.Sprintf("%s has left and is sent nothing", p))
		}},
		{Title: "several who fall silent together leave in one directory", span: 3 * time.Second, members: 1, called: func(l *trial, m []*endpoint) {
			gone := l.peers(3)
			for _, p := range gone {
				p.birth()
			}
			l.awaitPeers(m[0], append(gone, m[0])...)
			since := l.mark()
			for _, p := range gone {
				l.leaves(m[0], p)
			}
			l.settle()
			// The reaper's round may fall between their births; then there are two changes, a round apart.
			var change time.Time
			before := sorted(entriesOf(append(gone, m[0])))
			for _, d := range directories(l.got(m[0], since)) {
				own := l.ownEntries(d)
				if slices.Equal(own, before) {
					continue
				}
				if !change.IsZero() && d.at.Sub(change) < reap/2 {
					l.fail(m[0], since, "one round of the reaper sends one directory", "")
				}
				change, before = d.at, own
			}
		}},
		{Title: "the silence of one costs no other its place", span: 4 * time.Second, members: 3, called: func(l *trial, m []*endpoint) {
			p := l.in()
			l.leaves(m[0], p)
			l.sleep(time.Second)
			l.awaitAll(m)
		}},
		{Title: "when the last has left, the next finds itself alone", span: 3 * time.Second, called: func(l *trial, _ []*endpoint) {
			p := l.in()
			l.sleep(deadline + reap + overdue + 100*time.Millisecond)
			q := l.peer()
			q.birth()
			l.awaitPeers(q, q)
			if n := len(l.got(p, 0)); l.alone && n > 1 {
				l.fail(p, 0, fmt.Sprintf("%s, the only one, is sent nothing when it leaves", p), "")
			}
		}},
	}
}

func serverSilence() []Case {
	return []Case{
		{Title: "while nobody comes or goes, the server sends nothing", span: 3 * time.Second, members: 3, called: func(l *trial, m []*endpoint) {
			since := l.mark()
			l.sleep(2500 * time.Millisecond)
			for _, p := range m {
				l.wantChanges(p, since, "with no peer added or removed, the server sends nothing")
			}
		}},
		{Title: "who has never been born is sent nothing", called: func(l *trial, _ []*endpoint) {
			s := l.stranger()
			l.join(2)
			l.in()
			l.wantNothing(s, "a port that no birth has named is sent nothing")
		}},
		{Title: "the source of births and keep-alives is sent nothing", span: 3 * time.Second, members: 1, called: func(l *trial, m []*endpoint) {
			s := l.stranger()
			p := l.peer()
			s.toServer(hostile.BirthOf(p.entry))
			l.awaitPeers(m[0], m[0], p)
			s.toServer(hostile.KeepAliveOf(p.entry))
			l.leaves(m[0], p)
			l.wantNothing(s, "a peer's second socket is sent nothing")
		}},
	}
}

// fillUp has as many born as there are names left.
func (l *trial) fillUp() (peers []*endpoint) {
	peers = l.peers(l.left())
	l.keepAlive(peers...)
	for i, p := range peers {
		p.birth()
		if i%8 == 7 { // a server that takes 10 ms a datagram keeps up, too
			l.named(p)
		}
	}
	return peers
}

func serverFull() []Case {
	// The probe's name is the last: it is used here, too.
	every := func(l *trial) []*endpoint {
		l.names = append(l.names, 0)
		return l.fillUp()
	}
	known := func(l *trial, p *endpoint, peers []*endpoint) directorySeen {
		return l.awaitEntries(3*time.Second, 0, p, entriesOf(peers))
	}
	return []Case{
		{Title: "95 peers, one for each name, all know each other", names: all, span: 4 * time.Second, whole: true, called: func(l *trial, _ []*endpoint) {
			peers := every(l)
			for _, p := range peers {
				known(l, p, peers)
			}
			l.sleep(2200 * time.Millisecond)
			for _, p := range peers {
				known(l, p, peers)
			}
		}},
		{Title: "with 95 peers, a birth is refused and everybody stays", names: all, span: 2 * time.Second, whole: true, called: func(l *trial, _ []*endpoint) {
			peers := every(l)
			known(l, peers[0], peers)
			l.sleep(1200 * time.Millisecond) // all have been heard
			known(l, peers[0], peers)
			s := l.stranger()
			for _, p := range peers[:10] {
				s.toServer(s.claimOf(p))
			}
			since := l.mark()
			peers[0].birth() // repeated: once it is answered, the server has seen to the others
			l.wait(soon, func() bool { return len(l.came(peers[0], since)) > 0 })
			known(l, peers[0], peers)
			l.wantNothing(s, "a birth that conflicts is not answered")
		}},
	}
}

func serverAdditions() []Case {
	return []Case{
		{Title: "pacing: a burst of changes draws at most 760 directories and 9,500 a second", names: 84, span: time.Second, whole: true, members: 1, called: func(l *trial, m []*endpoint) {
			l.sleep(200 * time.Millisecond)
			since := l.mark()
			started := clock()
			all := []*endpoint{m[0]}
			for range 80 {
				p := l.peer()
				all = append(all, p)
				p.birth()
				time.Sleep(500 * time.Microsecond)
			}
			l.awaitEntries(2*time.Second, since, m[0], entriesOf(all))
			got, sent := directories(l.got(m[0], since)), 0
			for _, d := range got {
				sent += d.entries.Len() // it went to each of them
			}
			span := got[len(got)-1].at.Sub(started)
			if most := core.Burst + int(core.Rate*span.Seconds()) + core.MaxPeers; sent > most {
				l.failf(m[0], fmt.Sprintf("80 births within %v draw at most %d directories", span.Round(time.Millisecond), most), "%d were sent", sent)
			}
		}},
		{Title: "pacing: repeated births are answered at most once every 100 ms", span: time.Second, members: 1, called: func(l *trial, m []*endpoint) {
			l.sleep(200 * time.Millisecond)
			started := clock()
			for range 40 {
				m[0].birth()
				l.sleep(10 * time.Millisecond)
			}
			span := clock().Sub(started)
			l.settle()
			same, most := l.again(m[0], started), 2+int(span/(100*time.Millisecond))
			if same > most {
				l.failf(m[0], fmt.Sprintf("40 births within %v draw at most %d answers", span.Round(time.Millisecond), most), "%d came", same)
			}
		}},
		{Title: "proof: an entry without a keep-alive of its own gives way after 1 s to a birth that wants its name", span: 1500 * time.Millisecond, members: 1, called: func(l *trial, m []*endpoint) {
			a := l.in()
			b := l.rival(a)
			l.sleep(1150 * time.Millisecond)
			l.wins(b, m[0])
		}},
		{Title: "proof: repeats of its own birth do not prove an entry", span: 1500 * time.Millisecond, members: 1, called: func(l *trial, m []*endpoint) {
			a := l.in()
			b := l.rival(a)
			for range 5 {
				l.sleep(230 * time.Millisecond)
				a.birth()
			}
			l.wins(b, m[0])
		}},
		{Title: "proof: before 1 s is over, an entry without a keep-alive does not give way", span: 1500 * time.Millisecond, members: 1, called: func(l *trial, m []*endpoint) {
			a := l.in()
			l.sleep(700 * time.Millisecond)
			s := l.stranger()
			l.contest(s, s.claimOf(a), m[0], a)
		}},
		{Title: "proof: an entry born from another port gives way at once to a birth that comes from the port it names", members: 1, called: func(l *trial, m []*endpoint) {
			a := l.peer()
			l.stranger().toServer(hostile.BirthOf(a.entry))
			l.awaitPeers(m[0], m[0], a)
			l.wins(l.rival(a), m[0])
		}},
		{Title: "proof: a keep-alive from where its birth came from proves an entry, though that is not its own port", span: 1500 * time.Millisecond, members: 1, called: func(l *trial, m []*endpoint) {
			s := l.stranger()
			l.proven(m[0], s, s)
		}},
		{Title: "proof: a keep-alive from its own port proves an entry, though its birth came from elsewhere", span: 1500 * time.Millisecond, members: 1, called: func(l *trial, m []*endpoint) {
			l.proven(m[0], l.stranger(), nil)
		}},
		{Title: "proof: keep-alives from elsewhere do not prove an entry", span: 1500 * time.Millisecond, members: 1, called: func(l *trial, m []*endpoint) {
			a, s := l.in(), l.stranger()
			l.vouch(s, a)
			l.wins(l.rival(a), m[0])
		}},
		{Title: "proof: an entry without a keep-alive of its own gives way after 1 s to a birth that wants its port", span: 1500 * time.Millisecond, members: 1, called: func(l *trial, m []*endpoint) {
			a := l.in()
			l.sleep(1150 * time.Millisecond)
			a.entry.Name = l.name()
			l.wins(a, m[0])
		}},
		{Title: "proof: two entries without keep-alives of their own give way to one birth that wants the name of one and the port of the other", span: 1500 * time.Millisecond, members: 1, called: func(l *trial, m []*endpoint) {
			a, b := l.in(), l.in()
			l.sleep(1150 * time.Millisecond)
			b.entry.Name = a.entry.Name
			l.wins(b, m[0])
		}},
		{Title: "source check: a birth from another port than it names is not taken", members: 1, told: option{"{source-check}", "true"}, called: func(l *trial, m []*endpoint) {
			since, p := l.mark(), l.peer()
			l.stranger().toServer(hostile.BirthOf(p.entry))
			l.settle()
			l.wantChanges(m[0], since, "a birth from elsewhere is not taken")
		}},
		{Title: "source check: keep-alives from another port do not count", span: 3 * time.Second, members: 1, told: option{"{source-check}", "true"}, called: func(l *trial, m []*endpoint) {
			p, s := l.peer(), l.stranger()
			at := l.admit(p)
			for range 4 {
				s.toServer(hostile.KeepAliveOf(p.entry))
				l.sleep(heartbeat / 2)
			}
			l.window(at, l.leaves(m[0], p))
		}},
		{Title: "standstill: a server that has stood still itself gives everybody one more deadline", span: 5 * time.Second, members: 1, stops: true, called: func(l *trial, m []*endpoint) {
			p := l.in()
			p.alive()
			woke := l.freeze(2500*time.Millisecond, func() {})
			l.window(woke, l.leaves(m[0], p))
		}},
		{Title: "patience: silence counts from when datagrams were last lost", span: 4 * time.Second, members: 1, stops: true, called: func(l *trial, m []*endpoint) {
			p := l.in()
			at := p.alive()
			l.sleep(700 * time.Millisecond)
			l.overflow(1)
			l.until(at.Add(deadline + reap + soon/2))
			if d, _ := last(l.got(m[0], 0)); !d.lists(p.entry) {
				l.failf(m[0], "who may have been heard is not removed", "%s, silent for 0.7 s before datagrams were lost, is gone", p)
			}
			l.leaves(m[0], p)
		}},
		{Title: "filter: once more than 1000 datagrams are lost within a second, garbage is kept from the server until a second brings fewer", span: 4 * time.Second, members: 1, stops: true, called: func(l *trial, m []*endpoint) {
			l.overflow(1500)
			l.sleep(2 * settle)
			const n = 100 // that any buffer holds
			s := l.stranger()
			garbage := func() uint64 {
				_, before, _ := l.host.Backlog(l.server)
				for range n {
					s.socket.Send(l.server, []byte("garbage"))
				}
				l.settle()
				_, now, _ := l.host.Backlog(l.server)
				return now - before
			}
			if dropped := garbage(); dropped < n {
				l.failf(nil, "the system throws away what is neither a birth nor a keep-alive", "of %d such datagrams %d", n, dropped)
			}
			l.in()
			l.sleep(2500 * time.Millisecond)
			if dropped := garbage(); dropped > 0 {
				l.failf(nil, "2.5 s later the server is let have all again", "of %d datagrams %d were thrown away", n, dropped)
			}
		}},
	}
}

// freeze has the target stand still for a time while something is done, and says when it went on.
func (l *trial) freeze(d time.Duration, do func()) time.Time {
	end := clock().Add(d)
	if err := l.target.Signal(target.Stop); err != nil {
		panic(abortCase{err: err})
	}
	do()
	l.until(end)
	at := clock()
	l.target.Signal(target.Continue)
	return at
}

// overflow has the target stand still, too shortly to be called that, until so many datagrams for it
// have been thrown away.
func (l *trial) overflow(n uint64) {
	const still, each, most = 250 * time.Millisecond, 100, 200000
	if l.pace.each > time.Millisecond {
		panic(abortCase{outcome: Seen, why: fmt.Sprintf("not tested: the target takes %v a datagram", l.pace.each.Round(time.Millisecond))})
	}
	s, nobody := l.stranger(), hostile.KeepAlive(uint16(l.names[len(l.names)-1]))
	_, before, known := l.host.Backlog(l.server)
	lost := uint64(0)
	l.freeze(still, func() {
		for sent := 0; known && lost < n && sent < most; sent += each {
			for range each {
				s.socket.Send(l.server, nobody)
			}
			_, now, _ := l.host.Backlog(l.server)
			lost = now - before
		}
	})
	if lost < n {
		panic(abortCase{outcome: Seen, why: fmt.Sprintf("not tested: of %d datagrams the system has thrown away %d", most, lost)})
	}
}

// rival is a peer that is not born yet, with the name of another.
func (l *trial) rival(of *endpoint) *endpoint {
	p := l.peer()
	p.entry.Name = of.entry.Name
	p.label += " as " + of.label
	return p
}

// wins has a rival born, and ensures that it and a witness are all that there
// are then.
func (l *trial) wins(rival, w *endpoint) {
	rival.birth()
	l.awaitPeers(rival, w, rival)
	l.awaitPeers(w, w, rival)
}

// vouch sends keep-alives for somebody who was born just before, for as long as one
// that is not proven need not give way.
func (l *trial) vouch(from, p *endpoint) {
	from.toServer(hostile.KeepAliveOf(p.entry))
	l.sleep(600 * time.Millisecond)
	from.toServer(hostile.KeepAliveOf(p.entry))
	l.sleep(550 * time.Millisecond)
}

// proven has a peer born from one socket and kept alive from another (nil: its own),
// and ensures that it does not give way any more.
func (l *trial) proven(w, born, keptAlive *endpoint) {
	a := l.peer()
	born.toServer(hostile.BirthOf(a.entry))
	l.awaitPeers(w, w, a)
	if keptAlive == nil {
		keptAlive = a
	}
	l.vouch(keptAlive, a)
	s := l.stranger()
	l.contest(s, s.claimOf(a), w, a)
}

// again is how many directories since a time told an endpoint nothing new.
func (l *trial) again(p *endpoint, since time.Time) int { return repeats(l.got(p, 0), since) }

func serverDiffers() []Case {
	return []Case{
		{Title: "order of the entries in a directory", called: func(l *trial, _ []*endpoint) {
			peers := l.peers(4)
			slices.Reverse(peers) // born against the order of their names
			l.keepAlive(peers...)
			for i, p := range peers {
				p.birth()
				l.awaitPeers(p, peers[:i+1]...)
			}
			d := l.awaitPeers(peers[0], peers...)
			var order []wire.Entry
			for i := range d.entries.Len() {
				if e := d.entries.At(i); slices.Contains(entriesOf(peers), e) {
					order = append(order, e)
				}
			}
			back := slices.Clone(order)
			slices.Reverse(back)
			switch {
			case slices.Equal(order, entriesOf(peers)):
				l.inform("in the order of birth")
			case slices.Equal(order, sorted(order)):
				l.inform("by name")
			case slices.Equal(back, entriesOf(peers)):
				l.inform("the last born first")
			default:
				l.inform("neither by birth nor by name")
			}
		}},
		{Title: "a conflicting birth: is the directory sent again to the members", members: 1, called: func(l *trial, m []*endpoint) {
			s := l.stranger()
			l.sleep(150 * time.Millisecond)
			at := s.toServer(s.claimOf(m[0]))
			l.sleep(3 * settle)
			l.inform("%s", yesNo(l.again(m[0], at) > 0, "yes: 6 bytes draw m[0] directory for everybody", "no"))
		}},
		{Title: "an exactly repeated birth: is the directory sent to all members", members: 2, called: func(l *trial, m []*endpoint) {
			l.sleep(150 * time.Millisecond)
			at := m[0].birth()
			l.sleep(3 * settle)
			l.inform("%s", yesNo(l.again(m[1], at) > 0, "yes", "no, to its own port only"))
		}},
		{Title: "a birth with bytes behind it", risky: true, called: func(l *trial, _ []*endpoint) {
			p := l.peer()
			p.toServer(append(hostile.BirthOf(p.entry), 1, 2))
			l.in()
			l.inform("%s", yesNo(len(l.got(p, 0)) > 0, "taken", "refused"))
		}},
		{Title: "the largest port that is let in", risky: true, members: 1, called: func(l *trial, m []*endpoint) {
			for _, port := range []uint16{65535, 65534, 49151, 32768, 32767} {
				e := wire.Entry{Name: l.names[1], Port: port}
				s := l.stranger()
				s.toServer(hostile.BirthOf(e))
				in := false
				l.wait(3*settle, func() bool {
					d, _ := last(l.came(m[0], 0))
					in = d.lists(e)
					return in
				})
				if in {
					l.inform("%d", port)
					return
				}
			}
			l.inform("less than 32767")
		}},
		{Title: "how many announcements 20 births at once draw, and the delay of the answer to one birth", names: 24, whole: true, span: time.Second, called: func(l *trial, _ []*endpoint) {
			w := l.peer()
			l.keepAlive(w)
			at := w.birth()
			first := l.awaitPeers(w, w).at.Sub(at)
			l.sleep(200 * time.Millisecond)
			since := l.mark()
			all := append([]*endpoint{w}, l.peers(20)...)
			started := clock()
			for _, p := range all[1:] {
				p.birth()
			}
			d := l.awaitEntries(2*time.Second, since, w, entriesOf(all))
			l.inform("%s; answer after %v, whole after %v", plural(len(directories(l.got(w, since))), "announcement"),
				max(0, first).Round(10*time.Microsecond), d.at.Sub(started).Round(100*time.Microsecond))
		}},
		{Title: "how long the silent stay", names: 9, span: 3 * time.Second, called: func(l *trial, _ []*endpoint) {
			s := l.staggered(nil)
			l.inform("%.3f to %.3f s (six births, 83 ms apart)", slices.Min(s).Seconds(), slices.Max(s).Seconds())
		}},
		{Title: "is the server reached at 127.0.0.2, too (it binds all addresses)", called: func(l *trial, _ []*endpoint) {
			p := l.peer()
			s := l.open("stranger", l.server.Addr(), 0)
			s.send(netip.AddrPortFrom(elsewhere, l.server.Port()), hostile.BirthOf(p.entry))
			l.sleep(3 * settle)
			l.inform("%s", yesNo(len(l.got(p, 0)) > 0, "yes", "no"))
		}},
	}
}

func yesNo(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}
