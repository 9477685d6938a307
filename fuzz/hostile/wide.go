package hostile

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"

	gofuzz "github.com/google/gofuzz"

	"p2plocal/core"
	"p2plocal/core/wire"
)

// Wide datagrams of the catalogue, of scripts and of findings have placeholders where a
// field is known only when they are sent, as an incarnation is. Package gateway fills them in. One that is
// not where its field begins stays, so that mutations find their way.
const (
	OwnIncarnation    = "sender's"             // 8 bytes: the sender's incarnation; in a retry its receiver's
	HolderIncarnation = "holder's"             // likewise: of whoever was last born by the datagram's name
	ServerIncarnation = "server's"             // likewise: the server's
	NextSeq           = "seq"                  // and a byte, to be added to: the sender's next number; in a retry the receiver's last
	LastNumber        = "ver"                  // and a byte, to be added to: the number of the last version
	OwnToken          = "the sender's token "  // and a byte: 0, or which of its bits is another, from 1 on; OtherToken: another address's
	NoToken           = "a token of nobody's." // 20 bytes, and it is a token of nobody's

	OtherToken = 0xFF
)

// What begins with the type sealed, in mutations and findings, says how the rest is to be sent,
// which is sealed where there is a key if nothing is said. An operation is one byte, its argument two.
const (
	AsIt     = 'N' // not sealed, and never translated
	Forged   = 'F' // sealed, with one bit another
	Cut      = 'C' // sealed, and cut off at a length
	Alien    = 'O' // sealed with a key that is not the mesh's
	Replayed = 'R' // what the sender sealed last, as it was
	Mirrored = 'M' // what the sender got last, sent back
	Skip     = 'W' // sealed, with a counter that is so much higher
	Late     = 'L' // sealed, with a counter that is so much lower
)

var ops = map[string]byte{"unsealed": AsIt, "forged": Forged, "cut-off": Cut, "alien": Alien, "replayed": Replayed, "mirrored": Mirrored, "skip": Skip, "late": Late}

// Sealed is a datagram to be sent in one of those ways.
func Sealed(op byte, argument uint16, datagram []byte) []byte {
	return append([]byte{0xC5, 0x57, op, byte(argument), byte(argument >> 8)}, datagram...)
}

// wideType is a type of the wide dialect.
func wideType(t core.Type) uint16 { return 0x5700 | uint16(t) }

// field is what a word stands for that only the wide dialect has; nil: nothing.
//
// own, holder, version, seq:DELTA, number:DELTA, token:VARIANT and no-token are placeholders, byte:N, long:N and
// quad:N numbers of 1, 4 and 8 bytes, none is no token. ENTRY.name is a name as births and keep-alives have it, and ENTRY.short
// as messages do. What begins with unsealed, forged:BIT, cut-off:LENGTH, alien, replayed, mirrored, skip:N or late:N is sent so.
func field(w string) []byte {
	name, argument, _ := strings.Cut(w, ":")
	n, err := strconv.ParseInt(argument, 0, 64)
	if argument != "" && err != nil {
		return nil
	}
	switch name {
	case "own":
		return []byte(OwnIncarnation)
	case "holder":
		return []byte(HolderIncarnation)
	case "server's":
		return []byte(ServerIncarnation)
	case "seq":
		return append([]byte(NextSeq), byte(n))
	case "number":
		return append([]byte(LastNumber), byte(n))
	case "version":
		return append([]byte(ServerIncarnation+LastNumber), byte(n))
	case "token":
		return append([]byte(OwnToken), byte(n))
	case "no-token":
		return []byte(NoToken)
	case "sealed":
		return []byte{0xC5, 0x57}
	case "none":
		return make([]byte, 20)
	case "unsealed", "forged", "cut-off", "alien", "replayed", "mirrored", "skip", "late":
		return Sealed(ops[name], uint16(n), nil)
	case "byte":
		return []byte{byte(n)}
	case "long":
		return binary.LittleEndian.AppendUint32(nil, uint32(n))
	case "quad":
		return binary.LittleEndian.AppendUint64(nil, uint64(n))
	}
	return nil
}

