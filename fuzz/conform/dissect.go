package conform

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"p2plocal/core"
	"p2plocal/core/wire"
)

// Hex is a datagram, in JSON as hexadecimal digits.
type Hex []byte

func (h Hex) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

func (h *Hex) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// Field is a part of a datagram and what it means.
type Field struct {
	Offset int
	Bytes  []byte // its first few
	Size   int    // of all of them
	Name   string
	Value  string
}

const shown = 8 // bytes of one field that are shown

// Dissect names the fields of any datagram, sound or not (PROTOCOL.md,
// "Datagrams"). What does not fit the layout is named, too.
func Dissect(b []byte) (fields []Field) {
	if len(b) == 0 {
		return []Field{{Name: "nothing", Value: "a datagram of 0 bytes"}}
	}
	rest := b
	add := func(n int, name, value string) {
		fields = append(fields, Field{len(b) - len(rest), rest[:min(n, shown)], n, name, value})
		rest = rest[n:]
	}
	var value uint16 // of the last word
	word := func(name string, words func(uint16) string) bool {
		if len(rest) < 2 {
			if len(rest) > 0 {
				add(1, "half a "+name, "1 byte")
			}
			return false
		}
		value = binary.LittleEndian.Uint16(rest)
		add(2, name, words(value))
		return true
	}
	number := func(v uint16) string { return fmt.Sprint(v) }
	left := "left over"
	switch whole := word("type", typeOf); core.Type(value) {
	case core.TypeBirth:
		_ = whole && word("name", nameOf) && word("port", number)
	case core.TypeKeepAlive:
		_ = whole && word("name", nameOf)
	case core.TypeDirectory:
		whole = whole && word("count", number)
		for i := 1; whole && i <= int(value); i++ {
			if len(rest) < 4 {
				left = "half an entry"
				break
			}
			add(4, fmt.Sprintf("entry %d", i), fmt.Sprintf("%s on port %d", nameOf(binary.LittleEndian.Uint16(rest)), binary.LittleEndian.Uint16(rest[2:])))
		}
	case core.TypeVanilla:
		whole = whole && word("length", number)
		if n := min(int(value), len(rest)); whole && n > 0 {
			add(n, "text", quoted(rest[:n]))
		}
		if len(rest) > 0 && rest[0] == 0 {
			add(1, "zero", "the end")
		}
	default:
		left = "unknown"
	}
	if n := len(rest); n > 0 {
		add(n, left, plural(n, "byte"))
	}
	return fields
}

func typeOf(v uint16) string {
	if v < uint16(core.TypeBirth) || v > uint16(core.TypeKeepAlive) {
		return fmt.Sprintf("0x%04X, which there is not", v)
	}
	return core.Type(v).String()
}

func nameOf(v uint16) string {
	if n := wire.Name(v); v < 0x80 && n.Valid() {
		return fmt.Sprintf("%q", rune(n))
	}
	return fmt.Sprintf("0x%04X, which is no name", v)
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
	fields := Dissect(b)
	for i := 0; i < len(fields); i++ {
		if cut := len(fields) - head - tail; cut > 1 && i == head {
			lines = append(lines, fmt.Sprintf("      %d more", cut))
			i += cut - 1
			continue
		}
		f := fields[i]
		bytes := fmt.Sprintf("% x", f.Bytes)
		if f.Size > len(f.Bytes) {
			bytes = fmt.Sprintf("% x ..", f.Bytes[:shown-1])
		}
		lines = append(lines, fmt.Sprintf("%04x  %-*s  %s: %s", f.Offset, 3*shown-1, bytes, f.Name, f.Value))
	}
	return lines
}

// Summary is a datagram in a few words.
func Summary(b []byte) string {
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

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if y, ok := strings.CutSuffix(what, "y"); ok {
		return fmt.Sprintf("%d %sies", n, y)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
