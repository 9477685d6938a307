package hostile

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
)

// Catalogue is every case for an environment, numbered from 1. The numbers and
// names are the same in every environment.
func (e Env) Catalogue() ([]Case, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	cases := append(e.Cases(Server), e.Cases(Peer)...)
	for i := range cases {
		cases[i].Number = i + 1
	}
	return cases, nil
}

// Cases are the catalogue's for one role, in its order, of a valid environment.
func (e Env) Cases(r Role) []Case { return e.build(r, every) }

// Case is case i of those.
func (e Env) Case(r Role, i int) Case { return e.build(r, i)[i] }

func (e Env) build(r Role, only int) []Case {
	b := &builder{Env: e, only: only, cases: make([]Case, 0, 128)}
	if r == Server {
		b.server()
		b.serverSequences()
	} else {
		b.peer()
		b.peerDirectories()
		b.peerMessages()
	}
	return b.cases
}

// builder writes a catalogue.
type builder struct {
	Env
	only  int // which case is wanted; every: all
	cases []Case
}

const every = -1

// most is n for a case that is wanted, and 1 for one that nobody looks at: what is large takes its time.
func (b *builder) most(n int) int {
	if b.only != every && b.only != len(b.cases) {
		return min(n, 1)
	}
	return n
}

func (b *builder) role(name string) Role {
	if name[:4] == "srv/" {
		return Server
	}
	return Peer
}

// one adds a case of one datagram.
func (b *builder) one(name string, from Origin, datagram []byte, fate core.Kind, why string) *Case {
	return b.sequence(name, why, Step{0, from, datagram, fate})
}

func (b *builder) sequence(name, why string, steps ...Step) *Case {
	b.cases = append(b.cases, Case{Name: name, Why: why, Role: b.role(name), Steps: steps})
	return &b.cases[len(b.cases)-1]
}

// leaves says who the case puts into the directory.
func (c *Case) leaves(rest time.Duration, entries ...wire.Entry) {
	c.Rest, c.Left = rest, entries
}

// The datagrams as they stand on the wire, valid or not.

func words(fields ...uint16) []byte {
	b := make([]byte, 0, 2*len(fields))
	for _, f := range fields {
		b = binary.LittleEndian.AppendUint16(b, f)
	}
	return b
}

func Birth(name, port uint16) []byte { return words(uint16(core.TypeBirth), name, port) }
func BirthOf(e wire.Entry) []byte    { return Birth(uint16(e.Name), e.Port) }
func KeepAlive(name uint16) []byte   { return words(uint16(core.TypeKeepAlive), name) }

func KeepAliveOf(e wire.Entry) []byte { return KeepAlive(uint16(e.Name)) }

func Directory(entries ...wire.Entry) []byte {
	return lyingDirectory(uint16(len(entries)), entries...)
}

func lyingDirectory(count uint16, entries ...wire.Entry) []byte {
	fields := append(make([]uint16, 0, 2+2*len(entries)), uint16(core.TypeDirectory), count)
	for _, e := range entries {
		fields = append(fields, uint16(e.Name), e.Port)
	}
	return words(fields...)
}

func Vanilla(text string) []byte { return lyingVanilla(uint16(len(text)), text+"\x00") }

func lyingVanilla(length uint16, rest string) []byte {
	return append(words(uint16(core.TypeVanilla), length), rest...)
}

// filled is n bytes, all the same.
func filled(n int, with byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = with
	}
	return b
}

// longer is b with zero bytes up to n.
func longer(b []byte, n int) []byte { return append(b, make([]byte, max(0, n-len(b)))...) }

func swapped(b []byte) []byte {
	s := make([]byte, len(b))
	for i := 0; i+1 < len(b); i += 2 {
		s[i], s[i+1] = b[i+1], b[i]
	}
	return s
}

