package conform

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"p2plocal/core"
	"p2plocal/fuzz/hostile"
)

func peerCases() []group {
	return []group{
		{"birth", secPeer, Must, peerBirths()},
		{"keep-alive", secPeer, Must, peerKeepAlives()},
		{"directory", secPeer, Must, peerDirectories()},
		{"broadcast", secPeer, Must, peerBroadcasts()},
		{"message", secPeer, Must, peerMessages()},
		{"silence", secPeer, Must, peerSilence()},
		{"addition", secAdditions, Should, peerAdditions()},
		{"differs", secDiffer, Info, peerDiffers()},
	}
}

// peerSide is what a trial has of a peer under test.
type peerSide struct {
	self core.Entry // the target
	home *endpoint  // its server, which is meshcheck
	born time.Time  // when its birth came; known after awaitBirth
}

// awaitBirth waits for the target's birth.
func (l *trial) awaitBirth() {
	l.expectAtHome("the target sends its birth: type, name and port, 6 bytes", startup, 0, func(e event) bool {
		if string(e.datagram) == string(hostile.BirthOf(l.self)) {
			l.born = e.at
			return true
		}
		return false
	})
}

const startup = 5 * time.Second // that a process may take until it is there

// expectAtHome waits until the server has got what is wanted.
func (l *trial) expectAtHome(expected string, within time.Duration, since int, wanted func(event) bool) {
	if !l.wait(within, func() bool { return slices.ContainsFunc(l.came(l.home, since), wanted) }) {
		l.fail(l.home, since, expected, "")
	}
}

// teach sends the target a directory from its server.
func (l *trial) teach(entries ...core.Entry) time.Time {
	return l.home.send(l.at(), hostile.Directory(entries...))
}

// at is where the target receives.
func (l *trial) at() netip.AddrPort { return netip.AddrPortFrom(l.server.Addr(), l.self.Port) }

// welcome has the target born and told of itself and of n neighbours.
func (l *trial) welcome(n int) (neighbours []*endpoint) {
	l.awaitBirth()
	entries := []core.Entry{l.self}
	for range n {
		p := l.peer()
		neighbours = append(neighbours, p)
		entries = append(entries, p.entry)
	}
	l.teach(entries...)
	return neighbours
}

// signs are the target's births and keep-alives, by their first byte, that its
// server got.
func (l *trial) signs(kind core.Type) (all []event) {
	for _, e := range l.got(l.home, 0) {
		if len(e.datagram) > 1 && e.datagram[0] == byte(kind) && e.datagram[1] == 0 {
			all = append(all, e)
		}
	}
	return all
}

func peerBirths() []Case {
	return []Case{
		{Title: "at its start a peer sends its birth: type, name, port, 6 bytes", called: func(l *trial) { l.awaitBirth() }},
		{Title: "nothing comes before the birth", called: func(l *trial) {
			l.awaitBirth()
			if first := l.got(l.home, 0)[0]; string(first.datagram) != string(hostile.BirthOf(l.self)) {
				l.fail(l.home, 0, "the first datagram is the birth", "it is "+Summary(first.datagram))
			}
		}},
		{Title: "who is answered is born once", span: 7 * time.Second, called: func(l *trial) {
			l.welcome(1)
			l.sleep(6500 * time.Millisecond)
			if n := len(l.signs(core.TypeBirth)); n != 1 {
				l.fail(l.home, 0, "one birth", fmt.Sprintf("%d births in 6.5 s", n))
			}
		}},
		{Title: "a peer is called ~ when told so", wanted: "~", called: func(l *trial) { l.awaitBirth() }},
		{Title: "a peer is called 0 when told so", wanted: "0", called: func(l *trial) { l.awaitBirth() }},
		{Title: "a peer is called ! when told so", wanted: "!", called: func(l *trial) { l.awaitBirth() }},
	}
}

// beats waits for n keep-alives.
func (l *trial) beats(n int) (all []event) {
	within := time.Duration(n)*heartbeat*3/2 + soon
	if !l.wait(within, func() bool {
		k := 0
		for _, e := range l.came(l.home, 0) {
			if len(e.datagram) > 0 && e.datagram[0] == byte(core.TypeKeepAlive) {
				k++
			}
		}
		return k >= n
	}) {
		l.fail(l.home, 0, fmt.Sprintf("%s within %v", plural(n, "keep-alive"), within), "")
	}
	return l.signs(core.TypeKeepAlive)
}

