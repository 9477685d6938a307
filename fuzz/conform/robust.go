package conform

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"p2plocal/core"
	"p2plocal/fuzz/hostile"
)

// robustness makes cases of the catalogue of bad input.
func robustness(role hostile.Role) (cases []Case) {
	env := hostile.DefaultEnv()
	entire := mustCatalogue(env)
	env.Spare = env.Spare[:spares]
	for i, c := range mustCatalogue(env) {
		if c.Role != role || slices.ContainsFunc(c.Steps, func(s hostile.Step) bool { return s.From == hostile.FromSelf }) {
			continue // nobody can send from a peer's own port but itself
		}
		x := Case{Title: c.Why, Level: Should, Role: role, Section: secBad, span: c.Span() + 200*time.Millisecond, members: 2}
		x.risky = slices.ContainsFunc(c.Steps, func(s hostile.Step) bool {
			return s.Fate == core.Malformed || s.Fate == core.Rejected || s.Fate == core.Misdirected
		})
		_, rest, _ := strings.Cut(c.Name, "/")
		if role == hostile.Server {
			x.ID = "server/robust/" + rest
			x.names = spares + 5
			if len(entire[i].Steps) > len(c.Steps) { // it does something for every spare name that there is
				x.names, x.whole = all, true
			}
			x.called = func(l *trial, m []*endpoint) { l.attackServer(i, m) }
		} else {
			x.ID = "peer/robust/" + rest
			x.span += 4500 * time.Millisecond
			x.called = func(l *trial, m []*endpoint) { l.attackPeer(i, m) }
		}
		if !x.risky {
			x.Section = secServer
			if role == hostile.Peer {
				x.Section = secPeer
			}
		}
		cases = append(cases, x)
	}
	var groups []string
	for _, c := range cases {
		groups = append(groups, c.Group())
	}
	slices.SortStableFunc(cases, func(a, b Case) int { return slices.Index(groups, a.Group()) - slices.Index(groups, b.Group()) })
	return cases
}

const spares = 4 // that a case of the catalogue needs, unless it takes all there are

func mustCatalogue(env hostile.Env) []hostile.Case {
	cases, err := env.Catalogue()
	if err != nil {
		panic(err) // the environment is ours
	}
	return cases
}

// play sends a case's datagrams when they are due.
func (l *trial) play(c hostile.Case, from func(hostile.Step) *endpoint, to netip.AddrPort) {
	const breath = 64 // datagrams at once that any receive buffer holds
	start := clock()
	for i, s := range c.Steps {
		l.until(start.Add(s.At))
		if i%breath == breath-1 {
			l.sleep(time.Millisecond)
		}
		from(s).send(to, s.Datagram)
	}
	l.until(start.Add(c.Span()))
}

// attackServer plays case i of the catalogue against a server.
func (l *trial) attackServer(i int, m []*endpoint) {
	if l.Case.names == all {
		l.names = append(l.names, 0) // none is left for the probe
	}
	env := hostile.Env{Server: l.server, Members: entriesOf(m), Self: l.peer().entry}
	n := l.left()
	if l.Case.names != all {
		n = min(n, spares)
	}
	env.Spare = entriesOf(l.peers(n))
	c := mustCatalogue(env)[i]
	s := l.stranger()
	since := l.mark()
	l.play(c, func(hostile.Step) *endpoint { return s }, l.server)
	expected := append(entriesOf(m), c.Left...)
	l.knowsIn(soon, 0, m[0], expected)
	l.wantNothing(s, "a port that no birth has named is sent nothing")
	if !slices.ContainsFunc(c.Steps, func(s hostile.Step) bool {
		return s.Fate == core.Born || s.Fate == core.Repeated || s.Fate == core.Conflict
	}) {
		l.wantSilence(m[0], since, "what is dropped is not announced")
	}
	if l.left() > 0 { // what has not been announced a newcomer is told
		p := l.peer()
		p.birth()
		l.first(p, append(expected, p.entry))
	}
}

// attackPeer plays case i of the catalogue against a peer.
func (l *trial) attackPeer(i int, m []*endpoint) {
	env := hostile.Env{Server: l.server, Members: entriesOf(m), Self: l.self}
	outside := l.peers(spares)
	env.Spare = entriesOf(outside)
	c := mustCatalogue(env)[i]
	senders := map[hostile.Origin]*endpoint{hostile.FromStranger: l.stranger(), hostile.FromServer: l.home, hostile.FromMember: m[0]}
	outside = append(outside, senders[hostile.FromStranger])
	for _, s := range c.Steps {
		switch s.From {
		case hostile.FromElsewhere:
			senders[s.From] = l.open("double of the server", elsewhere, l.server.Port())
		case hostile.FromDouble:
			senders[s.From] = l.open("double of "+m[0].label, elsewhere, m[0].addr.Port())
		}
	}
	before, sent := len(l.target.output()), 0
	for _, s := range c.Steps {
		sent += len(s.Datagram)
	}
	l.play(c, func(s hostile.Step) *endpoint { return senders[s.From] }, l.at())
	m[1].send(l.at(), hostile.Vanilla(lastWord))
	l.printed(soon, lastWord) // by then it has seen to all before
	l.checkOutput(c, before, sent)
	for _, p := range m {
		l.says(p, l.hears(p, 1, broadcast)[0], 0)
	}
	for _, p := range outside {
		l.wantNothing(p, "who is not in the last true directory is sent nothing")
	}
}

const lastWord = "that was it"

// checkOutput ensures that messages are printed, or not, and not more than that.
func (l *trial) checkOutput(c hostile.Case, before, sent int) {
	const plenty = 4096 // bytes to complain in
	said := l.target.output()[before:]
	if n := len(said); n > plenty+4*sent {
		l.failf(nil, fmt.Sprintf("of %s at most %s are printed", plural(sent, "byte"), plural(plenty+4*sent, "byte")), "%s", plural(n, "byte"))
	}
	for _, s := range c.Steps {
		b := s.Datagram
		if len(b) < 4 || b[0] != byte(core.TypeVanilla) || b[1] != 0 {
			continue
		}
		text, _, _ := strings.Cut(string(b[4:]), "\x00")
		text = text[:min(len(text), 200)]
		if len(text) < 8 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
			continue
		}
		if s.Fate == core.Heard && len(b) < 200 {
			l.prints(nil, text)
		} else if s.Fate != core.Heard && strings.Contains(said, text[:8]) {
			l.failf(nil, fmt.Sprintf("a message that is dropped is not printed: %q", text), "it is printed: %q", lineWith(said, text[:8]))
		}
	}
}