// invalidNames are fields that are not one printable ASCII character.
var invalidNames = []struct {
	what  string
	field uint16
}{
	{"zero", 0x0000},
	{"newline", 0x000A},
	{"escape", 0x001B},
	{"below-space", 0x001F},
	{"delete", 0x007F},
	{"eight-bit", 0x0080},
	{"all-ones-low", 0x00FF},
	{"high-byte-one", 0x0141},
	{"high-byte-only", 0x4100},
	{"two-characters", 0x4241},
	{"all-ones", 0xFFFF},
}

// malformed adds what no receiver may do more with than count.
func (b *builder) malformed(prefix string, from Origin) {
	add := func(what string, datagram []byte, why string) {
		b.one(prefix+what, from, datagram, core.Malformed, why)
	}
	spare := b.Spare[0]
	add("any/empty", []byte{}, "a datagram of no bytes is still one; a receiver that takes 0 for the end of the stream hangs")
	add("any/one-byte", []byte{0xC0}, "half a type")
	for _, t := range []core.Type{core.TypeBirth, core.TypeDirectory, core.TypeVanilla, core.TypeKeepAlive} {
		add("any/header-"+t.String(), words(uint16(t)), "a type and nothing after it")
		add("any/half-field-"+t.String(), append(words(uint16(t)), 'A'), "a type and half a field")
	}
	for _, t := range []uint16{0x0000, 0x00BF, 0x00C4, 0xBEEF, 0xFFFF} {
		add(fmt.Sprintf("any/type-%04x", t), words(t, uint16(spare.Name), spare.Port), "no type of the protocol's")
	}
	add("any/max-zeros", filled(b.most(core.MaxDatagram), 0), "the largest datagram there is")
	add("any/max-ones", filled(b.most(core.MaxDatagram), 0xFF), "the largest datagram there is, every field at its maximum")
	add("birth/big-endian", swapped(BirthOf(spare)), "fields are little-endian")
	add("keep-alive/big-endian", swapped(KeepAliveOf(b.Members[0])), "fields are little-endian")
	for n := 4; n < 6; n++ {
		add(fmt.Sprintf("birth/cut-to-%d", n), BirthOf(spare)[:n], "the port would be whatever the buffer held before")
	}
	add("birth/one-byte-more", longer(BirthOf(spare), 7), "longer than its layout")
	add("birth/two-in-one", append(BirthOf(spare), BirthOf(b.Spare[1])...), "a datagram is one message")
	add("birth/max", longer(BirthOf(spare), b.most(core.MaxDatagram)), "a valid birth with 65501 bytes after it")
	add("keep-alive/one-byte-more", longer(KeepAliveOf(b.Members[0]), 5), "longer than its layout")
	add("keep-alive/two-in-one", append(KeepAliveOf(b.Members[0]), KeepAliveOf(b.Members[1])...), "a datagram is one message")
	add("keep-alive/max", longer(KeepAliveOf(b.Members[0]), b.most(core.MaxDatagram)), "a valid keep-alive with 65503 bytes after it")
	add("birth/port-zero", Birth(uint16(spare.Name), 0), "nothing can be sent to port 0; a server that tries gets an error it may not expect")
	for _, n := range invalidNames {
		add("birth/name-"+n.what, Birth(n.field, spare.Port), "a server that lets it in spreads a directory that its peers cannot read")
		add("keep-alive/name-"+n.what, KeepAlive(n.field), "must find nobody, whatever the low byte says")
	}
}

