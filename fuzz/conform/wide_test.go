package conform

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"p2plocal/core"
	"p2plocal/core/wide"
	"p2plocal/fuzz/hostile"
)

var wideKeys = wide.Keys{{7}}

// wideWrong is a server or a peer of the wide dialect on a virtual host, sound but for one wrong. What
// comes in and goes out its hooks see unsealed.
type wideWrong struct {
	w       wrongly
	timing  core.Timing
	machine wide.Machine
	peer    *core.Peer
	server  netip.AddrPort // a peer's
	name    string
	keys    wide.Keys
	sealer  *wide.Sealer
	keyed   bool // the machine sees to the sealing itself

	take func(v *core.Message, b []byte, from netip.AddrPort) []byte // nil: dropped; v.Type 0: malformed
	give func(v *core.Message, b []byte, to []netip.AddrPort)
	open func(b []byte) ([]byte, bool)

	members map[string]netip.AddrPort // a server's, by their names, and
	born    map[string]uint64         // their incarnations
	version core.Version              // the last that went out or came
	seq     uint32
	own     uint64
}

func parsed(b []byte) (v core.Message) {
	if (wide.Codec{}).Parse(&v, b) != nil {
		return core.Message{}
	}
	v.Member.Name = core.Name(v.Name)
	return v
}

func encoded(v core.Message) []byte { return wide.Codec{}.Append(nil, &v) }

// with is a datagram with other bytes in it.
func with(b []byte, at int, other []byte) []byte {
	b = bytes.Clone(b)
	copy(b[at:], other)
	return b
}

func octet(x uint64) []byte   { return binary.LittleEndian.AppendUint64(nil, x) }
func quartet(x uint32) []byte { return binary.LittleEndian.AppendUint32(nil, x) }

// out sends, sealed if need be.
func (s *wideWrong) out(b []byte, to ...netip.AddrPort) {
	if s.sealer != nil {
		b = s.sealer.Seal(b)
	}
	s.w.sendAll(core.Outgoing{Datagram: b, To: to})
}

func (s *wideWrong) step(b []byte, from netip.AddrPort) []byte {
	s.machine.Step(time.Now(), from, b)
	return nil
}

// runWide is the program of a wrong one: wide:WRONG or wide-keyed:WRONG, and as runWrong.
func (w wrongly) wide(line string, behave func(*wideWrong)) string {
	seed := [32]byte{1}
	copy(seed[1:], fmt.Sprint(w.program.Command.Listen))
	s := &wideWrong{w: w, timing: wide.DefaultTiming(), server: w.program.Server, name: w.program.Name, members: map[string]netip.AddrPort{}, born: map[string]uint64{}}
	s.take = func(_ *core.Message, b []byte, _ netip.AddrPort) []byte { return b }
	s.give = func(_ *core.Message, b []byte, to []netip.AddrPort) { s.out(b, to...) }
	if strings.HasPrefix(line, "wide-keyed:") {
		s.keys, s.sealer = wideKeys, wide.NewSealer(wideKeys, [16]byte(seed[:16]), nil)
		s.open = s.sealer.Unseal
	}
	if err := s.w.open(w.program.Command.Listen); err != nil {
		return err.Error()
	}
	behave(s)
	id := wide.Identity{Seed: seed}
	if s.keyed {
		id.Keys, s.keys, s.sealer = s.keys, nil, nil
	}
	var err error
	if s.name == "" {
		s.machine, err = wide.NewDirectory(core.DirectoryConfig{Addr: w.program.Command.Listen, Timing: s.timing}, id, time.Now())
	} else {
		s.timing.Broadcast = broadcast
		s.machine, s.peer, err = wide.PeerOf(core.PeerConfig{Self: core.Member{Name: core.Name(s.name)}, Server: s.server, Timing: s.timing, Observe: func(e *core.Event) {
			if e.Kind == core.Heard {
				s.print(e.Data)
			}
		}}, &id, time.Now())
	}
	if err != nil {
		return err.Error()
	}
	s.w.machine = s.machine
	s.w.take = func(b []byte, from netip.AddrPort) []byte {
		if s.sealer != nil {
			plain, ok := s.open(b)
			if !ok {
				return nil
			}
			b = bytes.Clone(plain)
		}
		v := parsed(b)
		if s.name != "" && v.Type == core.TypeDirectory || v.Type == core.TypeRetry {
			s.version = core.Version{Incarnation: v.Version.Incarnation, Number: max(v.Version.Number, s.version.Number)}
		}
		if at := s.members[string(v.Name)]; v.Type == core.TypeBirth && (!at.IsValid() || at == from) {
			defer func() { s.born[string(v.Name)] = v.Incarnation }()
		}
		return s.take(&v, b, from)
	}
	s.w.send = func(out core.Outgoing) {
		v := parsed(out.Datagram)
		switch {
		case s.name == "" && v.Type == core.TypeDirectory:
			s.version = v.Version
			var m core.Member
			for list := v.List; len(list) > 0; {
				m, list = (wide.Codec{}).Next(list, m)
				s.members[string(m.Name)] = m.Addr
			}
		case s.name != "" && v.Type != core.TypeVanilla:
			s.seq, s.own = v.Seq, v.Incarnation
		}
		s.give(&v, bytes.Clone(out.Datagram), slices.Clone(out.To))
	}
	return s.w.serve()
}

