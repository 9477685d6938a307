package conform

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
)

func peerCases() []group {
	return []group{
		{"birth", secPeer, Must, false, peerBirths()},
		{"keep-alive", secPeer, Must, false, peerKeepAlives()},
		{"directory", secPeer, Must, false, peerDirectories()},
		{"broadcast", secPeer, Must, false, peerBroadcasts()},
		{"message", secPeer, Must, false, peerMessages()},
		{"silence", secPeer, Must, false, peerSilence()},
		{"addition", secAdditions, Should, false, peerAdditions()},
		{"differs", secDiffer, Info, false, peerDiffers()},
	}
}

// peerSide is what a trial has of a peer under test.
type peerSide struct {
	self wire.Entry // the target
	home *endpoint  // its server, which is meshcheck
	born time.Time  // when its birth came; known after awaitBirth
}

// awaitBirth waits for the target's birth.
func (l *trial) awaitBirth() {
	l.expect(l.home, 0, startup, "the target sends its birth: type, name and port, 6 bytes", func() bool {
		came := l.came(l.home, 0)
		i := slices.IndexFunc(came, func(e event) bool { return bytes.Equal(e.datagram, hostile.BirthOf(l.self)) })
		if i >= 0 {
			l.born = came[i].at
		}
		return i >= 0
	})
}

const startup = 5 * time.Second // that a process may take until it is there

// teach sends the target a directory from its server.
func (l *trial) teach(entries ...wire.Entry) time.Time {
	return l.home.send(l.at(), hostile.Directory(entries...))
}

// at is where the target receives.
func (l *trial) at() netip.AddrPort { return netip.AddrPortFrom(l.server.Addr(), l.self.Port) }

// gather has n members in the directory when a case begins: a server lets them in, and a
// peer, once it is born, is told of itself and of them.
func (l *trial) gather(n int) (members []*endpoint) {
	if l.Case.Role == hostile.Server {
		return l.join(n)
	}
	l.awaitBirth()
	if n > 0 {
		members = l.peers(n)
		l.teach(append(entriesOf(members), l.self)...)
		l.settle()
	}
	return members
}

// signs are the target's births and keep-alives, by their type, that its server got.
func (l *trial) signs(kind core.Type) []event { return ofType(l.got(l.home, 0), kind) }

// awaitSigns waits until there are n of them, and gives all.
func (l *trial) awaitSigns(kind core.Type, n int, within time.Duration, expected string) []event {
	l.expect(l.home, 0, within, expected, func() bool { return len(ofType(l.came(l.home, 0), kind)) >= n })
	return l.signs(kind)
}

func ofType(events []event, kind core.Type) []event {
	return slices.DeleteFunc(slices.Clone(events), func(e event) bool {
		return len(e.datagram) < 2 || core.Type(binary.LittleEndian.Uint16(e.datagram)) != kind
	})
}

func peerBirths() []Case {
	return []Case{
		{Title: "at its start a peer sends its birth: type, name, port, 6 bytes", called: nothing},
		{Title: "nothing comes before the birth", called: func(l *trial, _ []*endpoint) {
			if first := l.got(l.home, 0)[0]; string(first.datagram) != string(hostile.BirthOf(l.self)) {
				l.fail(l.home, 0, "the first datagram is the birth", "it is "+Summary(first.datagram))
			}
		}},
		{Title: "who is answered is born once", span: 7 * time.Second, members: 1, called: func(l *trial, _ []*endpoint) {
			l.sleep(6500 * time.Millisecond)
			if n := len(l.signs(core.TypeBirth)); n != 1 {
				l.fail(l.home, 0, "one birth", fmt.Sprintf("%d births in 6.5 s", n))
			}
		}},
		{Title: "a peer is called ~ when told so", wanted: "~", called: nothing},
		{Title: "a peer is called 0 when told so", wanted: "0", called: nothing},
		{Title: "a peer is called ! when told so", wanted: "!", called: nothing},
	}
}

// beats waits for n keep-alives.
func (l *trial) beats(n int) (all []event) {
	within := time.Duration(n)*heartbeat*3/2 + soon
	return l.awaitSigns(core.TypeKeepAlive, n, within, fmt.Sprintf("%s within %v", plural(n, "keep-alive"), within))
}

