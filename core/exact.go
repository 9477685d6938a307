package core

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
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
	ErrFull        = errors.New("rejected: the directory is full")
	ErrStale       = errors.New("stranger: not of this incarnation, not for this peer, or answered before")

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
	TypeRetry     Type = 0x00C4 // of dialects with Rules
)

var typeNames = [...]string{"birth", "directory", "vanilla", "keep-alive", "retry"}

func (t Type) String() string {
	if i := t - TypeBirth; int(i) < len(typeNames) {
		return typeNames[i]
	}
	return fmt.Sprintf("type 0x%04X", uint16(t))
}

// printable are all valid names. Names are substrings of it, which costs no allocation.
const printable = " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"

// Exact is the Codec of the protocol's own dialect: a name is one byte, and an address
// a port on the mesh's one IPv4 host.
type Exact struct{ Host netip.Addr }

func (x *Exact) Parse(v *Message, b []byte) error {
	t := Type(0)
	if len(b) >= 2 {
		t = Type(binary.LittleEndian.Uint16(b))
	}
	v.Type = t
	if len(b) < 4 || len(b) > MaxDatagram {
		return ErrLength
	}
	field := binary.LittleEndian.Uint16(b[2:])
	switch t {
	case TypeKeepAlive, TypeBirth:
		if len(b) != 4 && t == TypeKeepAlive || len(b) != 6 && t == TypeBirth {
			return ErrLength
		}
		v.Slot = int(field) - ' '
		if uint(v.Slot) >= MaxPeers {
			return ErrName
		}
		v.Member.Name = Name(printable[v.Slot : v.Slot+1])
		if t == TypeBirth {
			port := binary.LittleEndian.Uint16(b[4:])
			if port == 0 {
				return ErrPort
			}
			v.Member.Addr = netip.AddrPortFrom(x.Host, port)
		}
	case TypeDirectory:
		if len(b) != 4+entry*int(field) {
			return ErrLength
		}
		v.List, v.Len = b[4:], int(field)
		return check(v.List)
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

// check finds the first invalid entry of a directory, or one that names a name or a
// port again. The ports seen stand in an open-addressed table: at most 95 of its 256
// slots are taken, and 0, which is no port, marks a free one.
func check(list []byte) error {
	var names [128]bool
	var ports [256]uint16
	for ; len(list) >= entry; list = list[entry:] {
		name, port := binary.LittleEndian.Uint16(list), binary.LittleEndian.Uint16(list[2:])
		switch {
		case name < ' ' || name > '~':
			return ErrName
		case port == 0:
			return ErrPort
		}
		slot := uint8(port)
		for ports[slot] != 0 && ports[slot] != port {
			slot++
		}
		if names[name&0x7F] || ports[slot] == port {
			return ErrDuplicate
		}
		names[name&0x7F], ports[slot] = true, port
	}
	return nil
}

func (x *Exact) Append(b []byte, v *Message) []byte {
	b = append(b, byte(v.Type), byte(v.Type>>8))
	switch v.Type {
	case TypeBirth:
		b = x.appendEntry(b, v.Member)
	case TypeKeepAlive:
		b = append(b, v.Member.Name[0], 0)
	case TypeVanilla:
		b = binary.LittleEndian.AppendUint16(b, uint16(len(v.Text)))
		b = append(append(b, v.Text...), 0)
	}
	return b
}

func (x *Exact) AppendDirectory(b []byte, ends []int, _ Version, all []Member) ([]byte, []int) {
	b = append(b, byte(TypeDirectory), 0, byte(len(all)), 0)
	for _, m := range all {
		b = x.appendEntry(b, m)
	}
	return b, append(ends, len(b))
}

func (x *Exact) appendEntry(b []byte, m Member) []byte {
	port := m.Addr.Port()
	return append(b, m.Name[0], 0, byte(port), byte(port>>8))
}

func (x *Exact) Next(list []byte, _ Member) (Member, []byte) {
	slot := list[0] - ' '
	return Member{Name(printable[slot : slot+1]), netip.AddrPortFrom(x.Host, binary.LittleEndian.Uint16(list[2:]))}, list[entry:]
}

func (x *Exact) EntryAddr(from netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(x.Host, from.Port())
}

func (x *Exact) MaxText() int { return MaxPayload }

func (x *Exact) Check(m Member, server netip.AddrPort) error {
	switch {
	case len(m.Name) != 1 || m.Name[0] < ' ' || m.Name[0] > '~':
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

func (x *Exact) Accepts() []Shape {
	return []Shape{
		{4, 4, "\xC3\x00 \x00", "\xC3\x00~\x00"},
		{6, 6, "\xC0\x00 \x00", "\xC0\x00~\x00"},
	}
}