// server adds single datagrams for the server.
func (b *builder) server() {
	a, m := b.Members[0], b.Members[1]
	s, t := b.Spare[0], b.Spare[1]
	b.malformed("srv/", FromStranger)
	one := func(name string, datagram []byte, fate core.Kind, why string) *Case {
		return b.one("srv/"+name, FromStranger, datagram, fate, why)
	}
	one("birth/server-port", Birth(uint16(s.Name), b.Server.Port()), core.Rejected, "the server would send its directory to itself")
	for _, port := range []uint16{1, 1023, 65535} {
		one(fmt.Sprintf("birth/port-%d", port), Birth(uint16(s.Name), port), core.Born, "an unusual port is still a port").
			leaves(0, wire.Entry{Name: s.Name, Port: port})
	}
	one("birth/held-name", Birth(uint16(a.Name), s.Port), core.Conflict, "the first to hold a name keeps it; 6 bytes must draw none")
	one("birth/held-port", Birth(uint16(s.Name), a.Port), core.Conflict, "the first to hold a port keeps it; 6 bytes must draw none")
	one("birth/held-both", Birth(uint16(a.Name), m.Port), core.Conflict, "one member's name with another's port")
	one("birth/spare", BirthOf(t), core.Born, "a peer that is born and never heard of again").leaves(time.Second, t)
	one("keep-alive/unknown", KeepAliveOf(s), core.Unknown, "nobody comes back by keep-alive alone")
	one("keep-alive/spoofed", KeepAliveOf(a), core.Alive, "a keep-alive counts from whatever port it comes")
	one("directory/empty", Directory(), core.Misdirected, "a directory is not for a server")
	one("directory/forged", Directory(a, m, s), core.Misdirected, "must not become the server's own")
	one("directory/count-lie", lyingDirectory(2, a), core.Malformed, "promises an entry more than it has")
	one("directory/count-max", lyingDirectory(0xFFFF, a), core.Malformed, "4 + 4 * 65535 does not fit 16 bits: computed there, it is 0")
	one("vanilla/empty", Vanilla(""), core.Misdirected, "a message is not for a server")
	one("vanilla/text", Vanilla("hi"), core.Misdirected, "a message is not for a server")
	one("vanilla/max", Vanilla(string(filled(b.most(core.MaxPayload), 'x'))), core.Misdirected, "the largest message there is")
	one("vanilla/length-lie", lyingVanilla(0xFFFF, "hi\x00"), core.Malformed, "promises 65535 bytes and brings 2")
}

const tick = 10 * time.Millisecond // between datagrams that must be seen one by one

// times is n steps, the i-th made by f, gap apart.
func times(n int, gap time.Duration, f func(i int) ([]byte, core.Kind)) (steps []Step) {
	for i := range n {
		datagram, fate := f(i)
		steps = append(steps, Step{At: time.Duration(i) * gap, Datagram: datagram, Fate: fate})
	}
	return steps
}