// NameField is a name as births and keep-alives have it.
func NameField(name string) []byte {
	b := append([]byte{byte(len(name))}, name...)
	return append(b, make([]byte, max(0, 33-len(b)))...)
}

// WideOf is a wide datagram of words of the catalogue's, where entries are called so.
func WideOf(words []string, server netip.AddrPort, entries map[string]wire.Entry, name func(wire.Name) string) []byte {
	return maker{Env: Env{Server: server, Wide: name}, entries: entries}.datagram(words)
}

// wide appends what only the wide dialect has: an entry, a field of one, a placeholder; false: it is none.
func (m *maker) wide(b []byte, w string) ([]byte, bool) {
	if f := field(w); f != nil {
		return append(b, f...), true
	}
	if t, ok := kinds[w]; ok {
		return append(b, words(wideType(t))...), true
	}
	entry, field, isField := strings.Cut(w, ".")
	switch e, known := m.entries[w]; {
	case isField && field == "name":
		return append(b, NameField(m.Wide(m.entry(entry).Name))...), true
	case isField && field == "short":
		name := m.Wide(m.entry(entry).Name)
		return append(append(b, byte(len(name))), name...), true
	case known || m.mixed(w):
		e = m.entry(w)
		name := m.Wide(e.Name)
		host := m.Server.Addr().As4()
		next := wideEntry{name: name, addr: string(host[:]), port: string(words(e.Port))}
		b = next.append(b, m.before)
		m.before = next
		return b, true
	}
	return b, false
}

// wideEntry is one of a page.
type wideEntry struct {
	name, addr, port string
	flaw             int // what is wrong with how it is told by the one before; 0: nothing
}

// append appends what is different from the entry before in its page.
func (e wideEntry) append(b []byte, before wideEntry) []byte {
	shared, addr := 0, e.addr
	for shared < min(len(e.name), len(before.name)) && e.name[shared] == before.name[shared] {
		shared++
	}
	var head int
	if addr == before.addr {
		head, addr = 0x40, ""
	}
	switch e.flaw {
	case 1: // the name stands in full
		shared = 0
	case 2: // and the address
		head, addr = 0, e.addr
	case 3: // there is none, or one too many
		head ^= 0x40
	case 4:
		head ^= 0x80
	}
	b = append(b, byte(head|len(e.name)-shared), byte(shared))
	if e.flaw == 5 { // more than there is is left out
		b[len(b)-1] += 40
	}
	return append(append(append(b, e.name[shared:]...), addr...), e.port...)
}

// mixed says that a word is the name of one entry and the port of another.
func (m *maker) mixed(w string) bool {
	name, _, mixed := strings.Cut(w, ":")
	_, known := m.entries[name]
	return mixed && known
}

// What gofuzz fills for the wide dialect: bytes as they stand on the wire, most of them sound.
type (
	wideSender []byte // an incarnation and a number
	wideName   []byte
	wideMark   []byte // a version
	wideToken  []byte

	anyWide struct {
		Type    typeField
		Way     uint8 // in which it is sent: see Sealed
		Sender  wideSender
		Name    wideName
		Version wideMark
		Token   wideToken
		Page    uint8
		Entries []wideEntry
		Text    string
		Tail    tail
		Wrong   countField
	}
)

// wideNames are hostile ones.
var wideNames = []string{"", "\x00", "a\x1b[m", " a", "a ", "\xff", "\u202ea", strings.Repeat("n", 32), strings.Repeat("n", 33), "e\u0301"}