func peerKeepAlives() []Case {
	return []Case{
		{Title: "a keep-alive is type and name, 4 bytes", span: time.Second, members: 1, called: func(l *trial, _ []*endpoint) {
			for _, e := range l.beats(2) {
				if string(e.datagram) != string(hostile.KeepAliveOf(l.self)) {
					l.failCertain(l.home, 0, fmt.Sprintf("keep-alives of %q, 4 bytes", rune(l.self.Name)), "one is "+Summary(e.datagram))
				}
			}
		}},
		{Title: "the first keep-alive comes 500 ms after the birth", span: time.Second, members: 1, called: func(l *trial, _ []*endpoint) {
			first := l.beats(1)[0].at.Sub(l.born)
			l.within("the first keep-alive after the birth", first, 1, heartbeat, coarse+10*time.Millisecond, overdue)
		}},
		{Title: "a keep-alive comes every 500 ms", span: 5500 * time.Millisecond, members: 1, called: func(l *trial, _ []*endpoint) {
			const n = 11
			all := l.beats(n)
			mean := all[n-1].at.Sub(all[0].at) / (n - 1)
			l.within(fmt.Sprintf("mean interval of %d keep-alives", n), mean, n-1, heartbeat, 25*time.Millisecond, 25*time.Millisecond)
			for i, e := range all[1:n] {
				l.within(fmt.Sprintf("interval of keep-alives %d and %d", i+1, i+2), e.at.Sub(all[i].at), 1, heartbeat, 200*time.Millisecond, 200*time.Millisecond)
			}
		}},
		{Title: "keep-alives do not wait for an answer", span: 2 * time.Second, called: func(l *trial, _ []*endpoint) {
			l.beats(3)
		}},
		{Title: "keep-alives go on when the directory does not name the peer", span: 4 * time.Second, members: 1, called: func(l *trial, n []*endpoint) {
			l.beats(1)
			l.teach(n[0].entry)
			l.beats(5)
		}},
	}
}

// within ensures that a time, or the mean of n, is as it should be.
func (l *trial) within(what string, is time.Duration, n int, want, before, after time.Duration) {
	late := (l.tolerance(l.started) + l.lag) / time.Duration(n)
	before, after = before+late, after+late // a late datagram comes too soon before the next
	if l.over = max(want-before-is, is-want-after); l.over > 0 {
		l.failf(l.home, fmt.Sprintf("%s: %v (tolerated: %v before, %v after)", what, want, before.Round(time.Millisecond), after.Round(time.Millisecond)), "%.1f ms", is.Seconds()*1000)
	}
}

// letter is a message that a neighbour got.
type letter struct {
	event
	text string
}

// letters are the messages that a neighbour got. The lock is held.
func (l *trial) letters(p *endpoint) (all []letter) {
	for _, e := range l.came(p, 0) {
		if m, err := wire.Parse(e.datagram); err == nil && m.Type == core.TypeVanilla {
			all = append(all, letter{e, string(m.Payload)})
		}
	}
	return all
}

// hears waits until a neighbour has got n messages, the last of which is due at
// a time after the birth, and gives them.
func (l *trial) hears(p *endpoint, n int, due time.Duration) (all []letter) {
	if !l.wait(time.Until(l.born.Add(due))+soon, func() bool { all = l.letters(p); return len(all) >= n }) {
		l.fail(p, 0, fmt.Sprintf("%s hears %s, %v after the birth", p, plural(n, "broadcast"), due), fmt.Sprintf("%s was sent %d", p, len(all)))
	}
	return all
}

// allHear waits until each neighbour has heard the first broadcast.
func (l *trial) allHear(neighbours []*endpoint) {
	for _, p := range neighbours {
		l.hears(p, 1, broadcast)
	}
}

// text is what the target broadcasts.
func (l *trial) text(counter uint16) string {
	return string(core.AppendBroadcast(nil, core.Name(l.self.Name.String()), counter, 0))
}

// says ensures that a message is the one that is due.
func (l *trial) says(p *endpoint, m letter, counter uint16) {
	if want := l.text(counter); m.text != want {
		l.fail(p, 0, fmt.Sprintf("the text %q", want), fmt.Sprintf("%q", m.text))
	}
}

