// Package wide is the wide dialect of the protocol: many hosts, IPv4 and IPv6, names of up
// to 32 bytes, thousands of peers, and with a key authenticated and encrypted datagrams.
// The machines are those of package core, under Rules. PROTOCOL.md has every byte and why.
//
//	birth       peer -> server   57C0  incarnation:8 seq:4 name:33 token:20
//	directory   server -> peer   57C1  incarnation:8 number:4 page:2 pages:2 { length:1 shared:1 rest address:0|4|16 port:2 } * 1…
//	vanilla     peer -> peer     57C2  incarnation:8 number:4 length:1 name text
//	keep-alive  peer -> server   57C3  incarnation:8 seq:4 name:33 incarnation:8 number:4
//	retry       server -> peer   57C4  incarnation:8 seq:4 incarnation:8 number:4 token:20
//	sealed      with a key       57C5  session:16 counter:8 { one of the above } tag:16
package wide

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"unicode"
	"unicode/utf8"

	"p2plocal/core"
)

const (
	MaxName     = 32   // bytes
	MaxDatagram = 1200 // bytes of any datagram but a vanilla message
	MaxText     = core.MaxDatagram - overhead - vanillaSize - MaxName

	typeHigh    = 0x57 // the high byte of the types; the low one is that of the exact protocol's
	typeSealed  = 0xC5
	nameSize    = 1 + MaxName
	tokenSize   = 4 + 16
	birthSize   = 2 + 8 + 4 + nameSize + tokenSize // 67
	aliveSize   = 2 + 8 + 4 + nameSize + 8 + 4     // 59
	retrySize   = 2 + 8 + 4 + 8 + 4 + tokenSize    // 46
	pageSize    = 2 + 8 + 4 + 2 + 2                // 18, and the entries
	vanillaSize = 2 + 8 + 4 + 1                    // 15, the name and the text

	// In an entry's length: its address is of 16 bytes, or that of the entry before.
	ipv6     = 0x80
	sameAddr = 0x40
)

// What Parse finds wrong beside core's errors.
var (
	ErrName    = fmt.Errorf("%w: name is not 1 to 32 bytes of printable UTF-8 without a blank at its ends", core.ErrMalformed)
	ErrAddress = fmt.Errorf("%w: not an address that a peer can have", core.ErrMalformed)
	ErrPage    = fmt.Errorf("%w: no such page", core.ErrMalformed)
	ErrShared  = fmt.Errorf("%w: an entry has not exactly what it shares with the one before left out", core.ErrMalformed)
)

// Codec is the dialect's core.Codec.
type Codec struct{}

var zeros [12 + nameSize]byte