func peerKeepAlives() []Case {
	return []Case{
		{Title: "a keep-alive is type and name, 4 bytes", span: time.Second, called: func(l *trial) {
			l.welcome(1)
			for _, e := range l.beats(2) {
				if string(e.datagram) != string(hostile.KeepAlive(uint16(l.self.Name))) {
					l.surely(l.home, 0, fmt.Sprintf("keep-alives of %q, 4 bytes", rune(l.self.Name)), "one is "+Summary(e.datagram))
				}
			}
		}},
		{Title: "the first keep-alive comes 500 ms after the birth", span: time.Second, called: func(l *trial) {
			l.welcome(1)
			first := l.beats(1)[0].at.Sub(l.born)
			l.within("the first keep-alive after the birth", first, 1, heartbeat, coarse+10*time.Millisecond, overdue)
		}},
		{Title: "a keep-alive comes every 500 ms", span: 5500 * time.Millisecond, called: func(l *trial) {
			l.welcome(1)
			const n = 11
			all := l.beats(n)
			mean := all[n-1].at.Sub(all[0].at) / (n - 1)
			l.within(fmt.Sprintf("mean interval of %d keep-alives", n), mean, n-1, heartbeat, 25*time.Millisecond, 25*time.Millisecond)
			for i, e := range all[1:n] {
				l.within(fmt.Sprintf("interval of keep-alives %d and %d", i+1, i+2), e.at.Sub(all[i].at), 1, heartbeat, 200*time.Millisecond, 200*time.Millisecond)
			}
		}},
		{Title: "keep-alives do not wait for an answer", span: 2 * time.Second, called: func(l *trial) {
			l.awaitBirth()
			l.beats(3)
		}},
		{Title: "keep-alives go on when the directory does not name the peer", span: 4 * time.Second, called: func(l *trial) {
			n := l.welcome(1)
			l.beats(1)
			l.teach(n[0].entry)
			l.beats(5)
		}},
	}
}