func (s *wideWrong) print(text []byte) { s.w.program.Print(fmt.Sprintf("heard %q\n", text)) }

// on has f take what is of a type.
func (s *wideWrong) on(kind core.Type, f func(v *core.Message, b []byte, from netip.AddrPort) []byte) {
	s.take = func(v *core.Message, b []byte, from netip.AddrPort) []byte {
		if v.Type == kind {
			return f(v, b, from)
		}
		return b
	}
}

// gives has f send what is of a type.
func (s *wideWrong) gives(kind core.Type, f func(v *core.Message, b []byte, to []netip.AddrPort)) {
	s.give = func(v *core.Message, b []byte, to []netip.AddrPort) {
		if v.Type == kind {
			f(v, b, to)
			return
		}
		s.out(b, to...)
	}
}

// noToken takes births whose token is good enough for it, whatever the machine thinks of it: that is
// asked for one that it takes, which nobody sees.
func (s *wideWrong) noToken(good func(token []byte, from netip.AddrPort) bool) {
	given := map[netip.AddrPort]string{}
	quiet := false
	s.gives(core.TypeRetry, func(v *core.Message, b []byte, to []netip.AddrPort) {
		if given[to[0]] = string(v.Token); !quiet {
			s.out(b, to...)
		}
	})
	s.on(core.TypeBirth, func(v *core.Message, b []byte, from netip.AddrPort) []byte {
		if !good(v.Token, from) {
			return b
		}
		quiet = true
		s.step(with(b, 47, make([]byte, 20)), from)
		for out, _ := s.machine.Poll(time.Now()); !out.Empty(); out, _ = s.machine.Poll(time.Now()) {
			s.w.send(out)
		}
		quiet = false
		return with(b, 47, []byte(given[from]))
	})
}

// names has births dropped of names that are not good.
func (s *wideWrong) names(good func(name string, from netip.AddrPort) bool) {
	s.on(core.TypeBirth, func(v *core.Message, b []byte, from netip.AddrPort) []byte {
		if !good(string(v.Name), from) {
			return nil
		}
		return b
	})
}

