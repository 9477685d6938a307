package conform

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
	"p2plocal/fuzz/figure"
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/target"
)

// serverVerbs are those about servers.
var serverVerbs = map[string]func(*player, step){
	"join":       func(p *player, s step) { p.name(s.what[0], p.join(s.number(1))) },
	"arrive":     func(p *player, s step) { p.name(s.what[0], append(p.cast[s.what[0]], p.newcomer())) },
	"keep":       func(p *player, s step) { p.keepAlive(p.all(s.what)...) },
	"birth":      sends((*endpoint).birth, hostile.BirthOf),
	"alive":      sends((*endpoint).alive, hostile.KeepAliveOf),
	"admit":      each(func(p *player, x *endpoint, _ step) { x.sign = p.admit(x) }),
	"told":       each(func(p *player, x *endpoint, s step) { p.awaitEntries(s.within, 0, x, p.entries(s.of)) }),
	"told-again": each(func(p *player, x *endpoint, s step) { p.awaitEntries(s.within, p.marked, x, p.entries(s.of)) }),
	"is": func(p *player, s step) { // a peer that is not born yet is somebody else
		x := p.one(s.what[0])
		x.entry = p.entries(s.what[1:])[0]
		x.label += " as " + x.entry.Name.String()
	},
	"stays":      eachOf(2, func(p *player, x *endpoint, s step) { p.stays(p.one(s.what[1]), x, s.time(2)) }),
	"leaves":     eachOf(1, func(p *player, x *endpoint, s step) { p.since = p.leaves(p.one(s.what[1]), x) }),
	"reaped":     eachOf(1, func(p *player, x *endpoint, s step) { p.window(x.sign, p.leaves(p.one(s.what[1]), x)) }),
	"unchanged":  each(func(p *player, x *endpoint, s step) { p.wantChanges(x, p.marked, s.text[0]) }),
	"no-repeats": each(func(p *player, x *endpoint, s step) { p.wantNewsOnly(x, p.since, s.text[0]) }),
	"contest": func(p *player, s step) { // a birth that conflicts: nothing comes of it
		loser := p.one(s.from)
		loser.toServer(hostile.BirthOf(p.entries(s.what)[0]))
		p.settle()
		q := p.peer()
		q.birth()
		p.awaitEntries(soon, 0, q, append(p.entries(s.of), q.entry))
		p.wantNothing(loser, "a birth that conflicts is not answered, nor is its sender told of changes")
	},
	"staggered": func(p *player, s step) {
		again := (*endpoint).birth
		if len(s.what) == 0 {
			again = nil
		} else if s.what[0] == "alive" {
			again = (*endpoint).alive
		}
		p.staggered(again)
	},
	"fill":        func(p *player, s step) { p.name(s.what[0], p.fillUp()) },
	"freeze":      func(p *player, s step) { p.one(s.what[1]).sign = p.freeze(s.time(0), func() {}) },
	"overflow":    func(p *player, s step) { p.overflow(uint64(s.number(0))) },
	"sleep-until": func(p *player, s step) { p.until(p.one(s.what[0]).sign.Add(s.time(1))) },
	"garbage": func(p *player, s step) {
		const n = 100 // that any buffer holds
		sender := p.stranger()
		_, before, _ := p.host.Backlog(p.server)
		for range n {
			sender.socket.Send(p.server, []byte("garbage"))
		}
		p.settle()
		_, now, _ := p.host.Backlog(p.server)
		if dropped := now - before; s.what[0] == "lost" && dropped < n || s.what[0] == "let-in" && dropped > 0 {
			p.failf(nil, s.text[0], "of %s datagrams %s were thrown away", figure.Grouped(n), figure.Grouped(dropped))
		}
	},
	"high-port": func(p *player, s step) {
		for port := uint16(60123); ; port++ {
			if socket, err := p.host.Listen(netip.AddrPortFrom(p.server.Addr(), port)); err == nil {
				p.name(s.what[0], []*endpoint{p.nameEndpoint(p.adopt("", socket))})
				return
			}
		}
	},
	"one-source": eachDirectory(func(p *player, x *endpoint, e event) {
		if e.other != p.server {
			p.failCertain(x, 0, fmt.Sprintf("directories come from %v", p.server), fmt.Sprintf("one came from %v", e.other))
		}
	}),
	"sound-directories": eachDirectory(func(p *player, x *endpoint, e event) {
		if e.directory == nil {
			p.failCertain(x, 0, "every datagram is a sound directory", "one is a "+Summary(e.datagram))
		}
	}),
	"same-bytes": func(p *player, s step) {
		all := p.all(s.what)
		first := p.awaitPeers(all[0], all...)
		for _, x := range all[1:] {
			p.wait(soon, func() bool {
				return slices.ContainsFunc(directories(p.came(x, 0)), func(d directorySeen) bool { return slices.Equal(d.entries, first.entries) })
			})
			if d := p.awaitPeers(x, all...); p.alone && !slices.Equal(d.entries, first.entries) {
				p.failf(x, "the directory that "+all[0].label+" was sent", "another order or other entries")
			}
		}
	},
	"announcements": func(p *player, s step) {
		x, want := p.one(s.what[0]), s.number(1)
		if n := len(p.changes(x, nil)); n != want && p.alone || n < want {
			p.failf(x, s.text[0], "%s was told of %d changes", x, n)
		}
	},
	// The reaper's round may fall between births; then there are two changes, a round apart.
	"one-a-round": func(p *player, s step) {
		x := p.one(s.what[0])
		changes := p.changes(x, sorted(p.entries(s.of)))
		for i := 1; i < len(changes); i++ {
			if changes[i].Sub(changes[i-1]) < reap/2 {
				p.fail(x, p.marked, "one round of the reaper sends one directory", "")
			}
		}
	},
	"told-once": each(func(p *player, x *endpoint, s step) {
		if p.alone && len(p.got(x, 0)) > 1 {
			p.fail(x, 0, s.text[0], "")
		}
	}),
	"paced": func(p *player, s step) {
		m := p.one(s.what[0])
		since, started := p.mark(), clock()
		all := []*endpoint{m}
		for range 80 {
			q := p.peer()
			all = append(all, q)
			q.birth()
			time.Sleep(500 * time.Microsecond)
		}
		p.awaitEntries(2*time.Second, since, m, entriesOf(all))
		got, sent := directories(p.got(m, since)), 0
		for _, d := range got {
			sent += d.entries.Len() // it went to each of them
		}
		span := got[len(got)-1].at.Sub(started)
		if most := core.Burst + int(core.Rate*span.Seconds()) + core.MaxPeers; sent > most {
			p.failf(m, fmt.Sprintf("80 births within %v draw at most %d directories", span.Round(time.Millisecond), most), "%d were sent", sent)
		}
	},
	"paced-answers": each(func(p *player, x *endpoint, _ step) { p.pacedAnswers(x, p.since) }),
	"birth-elsewhere": each(func(p *player, x *endpoint, _ step) {
		p.stranger().send(netip.AddrPortFrom(elsewhere, p.server.Port()), hostile.BirthOf(x.entry))
	}),
	"inform-sent":    each(func(p *player, x *endpoint, s step) { p.inform(len(p.got(x, 0)) > 0, s.text) }),
	"inform-repeats": each(func(p *player, x *endpoint, s step) { p.inform(p.again(x, p.since) > 0, s.text) }),
}

