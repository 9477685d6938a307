package hostile

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"

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
	return maker{Env{Server: server, Wide: name}, entries}.datagram(words)
}

// wide appends what only the wide dialect has: an entry, a field of one, a placeholder; false: it is none.
func (m maker) wide(b []byte, w string) ([]byte, bool) {
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
		b = append(append(b, byte(len(name))), name...)
		host := m.Server.Addr().As4()
		b = append(b, host[:]...)
		return append(b, words(e.Port)...), true
	}
	return b, false
}

// mixed says that a word is the name of one entry and the port of another.
func (m maker) mixed(w string) bool {
	name, _, mixed := strings.Cut(w, ":")
	_, known := m.entries[name]
	return mixed && known
}
