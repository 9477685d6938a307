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

// peerVerbs are those about peers.
var peerVerbs = map[string]func(*player, step){
	"until": func(p *player, s step) { p.until(p.born.Add(s.time(0))) },
	"teach": func(p *player, s step) { p.teach(p.entries(s.of)...) },
	"first-is-birth": func(p *player, _ step) {
		if first := p.got(p.home, 0)[0]; !bytes.Equal(first.datagram, hostile.BirthOf(p.self)) {
			p.fail(p.home, 0, "the first datagram is the birth", "it is "+Summary(first.datagram))
		}
	},
	"births": func(p *player, s step) {
		if n := len(p.signs(core.TypeBirth)); n != s.number(0) {
			p.fail(p.home, 0, s.text[0], plural(n, "birth"))
		}
	},
	"born-again": func(p *player, s step) { // so often, the last time so long after the first, and after the one before
		n, due := s.number(0), s.time(1)
		all := p.awaitSigns(core.TypeBirth, n, time.Until(p.born.Add(due))+soon, fmt.Sprintf("%d births, the last %v after the first", n, due))
		if len(s.what) > 2 {
			p.within("the last birth after the one before", all[n-1].at.Sub(all[n-2].at), 1, s.time(2), 50*time.Millisecond, 100*time.Millisecond)
		}
	},
	"beats":      func(p *player, s step) { p.beats(s.number(0)) },
	"more-beats": func(p *player, s step) { p.beats(len(p.signs(core.TypeKeepAlive)) + s.number(0)) }, // by then it has seen to it
	"sound-beats": func(p *player, s step) {
		for _, e := range p.beats(s.number(0)) {
			if !bytes.Equal(e.datagram, hostile.KeepAliveOf(p.self)) {
				p.failCertain(p.home, 0, fmt.Sprintf("keep-alives of %q, 4 bytes", rune(p.self.Name)), "one is "+Summary(e.datagram))
			}
		}
	},
	"first-beat": func(p *player, _ step) {
		p.within("the first keep-alive after the birth", p.beats(1)[0].at.Sub(p.born), 1, heartbeat, coarse+10*time.Millisecond, overdue)
	},
	"steady-beats": func(p *player, s step) {
		n := s.number(0)
		all := p.beats(n)
		p.within(fmt.Sprintf("mean interval of %d keep-alives", n), all[n-1].at.Sub(all[0].at)/time.Duration(n-1), n-1, heartbeat, 25*time.Millisecond, 25*time.Millisecond)
		for i, e := range all[1:n] {
			p.within(fmt.Sprintf("interval of keep-alives %d and %d", i+1, i+2), e.at.Sub(all[i].at), 1, heartbeat, 200*time.Millisecond, 200*time.Millisecond)
		}
	},
	"hears": eachOf(2, func(p *player, x *endpoint, s step) { // so many broadcasts by a time after the birth
		n := len(s.what)
		p.hears(x, s.number(n-2), s.time(n-1))
	}),
	"says": eachOf(1, func(p *player, x *endpoint, s step) {
		n := s.number(1)
		p.says(x, p.hears(x, 1, time.Duration(n+1)*broadcast)[0], uint16(n))
	}),
	"counts": eachOf(1, func(p *player, x *endpoint, s step) {
		for i := range s.number(1) { // a failure is not waited for
			p.says(x, p.hears(x, i+1, time.Duration(i+1)*broadcast)[i], uint16(i))
		}
	}),
	"first-broadcast": each(func(p *player, x *endpoint, _ step) {
		p.within("the first broadcast after the birth", p.hears(x, 1, broadcast)[0].at.Sub(p.born), 1, broadcast, 50*time.Millisecond, 100*time.Millisecond)
	}),
	"steady-broadcasts": each(func(p *player, x *endpoint, _ step) {
		all := p.hears(x, 3, 3*broadcast)
		p.within("mean interval of 3 broadcasts", all[2].at.Sub(all[0].at)/2, 2, broadcast, 50*time.Millisecond, 50*time.Millisecond)
	}),
	"not-early": each(func(p *player, x *endpoint, _ step) {
		if p.hears(x, 1, broadcast)[0].at.Before(p.born.Add(broadcast - overdue)) {
			p.fail(x, 0, "before the first broadcast, 4 s after its birth, a neighbour is sent nothing", "")
		}
	}),
	"own-port": each(func(p *player, x *endpoint, _ step) {
		if from := p.hears(x, 1, broadcast)[0].other; from != p.at() {
			p.failCertain(x, 0, fmt.Sprintf("messages come from port %d", p.self.Port), fmt.Sprintf("from port %d", from.Port()))
		}
	}),
	"sound-message": each(func(p *player, x *endpoint, _ step) {
		p.expect(x, 0, time.Until(p.born.Add(broadcast))+soon, "a broadcast", func() bool { return len(p.came(x, 0)) > 0 })
		first := p.got(x, 0)[0].datagram
		if m, err := wire.Parse(first); err != nil || m.Type != core.TypeVanilla {
			p.failCertain(x, 0, "type 0x00C2, a length of n, n bytes of text and one zero byte: 5 + n bytes", Summary(first))
		}
	}),
	"wraps": each(func(p *player, x *endpoint, _ step) {
		const most, lost = 90 * time.Second, 0x100 // for 65,536 broadcasts, of which some may not reach us
		expected := fmt.Sprintf("after the text %q comes %q", p.text(0xFFFF), p.text(0))
		for i, before, end := 0, uint16(0), clock().Add(most); clock().Before(end); p.sleep(100 * time.Millisecond) {
			for all := p.got(x, 0); i < len(all); i++ {
				m, _ := wire.Parse(all[i].datagram)
				_, n, ok := core.ParseBroadcast(m.Payload)
				switch {
				case before == 0xFFFF && n == 0 && ok:
					return
				case !ok || n < before && before < 0xFFFF-lost:
					p.failf(x, expected, "after %q came %s", p.text(before), Summary(all[i].datagram))
				}
				before = n
			}
		}
		p.fail(x, 0, expected, "")
	}),
	"hears-itself-not": each(func(p *player, x *endpoint, _ step) {
		p.teach(x.entry) // not yet itself: does it print what it sends?
		p.hears(x, 1, broadcast)
		p.sleep(2 * settle)
		prints := strings.Contains(p.output(), p.text(0))
		p.teach(p.self, x.entry)
		p.hears(x, 2, 2*broadcast)
		p.sleep(2 * settle)
		if out := p.output(); !prints && strings.Contains(out, p.text(1)) {
			p.failf(x, "a peer leaves itself out of what it knows, and never hears itself", "it prints its own message: %q", lineWith(out, p.text(1)))
		}
	}),
	"send": each(func(p *player, x *endpoint, s step) { x.send(p.at(), hostile.Vanilla(s.text[0])) }),
	"say":  each(func(p *player, x *endpoint, s step) { p.say(x, strings.ReplaceAll(s.text[0], "{name}", x.label)) }),
	"say-long": eachOf(1, func(p *player, x *endpoint, s step) {
		n := s.number(1)
		p.say(x, strings.Repeat("0123456789", n/10-1)+"[the end]!")
	}),
	"in-turn": each(func(p *player, x *endpoint, _ step) {
		const n = 10
		turn := func(i int) string { return fmt.Sprintf("in turn %03d", i) }
		for i := range n {
			x.send(p.at(), hostile.Vanilla(turn(i)))
		}
		p.prints(x, turn(n-1))
		for i, at := 0, -1; i < n; i++ {
			next := strings.Index(p.output(), turn(i))
			if next <= at {
				p.failf(x, "ten messages in a row are printed in their order", "number %d is not where it should be", i)
			}
			at = next
		}
	}),
	"printed": func(p *player, s step) { p.printed(soon, s.text[0]) },
	"only-signs": func(p *player, _ step) {
		for _, e := range p.got(p.home, 0) {
			if !bytes.Equal(e.datagram, hostile.BirthOf(p.self)) && !bytes.Equal(e.datagram, hostile.KeepAliveOf(p.self)) {
				p.fail(p.home, 0, "the server is sent birth and keep-alives only", Summary(e.datagram))
			}
		}
	},
	"ends-silently": each(func(p *player, x *endpoint, _ step) {
		since := p.mark()
		p.ending = true
		p.target.Signal(syscall.SIGINT)
		select {
		case <-p.target.Done():
		case <-time.After(2 * time.Second):
		}
		time.Sleep(settle)
		p.wantNothing(x, "a peer that ends tells nobody")
		before, after := p.split(p.home, since)
		for _, e := range after { // one more keep-alive may have been due
			if !slices.ContainsFunc(before, func(b event) bool { return bytes.Equal(b.datagram, e.datagram) }) {
				p.fail(p.home, since, "a peer that ends does not tell its server", Summary(e.datagram))
			}
		}
	}),
	"inform-births": func(p *player, s step) { p.inform(len(p.signs(core.TypeBirth)) > 1, s.text) },
	"inform-printed": func(p *player, s step) { // texts, each with what it means that it is printed, and what else
		texts := s.text
		for ; len(texts) > 1; texts = texts[2:] {
			if strings.Contains(p.output(), texts[0]) {
				break
			}
		}
		p.info = texts[min(1, len(texts)-1)]
	},
}

