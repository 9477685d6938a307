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
	at := 0
	add := func(n int, name, value string) {
		fields = append(fields, Field{at, b[at : at+min(n, shown)], n, name, value})
		at += n
	}
	word := func() (uint16, bool) {
		if len(b)-at < 2 {
			return 0, false
		}
		return binary.LittleEndian.Uint16(b[at:]), true
	}
	rest := func(name string) []Field {
		if n := len(b) - at; n > 0 {
			add(n, name, plural(n, "byte"))
		}
		return fields
	}
	kind, ok := word()
	if !ok {
		if len(b) == 0 {
			return []Field{{Name: "nothing", Value: "a datagram of 0 bytes"}}
		}
		return rest("half a type")
	}
	t := core.Type(kind)
	name := func() bool {
		v, ok := word()
		if ok {
			add(2, "name", nameOf(v))
		}
		return ok
	}
	switch t {
	case core.TypeBirth, core.TypeKeepAlive:
		add(2, "type", t.String())
		if !name() {
			return rest("half a name")
		}
		if t == core.TypeBirth {
			port, ok := word()
			if !ok {
				return rest("half a port")
			}
			add(2, "port", fmt.Sprint(port))
		}
	case core.TypeDirectory:
		add(2, "type", t.String())
		n, ok := word()
		if !ok {
			return rest("half a count")
		}
		add(2, "count", fmt.Sprint(n))
		for i := 1; i <= int(n) && len(b)-at >= 4; i++ {
			e := b[at:]
			add(4, fmt.Sprintf("entry %d", i), nameOf(binary.LittleEndian.Uint16(e))+fmt.Sprintf(" on port %d", binary.LittleEndian.Uint16(e[2:])))
		}
		if (len(b)-at)/4 == 0 && at < 4+4*int(n) {
			return rest("half an entry")
		}
	case core.TypeVanilla:
		add(2, "type", t.String())
		n, ok := word()
		if !ok {
			return rest("half a length")
		}
		add(2, "length", fmt.Sprint(n))
		text := min(int(n), len(b)-at)
		if text > 0 {
			add(text, "text", quoted(b[at:at+text]))
		}
		if at < len(b) && b[at] == 0 {
			add(1, "zero", "the end")
		}
	default:
		add(2, "type", fmt.Sprintf("0x%04X, which there is not", kind))
		return rest("unknown")
	}
	return rest("left over")
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