var wideServerWrongs = []wrong[*wideWrong]{
	{"none", ``, func(s *wideWrong) {}},
	{"keyed/none", ``, func(s *wideWrong) { s.keyed = true }},
	{"takes-no-token", `token/[134568]|address/1`, func(s *wideWrong) { s.noToken(func([]byte, netip.AddrPort) bool { return true }) }},
	{"takes-any-token", `token/[3456]`, func(s *wideWrong) {
		s.noToken(func(token []byte, _ netip.AddrPort) bool { return !bytes.Equal(token, make([]byte, 20)) })
	}},
	{"takes-altered-tokens", `token/[34]`, func(s *wideWrong) {
		s.noToken(func(token []byte, _ netip.AddrPort) bool {
			x := time.Now().Unix() - int64(binary.LittleEndian.Uint32(token))
			return -2 < x && x < 10
		})
	}},
	{"answers-twice", `token/[134567]|address/2|alive/[123]|heal/1|address/1`, func(s *wideWrong) {
		s.gives(core.TypeRetry, func(_ *core.Message, b []byte, to []netip.AddrPort) { s.out(b, to...); s.out(b, to...) })
	}},
	{"answers-malformed", `name/[56]|sealed/11|exact/1`, func(s *wideWrong) {
		s.take = func(v *core.Message, b []byte, from netip.AddrPort) []byte {
			if v.Type == 0 {
				s.out(encoded(core.Message{Type: core.TypeRetry, Token: make([]byte, 20)}), from)
			}
			return b
		}
	}},
	{"counts-retries-itself", `alive/1`, func(s *wideWrong) { // to keep-alives, instead of repeating the number
		n, alive := uint32(100), false
		s.take = func(v *core.Message, b []byte, _ netip.AddrPort) []byte {
			alive = v.Type == core.TypeKeepAlive
			return b
		}
		s.gives(core.TypeRetry, func(_ *core.Message, b []byte, to []netip.AddrPort) {
			if n++; alive {
				b = with(b, 10, quartet(n))
			}
			s.out(b, to...)
		})
	}},
	{"retries-say-no-version", `token/[18]|alive/1`, func(s *wideWrong) {
		s.gives(core.TypeRetry, func(_ *core.Message, b []byte, to []netip.AddrPort) { s.out(with(b, 22, quartet(0)), to...) })
	}},
	{"deadline-1s", `repeat/4|keep-alive/4|reaper/[12]|addition/14|address/6|alive/[23]`, func(s *wideWrong) { s.timing.Deadline = time.Second }},
	{"never-reaps", `conflict/6|repeat/4|keep-alive/[78]|reaper/[1234567]|addition/14|address/6|alive/[23]|heal/1`, func(s *wideWrong) { s.timing.Reap = time.Hour }},
	{"silent-to-nobody", `address/2|alive/[123]`, func(s *wideWrong) {
		s.on(core.TypeKeepAlive, func(v *core.Message, b []byte, from netip.AddrPort) []byte {
			if s.members[string(v.Name)] != from || s.born[string(v.Name)] != v.Incarnation {
				return nil
			}
			return b
		})
	}},
	{"alive-from-anywhere", `alive/2`, func(s *wideWrong) {
		s.on(core.TypeKeepAlive, func(v *core.Message, b []byte, from netip.AddrPort) []byte {
			if at := s.members[string(v.Name)]; at.IsValid() && at != from {
				s.step(b, at)
			}
			return b
		})
	}},
	{"alive-as-anybody", `address/2|alive/3`, func(s *wideWrong) {
		s.on(core.TypeKeepAlive, func(v *core.Message, b []byte, from netip.AddrPort) []byte {
			if x := s.born[string(v.Name)]; x != 0 && s.members[string(v.Name)] == from {
				return with(b, 2, octet(x))
			}
			return b
		})
	}},
	{"sends-nothing-again", `alive/[456]`, func(s *wideWrong) {
		s.on(core.TypeKeepAlive, func(v *core.Message, b []byte, _ netip.AddrPort) []byte {
			return with(with(b, 47, octet(s.version.Incarnation)), 55, quartet(s.version.Number))
		})
	}},
	{"heals-numbers-only", `alive/6`, func(s *wideWrong) { // whatever the incarnation
		s.on(core.TypeKeepAlive, func(v *core.Message, b []byte, _ netip.AddrPort) []byte {
			if v.Version.Number > 1 {
				return with(with(b, 47, octet(s.version.Incarnation)), 55, quartet(s.version.Number))
			}
			return b
		})
	}},
	{"sends-always-again", `reaper/3|silence/1|alive/7`, func(s *wideWrong) {
		s.on(core.TypeKeepAlive, func(_ *core.Message, b []byte, _ netip.AddrPort) []byte { return with(b, 55, quartet(0)) })
	}},
	{"heals-all", `reaper/7|alive/4`, func(s *wideWrong) {
		s.gives(core.TypeDirectory, func(_ *core.Message, b []byte, to []netip.AddrPort) {
			if len(to) == 1 {
				to = nil
				for _, a := range s.members {
					to = append(to, a)
				}
			}
			s.out(b, to...)
		})
	}},
	{"heals-unpaced", `alive/8`, func(s *wideWrong) {
		var last []byte
		s.gives(core.TypeDirectory, func(_ *core.Message, b []byte, to []netip.AddrPort) { last = b; s.out(b, to...) })
		s.on(core.TypeKeepAlive, func(v *core.Message, b []byte, from netip.AddrPort) []byte {
			if s.members[string(v.Name)] == from && v.Version != s.version {
				s.out(last, from)
			}
			return b
		})
	}},
	{"keeps-the-up-to-date-only", `alive/[89]`, func(s *wideWrong) { // but sends what is missing
		var last []byte
		s.gives(core.TypeDirectory, func(_ *core.Message, b []byte, to []netip.AddrPort) { last = b; s.out(b, to...) })
		s.on(core.TypeKeepAlive, func(v *core.Message, b []byte, from netip.AddrPort) []byte {
			if s.members[string(v.Name)] == from && v.Version != s.version {
				s.out(last, from)
				return nil
			}
			return b
		})
	}},
	{"gives-way-early", `conflict/4|address/[56]`, func(s *wideWrong) { s.timing.Heartbeat = 200 * time.Millisecond }},
	{"gives-way-late", `address/4`, func(s *wideWrong) { s.timing.Heartbeat = 5 * time.Second }},
	{"refuses-the-relaunched", `address/2`, func(s *wideWrong) {
		s.on(core.TypeBirth, func(v *core.Message, b []byte, from netip.AddrPort) []byte {
			x := s.born[string(v.Name)]
			if s.members[string(v.Name)] == from && x != v.Incarnation && x != 0 {
				return nil
			}
			return b
		})
	}},
	{"refuses-another-name", `address/3`, func(s *wideWrong) {
		s.names(func(name string, from netip.AddrPort) bool {
			for n, a := range s.members {
				if a == from && n != name {
					return false
				}
			}
			return true
		})
	}},
	{"conflicts-renew", `address/[64]`, func(s *wideWrong) {
		s.on(core.TypeBirth, func(v *core.Message, b []byte, from netip.AddrPort) []byte {
			if at := s.members[string(v.Name)]; at.IsValid() && at != from {
				s.step(encoded(core.Message{Type: core.TypeKeepAlive, Member: core.Member{Name: v.Member.Name}, Incarnation: s.born[string(v.Name)], Seq: 1, Version: s.version}), at)
			}
			return b
		})
	}},
	{"short-names", `name/1|directory/1`, func(s *wideWrong) {
		s.names(func(name string, _ netip.AddrPort) bool { return len(name) <= 16 })
	}},
	{"ascii-names", `name/[23]`, func(s *wideWrong) {
		s.names(func(name string, _ netip.AddrPort) bool {
			return !strings.ContainsFunc(name, func(r rune) bool { return r > 0x7E })
		})
	}},
	{"composes-names", `name/3`, func(s *wideWrong) {
		s.on(core.TypeBirth, func(v *core.Message, b []byte, _ netip.AddrPort) []byte {
			if string(v.Name) == "e\u0301" {
				return with(b, 14, hostile.NameField("\u00e9"))
			}
			return b
		})
	}},
	{"names-by-their-beginning", `name/4|directory/1`, func(s *wideWrong) {
		long := map[string]bool{}
		s.names(func(name string, _ netip.AddrPort) bool {
			for n := range s.members {
				if n != name && len(n) > 1 && (strings.HasPrefix(name, n) || strings.HasPrefix(n, name)) {
					return false
				}
			}
			if len(name) == wide.MaxName && len(long) < 20 {
				long[name] = true
			}
			return len(name) < wide.MaxName || long[name]
		})
	}},
	{"one-large-page", `directory/1`, func(s *wideWrong) {
		var all []byte
		s.gives(core.TypeDirectory, func(v *core.Message, b []byte, to []netip.AddrPort) {
			if v.Page == 0 {
				all = all[:0]
			}
			if all = append(all, v.List...); v.Page == v.Pages-1 {
				s.out(append(append(bytes.Clone(b[:14]), 0, 0, 1, 0), all...), to...)
			}
		})
	}},
	{"pages-from-the-last", `directory/1`, func(s *wideWrong) {
		var all [][]byte
		s.gives(core.TypeDirectory, func(v *core.Message, b []byte, to []netip.AddrPort) {
			if all = append([][]byte{b}, all...); v.Page == v.Pages-1 {
				for _, x := range all {
					s.out(x, to...)
				}
				all = nil
			}
		})
	}},
	{"skips-versions", `directory/2|directory/3`, func(s *wideWrong) {
		s.give = func(v *core.Message, b []byte, to []netip.AddrPort) {
			switch v.Type {
			case core.TypeDirectory:
				b = with(b, 10, quartet(2*v.Version.Number))
			case core.TypeRetry:
				b = with(b, 22, quartet(2*v.Version.Number))
			}
			s.out(b, to...)
		}
		s.on(core.TypeKeepAlive, func(v *core.Message, b []byte, _ netip.AddrPort) []byte {
			return with(b, 55, quartet(v.Version.Number/2))
		})
	}},
	{"numbers-each-sending", `reaper/3|silence/1|token/8|alive/[47]|directory/2|directory/3`, func(s *wideWrong) {
		n := uint32(0)
		s.gives(core.TypeDirectory, func(v *core.Message, b []byte, to []netip.AddrPort) {
			if v.Page == 0 {
				n++
			}
			s.out(with(b, 10, quartet(v.Version.Number+n/2)), to...)
		})
	}},
	{"moves-without-a-key", `address/8`, func(s *wideWrong) {
		s.on(core.TypeBirth, func(v *core.Message, b []byte, from netip.AddrPort) []byte {
			name := string(v.Name)
			if at := s.members[name]; at.IsValid() && at != from && s.born[name] == v.Incarnation && !bytes.Equal(v.Token, make([]byte, 20)) {
				var all []core.Member
				for n, a := range s.members {
					if n == name {
						a = from
					}
					all = append(all, core.Member{Name: core.Name(n), Addr: a})
				}
				page, _ := wide.Codec{}.AppendDirectory(nil, nil, core.Version{Incarnation: s.version.Incarnation, Number: s.version.Number + 1}, all)
				for _, m := range all {
					s.out(page, m.Addr)
				}
			}
			return b
		})
	}},
	{"strips-what-seals", `sealed/11`, func(s *wideWrong) {
		s.take = func(v *core.Message, b []byte, _ netip.AddrPort) []byte {
			if len(b) > 42 && b[0] == 0xC5 {
				return b[26:]
			}
			return b
		}
	}},
	{"takes-exact-births", `exact/1`, func(s *wideWrong) {
		s.take = func(v *core.Message, b []byte, from netip.AddrPort) []byte {
			if len(b) == 6 && b[1] == 0 {
				s.out(encoded(core.Message{Type: core.TypeRetry, Token: make([]byte, 20)}), from)
			}
			return b
		}
	}},
	{"keyed/never-moves", `address/7`, func(*wideWrong) {}},
	{"keyed/answers-what-is-not-sealed", `address/7|sealed/1`, func(s *wideWrong) {
		s.open = func(b []byte) ([]byte, bool) {
			if len(b) > 2 && b[0] != 0xC5 {
				return b, true
			}
			return s.sealer.Unseal(b)
		}
	}},
	{"keyed/answers-all", `address/7|sealed/(1|2|3|4|5|8|10)|exact/1`, func(s *wideWrong) {
		s.open = func(b []byte) ([]byte, bool) {
			if plain, ok := s.sealer.Unseal(b); ok {
				return plain, true
			}
			return encoded(core.Message{Type: core.TypeKeepAlive, Member: core.Member{Name: "nobody"}, Incarnation: 1}), true
		}
	}},
	{"keyed/no-window", `address/7|sealed/[568]`, func(s *wideWrong) {
		s.open = func(b []byte) ([]byte, bool) { return wide.NewSealer(s.keys, [16]byte{9}, nil).Unseal(b) }
	}},
	{"keyed/in-order-only", `address/7|sealed/7`, func(s *wideWrong) {
		s.counters(func(counter, top uint64) bool { return counter > top })
	}},
	{"keyed/endless-window", `address/7|sealed/8`, func(s *wideWrong) {
		was := map[string]bool{}
		s.open = func(b []byte) ([]byte, bool) {
			if len(b) < 26 || was[string(b[2:26])] {
				return nil, false
			}
			was[string(b[2:26])] = true
			return wide.NewSealer(s.keys, [16]byte{9}, nil).Unseal(b)
		}
	}},
	{"keyed/counts-one-by-one", `address/7|sealed/[89]`, func(s *wideWrong) {
		s.counters(func(counter, top uint64) bool { return counter < top+100 })
	}},
}

