package conform

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"p2plocal/core"
	"p2plocal/core/wide"
	"p2plocal/core/wire"
	"p2plocal/fuzz/figure"
	"p2plocal/fuzz/gateway"
	"p2plocal/fuzz/hostile"
)

// A case of the wide dialect is carried out over a gateway: what its steps say of births, members
// and messages is translated. What follows looks at the datagrams themselves.

func (l *trial) wide(p *endpoint) *gateway.Socket { return p.socket.(*gateway.Socket) }

// showSent has the last event show what was sent for it.
func (l *trial) showSent(p *endpoint) {
	sent := l.wide(p).Sent()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := len(l.sent) - 1; i >= 0; i-- {
		if e := &l.sent[i]; e.endpoint == p {
			e.shown = sent.Data
			return
		}
	}
}

// seen is a sound wide datagram that has come to an endpoint.
type seen struct {
	core.Message
	gateway.Plain
}

// wideCame are those of a type that have come from an address since the mark.
func (p *player) wideCame(x *endpoint, from netip.AddrPort, kind core.Type) (all []seen) {
	p.catchUp(x)
	for _, d := range p.wide(x).Came() {
		var v core.Message
		if (wide.Codec{}).Parse(&v, d.Data) == nil && v.Type == kind && d.Peer == from && !d.At.Before(p.since) {
			all = append(all, seen{v, d})
		}
	}
	return all
}

// raw is the wide datagram of a script's words.
func (p *player) raw(s step) []byte {
	words := s.what[1:]
	entries := map[string]wire.Entry{"self": p.self}
	for _, w := range words {
		if w[0] == '"' {
			continue
		}
		for _, name := range strings.FieldsFunc(w, func(r rune) bool { return r == '.' || r == ':' }) {
			if name == "home" {
				entries[name] = wire.Entry{Port: p.server.Port()}
			} else if 'A' <= name[0] && name[0] <= 'Z' || p.cast[name] != nil {
				entries[name] = p.one(name).entry
			}
		}
	}
	return hostile.WideOf(words, p.server, entries, p.gate.Name)
}

// target is where what is tested receives.
func (p *player) targetAddr() netip.AddrPort {
	if p.Case.Role == hostile.Peer {
		return p.at()
	}
	return p.server
}

// signsOf are all births and keep-alives of the target's, as they came.
func (p *player) signsOf() (all []seen) {
	all = append(p.wideCame(p.home, p.at(), core.TypeBirth), p.wideCame(p.home, p.at(), core.TypeKeepAlive)...)
	slices.SortStableFunc(all, func(a, b seen) int { return a.At.Compare(b.At) })
	return all
}