func peerDirectories() []Case {
	const round = 4500 * time.Millisecond
	return []Case{
		{Title: "a peer broadcasts to all in its directory", span: round, members: 5, called: func(l *trial, m []*endpoint) {
			l.allHear(m)
		}},
		{Title: "a new directory replaces the old one", span: 2 * round, members: 2, called: func(l *trial, n []*endpoint) {
			l.allHear(n)
			c := l.peer()
			l.teach(l.self, n[1].entry, c.entry)
			l.hears(c, 1, 2*broadcast)
			l.hears(n[1], 2, 2*broadcast)
			l.settle()
			l.wantCount(n[0], 0, 1, fmt.Sprintf("%s is in the directory no more and is sent nothing", n[0]))
		}},
		{Title: "the directory last heard counts, not the one before", span: round, called: func(l *trial, _ []*endpoint) {
			a, b := l.peer(), l.peer()
			l.teach(l.self, a.entry)
			l.settle()
			l.teach(l.self, b.entry)
			l.settle()
			l.hears(b, 1, broadcast)
			l.wantNothing(a, fmt.Sprintf("%s is in the directory no more and is sent nothing", a))
		}},
		{Title: "the order of the entries does not matter", span: round, called: func(l *trial, _ []*endpoint) {
			p := l.peers(3)
			l.teach(p[2].entry, p[0].entry, l.self, p[1].entry)
			l.allHear(p)
		}},
		{Title: "a peer that is alone sends to nobody, not even to itself", span: 2 * round, called: func(l *trial, _ []*endpoint) {
			a := l.peer()
			l.teach(a.entry) // not yet itself: does it print what it sends?
			l.hears(a, 1, broadcast)
			l.sleep(2 * settle)
			prints := strings.Contains(l.target.output(), l.text(0))
			l.teach(l.self, a.entry)
			l.hears(a, 2, 2*broadcast)
			l.sleep(2 * settle)
			if out := l.target.output(); !prints && strings.Contains(out, l.text(1)) {
				l.fail(a, 0, "a peer leaves itself out of what it knows, and never hears itself", "it prints its own message: "+fmt.Sprintf("%q", lineWith(out, l.text(1))))
			}
		}},
		{Title: "its own name on another port is somebody else", span: round, called: func(l *trial, _ []*endpoint) {
			p := l.peer()
			p.entry.Name = l.self.Name
			l.teach(p.entry)
			l.hears(p, 1, broadcast)
		}},
		{Title: "a directory without the peer itself counts, too", span: round, called: func(l *trial, _ []*endpoint) {
			p := l.peer()
			l.teach(p.entry)
			l.hears(p, 1, broadcast)
		}},
		{Title: "an empty directory is a directory", span: 2 * round, members: 1, called: func(l *trial, m []*endpoint) {
			l.hears(m[0], 1, broadcast)
			l.teach()
			l.until(l.born.Add(2*broadcast + soon))
			l.wantCount(m[0], 0, 1, "nobody is in the directory, so nobody is sent anything")
		}},
		{Title: "a directory of 95: all 94 others are sent the broadcast", names: all, span: round, called: func(l *trial, _ []*endpoint) {
			peers := l.peers(l.left())
			l.teach(append(entriesOf(peers), l.self)...)
			l.allHear(peers)
		}},
	}
}