// sends sends for some peers, from their own sockets or from another.
func sends(own func(*endpoint) time.Time, of func(wire.Entry) []byte) func(*player, step) {
	return func(p *player, s step) {
		if s.from == "" {
			for _, x := range p.all(s.what) {
				x.sign = own(x)
			}
			return
		}
		for _, e := range p.entries(s.what) {
			p.one(s.from).toServer(of(e))
		}
	}
}

func eachDirectory(f func(*player, *endpoint, event)) func(*player, step) {
	return each(func(p *player, x *endpoint, _ step) {
		for _, e := range p.got(x, 0) {
			f(p, x, e)
		}
	})
}

// changes are when an endpoint was told of changes among the case's own since the mark.
func (p *player) changes(x *endpoint, before []wire.Entry) (at []time.Time) {
	for _, d := range directories(p.got(x, p.marked)) {
		if own := p.ownEntries(d); !slices.Equal(own, before) {
			at, before = append(at, d.at), own
		}
	}
	return at
}

// join has n peers join, one after the other, and keeps them alive.
func (l *trial) join(n int) (peers []*endpoint) {
	for range n {
		peers = append(peers, l.newcomer())
		l.awaitAll(peers)
	}
	l.settle()
	return peers
}

// newcomer is one more peer, which has sent its birth and is kept alive.
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

// admit sends a birth and waits until the directory names the newcomer.
func (l *trial) admit(p *endpoint) time.Time {
	at := p.birth()
	l.named(p)
	return at
}

// named waits for a directory that names the peer that gets it.
func (l *trial) named(p *endpoint) {
	l.expect(p, 0, soon, fmt.Sprintf("%s is told within %v of a directory with itself in it", p, soon), func() bool {
		d, _ := last(l.came(p, 0))
		return d.lists(p.entry)
	})
}

// stays ensures that a peer is in each directory that another is sent for a time, and in the last
// one before.
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

// leaves waits until a peer is gone from another's directory, and returns when that was sent.
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

// window ensures that a peer whose last sign of life came at sign left in time.
func (l *trial) window(sign, left time.Time) {
	silence := left.Sub(sign)
	tolerance := overdue + l.tolerance(sign) + l.lagged()
	expected := fmt.Sprintf("a silent peer leaves between 1.5 and 2.0 s after its last sign of life (tolerated: %v before, %v after)", coarse, tolerance.Round(time.Millisecond))
	if over := max(deadline-coarse-silence, silence-deadline-reap-tolerance); over > 0 {
		l.over = over
		l.failf(nil, expected, "it left after %.3f s", silence.Seconds())
	}
}

// staggered has peers give their last signs of life evenly over a round of the reaper, and ensures
// that each leaves in time: so the shortest and the longest silence come within a sixth of a round
// of what is allowed. The sign is their birth, or what again sends some time later.
func (l *trial) staggered(again func(*endpoint) time.Time) {
	const n = 6
	started := clock()
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
		silence := l.leaves(w, p).Sub(signs[i])
		l.window(started, started.Add(silence))
	}
}

// fillUp has as many peers join as there are names left.
func (l *trial) fillUp() (peers []*endpoint) {
	l.names = append(l.names, 0) // also the probe's
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

// freeze stops the target for a time while something is done, and returns when it went on.
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

// overflow stops the target, for less than a standstill, until so many datagrams for it have been
// dropped.
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
		panic(abortCase{outcome: Seen, why: fmt.Sprintf("not tested: of %s datagrams the system has thrown away %s", figure.Grouped(most), figure.Grouped(lost))})
	}
}

// again is how many directories since a time told an endpoint nothing new.
func (l *trial) again(p *endpoint, since time.Time) int { return repeats(l.got(p, 0), since) }

// pacedAnswers ensures that directories that told an endpoint nothing new came at a bounded rate.
func (l *trial) pacedAnswers(p *endpoint, since time.Time) {
	if n, most := l.again(p, since), 2+int(clock().Sub(since)/(100*time.Millisecond)); n > most {
		l.failf(p, fmt.Sprintf("repeated births are answered at most %d times by now", most), "%d times", n)
	}
}