// wideVerbs are those about the wide dialect.
var wideVerbs = map[string]func(*player, step){
	"raw": func(p *player, s step) {
		x := p.home
		if s.what[0] != "home" {
			x = p.one(s.what[0])
		}
		x.send(p.targetAddr(), p.raw(s))
	},
	"named": func(p *player, s step) { p.gate.SetName(p.one(s.what[0]).entry.Name, s.text[0]) },
	"long-names": func(p *player, s step) {
		all := p.peers(s.number(1))
		p.name(s.what[0], all)
		for _, x := range all {
			p.gate.SetName(x.entry.Name, strings.Repeat(x.label, 32))
		}
	},
	"retries": eachOf(1, func(p *player, x *endpoint, s step) { // that have come since the mark
		p.settle()
		if n, want := len(p.wideCame(x, p.server, core.TypeRetry)), s.number(len(s.what)-1); n != want {
			p.failf(x, s.text[0], "%s was sent %s", x, plural(n, "retry"))
		}
	}),
	"sound-retry": each(func(p *player, x *endpoint, _ step) {
		p.settle()
		all := p.wideCame(x, p.server, core.TypeRetry)
		sent := p.wide(x).Sent().Data
		switch {
		case len(all) == 0:
			p.failf(x, "a retry of 46 bytes", "%s was sent none", x)
		case !bytes.Equal(all[len(all)-1].Data[2:14], sent[2:14]):
			p.failf(x, "a retry repeats incarnation and number of what it answers", "it is %x, the answer to %x", all[len(all)-1].Data, sent)
		case bytes.Equal(all[len(all)-1].Token, make([]byte, 20)):
			p.failf(x, "a retry has a token", "it has none")
		case p.alone && p.gate.Version().Number > 0 && all[len(all)-1].Version != p.gate.Version():
			p.failf(x, "a retry says the version that was announced last", "it says number %d", all[len(all)-1].Version.Number)
		}
	}),
	"small": each(func(p *player, x *endpoint, s step) {
		p.settle()
		p.catchUp(x)
		in, out := 0, 0
		for _, d := range p.wide(x).Came() {
			out += len(d.Data)
		}
		p.mu.Lock()
		for _, e := range p.sent {
			if e.endpoint == x && e.other == p.server {
				in += len(e.shown)
			}
		}
		p.mu.Unlock()
		if out > in || out == 0 {
			p.failf(x, s.text[0], "%s for %s", plural(out, "byte"), figure.Grouped(in))
		}
	}),
	"unheard": each(func(p *player, x *endpoint, s step) { // nothing has come since the mark, not even a retry
		p.settle()
		p.catchUp(x)
		for _, d := range p.wide(x).Came() {
			if d.Peer == p.server && !d.At.Before(p.since) {
				p.failf(x, s.text[0], "%s was sent a %s", x, Summary(d.Data))
			}
		}
	}),
	"sound-pages": each(func(p *player, x *endpoint, _ step) {
		p.settle()
		next, of := 0, core.Version{}
		for _, d := range p.wide(x).Came() {
			var v core.Message
			if err := (wide.Codec{}).Parse(&v, d.Data); err != nil {
				p.failCertain(x, 0, "every datagram is sound, and of 1158 bytes at most unsealed", fmt.Sprintf("one of %d is not: %v", len(d.Data), err))
			} else if v.Type != core.TypeDirectory {
				continue
			}
			if v.Page != next || next > 0 && v.Version != of {
				p.failCertain(x, 0, "the pages of a version, from 0 on, before those of the next", fmt.Sprintf("page %d of %d, not %d", v.Page, v.Pages, next))
			}
			if next, of = (v.Page+1)%v.Pages, v.Version; next > 0 && len(d.Data) < 900 {
				p.failCertain(x, 0, "as many pages as it takes", fmt.Sprintf("page %d of %d is of %d bytes", v.Page, v.Pages, len(d.Data)))
			}
		}
	}),
	"versions": eachOf(1, func(p *player, x *endpoint, s step) {
		p.settle()
		said := map[core.Version]string{}
		var before seen
		for _, d := range p.wideCame(x, p.server, core.TypeDirectory) {
			content := string(d.List)
			if was, known := said[d.Version]; known && was != content && d.Pages == 1 {
				p.failCertain(x, 0, "one version is one directory", fmt.Sprintf("number %d is two", d.Version.Number))
			}
			said[d.Version] = content
			if b := before.Version; b.Number > 0 && (d.Version.Incarnation != b.Incarnation || d.Version.Number < b.Number ||
				d.Version.Number > b.Number+1 && p.alone || d.Version != b && content == string(before.List)) {
				p.failCertain(x, 0, "a version's number is one more with each directory that differs from the last", fmt.Sprintf("after %d comes %d", b.Number, d.Version.Number))
			}
			before = d
		}
		if len(said) < s.number(1) {
			p.failf(x, fmt.Sprintf("%d versions", s.number(1)), "%d", len(said))
		}
	}),

	"tokens": func(p *player, s step) { // the target's births, and which of them show a token
		all := p.wideCame(p.home, p.at(), core.TypeBirth)
		for i, w := range s.what {
			if i >= len(all) {
				p.failf(p.home, s.text[0], "%s", plural(len(all), "birth"))
			}
			if shown := !bytes.Equal(all[i].Token, make([]byte, 20)); shown != (w == "shown") {
				p.failf(p.home, s.text[0], "birth %d is %x", i+1, all[i].Data)
			}
		}
		if gap := all[len(s.what)-1].At.Sub(all[0].At); gap > 250*time.Millisecond+p.slack(p.started) {
			p.failf(p.home, s.text[0], "after %v", gap)
		}
	},
	"births-come": func(p *player, s step) { // so many in all, so far apart; or none answered
		n, gap := s.number(0), s.time(1)
		for end := clock().Add(startup); len(p.wide(p.home).Came()) == 0 && clock().Before(end); {
			p.sleep(10 * time.Millisecond) // nothing that is translated comes
		}
		p.sleep(time.Duration(n-1)*gap + gap/2)
		all := p.wideCame(p.home, p.at(), core.TypeBirth)
		if len(all) != n {
			p.failf(p.home, s.text[0], "%s in %v", plural(len(all), "birth"), time.Duration(n-1)*gap+gap/2)
		}
		for i := 1; i < n; i++ {
			p.within("a birth after the one before", all[i].At.Sub(all[i-1].At), 1, gap, 100*time.Millisecond, 100*time.Millisecond)
		}
	},
	"reborn": func(p *player, s step) { // so often since the mark, by now
		if n := len(p.wideCame(p.home, p.at(), core.TypeBirth)); n != s.number(0) {
			p.failf(p.home, s.text[0], "%s", plural(n, "birth"))
		}
	},
	"numbered": func(p *player, s step) {
		all := p.signsOf()
		for i, x := range all {
			if x.Seq != uint32(i+1) || x.Incarnation != all[0].Incarnation {
				p.failf(p.home, s.text[0], "datagram %d has number %d and incarnation %x", i+1, x.Seq, x.Incarnation)
			}
		}
	},
	"says-version": func(p *player, s step) { // the target's last keep-alive
		all := p.wideCame(p.home, p.at(), core.TypeKeepAlive)
		want := p.lastAnnounced(s.what[0] == "none")
		if len(all) == 0 || all[len(all)-1].Version != want {
			p.failf(p.home, s.text[0], "not version %d in the last of %s", want.Number, plural(len(all), "keep-alive"))
		}
	},
	"says-held": each(func(p *player, x *endpoint, s step) {
		p.hears(x, 1, broadcast)
		for _, d := range p.wideCame(x, p.at(), core.TypeVanilla) {
			if d.Version != p.lastAnnounced(false) || len(d.Name) > 0 {
				p.failf(x, s.text[0], "version %d, for %q", d.Version.Number, d.Name)
			}
		}
	}),
	"prints-not": func(p *player, s step) {
		p.settle()
		if out := p.output(); strings.Contains(out, s.text[0]) {
			p.failf(nil, s.text[1], "it is printed: %q", lineWith(out, s.text[0]))
		}
	},
	"prints-once": func(p *player, s step) {
		p.prints(nil, s.text[0])
		p.settle()
		if n := strings.Count(p.output(), s.text[0]); n != 1 {
			p.failf(nil, s.text[1], "%d times", n)
		}
	},
	"all-sealed": func(p *player, s step) {
		for _, d := range p.wide(p.home).Came() {
			if bytes.HasPrefix(d.Data, []byte(gateway.NotSealed)) {
				p.failCertain(p.home, 0, s.text[0], fmt.Sprintf("%x", d.Data[len(gateway.NotSealed):]))
			}
		}
	},
}

// lastAnnounced is the version that the target must hold.
func (p *player) lastAnnounced(none bool) core.Version {
	if none {
		return core.Version{}
	}
	return p.gate.Version()
}