// serverSequences adds what takes several datagrams to go wrong.
func (b *builder) serverSequences() {
	a := b.Members[0]
	s, t, u := b.Spare[0], b.Spare[1], b.Spare[2]
	free := b.Spare
	if b.Self.Name != 0 {
		free = append(slices.Clone(free), b.Self)
	}
	add := func(name, why string, steps ...Step) *Case { return b.sequence("srv/"+name, why, steps...) }

	add("sequence/empty-burst", "each of them ends a careless read loop", times(16, 0, func(int) ([]byte, core.Kind) { return []byte{}, core.Malformed })...)
	add("sequence/conflict-burst", "silence must hold under repetition", times(64, 0, func(int) ([]byte, core.Kind) { return Birth(uint16(a.Name), s.Port), core.Conflict })...)
	add("sequence/repeat-burst", "64 births of one peer may draw one answer every 100 ms", times(64, tick, func(i int) ([]byte, core.Kind) {
		if i == 0 {
			return BirthOf(s), core.Born
		}
		return BirthOf(s), core.Repeated
	})...).leaves(0, s)
	add("sequence/unknown-burst", "keep-alives of every name that nobody has", times(len(free), 0, func(i int) ([]byte, core.Kind) { return KeepAliveOf(free[i]), core.Unknown })...)
	add("sequence/keep-alive-first", "reordered: the keep-alive is nobody's until the birth is there",
		Step{0, FromStranger, KeepAliveOf(s), core.Unknown}, Step{tick, FromStranger, BirthOf(s), core.Born}, Step{2 * tick, FromStranger, KeepAliveOf(s), core.Alive}).leaves(0, s)
	add("sequence/steal-name", "of two with one name the first stays, also against a keep-alive in the second's favour",
		Step{0, FromStranger, BirthOf(s), core.Born}, Step{tick, FromStranger, Birth(uint16(s.Name), t.Port), core.Conflict},
		Step{2 * tick, FromStranger, KeepAliveOf(s), core.Alive}).leaves(0, s)
	add("sequence/steal-port", "of two with one port the first stays",
		Step{0, FromStranger, BirthOf(s), core.Born}, Step{tick, FromStranger, Birth(uint16(t.Name), s.Port), core.Conflict},
		Step{2 * tick, FromStranger, KeepAliveOf(t), core.Unknown}).leaves(0, s)
	add("sequence/crossed", "two births exchange their ports",
		Step{0, FromStranger, BirthOf(s), core.Born}, Step{0, FromStranger, BirthOf(t), core.Born},
		Step{tick, FromStranger, Birth(uint16(s.Name), t.Port), core.Conflict}, Step{tick, FromStranger, Birth(uint16(t.Name), s.Port), core.Conflict}).leaves(0, s, t)
	add("sequence/short-after-birth", "a header right after a birth: read over the birth still in the buffer, it would be one",
		Step{0, FromStranger, BirthOf(s), core.Born}, Step{0, FromStranger, words(uint16(core.TypeBirth)), core.Malformed},
		Step{tick, FromStranger, BirthOf(t)[:4], core.Malformed}).leaves(0, s)
	add("sequence/name-walk", "one port under every name: only the first is its",
		times(len(free), 0, func(i int) ([]byte, core.Kind) {
			if i == 0 {
				return BirthOf(s), core.Born
			}
			return Birth(uint16(free[i].Name), s.Port), core.Conflict
		})...).leaves(0, s)
	add("sequence/port-walk", "one name on a thousand ports: only the first is its",
		times(b.most(1000), 0, func(i int) ([]byte, core.Kind) {
			if i == 0 {
				return BirthOf(s), core.Born
			}
			return Birth(uint16(s.Name), 20000+uint16(i)), core.Conflict
		})...).leaves(0, s)
	add("sequence/type-walk", "every type there is but the protocol's four",
		times(b.most(4096), 0, func(i int) ([]byte, core.Kind) {
			t := uint16(i) * 16
			if t >= 0xC0 && t <= 0xC3 {
				t = 0xC4
			}
			return words(t, uint16(s.Name), s.Port), core.Malformed
		})...)
	add("sequence/length-walk", "every length from 0 to 63 behind a birth's type",
		times(64, 0, func(i int) ([]byte, core.Kind) {
			if i == 6 {
				i = 7
			}
			return longer(BirthOf(s), 64)[:i], core.Malformed
		})...)
	add("sequence/fill", "births of every spare name, then one more of each on the next one's port",
		times(b.most(2*len(free)), 0, func(i int) ([]byte, core.Kind) {
			if n := len(free); i >= n {
				return Birth(uint16(free[i-n].Name), free[(i+1)%n].Port), core.Conflict
			}
			return BirthOf(free[i]), core.Born
		})...).leaves(time.Second, free...)

	// A peer that is silent leaves between 1.5 and 2.0 s after its last sign of life.
	const gone = 2100 * time.Millisecond
	add("time/reaped", "born, never heard of again: out after 2 s", Step{0, FromStranger, BirthOf(s), core.Born}).leaves(gone)
	add("time/filled-and-reaped", "a filled directory empties itself",
		times(len(free), 0, func(i int) ([]byte, core.Kind) { return BirthOf(free[i]), core.Born })...).leaves(gone)
	add("time/back-from-the-dead", "a keep-alive does not bring the reaped back; a birth does",
		Step{0, FromStranger, BirthOf(s), core.Born}, Step{gone, FromStranger, KeepAliveOf(s), core.Unknown}, Step{gone + tick, FromStranger, BirthOf(s), core.Born}).leaves(0, s)
	add("time/name-freed", "the name of the reaped is free for another port, and its port for another name",
		Step{0, FromStranger, BirthOf(s), core.Born}, Step{gone, FromStranger, Birth(uint16(s.Name), t.Port), core.Born},
		Step{gone, FromStranger, Birth(uint16(t.Name), s.Port), core.Born}).
		leaves(0, wire.Entry{Name: s.Name, Port: t.Port}, wire.Entry{Name: t.Name, Port: s.Port})
	add("time/flap", "born and reaped, twice over",
		Step{0, FromStranger, BirthOf(s), core.Born}, Step{gone, FromStranger, BirthOf(s), core.Born}).leaves(gone)
	ghost := []Step{{0, FromStranger, BirthOf(u), core.Born}}
	for at := 300 * time.Millisecond; at <= 3*time.Second; at += 300 * time.Millisecond {
		ghost = append(ghost, Step{at, FromStranger, words(0xFFFF, uint16(u.Name)), core.Malformed},
			Step{at, FromStranger, words(uint16(core.TypeKeepAlive)), core.Malformed})
	}
	add("time/ghost-in-the-buffer", "a name in a refused datagram, then a bare keep-alive type: read over the old bytes, it keeps the dead alive", ghost...).leaves(0)
	var lazarus []Step
	for at := time.Duration(0); at <= 2400*time.Millisecond; at += 600 * time.Millisecond {
		f := core.Repeated
		if at == 0 {
			f = core.Born
		}
		lazarus = append(lazarus, Step{at, FromStranger, BirthOf(t), f})
	}
	add("time/births-only", "an entry kept by repeated births, without a single keep-alive", lazarus...).leaves(tick, t)
}