func wideFuzzer(e Env, seed int64) *gofuzz.Fuzzer {
	var names []string
	for _, m := range append(e.Members[:len(e.Members):len(e.Members)], e.Spare[:min(16, len(e.Spare))]...) {
		names = append(names, e.Wide(m.Name))
	}
	pick := func(c gofuzz.Continue, of ...string) []byte {
		if c.Intn(4) > 0 {
			return []byte(of[0])
		}
		return []byte(of[c.Intn(len(of))])
	}
	name := func(c gofuzz.Continue) string {
		if c.Intn(4) == 0 {
			return wideNames[c.Intn(len(wideNames))]
		}
		return names[c.Intn(len(names))]
	}
	return gofuzz.NewWithSeed(seed).NilChance(0).NumElements(0, 4).Funcs(
		func(t *typeField, c gofuzz.Continue) {
			*t = []typeField{0xC0, 0xC0, 0xC1, 0xC2, 0xC3, 0xC3, 0xC4, 0xC5, 0xBF, 0xFF}[c.Intn(10)]
		},
		func(s *wideSender, c gofuzz.Continue) {
			*s = append(pick(c, OwnIncarnation, HolderIncarnation, ServerIncarnation, "\x00\x00\x00\x00\x00\x00\x00\x00"), pick(c, NextSeq+"\x00", NextSeq+"\xff", "\x00\x00\x00\x00", "\xff\xff\xff\xff")...)
		},
		func(n *wideName, c gofuzz.Continue) { *n = NameField(name(c)) },
		func(v *wideMark, c gofuzz.Continue) {
			*v = append(pick(c, ServerIncarnation, OwnIncarnation, "\x00\x00\x00\x00\x00\x00\x00\x00"), pick(c, LastNumber+"\x00", LastNumber+"\xff", "\x00\x00\x00\x00")...)
		},
		func(t *wideToken, c gofuzz.Continue) {
			*t = pick(c, OwnToken+"\x00", OwnToken+"\x21", OwnToken+"\xff", NoToken, strings.Repeat("\x00", 20))
		},
		func(x *wideEntry, c gofuzz.Continue) {
			*x = wideEntry{name: name(c), addr: string(pick(c, "\x7f\x00\x00\x01", "\x00\x00\x00\x00", "\xe0\x00\x00\x01", "\xff\xff\xff\xff")),
				port: string(pick(c, "\x01\x10", "\x00\x00", "\xff\xff")), flaw: max(0, c.Intn(16)-10)}
		},
		func(w *countField, c gofuzz.Continue) {
			if *w = 0; c.Intn(4) == 0 {
				*w = countField(c.Intn(8))
			}
		},
		func(t *tail, c gofuzz.Continue) {
			if *t = nil; c.Intn(8) == 0 {
				*t = filled(c.Intn(64), byte(c.Intn(256)))
			}
		},
	)
}

// nextWide is one more of the wide dialect.
func (g *Generator) nextWide() []byte {
	var d anyWide
	g.fuzzer.Fuzz(&d)
	b := []byte{byte(d.Type), 0x57}
	switch core.Type(d.Type) {
	case core.TypeBirth:
		b = append(append(append(b, d.Sender...), d.Name...), d.Token...)
	case core.TypeKeepAlive:
		b = append(append(append(b, d.Sender...), d.Name...), d.Version...)
	case core.TypeRetry:
		b = append(append(append(b, d.Sender...), d.Version...), d.Token...)
	case core.TypeDirectory:
		b = append(append(b, d.Version...), d.Page%4, 0, 1+d.Page%3, 0)
		var before wideEntry
		for _, x := range d.Entries {
			b, before = x.append(b, before), x
		}
	case core.TypeVanilla:
		b = append(append(append(b, d.Version...), d.Name[:1+min(int(d.Name[0]), 32)]...), d.Text...)
	default:
		b = append(append(b, d.Sender...), d.Name...)
	}
	b = append(b[:max(2, len(b)-int(d.Wrong))], d.Tail...)
	if ways := []byte{AsIt, Forged, Cut, Alien, Replayed, Mirrored, Skip, Late}; int(d.Way) < len(ways)*8 {
		return Sealed(ways[d.Way/8], uint16(len(d.Text))*8+uint16(d.Page), b)
	}
	return b
}
