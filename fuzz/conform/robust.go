package conform

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"p2plocal/core"
	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
)

// robustness makes cases of the catalogue of hostile datagrams.
func robustness(role hostile.Role, env hostile.Env) (cases []Case) {
	malformed := "Where a datagram is not one of the above"
	if env.Wide != nil {
		malformed = "Datagrams"
	}
	entire := env.Cases(role)
	env.Spare = env.Spare[:spares]
	for i, c := range env.Cases(role) {
		if slices.ContainsFunc(c.Steps, func(s hostile.Step) bool { return s.From == hostile.FromSelf }) {
			continue // nobody can send from a peer's own port but itself
		}
		_, rest, _ := strings.Cut(c.Name, "/")
		x := Case{ID: role.String() + "/robust/" + rest, Title: c.Why, Level: Should, Role: role, Section: malformed, Span: c.Span() + 200*time.Millisecond, members: 2}
		if c.NeedsKey() {
			x.keyed = "keyed"
		}
		x.risky = slices.ContainsFunc(c.Steps, func(s hostile.Step) bool { return s.Fate.Dropped() })
		x.loud = slices.ContainsFunc(c.Steps, func(s hostile.Step) bool { return s.Fate == core.Conflict || s.Fate == core.Repeated })
		if role == hostile.Server {
			if x.names = beside + spares; len(c.Steps) == 1 {
				x.names = beside + 2
			}
			x.called = func(l *trial, m []*endpoint) { l.attackServer(i, m) }
			if ignored(c) {
				x.Span, x.members = x.Span+persistent, 1
				x.called = func(l *trial, m []*endpoint) { l.provokeServer(i, m) }
			}
			if len(entire[i].Steps) > len(c.Steps) { // it does something for every spare name that there is
				x.names, x.whole = all, true
			}
		} else {
			x.Span += broadcast + soon
			x.called = func(l *trial, m []*endpoint) { l.attackPeer(i, m) }
		}
		if !x.risky {
			x.Section = []string{hostile.Server: "Server", hostile.Peer: "Peer"}[role]
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

const (
	spares = 4 // that a case of the catalogue needs, unless it takes all there are
	beside = 5 // other names that it is played with: members, a newcomer, the probe
)

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

// ignored reports that a case may have no effect on a server: no entry, no sign of life.
func ignored(c hostile.Case) bool {
	return !slices.ContainsFunc(c.Steps, func(s hostile.Step) bool { return !s.Fate.Dropped() && s.Fate != core.Unknown && s.Fate != core.Alive })
}

// A single datagram is sent again and again for longer than who is silent stays.
const (
	persistent = deadline + reap + 200*time.Millisecond
	insistence = 300 * time.Millisecond
)

// attackServer plays case i of the catalogue against a server.
func (l *trial) attackServer(i int, members []*endpoint) {
	if l.Case.names == all {
		l.names = append(l.names, 0) // none is left for the probe
	}
	c, spare, s := l.playServer(i, members)
	for range 2 { // beside others one answer may hide behind news of theirs
		if len(c.Steps) == 1 && c.Steps[0].Fate == core.Conflict {
			l.settle()
			s.toServer(c.Steps[0].Datagram)
		}
	}
	l.onlyChanged(members[0], s, spare, append(entriesOf(members), c.Left...))
}

// provokeServer plays case i, which must have no effect. It is about a victim that nothing else
// keeps in the directory. A control peer, which joins right after the victim and which the case
// does not mention, shows when the victim must leave: no later, unless the case may keep it alive.
func (l *trial) provokeServer(i int, members []*endpoint) {
	m, victim, control := members[0], l.peer(), l.peer()
	born := victim.birth()
	control.birth()
	l.awaitPeers(m, m, victim, control)
	since := l.mark()
	c, spare, s := l.playServer(i, []*endpoint{victim, m})
	for end := born.Add(persistent); len(c.Steps) == 1 && clock().Add(insistence).Before(end); {
		l.sleep(insistence)
		s.toServer(c.Steps[0].Datagram)
	}
	in := func(p *endpoint) bool {
		d, _ := last(l.came(m, 0))
		return d.lists(p.entry)
	}
	mayStay, stay, expected := c.Steps[0].Fate == core.Alive, entriesOf(members), "what is dropped is not announced, and no sign of life"
	if mayStay {
		stay, expected = append(stay, victim.entry), "a keep-alive keeps whom it names, and nobody else, from wherever it comes"
	}
	left := func() bool { return !in(control) && (mayStay || !in(victim)) }
	if !l.wait(time.Until(born.Add(persistent+soon)), left) {
		if !l.wait(persistent+soon, left) && !mayStay {
			l.wantChanges(m, since, expected)
			return // the server removes nobody, as other cases say
		}
		l.failf(m, expected, "%s, or %s who was born right after it, has stayed in the directory", victim, control)
	}
	if slices.ContainsFunc(directories(l.got(m, since)), func(d directorySeen) bool { return d.lists(control.entry) && !d.lists(victim.entry) }) {
		// A round of the reaper fell between their births.
		l.wantChanges(m, since, expected, append(entriesOf(members), control.entry), stay)
	} else {
		l.wantChanges(m, since, expected, stay)
	}
	l.onlyChanged(m, s, spare, stay)
}

// playServer plays case i against a server with two members, and gives who sent it and whom it
// may be about.
func (l *trial) playServer(i int, members []*endpoint) (c hostile.Case, spare []*endpoint, s *endpoint) {
	n := min(l.left(), l.Case.names-beside)
	if each := l.pace.each; each > 0 {
		n = min(n, max(spares, int(soon/2/each)))
	}
	spare = l.peers(n)
	entries := append(entriesOf(spare), make([]wire.Entry, max(0, spares-len(spare)))...) // it uses no more
	c = hostile.Env{Server: l.server, Members: entriesOf(members), Spare: entries, Wide: l.gate.Dialect()}.Case(hostile.Server, i)
	if l.pace.each*time.Duration(len(c.Steps)) > 2*soon { // it takes so long that whom it leaves would have left
		for _, p := range spare {
			if slices.Contains(c.Left, p.entry) {
				l.keepAlive(p)
			}
		}
	}
	for _, step := range c.Steps {
		aim(step.Datagram, members[0].entry.Name, spare[1].entry.Name)
	}
	s = l.stranger()
	l.play(c, func(hostile.Step) *endpoint { return s }, l.server)
	return c, spare, s
}

// onlyChanged ensures that in the end some are in the directory and nobody else, and that nobody was told
// more than that.
func (l *trial) onlyChanged(m, s *endpoint, spare []*endpoint, in []wire.Entry) {
	l.awaitEntries(soon, 0, m, in)
	l.wantNothing(s, "a port that no birth has named is sent nothing")
	l.wantNewsOnly(m, l.started, "who has done nothing is told of changes only")
	for _, p := range spare {
		l.pacedAnswers(p, l.started)
	}
	if l.left() > 0 { // what has not been announced a newcomer is told
		p := l.peer()
		p.birth()
		l.first(p, append(in, p.entry))
	}
}

// aim has a name field that is none, but has an A in it, have in its place the name of whom a
// server that overlooks the rest would take a keep-alive, or a birth, for.
func aim(b []byte, victim, newcomer wire.Name) {
	if len(b) < 4 || b[3] == 0 || b[1] != 0 {
		return
	}
	name := victim
	if b[0] == byte(core.TypeBirth) {
		name = newcomer
	}
	for i := 2; i < 4; i++ {
		if b[i] == 'A' {
			b[i] = byte(name)
		}
	}
}

// attackPeer plays case i of the catalogue against a peer that has been told of two members. Whom
// the case's directories name is somebody else: by whom the next broadcast reaches it
// shows which of them it has believed.
func (l *trial) attackPeer(i int, m []*endpoint) {
	outside := l.peers(2 + spares)
	c := hostile.Env{Server: l.server, Members: entriesOf(outside[:2]), Self: l.self, Spare: entriesOf(outside[2:]), Wide: l.gate.Dialect()}.Case(hostile.Peer, i)
	if strings.Contains(c.Name, "/directory/") && len(c.Steps) == 2 {
		c.Steps = c.Steps[:1] // without the true one behind it
	}
	senders := map[hostile.Origin]*endpoint{hostile.FromStranger: l.stranger(), hostile.FromServer: l.home, hostile.FromMember: m[0]}
	known, sent := entriesOf(m), 0
	for _, s := range c.Steps {
		sent += len(s.Datagram)
		switch {
		case s.From == hostile.FromElsewhere:
			senders[s.From] = l.open("double of the server", elsewhere, l.server.Port())
		case s.From == hostile.FromDouble:
			senders[s.From] = l.open("double of "+m[0].label, elsewhere, m[0].addr.Port())
		}
		if d, err := wire.Parse(s.Datagram); err == nil && s.Fate == core.Listed {
			known = slices.Collect(d.Entries.Each())
		}
	}
	before := l.printedBefore(m[0])
	from := len(l.output())
	l.play(c, func(s hostile.Step) *endpoint { return senders[s.From] }, l.at())
	l.settle() // by then it has seen to all
	l.checkOutput(c, before, l.output()[from:], sent)
	others := append(slices.Clone(m), outside...)
	listed := func(p *endpoint) bool {
		return slices.ContainsFunc(known, func(e wire.Entry) bool { return e.Port == p.addr.Port() })
	}
	for _, p := range others {
		if listed(p) {
			l.says(p, l.hears(p, 1, broadcast)[0], 0)
		}
	}
	l.until(l.born.Add(broadcast))
	l.settle()
	for _, p := range append(others, senders[hostile.FromStranger]) {
		n := 0
		if listed(p) {
			n = 1
		}
		l.wantCount(p, 0, n, "the broadcast goes to all in the last true directory and to nobody else")
	}
	toServer := slices.DeleteFunc(ofType(l.got(l.home, 0), core.TypeVanilla), func(event) bool {
		return slices.ContainsFunc(known, func(e wire.Entry) bool { return e.Port == l.server.Port() })
	})
	if len(toServer)+len(l.signs(core.TypeDirectory)) > 0 {
		l.failf(l.home, "the server is sent births and keep-alives only", "more than that")
	}
}

// messageIn is the text of a message, whether that is sound or not.
func messageIn(b []byte) (text string, ok bool) {
	begin := 4
	if len(b) > 14 && b[1] == 0x57 {
		begin = 15 + int(b[14])
	}
	if len(b) < begin || b[0] != byte(core.TypeVanilla) || b[1] != 0 && b[1] != 0x57 {
		return "", false
	}
	text, _, _ = strings.Cut(string(b[begin:]), "\x00")
	return text, true
}

// printedBefore is what the target prints in a line before the text of a message, without
// digits; "" where that tells a message from no other line.
func (l *trial) printedBefore(m *endpoint) string {
	const text = "as messages are printed"
	if m.send(l.at(), hostile.Vanilla(text)); !l.printed(soon, text) {
		return ""
	}
	before, _, _ := strings.Cut(lineWith(l.output(), text), text)
	if before = undated(before); !strings.ContainsFunc(before, unicode.IsLetter) {
		return ""
	}
	return before
}

// undated is a text without what may be a time in it.
func undated(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, s)
}

// checkOutput ensures that messages are printed, or not, and nothing that was not sent.
func (l *trial) checkOutput(c hostile.Case, before, said string, sent int) {
	const plenty = 4096 // bytes to complain in
	if n := len(said); n > plenty+4*sent {
		l.failf(nil, fmt.Sprintf("of %s at most %s are printed", plural(sent, "byte"), plural(plenty+4*sent, "byte")), "%s", plural(n, "byte"))
	}
	heard := false
	for _, s := range c.Steps {
		text, ok := messageIn(s.Datagram)
		if !ok {
			continue
		}
		printable := len(text) > 1 && len(text) < 200 && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
		if s.Fate == core.Heard {
			if heard = true; printable {
				l.prints(nil, text)
			}
		} else if printable && len(text) > 7 && strings.Contains(said, text) {
			l.failf(nil, fmt.Sprintf("a message that is dropped is not printed: %q", text), "it is printed: %q", lineWith(said, text))
		}
	}
	if heard {
		return
	}
	for line := range strings.Lines(said) {
		if before != "" && strings.HasPrefix(undated(line), before) {
			l.failf(nil, "what is dropped is not printed as a message is", "printed: %.100q", line)
		}
	}
	if strings.ContainsFunc(said, func(r rune) bool { return r < '\a' || r == 0x7f || r == utf8.RuneError }) {
		l.failf(nil, "nothing is printed that was not sent", "printed: %.100q", said)
	}
}
