package core

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"strconv"
)

const (
	MaxPeers    = '~' - ' ' + 1    // one per name: 95
	MaxDatagram = 65535 - 20 - 8   // bytes of UDP payload that IPv4 carries: 65507
	MaxPayload  = MaxDatagram - 5  // bytes of text in one vanilla message: 65502
	maxEntries  = MaxPeers * entry // bytes of the fullest directory's entries
	entry       = 4                // bytes of one directory entry
)

// The four classes of refused input (PROTOCOL.md, "Where a datagram is not one
// of the above"), and below them what Parse found wrong. They are static, so
// that refusing hostile input allocates nothing; match them with errors.Is.
var (
	ErrMalformed   = errors.New("malformed")
	ErrRejected    = errors.New("rejected: birth with the server's own port")
	ErrMisdirected = errors.New("misdirected: a type that is not for this receiver")
	ErrStranger    = errors.New("stranger: not from the address it would have to come from")

	ErrLength    = fmt.Errorf("%w: length does not fit the layout", ErrMalformed)
	ErrType      = fmt.Errorf("%w: unknown type", ErrMalformed)
	ErrName      = fmt.Errorf("%w: name is not one printable ASCII character", ErrMalformed)
	ErrPort      = fmt.Errorf("%w: port 0", ErrMalformed)
	ErrPayload   = fmt.Errorf("%w: zero byte inside the text, or none after it", ErrMalformed)
	ErrDuplicate = fmt.Errorf("%w: a name or a port twice in one directory", ErrMalformed)
)

// Type is the first field of a datagram.
type Type uint16

const (
	TypeBirth     Type = 0x00C0
	TypeDirectory Type = 0x00C1
	TypeVanilla   Type = 0x00C2
	TypeKeepAlive Type = 0x00C3
)

func (t Type) String() string {
	switch t {
	case TypeBirth:
		return "birth"
	case TypeDirectory:
		return "directory"
	case TypeVanilla:
		return "vanilla"
	case TypeKeepAlive:
		return "keep-alive"
	}
	return fmt.Sprintf("type 0x%04X", uint16(t))
}

// Char is a name on the wire, one character.
type Char byte

// printable are all valid names. Names are substrings of it, which costs no allocation.
const printable = " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"

// Valid reports whether c is printable ASCII.
func (c Char) Valid() bool { return ' ' <= c && c <= '~' }

// Name is c as the machines have it.
func (c Char) Name() Name {
	if i := int(c) - ' '; uint(i) < MaxPeers {
		return Name(printable[i : i+1])
	}
	return Name([]byte{byte(c)})
}

// String is c itself where it is valid, and its Go escape where it is not.
func (c Char) String() string {
	if c.Valid() {
		return string(c.Name())
	}
	return fmt.Sprintf(`\x%02x`, byte(c))
}

// Entry is what a directory says of one peer: its name and the UDP port that
// it receives on.
type Entry struct {
	Name Char
	Port uint16
}

// At is e as the machines have it, on the mesh's host.
func (e Entry) At(host netip.Addr) Member {
	return Member{e.Name.Name(), netip.AddrPortFrom(host, e.Port)}
}

// EntryOf is m as it stands on the wire.
func EntryOf(m Member) Entry {
	e := Entry{Port: m.Addr.Port()}
	if len(m.Name) == 1 {
		e.Name = Char(m.Name[0])
	}
	return e
}

func (e Entry) String() string { return e.Name.String() + ":" + strconv.Itoa(int(e.Port)) }

// Entries is a directory's list in wire form, 4 bytes an entry.
type Entries []byte

// Len is the number of entries.
func (e Entries) Len() int { return len(e) / entry }

// At is entry i.
func (e Entries) At(i int) Entry {
	return Entry{Char(e[entry*i]), binary.LittleEndian.Uint16(e[entry*i+2:])}
}