func peerBroadcasts() []Case {
	// round has a neighbour hear n broadcasts.
	round := func(l *trial, p *endpoint, n int) []letter { return l.hears(p, n, time.Duration(n)*broadcast) }
	one, three := 4500*time.Millisecond, 12500*time.Millisecond
	return []Case{
		{Title: "the first broadcast is peerNAME_broadcast_0", span: one, members: 1, called: func(l *trial, m []*endpoint) {
			l.says(m[0], round(l, m[0], 1)[0], 0)
		}},
		{Title: "the first broadcast comes 4 s after the start", span: one, members: 1, called: func(l *trial, m []*endpoint) {
			first := round(l, m[0], 1)[0].at.Sub(l.born)
			l.within("the first broadcast after the birth", first, 1, broadcast, 50*time.Millisecond, 100*time.Millisecond)
		}},
		{Title: "a broadcast comes every 4 s", span: three, members: 1, called: func(l *trial, m []*endpoint) {
			all := round(l, m[0], 3)
			l.within("mean interval of 3 broadcasts", all[2].at.Sub(all[0].at)/2, 2, broadcast, 50*time.Millisecond, 50*time.Millisecond)
		}},
		{Title: "the counter goes up by one", span: three, members: 1, called: func(l *trial, m []*endpoint) {
			for i, x := range round(l, m[0], 3) {
				l.says(m[0], x, uint16(i))
			}
		}},
		{Title: "the counter is lower-case hexadecimal: 9, then a", span: 45 * time.Second, members: 1, called: func(l *trial, m []*endpoint) {
			for n := 1; n <= 11; n++ { // a failure is not waited for
				l.says(m[0], round(l, m[0], n)[n-1], uint16(n-1))
			}
		}},
		{Title: "the counter goes up, too, while the directory names nobody else", span: three, called: func(l *trial, _ []*endpoint) {
			l.teach(l.self)
			l.until(l.born.Add(2*broadcast + broadcast/2))
			p := l.peer()
			l.teach(l.self, p.entry)
			l.says(p, l.hears(p, 1, 3*broadcast)[0], 2)
		}},
		{Title: "the counter goes up, too, before any directory has come", span: 2 * one, called: func(l *trial, _ []*endpoint) {
			l.until(l.born.Add(broadcast + broadcast/2))
			p := l.peer()
			l.teach(l.self, p.entry)
			l.says(p, l.hears(p, 1, 2*broadcast)[0], 1)
		}},
		{Title: "messages leave from the peer's own port", span: one, members: 1, called: func(l *trial, m []*endpoint) {
			if from := round(l, m[0], 1)[0].other; from != l.at() {
				l.failCertain(m[0], 0, fmt.Sprintf("messages come from port %d", l.self.Port), fmt.Sprintf("from port %d", from.Port()))
			}
		}},
		{Title: "a message is type, length, text and one zero byte", span: one, members: 1, called: func(l *trial, m []*endpoint) {
			l.expect(m[0], 0, time.Until(l.born.Add(broadcast))+soon, "a broadcast", func() bool { return len(l.came(m[0], 0)) > 0 })
			first := l.got(m[0], 0)[0].datagram
			if x, err := wire.Parse(first); err != nil || x.Type != core.TypeVanilla {
				l.failCertain(m[0], 0, "type 0x00C2, a length of n, n bytes of text and one zero byte: 5 + n bytes", Summary(first))
			}
		}},
		{Title: "a broadcast is sent once to each", span: one, members: 3, called: func(l *trial, n []*endpoint) {
			l.allHear(n)
			l.sleep(2 * settle)
			for _, p := range n {
				l.wantCount(p, 0, 1, "one message to each at each tick")
			}
		}},
		{Title: "the counter is 16 bits wide: ffff, then 0", span: 15 * time.Second, members: 1, told: option{"{broadcast}", "100us"}, called: func(l *trial, m []*endpoint) {
			const most, lost = 90 * time.Second, 0x100 // for 65,536 broadcasts, of which some may not reach us
			expected := fmt.Sprintf("after the text %q comes %q", l.text(0xFFFF), l.text(0))
			for i, before, end := 0, uint16(0), clock().Add(most); clock().Before(end); l.sleep(100 * time.Millisecond) {
				for all := l.got(m[0], 0); i < len(all); i++ {
					x, _ := wire.Parse(all[i].datagram)
					_, n, ok := core.ParseBroadcast(x.Payload)
					switch {
					case before == 0xFFFF && n == 0 && ok:
						return
					case !ok || n < before && before < 0xFFFF-lost:
						l.failf(m[0], expected, "after %q came %s", l.text(before), Summary(all[i].datagram))
					}
					before = n
				}
			}
			l.fail(m[0], 0, expected, "")
		}},
	}
}

// printed waits for the target to have printed a text, and says whether it has.
func (l *trial) printed(within time.Duration, text string) bool {
	return l.wait(within, func() bool { return strings.Contains(l.target.output(), text) })
}

// prints waits until the target has printed a text.
func (l *trial) prints(p *endpoint, text string) {
	if !l.printed(soon, text) {
		l.fail(p, 0, fmt.Sprintf("the target prints the message %s", quoted([]byte(text))), "its output, here its last lines, does not have it")
	}
}

