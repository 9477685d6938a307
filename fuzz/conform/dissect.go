package conform

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"p2plocal/core"
	"p2plocal/core/wide"
	"p2plocal/core/wire"
	"p2plocal/fuzz/figure"
)

// Hex is a datagram, in JSON as hexadecimal digits.
type Hex []byte

func (h Hex) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

func (h *Hex) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// layouts are the fields behind the type, with their sizes in bytes, by the two bytes of the type: of the
// exact protocol and of the wide dialect.
var layouts = map[uint16]string{
	uint16(core.TypeBirth): "name:2 port:2", uint16(core.TypeKeepAlive): "name:2", uint16(core.TypeDirectory): "count:2", uint16(core.TypeVanilla): "length:2",

	wideType | uint16(core.TypeBirth):     "incarnation:8 number:4 name:33 token:20",
	wideType | uint16(core.TypeKeepAlive): "incarnation:8 number:4 name:33 server:8 version:4",
	wideType | uint16(core.TypeRetry):     "incarnation:8 number:4 server:8 version:4 token:20",
	wideType | uint16(core.TypeDirectory): "server:8 version:4 page:2 pages:2",
	wideType | uint16(core.TypeVanilla):   "server:8 version:4",
	sealedType:                            "session:16 counter:8",
}

const (
	wideType   = 0x5700
	sealedType = wideType | 0xC5
)

// isWide reports that a datagram is of the wide dialect.
func isWide(b []byte) bool { return len(b) >= 2 && b[1] == wideType>>8 && layouts[typeWord(b)] != "" }

func typeWord(b []byte) uint16 { return binary.LittleEndian.Uint16(b) }

// dissection takes a datagram apart.
type dissection struct {
	rest  []byte
	field func(part []byte, name, value string)
}

// take names the next n bytes; false: there are fewer, which are named, too.
func (d *dissection) take(n int, name string, value func(part []byte) string) bool {
	if part := d.rest; len(part) < n {
		if d.rest = nil; len(part) > 0 {
			kind, article := strings.Fields(name)[0], "a"
			if strings.ContainsRune("aeiou", rune(kind[0])) {
				article = "an"
			}
			d.field(part, fmt.Sprintf("half %s %s", article, kind), plural(len(part), "byte"))
		}
		return false
	}
	d.field(d.rest[:n], name, value(d.rest[:n]))
	d.rest = d.rest[n:]
	return true
}

// dissect names the fields of any datagram of either dialect, sound or not ("Datagrams" in both documents).
// What does not fit the layout is named, too.
func dissect(b []byte, field func(part []byte, name, value string)) {
	if len(b) == 0 {
		field(nil, "nothing", "a datagram of 0 bytes")
		return
	}
	d := dissection{b, field}
	if !d.take(2, "type", typeOf) {
		return
	}
	kind, last := typeWord(b), 0 // the number in the last field
	for f := range strings.FieldsSeq(layouts[kind]) {
		what, size, _ := strings.Cut(f, ":")
		if !d.take(number(size), what, func(part []byte) string {
			last = integer(part)
			return valueOf(what, part)
		}) {
			return
		}
	}
	left := "left over"
	switch kind {
	case uint16(core.TypeDirectory):
		for i := 1; i <= last && d.take(4, fmt.Sprintf("entry %d", i), entryOf); i++ {
		}
	case uint16(core.TypeVanilla):
		if n := min(last, len(d.rest)); n > 0 {
			d.take(n, "text", quoted)
		}
		if len(d.rest) > 0 && d.rest[0] == 0 {
			d.take(1, "zero", func([]byte) string { return "the end" })
		}
	case wideType | uint16(core.TypeVanilla):
		if len(d.rest) > 0 && d.take(1+int(d.rest[0]), "for", wideNameOf) && len(d.rest) > 0 {
			d.take(len(d.rest), "text", quoted)
		}
	case wideType | uint16(core.TypeDirectory):
		var name string // of the entry before
		for i := 1; len(d.rest) > 0; i++ {
			size := 2 + int(d.rest[0]%0x40) + [...]int{4, 0, 16, 0}[d.rest[0]/0x40] + 2
			d.take(size, fmt.Sprintf("entry %d", i), func(part []byte) (value string) {
				name, value = wideEntryOf(part, name)
				return value
			})
		}
	default:
		if layouts[kind] == "" {
			left = "unknown"
		}
	}
	if n := len(d.rest); n > 0 {
		field(d.rest, left, plural(n, "byte"))
	}
}