// peer adds single datagrams that no peer may act on.
func (b *builder) peer() {
	b.malformed("peer/", FromMember)
	s := b.Spare[0]
	b.one("peer/any/empty-from-server", FromServer, []byte{}, core.Malformed, "trust in the sender's address must not outrun the parser")
	b.one("peer/birth/from-stranger", FromStranger, BirthOf(s), core.Misdirected, "a birth is not for a peer")
	b.one("peer/birth/from-server", FromServer, BirthOf(s), core.Misdirected, "a birth is not for a peer, whoever sends it")
	b.one("peer/keep-alive/from-stranger", FromStranger, KeepAliveOf(b.Members[0]), core.Misdirected, "a keep-alive is not for a peer")
	b.one("peer/keep-alive/from-server", FromServer, KeepAliveOf(b.Self), core.Misdirected, "a keep-alive is not for a peer, whoever sends it")
}

// peerDirectories adds directories, true and forged.
func (b *builder) peerDirectories() {
	a, m, self := b.Members[0], b.Members[1], b.Self
	s, t := b.Spare[0], b.Spare[1]
	all := []wire.Entry{self, a, m}
	add := func(name string, datagram []byte, fate core.Kind, why string) {
		// What a case leaves behind must not fool the next one's members.
		b.sequence("peer/directory/"+name, why, Step{0, FromServer, datagram, fate}, Step{tick, FromServer, Directory(all...), core.Listed})
	}
	add("count-one-more", lyingDirectory(4, all...), core.Malformed, "the entry that is not there would be whatever lies behind the buffer")
	add("count-one-less", lyingDirectory(2, all...), core.Malformed, "a count and a length that disagree are both suspect")
	add("count-zero", lyingDirectory(0, all...), core.Malformed, "promises nothing and brings three")
	add("count-max", lyingDirectory(0xFFFF, all...), core.Malformed, "65535 entries are 256 KB, read from 16 bytes")
	add("count-max-only", lyingDirectory(0xFFFF), core.Malformed, "65535 entries are 256 KB, read from 4 bytes")
	for n := len(Directory(all...)) - 1; n > 4; n -= 3 {
		add(fmt.Sprintf("cut-to-%d", n), Directory(all...)[:n], core.Malformed, "ends inside an entry")
	}
	add("one-byte-more", append(Directory(all...), 0), core.Malformed, "longer than its layout")
	add("duplicate-name", Directory(self, a, wire.Entry{Name: a.Name, Port: s.Port}), core.Malformed, "a map that asserts its insertions aborts")
	add("duplicate-port", Directory(self, a, wire.Entry{Name: s.Name, Port: a.Port}), core.Malformed, "one address under two names")
	add("duplicate-entry", Directory(self, a, a), core.Malformed, "the same entry twice")
	add("duplicate-self", Directory(self, self, a), core.Malformed, "this peer itself twice")
	var names []wire.Entry
	for i := range 96 {
		names = append(names, wire.Entry{Name: wire.Name(' ' + i%95), Port: 20000 + uint16(i)})
	}
	add("96-entries", Directory(names...), core.Malformed, "there are 95 names, so one is there twice; an array of 95 overflows")
	add("max", lyingDirectory(16375, names95(b.most(16375))...), core.Malformed, "as many entries as a datagram carries")
	add("95-entries", Directory(names[:95]...), core.Listed, "every name there is")
	for _, n := range invalidNames {
		add("name-"+n.what, append(lyingDirectory(2, a), words(n.field, s.Port)...), core.Malformed, "one bad name makes the whole directory worthless")
	}
	add("port-zero", Directory(a, wire.Entry{Name: s.Name}), core.Malformed, "nothing can be sent to port 0")
	add("empty", Directory(), core.Listed, "nobody is there, not even this peer")
	add("without-self", Directory(a, m), core.Listed, "the server has not heard of this peer, or has removed it")
	add("self-renamed", Directory(wire.Entry{Name: s.Name, Port: self.Port}, a), core.Listed, "its own port under another name is left out all the same")
	add("self-elsewhere", Directory(wire.Entry{Name: self.Name, Port: s.Port}, a), core.Listed, "its own name at another port is somebody else")
	add("names-the-server", Directory(a, wire.Entry{Name: s.Name, Port: b.Server.Port()}), core.Listed, "broadcasts would go to the server, which drops them")
	add("strange-ports", Directory(wire.Entry{Name: s.Name, Port: 1}, wire.Entry{Name: t.Name, Port: 65535}), core.Listed, "unusual ports are still ports")

	from := func(name string, origin Origin, why string) {
		b.one("peer/directory/"+name, origin, Directory(all...), core.Stranger, why)
	}
	from("from-stranger", FromStranger, "only the server's word counts")
	from("from-member", FromMember, "a member is not the server")
	from("from-self", FromSelf, "not even its own word counts")
	from("from-elsewhere", FromElsewhere, "the server's port on another host is not the server")
	b.sequence("peer/directory/replayed", "the protocol has no way to tell an old directory from a new one",
		Step{0, FromServer, Directory(self, a, m, s), core.Listed}, Step{tick, FromServer, Directory(self, a), core.Listed},
		Step{2 * tick, FromServer, Directory(self, a, m, s), core.Listed}, Step{3 * tick, FromServer, Directory(all...), core.Listed})
	b.sequence("peer/directory/burst", "hundreds of different directories back to back", append(
		directories(b.most(256), b.Self, b.Members[0], b.Spare), Step{tick, FromServer, Directory(all...), core.Listed})...)
}