// peerSide is what a trial has of a peer under test.
type peerSide struct {
	self wire.Entry // the target
	home *endpoint  // its server, which is meshcheck
	born time.Time  // when its birth came; known after awaitBirth
}

const startup = 5 * time.Second // that a process may take until it is there

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

// teach sends the target a directory from its server.
func (l *trial) teach(entries ...wire.Entry) {
	l.home.send(l.at(), hostile.Directory(entries...))
}

// at is where the target receives.
func (l *trial) at() netip.AddrPort { return netip.AddrPortFrom(l.server.Addr(), l.self.Port) }

// gather has n members in the directory when a case begins: a server lets them in, and a
// peer, once it is born, is told of itself and of them.
func (l *trial) gather(n int) (members []*endpoint) {
	if l.Case.Role == hostile.Server {
		return l.join(n)
	}
	if l.Case.mute {
		return nil
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

// beats waits for n keep-alives.
func (l *trial) beats(n int) (all []event) {
	within := time.Duration(n)*heartbeat*3/2 + soon
	return l.awaitSigns(core.TypeKeepAlive, n, within, fmt.Sprintf("%s within %v", plural(n, "keep-alive"), within))
}

// within ensures that a time, or the mean of n, is as it should be.
func (l *trial) within(what string, is time.Duration, n int, want, before, after time.Duration) {
	late := (l.tolerance(l.started) + l.lagged()) / time.Duration(n)
	before, after = before+late, after+late // a late datagram comes too soon before the next
	if over := max(want-before-is, is-want-after); over > 0 {
		l.over = over
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

// printed waits for the target to have printed a text, and says whether it has.
func (l *trial) printed(within time.Duration, text string) bool {
	return l.wait(within, func() bool { return strings.Contains(l.out.String(), text) })
}

// prints waits until the target has printed a text.
func (l *trial) prints(p *endpoint, text string) {
	if !l.printed(soon, text) {
		l.fail(p, 0, fmt.Sprintf("the target prints the message %s", quoted([]byte(text))), "its output, here its last lines, does not have it")
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

// say has a neighbour send a text, which the target must print.
func (l *trial) say(p *endpoint, text string) {
	p.send(l.at(), hostile.Vanilla(text))
	l.prints(p, text)
}