// counters has what is sealed taken only if its counter is good beside the highest of its session.
func (s *wideWrong) counters(good func(counter, top uint64) bool) {
	top := map[string]uint64{}
	s.open = func(b []byte) ([]byte, bool) {
		if len(b) < 42 {
			return nil, false
		}
		session, counter := string(b[2:18]), binary.LittleEndian.Uint64(b[18:])
		if !good(counter, top[session]) {
			return nil, false
		}
		plain, ok := s.sealer.Unseal(b)
		if ok {
			top[session] = max(top[session], counter)
		}
		return plain, ok
	}
}

// runWideWrong is the program of one of either table; false: the line is none's.
func runWideWrong(w wrongly, line string) (string, bool) {
	dialect, name, ok := strings.Cut(line, ":")
	if !ok {
		return "", false
	}
	if dialect == "wide-keyed" {
		name = "keyed/" + name
	}
	table := wideServerWrongs
	if w.program.Name != "" {
		table = widePeerWrongs
	}
	i := slices.IndexFunc(table, func(x wrong[*wideWrong]) bool { return x.name == name })
	return w.wide(line, table[i].behave), true
}

// Every wrong implementation of the wide dialect is failed by the cases that are about it and by no
// other, and the sound one by none, with and without a key.
func TestWideWrongs(t *testing.T) { wideWrongs(t, false) }