// within ensures that a time, or the mean of n, is as it should be.
func (l *trial) within(what string, is time.Duration, n int, want, before, after time.Duration) {
	late := l.tolerance(l.started) / time.Duration(n)
	before, after = before+late, after+late // a late datagram comes too soon before the next
	if is < want-before || is > want+after {
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
		if m, err := core.Parse(e.datagram); err == nil && m.Type == core.TypeVanilla {
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

// text is what the target broadcasts.
func (l *trial) text(counter uint16) string {
	return string(core.AppendBroadcast(nil, l.self.Name.Name(), counter, 0))
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
		{Title: "a peer broadcasts to all in its directory", span: round, called: func(l *trial) {
			for _, p := range l.welcome(5) {
				l.hears(p, 1, broadcast)
			}
		}},
		{Title: "a new directory replaces the old one", span: 2 * round, called: func(l *trial) {
			n := l.welcome(2)
			for _, p := range n {
				l.hears(p, 1, broadcast)
			}
			c := l.peer()
			l.teach(l.self, n[1].entry, c.entry)
			l.hears(c, 1, 2*broadcast)
			l.hears(n[1], 2, 2*broadcast)
			l.sleep(settle)
			if k := len(l.got(n[0], 0)); k != 1 {
				l.fail(n[0], 0, fmt.Sprintf("%s is in the directory no more and is sent nothing", n[0]), "")
			}
		}},
		{Title: "the directory last heard counts, not the one before", span: round, called: func(l *trial) {
			l.awaitBirth()
			a, b := l.peer(), l.peer()
			l.teach(l.self, a.entry)
			l.sleep(settle)
			l.teach(l.self, b.entry)
			l.sleep(settle)
			l.hears(b, 1, broadcast)
			l.wantNothing(a, fmt.Sprintf("%s is in the directory no more and is sent nothing", a))
		}},
		{Title: "the order of the entries does not matter", span: round, called: func(l *trial) {
			l.awaitBirth()
			a, b, c := l.peer(), l.peer(), l.peer()
			l.teach(c.entry, a.entry, l.self, b.entry)
			for _, p := range []*endpoint{a, b, c} {
				l.hears(p, 1, broadcast)
			}
		}},
		{Title: "a peer that is alone sends to nobody, not even to itself", span: 2 * round, called: func(l *trial) {
			l.awaitBirth()
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
		{Title: "its own name on another port is somebody else", span: round, called: func(l *trial) {
			l.awaitBirth()
			p := l.peer()
			p.entry.Name = l.self.Name
			l.teach(p.entry)
			l.hears(p, 1, broadcast)
		}},
		{Title: "a directory without the peer itself counts, too", span: round, called: func(l *trial) {
			l.awaitBirth()
			p := l.peer()
			l.teach(p.entry)
			l.hears(p, 1, broadcast)
		}},
		{Title: "an empty directory is a directory", span: 2 * round, called: func(l *trial) {
			a := l.welcome(1)[0]
			l.hears(a, 1, broadcast)
			l.teach()
			l.until(l.born.Add(2*broadcast + soon))
			if k := len(l.got(a, 0)); k != 1 {
				l.fail(a, 0, "nobody is in the directory, so nobody is sent anything", "")
			}
		}},
		{Title: "a directory of 95: all 94 others are sent the broadcast", names: all, span: round, called: func(l *trial) {
			l.awaitBirth()
			entries := []core.Entry{l.self}
			var peers []*endpoint
			for l.left() > 0 {
				p := l.peer()
				peers = append(peers, p)
				entries = append(entries, p.entry)
			}
			l.teach(entries...)
			for _, p := range peers {
				l.hears(p, 1, broadcast)
			}
		}},
	}
}

func peerBroadcasts() []Case {
	// round has one neighbour hear n broadcasts.
	round := func(l *trial, n int) (*endpoint, []letter) {
		p := l.welcome(1)[0]
		return p, l.hears(p, n, time.Duration(n)*broadcast)
	}
	one, three := 4500*time.Millisecond, 12500*time.Millisecond
	return []Case{
		{Title: "the first broadcast is peerNAME_broadcast_0", span: one, called: func(l *trial) {
			p, all := round(l, 1)
			l.says(p, all[0], 0)
		}},
		{Title: "the first broadcast comes 4 s after the start", span: one, called: func(l *trial) {
			_, all := round(l, 1)
			l.within("the first broadcast after the birth", all[0].at.Sub(l.born), 1, broadcast, 50*time.Millisecond, 100*time.Millisecond)
		}},
		{Title: "a broadcast comes every 4 s", span: three, called: func(l *trial) {
			_, all := round(l, 3)
			l.within("mean interval of 3 broadcasts", all[2].at.Sub(all[0].at)/2, 2, broadcast, 50*time.Millisecond, 50*time.Millisecond)
		}},
		{Title: "the counter goes up by one", span: three, called: func(l *trial) {
			p, all := round(l, 3)
			for i, m := range all {
				l.says(p, m, uint16(i))
			}
		}},
		{Title: "the counter is lower-case hexadecimal: 9, then a", span: 45 * time.Second, called: func(l *trial) {
			p := l.welcome(1)[0]
			for n := 1; n <= 11; n++ { // a failure is not waited for
				all := l.hears(p, n, time.Duration(n)*broadcast)
				l.says(p, all[n-1], uint16(n-1))
			}
		}},
		{Title: "the counter goes up, too, while the directory names nobody else", span: three, called: func(l *trial) {
			l.awaitBirth()
			l.teach(l.self)
			l.until(l.born.Add(2*broadcast + broadcast/2))
			p := l.peer()
			l.teach(l.self, p.entry)
			l.says(p, l.hears(p, 1, 3*broadcast)[0], 2)
		}},
		{Title: "the counter goes up, too, before any directory has come", span: 2 * one, called: func(l *trial) {
			l.awaitBirth()
			l.until(l.born.Add(broadcast + broadcast/2))
			p := l.peer()
			l.teach(l.self, p.entry)
			l.says(p, l.hears(p, 1, 2*broadcast)[0], 1)
		}},
		{Title: "messages leave from the peer's own port", span: one, called: func(l *trial) {
			p, all := round(l, 1)
			if from := all[0].other; from != l.at() {
				l.surely(p, 0, fmt.Sprintf("messages come from port %d", l.self.Port), fmt.Sprintf("from port %d", from.Port()))
			}
		}},
		{Title: "a message is type, length, text and one zero byte", span: one, called: func(l *trial) {
			p := l.welcome(1)[0]
			l.wait(time.Until(l.born.Add(broadcast))+soon, func() bool { return len(l.came(p, 0)) > 0 })
			came := l.got(p, 0)
			if len(came) == 0 {
				l.fail(p, 0, "a broadcast", "")
			}
			if m, err := core.Parse(came[0].datagram); err != nil || m.Type != core.TypeVanilla {
				l.surely(p, 0, "type 0x00C2, a length of n, n bytes of text and one zero byte: 5 + n bytes", Summary(came[0].datagram))
			}
		}},
		{Title: "a broadcast is sent once to each", span: one, called: func(l *trial) {
			n := l.welcome(3)
			for _, p := range n {
				l.hears(p, 1, broadcast)
			}
			l.sleep(2 * settle)
			for _, p := range n {
				if k := len(l.got(p, 0)); k != 1 {
					l.fail(p, 0, "one message to each at each tick", fmt.Sprintf("%s was sent %d", p, k))
				}
			}
		}},
	}
}

// prints waits until the target has printed a text.
func (l *trial) prints(p *endpoint, text string) {
	if !l.wait(soon, func() bool { return strings.Contains(l.target.output(), text) }) {
		l.fail(p, 0, fmt.Sprintf("the target prints the message %s", quoted([]byte(text))), "its output, here its last lines, does not have it")
	}
}

func peerMessages() []Case {
	say := func(l *trial, p *endpoint, text string) {
		p.send(l.at(), hostile.Vanilla(text))
		l.prints(p, text)
	}
	return []Case{
		{Title: "a peer prints a message", called: func(l *trial) {
			p := l.welcome(1)[0]
			l.sleep(settle)
			say(l, p, "hello from a neighbour")
		}},
		{Title: "a peer prints what each of its neighbours says", called: func(l *trial) {
			n := l.welcome(4)
			l.sleep(settle)
			for i, p := range n {
				say(l, p, fmt.Sprintf("this is neighbour number %d", i))
			}
		}},
		{Title: "messages are printed in the order in which they come", called: func(l *trial) {
			p := l.welcome(1)[0]
			l.sleep(settle)
			for i := range 10 {
				p.send(l.at(), hostile.Vanilla(fmt.Sprintf("in turn %03d", i)))
			}
			l.prints(p, "in turn 009")
			at := -1
			for i := range 10 {
				next := strings.Index(l.target.output(), fmt.Sprintf("in turn %03d", i))
				if next <= at {
					l.fail(p, 0, "ten messages in a row are printed in their order", fmt.Sprintf("number %d is not where it should be", i))
				}
				at = next
			}
		}},
		{Title: "a message of another broadcaster's is printed", called: func(l *trial) {
			p := l.welcome(1)[0]
			l.sleep(settle)
			say(l, p, string(core.AppendBroadcast(nil, p.entry.Name.Name(), 0xFFFF, 0)))
		}},
		{Title: "a message of 400 bytes is printed whole", called: func(l *trial) {
			p := l.welcome(1)[0]
			l.sleep(settle)
			say(l, p, strings.Repeat("0123456789", 39)+"[the end]!")
		}},
		{Title: "a newcomer is heard as soon as a directory names it", span: time.Second, called: func(l *trial) {
			n := l.welcome(1)
			p := l.peer()
			l.teach(l.self, n[0].entry, p.entry)
			l.sleep(settle)
			say(l, p, "the new one speaks")
		}},
	}
}

func peerSilence() []Case {
	return []Case{
		{Title: "between its broadcasts a peer sends nothing to its neighbours", span: 8 * time.Second, called: func(l *trial) {
			n := l.welcome(2)
			for _, p := range n {
				if first := l.hears(p, 1, broadcast)[0]; first.at.Before(l.born.Add(broadcast - overdue)) {
					l.fail(p, 0, "before the first broadcast, 4 s after its birth, a neighbour is sent nothing", "")
				}
			}
			l.until(l.born.Add(2*broadcast - 100*time.Millisecond))
			for _, p := range n {
				if k := len(l.got(p, 0)); k != 1 {
					l.fail(p, 0, "one message within 4 s", fmt.Sprintf("%d", k))
				}
			}
		}},
		{Title: "a message is not answered", span: time.Second, called: func(l *trial) {
			p := l.welcome(1)[0]
			l.sleep(settle)
			p.send(l.at(), hostile.Vanilla("anybody there?"))
			l.beats(len(l.signs(core.TypeKeepAlive)) + 2) // by then it has seen to it
			l.wantNothing(p, "a message is not answered")
		}},
		{Title: "a directory is not answered", span: time.Second, called: func(l *trial) {
			p := l.welcome(1)[0]
			l.beats(2)
			for _, e := range l.got(l.home, 0) {
				if string(e.datagram) != string(hostile.BirthOf(l.self)) && string(e.datagram) != string(hostile.KeepAlive(uint16(l.self.Name))) {
					l.fail(l.home, 0, "the server is sent birth and keep-alives only", Summary(e.datagram))
				}
			}
			l.wantNothing(p, "a newcomer is not greeted")
		}},
		{Title: "there is no goodbye: who is ended says nothing", span: time.Second, called: func(l *trial) {
			p := l.welcome(1)[0]
			l.beats(1)
			since := l.mark()
			l.target.interrupt()
			l.target.ends(2 * time.Second)
			time.Sleep(settle)
			l.wantNothing(p, "a peer that ends tells nobody")
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
		if !l.wait(time.Until(l.born.Add(due))+soon, func() bool {
			k := 0
			for _, e := range l.came(l.home, 0) {
				if string(e.datagram) == string(hostile.BirthOf(l.self)) {
					k++
				}
			}
			return k >= n
		}) {
			l.fail(l.home, 0, fmt.Sprintf("%d births, the last %v after the first", n, due), "")
		}
		return l.signs(core.TypeBirth)
	}
	return []Case{
		{Title: "join retry: whom no directory has named after 3 s is born again", span: 4 * time.Second, called: func(l *trial) {
			l.awaitBirth()
			all := births(l, 2, retry)
			l.within("the second birth after the first", all[1].at.Sub(all[0].at), 1, retry, 50*time.Millisecond, 100*time.Millisecond)
		}},
		{Title: "join retry: a directory that does not name the peer is no answer", span: 4 * time.Second, called: func(l *trial) {
			l.awaitBirth()
			l.teach(l.peer().entry)
			births(l, 2, retry)
		}},
		{Title: "join retry: every 3 s, until a directory names the peer", span: 10 * time.Second, called: func(l *trial) {
			l.awaitBirth()
			births(l, 3, 2*retry)
			l.teach(l.self)
			l.until(l.born.Add(3*retry + soon))
			if n := len(l.signs(core.TypeBirth)); n != 3 {
				l.fail(l.home, 0, "no more births after the answer", fmt.Sprintf("%d births", n))
			}
		}},
	}
}

func peerDiffers() []Case {
	return []Case{
		{Title: "where births and keep-alives come from", span: time.Second, called: func(l *trial) {
			l.awaitBirth()
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
		{Title: "a member that an empty directory has shut out: is it born again", span: 5 * time.Second, called: func(l *trial) {
			l.welcome(1)
			l.sleep(settle)
			l.teach()
			l.sleep(retry + soon)
			l.inform("%s", yesNo(len(l.signs(core.TypeBirth)) > 1, "yes", "no, as in the exact protocol"))
		}},
		{Title: "a message with bytes behind its zero byte", risky: true, called: func(l *trial) {
			p := l.welcome(1)[0]
			l.sleep(settle)
			p.send(l.at(), append(hostile.Vanilla("with something behind"), 'x', 0))
			p.send(l.at(), hostile.Vanilla("next, please"))
			l.prints(p, "next, please")
			l.inform("%s", yesNo(strings.Contains(l.target.output(), "with something behind"), "printed", "refused"))
		}},
		{Title: "a message from somebody whom no directory names", risky: true, called: func(l *trial) {
			p := l.welcome(1)[0]
			l.sleep(settle)
			l.stranger().send(l.at(), hostile.Vanilla("from nobody you know"))
			p.send(l.at(), hostile.Vanilla("next, please"))
			l.prints(p, "next, please")
			l.inform("%s", yesNo(strings.Contains(l.target.output(), "from nobody you know"), "printed", "refused"))
		}},
		{Title: "the longest message that is printed whole", risky: true, span: 2 * time.Second, called: func(l *trial) {
			p := l.welcome(1)[0]
			l.sleep(settle)
			longest := 0
			for _, n := range []int{250, 500, 1000, 1400, 4000, 16000, 65502} {
				text := fmt.Sprintf("%s[%d]", strings.Repeat("x", n-len(fmt.Sprint(n))-2), n)
				p.send(l.at(), hostile.Vanilla(text))
				if l.wait(3*settle, func() bool { return strings.Contains(l.target.output(), text) }) {
					longest = n
				}
			}
			l.inform("%d bytes (of 250, 500, 1000, 1400, 4000, 16000, 65502)", longest)
		}},
		{Title: "how a message with control characters and bytes above 0x7F is printed", called: func(l *trial) {
			p := l.welcome(1)[0]
			l.sleep(settle)
			const text = "tab\tescape\x1b[0mbyte\xff"
			p.send(l.at(), hostile.Vanilla(text))
			l.wait(soon, func() bool { return strings.Contains(l.target.output(), "byte") })
			l.inform("%s", yesNo(strings.Contains(l.target.output(), text), "as it is: a terminal would obey it", "escaped or not at all"))
		}},
		{Title: "does it end when its standard input does", span: time.Second, called: func(l *trial) {
			l.welcome(1)
			l.beats(1)
			l.target.closeInput()
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