func peerMessages() []Case {
	say := func(l *trial, p *endpoint, text string) {
		p.send(l.at(), hostile.Vanilla(text))
		l.prints(p, text)
	}
	return []Case{
		{Title: "a peer prints a message", members: 1, called: func(l *trial, m []*endpoint) {
			say(l, m[0], "hello from a neighbour")
		}},
		{Title: "a peer prints what each of its neighbours says", members: 4, called: func(l *trial, n []*endpoint) {
			for i, p := range n {
				say(l, p, fmt.Sprintf("this is neighbour number %d", i))
			}
		}},
		{Title: "messages are printed in the order in which they come", members: 1, called: func(l *trial, m []*endpoint) {
			for i := range 10 {
				m[0].send(l.at(), hostile.Vanilla(fmt.Sprintf("in turn %03d", i)))
			}
			l.prints(m[0], "in turn 009")
			at := -1
			for i := range 10 {
				next := strings.Index(l.target.output(), fmt.Sprintf("in turn %03d", i))
				if next <= at {
					l.fail(m[0], 0, "ten messages in a row are printed in their order", fmt.Sprintf("number %d is not where it should be", i))
				}
				at = next
			}
		}},
		{Title: "a message of another broadcaster's is printed", members: 1, called: func(l *trial, m []*endpoint) {
			say(l, m[0], string(core.AppendBroadcast(nil, core.Name(m[0].entry.Name.String()), 0xFFFF, 0)))
		}},
		{Title: "a message of 400 bytes is printed whole", members: 1, called: func(l *trial, m []*endpoint) {
			say(l, m[0], strings.Repeat("0123456789", 39)+"[the end]!")
		}},
		{Title: "a newcomer is heard as soon as a directory names it", span: time.Second, members: 1, called: func(l *trial, n []*endpoint) {
			p := l.peer()
			l.teach(l.self, n[0].entry, p.entry)
			l.settle()
			say(l, p, "the new one speaks")
		}},
	}
}

func peerSilence() []Case {
	return []Case{
		{Title: "between its broadcasts a peer sends nothing to its neighbours", span: 8 * time.Second, members: 2, called: func(l *trial, n []*endpoint) {
			for _, p := range n {
				if first := l.hears(p, 1, broadcast)[0]; first.at.Before(l.born.Add(broadcast - overdue)) {
					l.fail(p, 0, "before the first broadcast, 4 s after its birth, a neighbour is sent nothing", "")
				}
			}
			l.until(l.born.Add(2*broadcast - 100*time.Millisecond))
			for _, p := range n {
				l.wantCount(p, 0, 1, "one message within 4 s")
			}
		}},
		{Title: "a message is not answered", span: time.Second, members: 1, called: func(l *trial, m []*endpoint) {
			m[0].send(l.at(), hostile.Vanilla("anybody there?"))
			l.beats(len(l.signs(core.TypeKeepAlive)) + 2) // by then it has seen to it
			l.wantNothing(m[0], "a message is not answered")
		}},
		{Title: "a directory is not answered", span: time.Second, members: 1, called: func(l *trial, m []*endpoint) {
			l.beats(2)
			for _, e := range l.got(l.home, 0) {
				if !bytes.Equal(e.datagram, hostile.BirthOf(l.self)) && !bytes.Equal(e.datagram, hostile.KeepAliveOf(l.self)) {
					l.fail(l.home, 0, "the server is sent birth and keep-alives only", Summary(e.datagram))
				}
			}
			l.wantNothing(m[0], "a newcomer is not greeted")
		}},
		{Title: "there is no goodbye: who is ended says nothing", span: time.Second, members: 1, called: func(l *trial, m []*endpoint) {
			l.beats(1)
			since := l.mark()
			l.target.expectEnd()
			l.target.Signal(syscall.SIGINT)
			l.target.ends(2 * time.Second)
			time.Sleep(settle)
			l.wantNothing(m[0], "a peer that ends tells nobody")
			before, after := l.split(l.home, since)
			for _, e := range after { // one more keep-alive may have been due
				if !slices.ContainsFunc(before, func(b event) bool { return bytes.Equal(b.datagram, e.datagram) }) {
					l.fail(l.home, since, "a peer that ends does not tell its server", Summary(e.datagram))
				}
			}
		}},
	}
}