func validName(b []byte) bool {
	if len(b) == 0 || len(b) > MaxName || b[0] == ' ' || b[len(b)-1] == ' ' {
		return false
	}
	const each = 0x0101010101010101
	for len(b) >= 8 { // eight at once, while all are ASCII
		x := binary.LittleEndian.Uint64(b)
		if (x|(x-' '*each)|(x+each))&(0x80*each) != 0 {
			break
		}
		b = b[8:]
	}
	for i := 0; i < len(b); {
		if c := b[i]; c < utf8.RuneSelf {
			if c < ' ' || c == 0x7F {
				return false
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if n == 1 || !unicode.IsPrint(r) {
			return false
		}
		i += n
	}
	return true
}

// CheckName says what is wrong with a name.
func CheckName(name string) error {
	if !validName([]byte(name)) {
		return fmt.Errorf("name %q, want 1 to %d bytes of printable UTF-8 without a blank at its ends", name, MaxName)
	}
	return nil
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

func validAddr(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && a != broadcast && !a.Is4In6() && a.Zone() == ""
}

func (Codec) Parse(v *core.Message, b []byte) error {
	v.Type = 0
	if len(b) < 2 {
		return core.ErrLength
	}
	if b[1] != typeHigh || b[0] < byte(core.TypeBirth) || b[0] > byte(core.TypeRetry) {
		return core.ErrType
	}
	v.Type = core.Type(b[0])
	switch v.Type {
	case core.TypeBirth:
		if len(b) != birthSize {
			return core.ErrLength
		}
		v.Token = b[birthSize-tokenSize:]
		return parseSender(v, b)
	case core.TypeKeepAlive:
		if len(b) != aliveSize {
			return core.ErrLength
		}
		parseVersion(v, b[aliveSize-12:])
		return parseSender(v, b)
	case core.TypeRetry:
		if len(b) != retrySize {
			return core.ErrLength
		}
		v.Incarnation, v.Seq = binary.LittleEndian.Uint64(b[2:]), binary.LittleEndian.Uint32(b[10:])
		parseVersion(v, b[14:])
		v.Token = b[retrySize-tokenSize:]
	case core.TypeDirectory:
		if len(b) <= pageSize || len(b) > MaxDatagram-overhead {
			return core.ErrLength
		}
		parseVersion(v, b[2:])
		v.Page, v.Pages = int(binary.LittleEndian.Uint16(b[14:])), int(binary.LittleEndian.Uint16(b[16:]))
		if v.Page >= v.Pages || v.Version.Number == 0 {
			return ErrPage
		}
		v.List = b[pageSize:]
		if p := pages.find(pageOf{v.Version, v.Page, v.Pages}); p != nil && p.Is(v) { // another peer of this process has found it sound
			v.Len = p.Len()
			return nil
		}
		return parseEntries(v)
	case core.TypeVanilla:
		if len(b) < vanillaSize || len(b) > core.MaxDatagram-overhead || len(b) < vanillaSize+int(b[14]) {
			return core.ErrLength
		}
		parseVersion(v, b[2:])
		v.Name, v.Text = b[vanillaSize:vanillaSize+int(b[14])], b[vanillaSize+int(b[14]):]
		if len(v.Text) > MaxText {
			return core.ErrLength
		}
		if len(v.Name) > 0 && !validName(v.Name) {
			return ErrName
		}
	}
	return nil
}

func parseVersion(v *core.Message, b []byte) {
	v.Version = core.Version{Incarnation: binary.LittleEndian.Uint64(b), Number: binary.LittleEndian.Uint32(b[8:])}
}

// parseSender parses what begins a birth and a keep-alive.
func parseSender(v *core.Message, b []byte) error {
	v.Incarnation, v.Seq = binary.LittleEndian.Uint64(b[2:]), binary.LittleEndian.Uint32(b[10:])
	n, field := int(b[14]), b[15:15+MaxName]
	if n > MaxName || string(field[n:]) != string(zeros[:MaxName-n]) || !validName(field[:n]) {
		return ErrName
	}
	v.Name, v.Slot = field[:n], -1
	return nil
}

// parseEntries checks the entries of a page, and counts them.
func parseEntries(v *core.Message) error {
	var name [MaxName]byte // of the entry before,
	var before netip.Addr  // and its address
	n := 0
	v.Len = 0
	for list := v.List; len(list) > 0; v.Len++ {
		e, rest := cut(list)
		switch {
		case rest == nil:
			return core.ErrLength
		case list[0] >= ipv6|sameAddr:
			return ErrAddress
		case e.shared+len(e.rest) > MaxName:
			return ErrName
		case e.shared > n, e.shared < n && len(e.rest) > 0 && e.rest[0] == name[e.shared], e.addr == before:
			return ErrShared
		case e.port == 0:
			return core.ErrPort
		}
		n = e.shared + copy(name[e.shared:], e.rest)
		if !validName(name[:n]) {
			return ErrName
		}
		if e.addr.IsValid() {
			if before = e.addr; !validAddr(before) {
				return ErrAddress
			}
		}
		list = rest
	}
	return nil
}

// entry is one of a page, as it stands on the wire.
type entry struct {
	shared int        // so many bytes of the name are those of the entry before,
	rest   []byte     // and these follow
	addr   netip.Addr // zero: that of the entry before
	port   uint16
}

// cut takes the first entry off a list that is not empty. rest is nil where the list is too short for it.
func cut(list []byte) (e entry, rest []byte) {
	head := list[0]
	n, size := 2+int(head&^(ipv6|sameAddr)), 4
	switch {
	case head&sameAddr != 0:
		size = 0
	case head&ipv6 != 0:
		size = 16
	}
	if len(list) < n+size+2 {
		return entry{}, nil
	}
	e = entry{shared: int(list[1]), rest: list[2:n], port: binary.LittleEndian.Uint16(list[n+size:])}
	switch size {
	case 4:
		e.addr = netip.AddrFrom4([4]byte(list[n:]))
	case 16:
		e.addr = netip.AddrFrom16([16]byte(list[n:]))
	}
	return e, list[n+size+2:]
}

func (Codec) Append(b []byte, v *core.Message) []byte {
	b = append(b, byte(v.Type), typeHigh)
	switch v.Type {
	case core.TypeBirth:
		b = append(appendSender(b, v), zeros[:tokenSize]...)
		copy(b[len(b)-tokenSize:], v.Token)
	case core.TypeKeepAlive:
		b = appendVersion(appendSender(b, v), v.Version)
	case core.TypeRetry:
		b = binary.LittleEndian.AppendUint64(b, v.Incarnation)
		b = binary.LittleEndian.AppendUint32(b, v.Seq)
		b = append(appendVersion(b, v.Version), v.Token...)
	case core.TypeVanilla:
		b = appendVersion(b, v.Version)
		b = append(b, byte(len(v.Member.Name)))
		b = append(append(b, v.Member.Name...), v.Text...)
	}
	return b
}

func appendVersion(b []byte, v core.Version) []byte {
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint64(b, v.Incarnation), v.Number)
}

// appendSender writes in place: what is put together elsewhere first costs more than it.
func appendSender(b []byte, v *core.Message) []byte {
	b = append(b, zeros[:12+nameSize]...)
	fields := b[len(b)-12-nameSize:]
	binary.LittleEndian.PutUint64(fields, v.Incarnation)
	binary.LittleEndian.PutUint32(fields[8:], v.Seq)
	fields[12] = byte(len(v.Member.Name))
	copy(fields[13:], v.Member.Name)
	return b
}

func (Codec) AppendDirectory(b []byte, ends []int, v core.Version, all []core.Member) ([]byte, []int) {
	base, first, pages := len(b), len(ends), 0
	for i, start := 0, base; i < len(all); pages++ {
		b = appendVersion(append(b, byte(core.TypeDirectory), typeHigh), v)
		b = binary.LittleEndian.AppendUint16(b, uint16(pages))
		b = append(b, 0, 0) // their number, once it is known
		var before core.Member
		for ; i < len(all); i++ {
			end := len(b)
			if b = appendEntry(b, all[i], before); len(b)-start > MaxDatagram-overhead {
				b = b[:end]
				break
			}
			before = all[i]
		}
		start, ends = len(b), append(ends, len(b))
	}
	for at, i := base, first; i < len(ends); at, i = ends[i], i+1 {
		binary.LittleEndian.PutUint16(b[at+16:], uint16(pages))
	}
	return b, ends
}

// appendEntry leaves out what m has in common with the entry before it.
func appendEntry(b []byte, m, before core.Member) []byte {
	shared, addr := 0, m.Addr.Addr()
	for most := min(len(m.Name), len(before.Name)); shared < most && m.Name[shared] == before.Name[shared]; shared++ {
	}
	head := byte(len(m.Name) - shared)
	switch {
	case addr == before.Addr.Addr():
		head |= sameAddr
	case addr.Is6():
		head |= ipv6
	}
	b = append(append(b, head, byte(shared)), m.Name[shared:]...)
	switch {
	case head&sameAddr != 0:
	case addr.Is6():
		x := addr.As16()
		b = append(b, x[:]...)
	default:
		x := addr.As4()
		b = append(b, x[:]...)
	}
	return binary.LittleEndian.AppendUint16(b, m.Addr.Port())
}

func (Codec) Next(list []byte, before core.Member) (core.Member, []byte) {
	e, rest := cut(list)
	if !e.addr.IsValid() {
		e.addr = before.Addr.Addr()
	}
	return core.Member{Name: before.Name[:e.shared] + core.Name(e.rest), Addr: netip.AddrPortFrom(e.addr, e.port)}, rest
}

func (Codec) EntryAddr(from netip.AddrPort) netip.AddrPort { return from }
func (Codec) MaxText() int                                 { return MaxText }

func (Codec) Check(m core.Member, server netip.AddrPort) error {
	if !validAddr(server.Addr()) || server.Port() == 0 {
		return fmt.Errorf("server address %v, want the IPv4 or IPv6 address of one host and a port", server)
	}
	return CheckName(string(m.Name))
}

func (Codec) Accepts() []core.Shape {
	birth, alive := string([]byte{byte(core.TypeBirth), typeHigh}), string([]byte{byte(core.TypeKeepAlive), typeHigh})
	return []core.Shape{
		{Shortest: birthSize, Longest: birthSize, Low: birth, High: birth},
		{Shortest: aliveSize, Longest: aliveSize, Low: alive, High: alive},
	}
}
