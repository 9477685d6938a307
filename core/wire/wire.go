// Package wire has the exact protocol's datagrams field by field, valid or not, for
// tools that craft datagrams and take them apart. What machines see of a datagram is a
// core.Message.
package wire

import (
	"encoding/binary"
	"fmt"
	"iter"
	"net/netip"
	"strconv"

	"p2plocal/core"
)

// Name is a name on the wire, one byte.
type Name byte

// Valid reports whether n is printable ASCII.
func (n Name) Valid() bool { return ' ' <= n && n <= '~' }

// String is n itself where it is valid, and its Go escape where it is not.
func (n Name) String() string {
	if n.Valid() {
		return string(rune(n))
	}
	return fmt.Sprintf(`\x%02x`, byte(n))
}

// Entry is what a directory says of one peer: its name and the UDP port that
// it receives on.
type Entry struct {
	Name Name
	Port uint16
}

// EntryOf is m as it stands on the wire.
func EntryOf(m core.Member) Entry {
	e := Entry{Port: m.Addr.Port()}
	if len(m.Name) == 1 {
		e.Name = Name(m.Name[0])
	}
	return e
}

// Member is e as the machines have it, on the mesh's host.
func (e Entry) Member(host netip.Addr) core.Member {
	return core.Member{Name: core.Name([]byte{byte(e.Name)}), Addr: netip.AddrPortFrom(host, e.Port)}
}

func (e Entry) String() string { return e.Name.String() + ":" + strconv.Itoa(int(e.Port)) }

const entry = 4 // bytes

// Entries is a directory's list, 4 bytes an entry.
type Entries []byte

// EntriesOf appends members to e.
func EntriesOf(e Entries, all []core.Member) Entries {
	for _, m := range all {
		e = e.Append(EntryOf(m))
	}
	return e
}

// Len is the number of entries.
func (e Entries) Len() int { return len(e) / entry }

// At is entry i.
func (e Entries) At(i int) Entry {
	return Entry{Name(e[entry*i]), binary.LittleEndian.Uint16(e[entry*i+2:])}
}

// Each iterates over the entries.
func (e Entries) Each() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for i := 0; i < e.Len() && yield(e.At(i)); i++ {
		}
	}
}

// Contains reports that x is one of the entries.
func (e Entries) Contains(x Entry) bool {
	for i := range e.Len() {
		if e.At(i) == x {
			return true
		}
	}
	return false
}

// Append returns e with one more entry.
func (e Entries) Append(x Entry) Entries {
	return append(e, byte(x.Name), 0, byte(x.Port), byte(x.Port>>8))
}

// Message is one datagram taken apart. Type says which fields count.
type Message struct {
	Type    core.Type
	Entry   Entry   // birth: all of it; keep-alive: its Name
	Entries Entries // directory; aliases the datagram
	Payload []byte  // vanilla: the text, without the zero byte; aliases the datagram
}

// Append appends m's datagram to b. It does not check m: what it writes is
// valid if the names, ports and payload are, and Parse then gives m back.
func (m Message) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(m.Type))
	switch m.Type {
	case core.TypeBirth:
		b = Entries(b).Append(m.Entry)
	case core.TypeKeepAlive:
		b = append(b, byte(m.Entry.Name), 0)
	case core.TypeDirectory:
		b = binary.LittleEndian.AppendUint16(b, uint16(m.Entries.Len()))
		b = append(b, m.Entries...)
	case core.TypeVanilla:
		b = binary.LittleEndian.AppendUint16(b, uint16(len(m.Payload)))
		b = append(append(b, m.Payload...), 0)
	}
	return b
}

// Parse takes one whole datagram apart, without copying. A datagram that is
// not exactly one of the layouts gives one of the errors that are core.ErrMalformed.
func Parse(b []byte) (Message, error) {
	var v core.Message
	if err := new(core.Exact).Parse(&v, b); err != nil {
		return Message{}, err
	}
	return Message{v.Type, EntryOf(v.Member), v.List, v.Text}, nil
}