func integer(part []byte) int {
	var x [8]byte
	copy(x[:], part)
	return int(binary.LittleEndian.Uint64(x[:]))
}

// valueOf is what a field says.
func valueOf(what string, part []byte) string {
	switch {
	case what == "name" && len(part) == 2:
		return nameOf(typeWord(part))
	case what == "name":
		return wideNameOf(part)
	case slices.Contains([]string{"incarnation", "server", "token", "session"}, what):
		return fmt.Sprintf("%x", part)
	}
	return fmt.Sprint(integer(part))
}

func typeOf(part []byte) string {
	v := typeWord(part)
	switch {
	case v == sealedType:
		return "sealed"
	case layouts[v] == "":
		return fmt.Sprintf("0x%04X, which there is not", v)
	case isWide(part):
		return "wide " + core.Type(part[0]).String()
	}
	return core.Type(v).String()
}

func nameOf(v uint16) string {
	if n := wire.Name(v); v < 0x80 && n.Valid() {
		return fmt.Sprintf("%q", rune(n))
	}
	return fmt.Sprintf("0x%04X, which is no name", v)
}

func entryOf(part []byte) string {
	return fmt.Sprintf("%s on port %d", nameOf(typeWord(part)), typeWord(part[2:]))
}

func wideNameOf(part []byte) string {
	return fmt.Sprintf("%q", part[1:1+min(len(part)-1, int(part[0]))])
}

// wideEntryOf is the name in an entry, and all that it says. before is the name in the one before it.
func wideEntryOf(part []byte, before string) (name, value string) {
	n := 2 + int(part[0]%0x40)
	name = before[:min(len(before), int(part[1]))] + string(part[2:n])
	port := typeWord(part[len(part)-2:])
	if host, ok := netip.AddrFromSlice(part[n : len(part)-2]); ok {
		return name, fmt.Sprintf("%q at %v", name, netip.AddrPortFrom(host, port))
	}
	return name, fmt.Sprintf("%q on the same host, port %d", name, port)
}

// quoted is a text's beginning as a Go string.
func quoted(b []byte) string {
	const most = 40
	if len(b) <= most {
		return fmt.Sprintf("%q", b)
	}
	return fmt.Sprintf("%q and %s more", b[:most], plural(len(b)-most, "byte"))
}

// Annotate is a datagram as lines of offset, bytes and meaning. Of a long
// directory some entries are left out.
func Annotate(b []byte) (lines []string) {
	const head, tail = 6, 2
	const shown = 8 // bytes of one field
	at := 0
	dissect(b, func(part []byte, name, value string) {
		bytes := fmt.Sprintf("% x", part)
		if len(part) > shown {
			bytes = fmt.Sprintf("% x ..", part[:shown-1])
		}
		lines = append(lines, fmt.Sprintf("%04x  %-*s  %s: %s", at, 3*shown-1, bytes, name, value))
		at += len(part)
	})
	if cut := len(lines) - head - tail; cut > 1 {
		lines = slices.Concat(lines[:head], []string{fmt.Sprintf("      %d more", cut)}, lines[head+cut:])
	}
	return lines
}

// Summary is a datagram in a few words.
func Summary(b []byte) string {
	if isWide(b) {
		return summaryWide(b)
	}
	m, err := wire.Parse(b)
	if err != nil {
		return fmt.Sprintf("%s that %s", plural(len(b), "byte"), strings.Replace(err.Error(), "malformed:", "are malformed:", 1))
	}
	switch m.Type {
	case core.TypeBirth:
		return "birth of " + m.Entry.String()
	case core.TypeKeepAlive:
		return "keep-alive of " + m.Entry.Name.String()
	case core.TypeVanilla:
		return "message " + quoted(m.Payload)
	}
	if m.Entries.Len() == 0 {
		return "directory of nobody"
	}
	var names []string
	for i := range min(m.Entries.Len(), 12) {
		names = append(names, m.Entries.At(i).String())
	}
	if m.Entries.Len() > len(names) {
		names = append(names, fmt.Sprintf("and %d more", m.Entries.Len()-len(names)))
	}
	return "directory of " + strings.Join(names, " ")
}

// summaryWide is Summary for the wide dialect.
func summaryWide(b []byte) string {
	var v core.Message
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

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if y, ok := strings.CutSuffix(what, "y"); ok {
		return figure.Grouped(n) + " " + y + "ies"
	}
	return figure.Grouped(n) + " " + what + "s"
}