// Each iterates over the entries.
func (e Entries) Each() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for i := range e.Len() {
			if !yield(e.At(i)) {
				return
			}
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

// AppendMembers appends all to e.
func (e Entries) AppendMembers(all []Member) Entries {
	for _, m := range all {
		e = e.Append(EntryOf(m))
	}
	return e
}

// Append returns e with one more entry.
func (e Entries) Append(x Entry) Entries {
	return append(e, byte(x.Name), 0, byte(x.Port), byte(x.Port>>8))
}

func parseEntry(b []byte) (Entry, error) {
	x := Entries(b).At(0)
	switch {
	case b[1] != 0 || !x.Name.Valid():
		return Entry{}, ErrName
	case x.Port == 0:
		return Entry{}, ErrPort
	}
	return x, nil
}

// check finds the first invalid entry, or one that names a name or a port
// again. The ports seen stand in an open-addressed table: at most 95 of its
// 256 slots are taken, and 0, which is no port, marks a free one.
func (e Entries) check() error {
	if len(e) > maxEntries {
		return ErrDuplicate // there are no more than 95 names
	}
	var names [128]bool
	var ports [256]uint16
	for i := 0; i < len(e); i += entry {
		x, err := parseEntry(e[i : i+entry])
		if err != nil {
			return err
		}
		slot := uint8(x.Port)
		for ports[slot] != 0 && ports[slot] != x.Port {
			slot++
		}
		if names[x.Name&0x7F] || ports[slot] == x.Port {
			return ErrDuplicate
		}
		names[x.Name&0x7F], ports[slot] = true, x.Port
	}
	return nil
}

// Message is one datagram taken apart. Type says which fields count.
type Message struct {
	Type    Type
	Entry   Entry   // birth: all of it; keep-alive: its Name
	Entries Entries // directory; aliases the datagram
	Payload []byte  // vanilla: the text, without the zero byte; aliases the datagram
}

// Append appends m's datagram to b. It does not check m: what it writes is
// valid if the names, ports and payload are, and Parse then gives m back.
func (m Message) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(m.Type))
	switch m.Type {
	case TypeBirth:
		b = Entries(b).Append(m.Entry)
	case TypeKeepAlive:
		b = append(b, byte(m.Entry.Name), 0)
	case TypeDirectory:
		b = binary.LittleEndian.AppendUint16(b, uint16(m.Entries.Len()))
		b = append(b, m.Entries...)
	case TypeVanilla:
		b = binary.LittleEndian.AppendUint16(b, uint16(len(m.Payload)))
		b = append(b, m.Payload...)
		b = append(b, 0)
	}
	return b
}

// Parse takes one whole datagram apart, without copying. A datagram that is
// not exactly one of the layouts gives one of the errors that are ErrMalformed.
func Parse(b []byte) (Message, error) {
	var v View
	if err := new(exact).Parse(&v, b); err != nil {
		return Message{}, err
	}
	return Message{v.Type, EntryOf(v.Member), Entries(v.List), v.Text}, nil
}

// exact is the Codec of this file for a mesh on one host.
type exact struct{ host netip.Addr }

// NewExact is the protocol's own dialect, for a mesh on an IPv4 host.
func NewExact(host netip.Addr) Codec { return &exact{host} }

func (x *exact) Parse(v *View, b []byte) error {
	v.Type = 0
	if len(b) >= 2 {
		v.Type = Type(binary.LittleEndian.Uint16(b))
	}
	if len(b) < 4 || len(b) > MaxDatagram {
		return ErrLength
	}
	switch field := binary.LittleEndian.Uint16(b[2:]); v.Type {
	case TypeKeepAlive:
		if len(b) != 4 {
			return ErrLength
		}
		if field > 0x7F || !Char(field).Valid() {
			return ErrName
		}
		v.Member.Name, v.Slot = Char(field).Name(), int(field)-' '
	case TypeBirth:
		if len(b) != 6 {
			return ErrLength
		}
		e, err := parseEntry(b[2:])
		if err != nil {
			return err
		}
		v.Member, v.Slot = e.At(x.host), int(e.Name)-' '
	case TypeDirectory:
		if len(b) != 4+entry*int(field) {
			return ErrLength
		}
		v.List, v.Len = b[4:], int(field)
		return Entries(v.List).check()
	case TypeVanilla:
		if len(b) != 5+int(field) {
			return ErrLength
		}
		v.Text = b[4 : len(b)-1]
		if bytes.IndexByte(b[4:], 0) != len(b)-5 {
			return ErrPayload
		}
	default:
		return ErrType
	}
	return nil
}

func (x *exact) Append(b []byte, t Type, m Member, text []byte) []byte {
	return Message{Type: t, Entry: EntryOf(m), Payload: text}.Append(b)
}

func (x *exact) AppendDirectory(b []byte, all []Member) []byte {
	b = append(b, byte(TypeDirectory), 0, byte(len(all)), 0)
	return Entries(b).AppendMembers(all)
}

func (x *exact) Next(list []byte) (Member, []byte) {
	return Entries(list).At(0).At(x.host), list[entry:]
}

func (x *exact) Home(from netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(x.host, from.Port())
}

func (x *exact) Check(m Member, server netip.AddrPort) error {
	switch {
	case len(m.Name) != 1 || !Char(m.Name[0]).Valid():
		return fmt.Errorf("name %q is not one printable ASCII character", string(m.Name))
	case m.Addr.Port() == 0:
		return fmt.Errorf("port 0 of peer %s, want 1 to 65535", m.Name)
	case !server.Addr().Is4() || server.Port() == 0:
		return fmt.Errorf("server address %v, want an IPv4 address and a port", server)
	case m.Addr.Port() == server.Port():
		return fmt.Errorf("port %d of peer %s is the server's own", m.Addr.Port(), m.Name)
	}
	return nil
}

func (x *exact) Accepts() []Shape {
	return []Shape{
		{4, 4, "\xC3\x00 \x00", "\xC3\x00~\x00"},
		{6, 6, "\xC0\x00 \x00", "\xC0\x00~\x00"},
	}
}