func peerAdditions() []Case {
	births := func(l *trial, n int, due time.Duration) []event {
		return l.awaitSigns(core.TypeBirth, n, time.Until(l.born.Add(due))+soon, fmt.Sprintf("%d births, the last %v after the first", n, due))
	}
	return []Case{
		{Title: "join retry: whom no directory has named after 3 s is born again", span: 4 * time.Second, called: func(l *trial, _ []*endpoint) {
			all := births(l, 2, retry)
			l.within("the second birth after the first", all[1].at.Sub(all[0].at), 1, retry, 50*time.Millisecond, 100*time.Millisecond)
		}},
		{Title: "join retry: a directory that does not name the peer is no answer", span: 4 * time.Second, called: func(l *trial, _ []*endpoint) {
			l.teach(l.peer().entry)
			births(l, 2, retry)
		}},
		{Title: "join retry: every 3 s, until a directory names the peer", span: 10 * time.Second, called: func(l *trial, _ []*endpoint) {
			births(l, 3, 2*retry)
			l.teach(l.self)
			l.until(l.born.Add(3*retry + soon))
			if n := len(l.signs(core.TypeBirth)); n != 3 {
				l.fail(l.home, 0, "no more births after the answer", fmt.Sprintf("%d births", n))
			}
		}},
		{Title: "refresh: a member repeats its birth at the interval that it is told", span: 3 * time.Second, members: 1, told: option{"{refresh}", "700ms"}, called: func(l *trial, _ []*endpoint) {
			all := births(l, 4, 4*700*time.Millisecond)
			l.within("interval of two repeated births", all[3].at.Sub(all[2].at), 1, 700*time.Millisecond, 50*time.Millisecond, 100*time.Millisecond)
		}},
	}
}

func peerDiffers() []Case {
	return []Case{
		{Title: "where births and keep-alives come from", span: time.Second, called: func(l *trial, _ []*endpoint) {
			background := l.beats(1)[0]
			birth := l.signs(core.TypeBirth)[0]
			switch {
			case birth.other.Port() == l.self.Port && background.other.Port() == l.self.Port:
				l.inform("from its own port")
			case birth.other == background.other:
				l.inform("from a second socket")
			default:
				l.inform("birth from port %d, keep-alive from port %d, own port %d", birth.other.Port(), background.other.Port(), l.self.Port)
			}
		}},
		{Title: "a member that an empty directory has shut out: is it born again", span: 5 * time.Second, members: 1, called: func(l *trial, _ []*endpoint) {
			l.teach()
			l.sleep(retry + soon)
			l.inform("%s", yesNo(len(l.signs(core.TypeBirth)) > 1, "yes", "no, as in the exact protocol"))
		}},
		{Title: "a message with bytes behind its zero byte", risky: true, members: 1, called: func(l *trial, m []*endpoint) {
			m[0].send(l.at(), append(hostile.Vanilla("with something behind"), 'x', 0))
			m[0].send(l.at(), hostile.Vanilla("next, please"))
			l.prints(m[0], "next, please")
			l.inform("%s", yesNo(strings.Contains(l.target.output(), "with something behind"), "printed", "refused"))
		}},
		{Title: "a message from somebody whom no directory names", risky: true, members: 1, called: func(l *trial, m []*endpoint) {
			l.stranger().send(l.at(), hostile.Vanilla("from nobody you know"))
			m[0].send(l.at(), hostile.Vanilla("next, please"))
			l.prints(m[0], "next, please")
			l.inform("%s", yesNo(strings.Contains(l.target.output(), "from nobody you know"), "printed", "refused"))
		}},
		{Title: "the longest message that is printed whole", risky: true, span: 2 * time.Second, members: 1, called: func(l *trial, m []*endpoint) {
			longest := 0
			for _, n := range []int{250, 500, 1000, 1400, 4000, 16000, 65502} {
				text := fmt.Sprintf("%s[%d]", strings.Repeat("x", n-len(fmt.Sprint(n))-2), n)
				m[0].send(l.at(), hostile.Vanilla(text))
				if l.printed(3*settle, text) {
					longest = n
				}
			}
			l.inform("%d bytes (of 250, 500, 1000, 1400, 4000, 16000, 65502)", longest)
		}},
		{Title: "how a message with control characters and bytes above 0x7F is printed", members: 1, called: func(l *trial, m []*endpoint) {
			const text = "tab\tescape\x1b[0mbyte\xff"
			m[0].send(l.at(), hostile.Vanilla(text))
			l.printed(soon, "escape")
			out := l.target.output()
			l.inform("%s", yesNo(strings.Contains(out, text), "as it is: a terminal would obey it", yesNo(strings.Contains(out, "escape"), "escaped", "not at all")))
		}},
		{Title: "does it end when its standard input does", span: time.Second, members: 1, called: func(l *trial, _ []*endpoint) {
			l.beats(1)
			l.target.expectEnd()
			l.target.CloseInput()
			l.inform("%s", yesNo(l.target.ends(500*time.Millisecond), "yes: "+l.target.Ended(), "no"))
		}},
	}
}

func lineWith(output, text string) string {
	for line := range strings.Lines(output) {
		if strings.Contains(line, text) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
