// Package core is the p2plocal protocol: its codec, the directory server and
// the peer as pure state machines, and the driver that runs one of them over
// one UDP socket. PROTOCOL.md sections are named where a rule comes from.
//
// Every field on the wire is an unsigned 16-bit integer, little-endian. The
// first is the message type:
//
//	birth       peer -> server   00C0  name  port
//	directory   server -> peer   00C1  count { name port } * count
//	vanilla     peer -> peer     00C2  length  length bytes  one zero byte
//	keep-alive  peer -> server   00C3  name
//
// A name is one printable ASCII character (0x20 to 0x7E) in the low byte of
// its field, zero in the high byte. A port is 1 to 65535.
package core

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
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

// Name is a peer's name, one character.
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

func (e Entry) String() string { return e.Name.String() + ":" + strconv.Itoa(int(e.Port)) }

// Entries is a directory's list in wire form, 4 bytes an entry.
type Entries []byte

// Len is the number of entries.
func (e Entries) Len() int { return len(e) / entry }

// At is entry i.
func (e Entries) At(i int) Entry {
	return Entry{Name(e[entry*i]), binary.LittleEndian.Uint16(e[entry*i+2:])}
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

// Append returns e with one more entry.
func (e Entries) Append(x Entry) Entries { return appendEntry(e, x) }

func appendEntry(b []byte, x Entry) []byte {
	return append(b, byte(x.Name), 0, byte(x.Port), byte(x.Port>>8))
}

func parseEntry(b []byte) (Entry, error) {
	x := Entry{Name(b[0]), binary.LittleEndian.Uint16(b[2:])}
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
		b = appendEntry(b, m.Entry)
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
	var m Message
	if err := m.parse(b); err != nil {
		return Message{}, err
	}
	return m, nil
}

// parse is Parse into an empty Message. It spares the machines two copies of
// the Message, with which a keep-alive costs three times as much.
func (m *Message) parse(b []byte) (err error) {
	if len(b) < 4 || len(b) > MaxDatagram {
		return ErrLength
	}
	m.Type = Type(binary.LittleEndian.Uint16(b))
	switch field := binary.LittleEndian.Uint16(b[2:]); m.Type {
	case TypeKeepAlive:
		if len(b) != 4 {
			return ErrLength
		}
		if m.Entry.Name = Name(field); field > 0x7F || !m.Entry.Name.Valid() {
			return ErrName
		}
	case TypeBirth:
		if len(b) != 6 {
			return ErrLength
		}
		m.Entry, err = parseEntry(b[2:])
	case TypeDirectory:
		if len(b) != 4+entry*int(field) {
			return ErrLength
		}
		m.Entries = Entries(b[4:])
		err = m.Entries.check()
	case TypeVanilla:
		if len(b) != 5+int(field) {
			return ErrLength
		}
		m.Payload = b[4 : len(b)-1]
		if bytes.IndexByte(b[4:], 0) != len(b)-5 {
			err = ErrPayload
		}
	default:
		err = ErrType
	}
	return err
}

// typeOf is the type that a datagram claims, 0 where it is too short to claim one.
func typeOf(b []byte) Type {
	if len(b) < 2 {
		return 0
	}
	return Type(binary.LittleEndian.Uint16(b))
}

const (
	broadcastInfix = "_broadcast_"
	dots           = "................................................................"
)

// AppendBroadcast appends the text that a peer broadcasts, such as
// peerA_broadcast_1f (PROTOCOL.md, "Peer"), filled up with dots to at least
// size bytes. The dots are for benchmarks; the protocol's own size is 0.
func AppendBroadcast(b []byte, from Name, counter uint16, size int) []byte {
	start := len(b)
	b = append(b, "peer"...)
	b = append(b, byte(from))
	b = append(b, broadcastInfix...)
	b = strconv.AppendUint(b, uint64(counter), 16)
	for missing := size - (len(b) - start); missing > 0; missing -= len(dots) {
		b = append(b, dots[:min(missing, len(dots))]...)
	}
	return b
}

// ParseBroadcast reads a text of AppendBroadcast's back.
func ParseBroadcast(text []byte) (from Name, counter uint16, ok bool) {
	const digits = len("peerA") + len(broadcastInfix)
	if len(text) <= digits || string(text[:4]) != "peer" || string(text[5:digits]) != broadcastInfix {
		return 0, 0, false
	}
	var n, i int
	for i = digits; i < len(text) && text[i] != '.'; i++ {
		c := text[i]
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		default:
			return 0, 0, false
		}
		if n = n<<4 | int(c); n > 0xFFFF {
			return 0, 0, false
		}
	}
	return Name(text[4]), uint16(n), i > digits
}