func wideWrongs(t *testing.T, entire bool) {
	for role, table := range map[hostile.Role][]wrong[*wideWrong]{hostile.Server: wideServerWrongs, hostile.Peer: widePeerWrongs} {
		for _, w := range table {
			t.Run(role.String()+"/"+w.name, func(t *testing.T) {
				t.Parallel()
				line, keys := "wide:"+w.name, wide.Keys(nil)
				if name, keyed := strings.CutPrefix(w.name, "keyed/"); keyed {
					line, keys = "wide-keyed:"+name, wideKeys
				}
				holdWide(t, Config{Role: role, Wide: true, Keys: keys, Exec: line + placeholders[role]}, w.fails, entire)
			})
		}
	}
}

// Every case that is the wide dialect's own is failed by some implementation that is wrong in one way, and there
// are as many as there should be.
func TestEveryWideCaseFails(t *testing.T) {
	document, err := os.ReadFile("../../core/wide/PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for role, table := range map[hostile.Role][]wrong[*wideWrong]{hostile.Server: wideServerWrongs, hostile.Peer: widePeerWrongs} {
		var all []string
		for _, w := range table {
			all = append(all, w.fails)
		}
		one := regexp.MustCompile(`^` + role.String() + `/(` + strings.Join(all, "|") + `)$`)
		for _, c := range WideCases(role) {
			section, ok := strings.CutPrefix(c.Section, wideDocument)
			if !ok || !strings.Contains(string(document), "\n## "+section+"\n") {
				t.Errorf("%s: there is no section %q", c.ID, c.Section)
			}
			if strings.Contains(c.ID, "/robust/") {
				continue
			}
			if n++; !c.both && !one.MatchString(c.ID) && c.ID != "server/token/2" { // without that one there is nobody to test
				t.Errorf("%s (%s): nobody fails it", c.ID, c.Title)
			}
		}
	}
	if n < 80 {
		t.Errorf("%d cases, want 80", n)
	}
}

func holdWide(t *testing.T, c Config, fails string, entire bool) {
	pattern := regexp.MustCompile(`^` + c.Role.String() + `/(` + fails + `)$`)
	c.Cases = WideCases(c.Role)
	if fails != "" {
		c.Cases = Select(c.Cases, nil, nil, regexp.MustCompile("/robust/")) // what a wrong one does with those is no matter of course
	}
	if !entire && fails != "" {
		const own, others = 8, 8
		c.Cases = append(some(Select(c.Cases, nil, pattern, nil), own, len(fails)), some(Select(c.Cases, nil, nil, pattern), others, len(c.Exec))...)
	}
	r, failed := check(t, c)
	if r.Gone != "" {
		t.Fatal(r.Gone)
	}
	for _, x := range r.Results {
		if should := pattern.MatchString(x.ID); slices.Contains(failed, x.ID) != should {
			t.Errorf("%s (%s): %s %s, should it fail: %v", x.ID, x.Title, x.Outcome, x.Detail, should)
			x.Failure.log(t)
		}
	}
	t.Logf("failed: %s", failed)
}

