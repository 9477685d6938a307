package conform

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
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

// layouts are the words behind the type.
var layouts = map[core.Type][]string{
	core.TypeBirth: {"name", "port"}, core.TypeKeepAlive: {"name"}, core.TypeDirectory: {"count"}, core.TypeVanilla: {"length"},
}

// dissect names the fields of any datagram, sound or not (PROTOCOL.md,
// "Datagrams"). What does not fit the layout is named, too.
func dissect(b []byte, field func(part []byte, name, value string)) {
	if len(b) == 0 {
		field(nil, "nothing", "a datagram of 0 bytes")
	}
	if isWide(b) {
		dissectWide(b, field)
		return
	}
	take := func(n int, name, value string) {
		field(b[:n], name, value)
		b = b[n:]
	}
	words := []string{"type"}
	var kind core.Type
	var value uint16 // of the last word
	for i := 0; i < len(words); i++ {
		if len(b) < 2 {
			if len(b) > 0 {
				take(1, "half a "+words[i], "1 byte")
			}
			return
		}
		value = binary.LittleEndian.Uint16(b)
		text := fmt.Sprint(value)
		switch words[i] {
		case "type":
			kind, text = core.Type(value), typeOf(value)
			words = append(words, layouts[kind]...)
		case "name":
			text = nameOf(value)
		}
		take(2, words[i], text)
	}
	left := "left over"
	switch kind {
	case core.TypeBirth, core.TypeKeepAlive:
	case core.TypeDirectory:
		for i := 1; i <= int(value); i++ {
			if len(b) < 4 {
				left = "half an entry"
				break
			}
			take(4, fmt.Sprintf("entry %d", i), fmt.Sprintf("%s on port %d", nameOf(binary.LittleEndian.Uint16(b)), binary.LittleEndian.Uint16(b[2:])))
		}
	case core.TypeVanilla:
		if n := min(int(value), len(b)); n > 0 {
			take(n, "text", quoted(b[:n]))
		}
		if len(b) > 0 && b[0] == 0 {
			take(1, "zero", "the end")
		}
	default:
		left = "unknown"
	}
	if n := len(b); n > 0 {
		take(n, left, plural(n, "byte"))
	}
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

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if y, ok := strings.CutSuffix(what, "y"); ok {
		return fmt.Sprintf("%d %sies", n, y)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