// names95 is n entries that use the 95 names over and over.
func names95(n int) (entries []wire.Entry) {
	for i := range n {
		entries = append(entries, wire.Entry{Name: wire.Name(' ' + i%95), Port: uint16(1 + i)})
	}
	return entries
}

func directories(n int, self, a wire.Entry, spare []wire.Entry) (steps []Step) {
	for i := range n {
		steps = append(steps, Step{0, FromServer, Directory(self, a, spare[i%len(spare)]), core.Listed})
	}
	return steps
}

// peerMessages adds vanilla messages, true and lying.
func (b *builder) peerMessages() {
	const text = "peerA_broadcast_0"
	n := uint16(len(text))
	add := func(name string, datagram []byte, fate core.Kind, why string) {
		b.one("peer/vanilla/"+name, FromMember, datagram, fate, why)
	}
	add("length-one-more", lyingVanilla(n+1, text+"\x00"), core.Malformed, "one byte beyond the datagram")
	add("length-one-less", lyingVanilla(n-1, text+"\x00"), core.Malformed, "the terminating zero is not where the length says")
	add("length-zero", lyingVanilla(0, text+"\x00"), core.Malformed, "promises nothing and brings 17 bytes")
	add("length-400", lyingVanilla(400, text+"\x00"), core.Malformed, "a receiver that believes it prints hundreds of bytes of its own memory")
	add("length-max", lyingVanilla(0xFFFF, text+"\x00"), core.Malformed, "a receiver that believes it prints 64 KB of its own memory")
	add("length-wraps", lyingVanilla(0xFFFB, ""), core.Malformed, "5 + 65531 computed in 16 bits is 0")
	add("length-only", lyingVanilla(2, ""), core.Malformed, "a length and no text")
	add("no-zero", lyingVanilla(n, text+"!"), core.Malformed, "a receiver that looks for the end finds it beyond the buffer")
	add("no-zero-at-all", lyingVanilla(n, text), core.Malformed, "the terminating zero is missing")
	add("zero-inside", lyingVanilla(n+3, text+"\x00lo\x00"), core.Malformed, "what lies behind an inner zero would be hidden from who reads")
	add("zero-first", lyingVanilla(1, "\x00\x00"), core.Malformed, "a text that is a zero byte")
	add("one-byte-more", append(Vanilla(text), 0), core.Malformed, "longer than its layout")
	add("empty-text", Vanilla(""), core.Heard, "no text is a text")
	add("escape", Vanilla("\x1b]0;owned\a\x1b[2J"), core.Heard, "delivered as it is; who prints it must not let the terminal obey")
	add("newlines", Vanilla("a\r\nb\nerror: c"), core.Heard, "delivered as it is; who prints it must not let it forge lines")
	add("eight-bit", Vanilla("\x80\xff\xc0\xc1"), core.Heard, "text is bytes; these are not UTF-8")
	add("format", Vanilla("%s%n%d{}$(id)`id`"), core.Heard, "nobody may take a text for a format or a command")
	add("max", Vanilla(string(filled(b.most(core.MaxPayload), 'x'))), core.Heard, "the largest message there is")
	add("another's-name", Vanilla("peerB_broadcast_ffff"), core.Heard, "what a text says of its sender proves nothing")
	add("counter-out-of-range", Vanilla("peerA_broadcast_10000"), core.Heard, "not a broadcast's text, but a text")
	b.one("peer/vanilla/from-stranger", FromStranger, Vanilla(text), core.Stranger, "only members are heard")
	b.one("peer/vanilla/from-server", FromServer, Vanilla(text), core.Stranger, "the server is no member")
	b.one("peer/vanilla/from-self", FromSelf, Vanilla(text), core.Stranger, "nobody is in his own directory")
	b.one("peer/vanilla/from-double", FromDouble, Vanilla(text), core.Stranger, "a member's port on another host is no member")
	b.sequence("peer/vanilla/replayed", "the protocol has no way to tell a replay",
		Step{0, FromMember, Vanilla(text), core.Heard}, Step{0, FromMember, Vanilla(text), core.Heard})
	b.sequence("peer/vanilla/reordered", "a counter that runs backwards is delivered as it comes",
		Step{0, FromMember, Vanilla("peerA_broadcast_2"), core.Heard}, Step{0, FromMember, Vanilla("peerA_broadcast_1"), core.Heard})
	var burst []Step
	for range 256 {
		burst = append(burst, Step{0, FromMember, Vanilla(text), core.Heard})
	}
	b.sequence("peer/vanilla/burst", "the fastest member a peer can have", burst...)
}