var widePeerWrongs = []wrong[*wideWrong]{
	{"none", ``, func(*wideWrong) {}},
	{"keyed/none", ``, func(s *wideWrong) { s.keyed = true }},
	{"no-retry", `token/[23]`, func(s *wideWrong) { s.timing.Retry = 0 }},
	{"retry-3s", `token/[23]`, func(s *wideWrong) { s.timing.Retry = 3 * time.Second }},
	{"beats-every-800ms", `keep-alive/[23]`, func(s *wideWrong) { s.timing.Heartbeat = 800 * time.Millisecond }},
	{"shows-a-token-at-once", `token/1`, func(s *wideWrong) {
		s.gives(core.TypeBirth, func(v *core.Message, b []byte, to []netip.AddrPort) {
			if bytes.Equal(v.Token, make([]byte, 20)) {
				b[47] = 1
			}
			s.out(b, to...)
		})
	}},
	{"keeps-its-token", `broadcast/2|silence/1|token/[13]`, func(s *wideWrong) { // for the next birth, half a second later
		held := false
		s.on(core.TypeRetry, func(_ *core.Message, b []byte, _ netip.AddrPort) []byte {
			if held = !held; held {
				return nil
			}
			return b
		})
	}},
	{"another-incarnation-each-time", `keep-alive/[234]|token/4`, func(s *wideWrong) {
		n := uint64(0)
		s.gives(core.TypeKeepAlive, func(v *core.Message, b []byte, to []netip.AddrPort) {
			n = 1 - n
			s.out(with(b, 2, octet(v.Incarnation+n)), to...)
		})
	}},
	{"does-not-number", `token/4`, func(s *wideWrong) {
		s.gives(core.TypeKeepAlive, func(_ *core.Message, b []byte, to []netip.AddrPort) { s.out(with(b, 10, quartet(3)), to...) })
	}},
	{"says-no-version", `version/[23]`, func(s *wideWrong) {
		s.gives(core.TypeKeepAlive, func(_ *core.Message, b []byte, to []netip.AddrPort) { s.out(with(b, 47, make([]byte, 12)), to...) })
	}},
	{"says-its-first-version", `version/3`, func(s *wideWrong) {
		var first []byte
		s.gives(core.TypeKeepAlive, func(v *core.Message, b []byte, to []netip.AddrPort) {
			if v.Version.Number > 0 && first == nil {
				first = bytes.Clone(b[47:])
			}
			s.out(with(b, 47, first), to...)
		})
	}},
	{"says-what-it-was-told", `version/1`, func(s *wideWrong) { // though it has no directory
		s.gives(core.TypeKeepAlive, func(_ *core.Message, b []byte, to []netip.AddrPort) {
			s.out(with(with(b, 47, octet(s.version.Incarnation)), 55, quartet(s.version.Number)), to...)
		})
	}},
	{"messages-say-no-version", `version/4`, func(s *wideWrong) {
		s.gives(core.TypeVanilla, func(_ *core.Message, b []byte, to []netip.AddrPort) { s.out(with(b, 2, make([]byte, 12)), to...) })
	}},
	{"messages-say-a-name", `version/4`, func(s *wideWrong) {
		s.gives(core.TypeVanilla, func(v *core.Message, _ []byte, to []netip.AddrPort) {
			s.out(encoded(core.Message{Type: v.Type, Version: v.Version, Member: core.Member{Name: "you"}, Text: v.Text}), to...)
		})
	}},
	{"retry-of-anybody", `retry/2`, func(s *wideWrong) {
		s.on(core.TypeRetry, func(_ *core.Message, b []byte, _ netip.AddrPort) []byte { return with(b, 2, octet(s.own)) })
	}},
	{"retry-of-any-number", `retry/[34]`, func(s *wideWrong) {
		s.on(core.TypeRetry, func(_ *core.Message, b []byte, _ netip.AddrPort) []byte { return with(b, 10, quartet(s.seq)) })
	}},
	{"retry-from-anybody", `retry/5`, func(s *wideWrong) {
		s.on(core.TypeRetry, func(_ *core.Message, b []byte, _ netip.AddrPort) []byte { return s.step(b, s.server) })
	}},
	{"retry-of-any-version", `retry/6`, func(s *wideWrong) {
		s.on(core.TypeRetry, func(_ *core.Message, b []byte, _ netip.AddrPort) []byte {
			return with(b, 22, quartet(s.version.Number))
		})
	}},
	{"no-retry-as-a-member", `retry/[17]`, func(s *wideWrong) {
		s.on(core.TypeRetry, func(_ *core.Message, b []byte, _ netip.AddrPort) []byte {
			if s.peer.Joined() {
				return nil
			}
			return b
		})
	}},
	{"believes-parts", `page/([12379]|14)`, func(s *wideWrong) {
		s.on(core.TypeDirectory, func(_ *core.Message, b []byte, _ netip.AddrPort) []byte { return with(b, 14, []byte{0, 0, 1, 0}) })
	}},
	{"pages-in-order-only", `page/[28]`, func(s *wideWrong) {
		next := 0
		s.on(core.TypeDirectory, func(v *core.Message, b []byte, _ netip.AddrPort) []byte {
			if v.Page != next {
				return nil
			}
			next = (next + 1) % v.Pages
			return b
		})
	}},
	{"counts-pages", `page/[2379]`, func(s *wideWrong) { // whichever they are
		got := 0
		s.on(core.TypeDirectory, func(v *core.Message, b []byte, from netip.AddrPort) []byte {
			if got++; got < v.Pages {
				return b
			}
			got = 0
			return with(b, 14, []byte{0, 0, 1, 0})
		})
	}},
	{"any-version", `version/[234]|retry/[17]|page/[25]|page/4`, func(s *wideWrong) {
		n := uint32(100)
		s.on(core.TypeDirectory, func(v *core.Message, b []byte, _ netip.AddrPort) []byte {
			if v.Pages == 1 {
				n++
				return with(b, 10, quartet(n))
			}
			return b
		})
	}},
	{"the-same-version", `page/[25]`, func(s *wideWrong) { // again
		was, n := uint32(0), uint32(0)
		s.on(core.TypeDirectory, func(v *core.Message, b []byte, _ netip.AddrPort) []byte {
			if v.Version.Number == was {
				n++
			}
			was = v.Version.Number
			return with(b, 10, quartet(was+n))
		})
	}},
	{"any-server-incarnation", `page/6`, func(s *wideWrong) {
		known := uint64(0)
		s.take = func(v *core.Message, b []byte, _ netip.AddrPort) []byte {
			if v.Type == core.TypeRetry {
				known = v.Version.Incarnation
			} else if v.Type == core.TypeDirectory {
				return with(b, 2, octet(known))
			}
			return b
		}
	}},
	{"mixes-versions", `page/[27]`, func(s *wideWrong) {
		first := uint32(0)
		s.on(core.TypeDirectory, func(v *core.Message, b []byte, _ netip.AddrPort) []byte {
			if v.Page == 0 {
				first = v.Version.Number
			}
			return with(b, 10, quartet(first))
		})
	}},
	{"finishes-the-older", `page/8`, func(s *wideWrong) {
		coming := uint32(0)
		s.on(core.TypeDirectory, func(v *core.Message, b []byte, _ netip.AddrPort) []byte {
			if coming != 0 && v.Version.Number != coming {
				return nil
			}
			if coming = 0; v.Page < v.Pages-1 {
				coming = v.Version.Number
			}
			return b
		})
	}},
	{"names-twice", `page/[279]`, func(s *wideWrong) { // the last counts
		var list []byte
		s.on(core.TypeDirectory, func(v *core.Message, b []byte, from netip.AddrPort) []byte {
			if v.Page == 0 {
				list = nil
			}
			if list = append(list, v.List...); v.Page < v.Pages-1 {
				return nil
			}
			last := map[core.Name]core.Member{}
			var m core.Member
			for list := list; len(list) > 0; {
				m, list = (wide.Codec{}).Next(list, m)
				last[m.Name] = m
			}
			var all []core.Member
			for _, m := range last {
				all = append(all, m)
			}
			pages, _ := wide.Codec{}.AppendDirectory(nil, nil, v.Version, all)
			return s.step(pages, from)
		})
	}},
	{"directory-from-anybody", `page/10`, func(s *wideWrong) {
		s.on(core.TypeDirectory, func(_ *core.Message, b []byte, _ netip.AddrPort) []byte { return s.step(b, s.server) })
	}},
	{"takes-whole-entries", `page/(11|12|16)`, func(s *wideWrong) { // of malformed pages
		s.take = func(v *core.Message, b []byte, _ netip.AddrPort) []byte {
			if v.Type == 0 && len(b) > 18 && b[0] == 0xC1 && b[14] == 0 {
				for n := len(b) - 1; n > 18; n-- {
					if x := parsed(b[:n]); x.Len > 1 {
						return b[:n]
					}
				}
			}
			return b
		}
	}},
	{"takes-any-entries", `page/1[24]`, func(s *wideWrong) { // whatever stands in them or not
		s.take = func(v *core.Message, b []byte, _ netip.AddrPort) []byte {
			if v.Type != 0 || len(b) < 22 || b[0] != 0xC1 || b[14] >= b[16] {
				return b
			}
			m, all := core.Member{Addr: s.server}, []core.Member{}
			for list := b[18:]; len(list) > 2; {
				n, size := 2+int(list[0]%0x40), [...]int{4, 0, 16, 0}[list[0]/0x40]
				if len(list) < n+size+2 || int(list[1]) > len(m.Name) {
					return b
				}
				if a, ok := netip.AddrFromSlice(list[n : n+size]); ok && a != s.server.Addr() {
					return b
				}
				m = core.Member{Name: m.Name[:list[1]] + core.Name(list[2:n]), Addr: netip.AddrPortFrom(s.server.Addr(), binary.LittleEndian.Uint16(list[n+size:]))}
				list = list[n+size+2:]
				all = append(all, m)
			}
			page, _ := wide.Codec{}.AppendDirectory(nil, nil, core.Version{Incarnation: binary.LittleEndian.Uint64(b[2:]), Number: binary.LittleEndian.Uint32(b[10:])}, all)
			return with(page, 14, b[14:18])
		}
	}},
	{"no-shared-names", `page/13`, func(s *wideWrong) {
		s.on(core.TypeDirectory, func(v *core.Message, b []byte, _ netip.AddrPort) []byte {
			for list, m := v.List, (core.Member{}); len(list) > 0; {
				if list[1] > 0 {
					return nil
				}
				m, list = wide.Codec{}.Next(list, m)
			}
			return b
		})
	}},
	{"any-page-number", `page/15`, func(s *wideWrong) {
		s.take = func(v *core.Message, b []byte, _ netip.AddrPort) []byte {
			if v.Type == 0 && len(b) > 18 && b[0] == 0xC1 && b[14] >= b[16] {
				return with(b, 14, []byte{0, 0, 1, 0})
			}
			return b
		}
	}},
	{"prints-what-is-for-others", `text/2`, func(s *wideWrong) {
		s.on(core.TypeVanilla, func(v *core.Message, b []byte, _ netip.AddrPort) []byte {
			return encoded(core.Message{Type: v.Type, Version: v.Version, Text: v.Text})
		})
	}},
	{"drops-what-has-a-name", `text/1`, func(s *wideWrong) {
		s.on(core.TypeVanilla, func(v *core.Message, b []byte, _ netip.AddrPort) []byte {
			if len(v.Name) > 0 {
				return nil
			}
			return b
		})
	}},
	{"prints-what-is-old", `text/[34]`, func(s *wideWrong) {
		s.on(core.TypeVanilla, func(v *core.Message, b []byte, _ netip.AddrPort) []byte {
			return with(with(b, 2, octet(s.version.Incarnation)), 10, quartet(s.version.Number))
		})
	}},
	{"prints-any-incarnation", `text/4`, func(s *wideWrong) {
		s.on(core.TypeVanilla, func(v *core.Message, b []byte, _ netip.AddrPort) []byte {
			return with(b, 2, octet(s.version.Incarnation))
		})
	}},
	{"prints-strangers", `text/5`, func(s *wideWrong) {
		s.on(core.TypeVanilla, func(v *core.Message, b []byte, from netip.AddrPort) []byte {
			if !slices.ContainsFunc(s.peer.Others(), func(m core.Member) bool { return m.Addr == from }) {
				s.print(v.Text)
			}
			return b
		})
	}},
	{"prints-what-is-malformed", `text/6`, func(s *wideWrong) {
		s.take = func(v *core.Message, b []byte, _ netip.AddrPort) []byte {
			if v.Type == 0 && len(b) > 15 && b[0] == 0xC2 {
				s.print(b[15:])
			}
			return b
		}
	}},
	{"strips-what-seals", `sealed/7`, func(s *wideWrong) {
		s.take = func(v *core.Message, b []byte, _ netip.AddrPort) []byte {
			if len(b) > 42 && b[0] == 0xC5 {
				return b[26 : len(b)-16]
			}
			return b
		}
	}},
	{"takes-exact-directories", `exact/1`, func(s *wideWrong) {
		s.take = func(v *core.Message, b []byte, from netip.AddrPort) []byte {
			if len(b) == 8 && b[0] == 0xC1 && b[1] == 0 {
				one := core.Member{Name: core.Name(b[4:5]), Addr: netip.AddrPortFrom(loopback, binary.LittleEndian.Uint16(b[6:]))}
				page, _ := wide.Codec{}.AppendDirectory(nil, nil, core.Version{Incarnation: s.version.Incarnation, Number: s.version.Number + 1}, []core.Member{one})
				return page
			}
			return b
		}
	}},
	{"keyed/takes-what-is-not-sealed", `sealed/2`, func(s *wideWrong) {
		s.open = func(b []byte) ([]byte, bool) {
			if len(b) > 2 && b[0] != 0xC5 {
				return b, true
			}
			return s.sealer.Unseal(b)
		}
	}},
	{"keyed/no-window", `sealed/[56]`, func(s *wideWrong) {
		s.open = func(b []byte) ([]byte, bool) { return wide.NewSealer(s.keys, [16]byte{9}, nil).Unseal(b) }
	}},
	{"keyed/in-order-only", `sealed/6`, func(s *wideWrong) { s.counters(func(counter, top uint64) bool { return counter > top }) }},
	{"keyed/does-not-seal-messages", `keep-alive/[2345]|silence/[234]|token/4|version/[123]|retry/[1234567]|sealed/1`, func(s *wideWrong) {
		s.gives(core.TypeKeepAlive, func(_ *core.Message, b []byte, to []netip.AddrPort) { s.w.sendAll(core.Outgoing{Datagram: b, To: to}) })
	}},
	{"keyed/counts-twice", `keep-alive/[345]|silence/[23]|token/4|version/[13]|sealed/1`, func(s *wideWrong) { // two datagrams with one counter
		var last []byte
		s.gives(core.TypeKeepAlive, func(_ *core.Message, b []byte, to []netip.AddrPort) {
			if last == nil {
				last = bytes.Clone(s.sealer.Seal(b))
			}
			s.w.sendAll(core.Outgoing{Datagram: last, To: to})
		})
	}},
	{"keyed/believes-ciphers", `sealed/[34]`, func(s *wideWrong) { // it does not authenticate: here, what it saw last is taken for whatever cannot be opened
		var last []byte
		s.open = func(b []byte) ([]byte, bool) {
			plain, ok := s.sealer.Unseal(b)
			if ok {
				last = bytes.Clone(plain)
			} else if last != nil && len(b) > 42 {
				plain, ok = encoded(core.Message{Type: core.TypeVanilla, Version: s.version, Text: []byte("sealed by an alien, altered on its way, not sealed at all")}), true
			}
			return plain, ok
		}
	}},
}
