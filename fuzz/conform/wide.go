package conform

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"p2plocal/core"
	"p2plocal/core/wide"
	"p2plocal/core/wire"
	"p2plocal/fuzz/gateway"
	"p2plocal/fuzz/hostile"
)

// A case of the wide dialect is carried out over a gateway: what its steps say of births, members
// and messages is translated. What follows looks at the datagrams themselves.

func (l *trial) wide(p *endpoint) *gateway.Socket { return p.socket.(*gateway.Socket) }

// dialect is what an environment of the catalogue is told; nil: the exact one.
func (l *trial) dialect() func(wire.Name) string {
	if l.gate == nil {
		return nil
	}
	return l.gate.Name
}

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
	core.View
	gateway.Plain
}

// wideCame are those of a type that have come from an address since the mark.
func (p *player) wideCame(x *endpoint, from netip.AddrPort, kind core.Type) (all []seen) {
	p.catchUp(x)
	for _, d := range p.wide(x).Came() {
		var v core.View
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
			p.failf(x, s.text[0], "%d bytes for %d", out, in)
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
			var v core.View
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

// wideLayouts are the fields behind the type, with their sizes; an entry's and a name's depend on what they say.
var wideLayouts = map[core.Type]string{
	core.TypeBirth: "incarnation:8 number:4 name:33 token:20", core.TypeKeepAlive: "incarnation:8 number:4 name:33 server:8 version:4",
	core.TypeRetry: "incarnation:8 number:4 server:8 version:4 token:20", core.TypeDirectory: "server:8 version:4 page:2 pages:2",
	core.TypeVanilla: "server:8 version:4", sealedType: "session:16 counter:8",
}

const sealedType core.Type = 0xC5

// isWide reports that a datagram is of the wide dialect.
func isWide(b []byte) bool {
	return len(b) >= 2 && b[1] == 0x57 && wideLayouts[core.Type(b[0])] != ""
}

// dissectWide is dissect for the wide dialect.
func dissectWide(b []byte, field func(part []byte, name, value string)) {
	kind := core.Type(b[0])
	take := func(n int, name string, value func(part []byte) string) bool {
		if len(b) < n {
			if len(b) > 0 {
				field(b, "a part of "+name, plural(len(b), "byte"))
			}
			b = nil
			return false
		}
		field(b[:n], name, value(b[:n]))
		b = b[n:]
		return true
	}
	integer := func(part []byte) string {
		var x [8]byte
		copy(x[:], part)
		return fmt.Sprint(binary.LittleEndian.Uint64(x[:]))
	}
	hex := func(part []byte) string { return fmt.Sprintf("%x", part) }
	name := func(part []byte) string { return fmt.Sprintf("%q", part[1:1+min(len(part)-1, int(part[0]&0x7F))]) }
	take(2, "type", func([]byte) string {
		if kind == sealedType {
			return "sealed"
		}
		return "wide " + kind.String()
	})
	for f := range strings.FieldsSeq(wideLayouts[kind]) {
		what, size, _ := strings.Cut(f, ":")
		value := integer
		switch what {
		case "name":
			value = name
		case "incarnation", "server", "token", "session":
			value = hex
		}
		if !take(number(size), what, value) {
			return
		}
	}
	if kind == core.TypeVanilla && len(b) > 0 && take(1+int(b[0]), "for", name) && len(b) > 0 {
		take(len(b), "text", quoted)
	}
	for i := 1; kind == core.TypeDirectory && len(b) > 0; i++ {
		size := 1 + int(b[0]&0x7F) + 4 + 2
		if b[0] >= 0x80 {
			size += 12
		}
		take(size, fmt.Sprintf("entry %d", i), func(part []byte) string {
			n := 1 + int(part[0]&0x7F)
			host, _ := netip.AddrFromSlice(part[n : len(part)-2])
			return fmt.Sprintf("%s at %v", name(part), netip.AddrPortFrom(host, binary.LittleEndian.Uint16(part[len(part)-2:])))
		})
	}
	if n := len(b); n > 0 {
		field(b, "left over", plural(n, "byte"))
	}
}

// summaryWide is Summary for the wide dialect.
func summaryWide(b []byte) string {
	var v core.View
	if err := (wide.Codec{}).Parse(&v, b); err != nil {
		return fmt.Sprintf("%s that are no sound wide datagram", plural(len(b), "byte"))
	}
	switch v.Type {
	case core.TypeDirectory:
		return fmt.Sprintf("page %d of %d of version %d, %s", v.Page, v.Pages, v.Version.Number, plural(v.Len, "entry"))
	case core.TypeVanilla:
		return "message " + quoted(v.Text)
	case core.TypeRetry:
		return fmt.Sprintf("retry of number %d", v.Seq)
	}
	return fmt.Sprintf("%v of %q", v.Type, v.Name)
}

// lastAnnounced is the version that the target must hold.
func (p *player) lastAnnounced(none bool) core.Version {
	if none {
		return core.Version{}
	}
	return p.gate.Version()
}
