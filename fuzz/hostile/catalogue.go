package hostile

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
)

// The catalogue. A section's first line says where its datagrams come from, where they do not say so. A case
// is ROLE/GROUP/NAME: WHY, with * for both roles, and below it its datagrams, each
//
//	TIME "N times" "each LIST" "from ORIGIN" FATE WORDS
//
// of which what stands before the fate may be left out. A TIME may be FIRST..LAST/STEP. With each LIST, x stands for
// each of it in turn, and next for the one behind: free are all spare entries, rest those but the first,
// spare:N so many of them over and over, FIRST..LAST/STEP numbers, as x.port.
// "leaves REST ENTRIES" says who is in a server's directory in the end.
//
// A word is a type, a number, an entry, its .name or its .port, or quoted bytes. Entries are the members a and m,
// the attacked peer self, the spare s, t and u, or the name of one and the port of another: s:a, s:server, s:1.
// "listing" puts type and count before entries, "text" type and length before bytes and a zero behind them.
// walk:N:PORT are N entries with all names over and over and ports from there on, fill:BYTE:N is N bytes;
// cut:N and pad:N have what stands before them so long, swapped exchanges the bytes of each word.
//
//go:embed catalogue.cases
var script string

// The wide dialect's, with words of its own: see field.
//
//go:embed wide.cases
var wideScript string

// draft is a case before it is known for which mesh.
type draft struct {
	name, why string
	from      Origin
	lines     [][]string
}

var word = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|\S+`)

// drafts and wideDrafts are those of each role, read when somebody asks for them.
var (
	drafts     = sync.OnceValue(func() [2][]*draft { return readDrafts(script) })
	wideDrafts = sync.OnceValue(func() [2][]*draft { return readDrafts(wideScript) })
)

func readDrafts(script string) (all [2][]*draft) {
	var from string
	var under []*draft // what the next lines belong to
	for line := range strings.Lines(script) {
		name, why, _ := strings.Cut(strings.TrimSpace(line), ": ")
		words := word.FindAllString(line, -1)
		switch {
		case len(words) == 0:
		case words[0] == "#":
			from = words[2]
		case line[0] == '\t':
			for _, d := range under {
				d.lines = append(d.lines, words)
			}
		default:
			under = nil
			for r := range all {
				prefix, rest, _ := strings.Cut(name, "/")
				if role := Role(r); prefix == "*" || prefix+"/" == role.Prefix() {
					d := &draft{name: role.Prefix() + rest, why: why, from: originOf(from)}
					if prefix == "*" && role == Peer {
						d.from = FromMember
					}
					under, all[r] = append(under, d), append(all[r], d)
				}
			}
		}
	}
	return all
}

// drafts are those of the environment's dialect.
func (e Env) drafts(r Role) []*draft {
	if e.Wide != nil {
		return wideDrafts()[r]
	}
	return drafts()[r]
}

// NeedsKey says that a case is hostile only where there is a key.
func (c Case) NeedsKey() bool { return strings.Contains(c.Name, "/keyed/") }

// Cases are the catalogue's for one role, in its order, of a valid environment.
func (e Env) Cases(r Role) (cases []Case) {
	for i := range e.drafts(r) {
		cases = append(cases, e.Case(r, i))
	}
	return cases
}

// Case is case i of those.
func (e Env) Case(r Role, i int) Case {
	d := e.drafts(r)[i]
	c := Case{Name: d.name, Why: d.why, Role: r}
	m := maker{Env: e, entries: map[string]wire.Entry{
		"a": e.Members[0], "m": e.Members[1], "self": e.Self, "s": e.Spare[0], "t": e.Spare[1], "u": e.Spare[2], "server": {Port: e.Server.Port()},
	}}
	for _, words := range d.lines {
		if words[0] != "leaves" {
			c.Steps = append(c.Steps, m.steps(words, d.from)...)
			continue
		}
		words = words[1:]
		if len(words) > 0 && timing.MatchString(words[0]) {
			c.Rest, words = must(time.ParseDuration(words[0])), words[1:]
		}
		for _, w := range words {
			if w == "free" {
				c.Left = m.free()
			} else {
				c.Left = append(c.Left, m.entry(w))
			}
		}
	}
	slices.SortStableFunc(c.Steps, func(a, b Step) int { return int(a.At - b.At) })
	return c
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// maker makes the catalogue's datagrams for a mesh.
type maker struct {
	Env
	entries map[string]wire.Entry // by what the script calls them

	before wideEntry // the last of this datagram's; none yet: empty
}

var (
	timing = regexp.MustCompile(`^\d+m?s(\.\.|$)`)
	fates  = map[string]core.Kind{"malformed": core.Malformed, "misdirected": core.Misdirected, "stranger": core.Stranger, "rejected": core.Rejected, "conflict": core.Conflict,
		"born": core.Born, "unvalidated": core.Unvalidated, "repeated": core.Repeated, "unknown": core.Unknown, "alive": core.Alive, "listed": core.Listed, "heard": core.Heard}
	kinds = map[string]core.Type{"birth": core.TypeBirth, "directory": core.TypeDirectory, "vanilla": core.TypeVanilla, "keep-alive": core.TypeKeepAlive, "retry": core.TypeRetry}
)

// steps are what a line says.
func (m maker) steps(words []string, from Origin) (steps []Step) {
	times, first, last, step := 1, time.Duration(0), time.Duration(0), time.Second
	list := []wire.Entry{{}}
	for {
		switch w := words[0]; {
		case timing.MatchString(w):
			begin, rest, ranged := strings.Cut(w, "..")
			first = must(time.ParseDuration(begin))
			if last = first; ranged {
				end, by, _ := strings.Cut(rest, "/")
				last, step = must(time.ParseDuration(end)), must(time.ParseDuration(by))
			}
			words = words[1:]
			continue
		case len(words) > 1 && words[1] == "times":
			times, words = m.number(w), words[2:]
			continue
		case w == "each":
			list, words = m.list(words[1]), words[2:]
			continue
		case w == "from":
			from, words = originOf(words[1]), words[2:]
			continue
		}
		break
	}
	for at := first; at <= last; at += step {
		for i, x := range list {
			m.entries["x"], m.entries["next"] = x, list[(i+1)%len(list)]
			for range times {
				steps = append(steps, Step{at, from, m.datagram(words[1:]), fates[words[0]]})
			}
		}
	}
	return steps
}

// free are all spare entries, also the attacked peer's where there is none.
func (m maker) free() []wire.Entry {
	if m.Self.Name == 0 {
		return m.Spare
	}
	return append(slices.Clone(m.Spare), m.Self)
}

func (m maker) list(name string) (list []wire.Entry) {
	first, rest, ranged := strings.Cut(name, "..")
	_, n, _ := strings.Cut(name, ":")
	switch {
	case name == "free":
		return m.free()
	case name == "rest":
		return m.free()[1:]
	case ranged:
		last, by, _ := strings.Cut(rest, "/")
		for i := m.number(first); i <= m.number(last); i += m.number(cmp.Or(by, "1")) {
			list = append(list, wire.Entry{Port: uint16(i)})
		}
		return list
	}
	for i := range m.number(n) {
		list = append(list, m.Spare[i%len(m.Spare)])
	}
	return list
}

// number is one, or the port of an entry.
func (m maker) number(w string) int {
	if e, known := m.entries[w]; known {
		return int(e.Port)
	}
	return int(must(strconv.ParseUint(w, 0, 16)))
}

func (m maker) entry(w string) wire.Entry {
	name, port, mixed := strings.Cut(w, ":")
	e, known := m.entries[name]
	if !known {
		panic(fmt.Sprintf("no entry is called %q", w))
	}
	if mixed {
		e.Port = uint16(m.number(port))
	}
	return e
}

func (m maker) datagram(of []string) []byte {
	b := []byte{}
	for i, w := range of {
		name, argument, _ := strings.Cut(w, ":")
		argument, second, _ := strings.Cut(argument, ":")
		kind, isType := kinds[w]
		entry, field, isField := strings.Cut(w, ".")
		if m.Wide != nil {
			var ok bool
			if b, ok = m.wide(b, w); ok {
				continue
			}
		}
		switch {
		case w[0] == '"':
			b = append(b, must(strconv.Unquote(w))...)
		case w[0] <= '9':
			b = binary.LittleEndian.AppendUint16(b, uint16(m.number(w)))
		case isType:
			b = append(b, words(uint16(kind))...)
		case w == "listing":
			rest := m.datagram(of[i+1:])
			return append(words(uint16(core.TypeDirectory), uint16(len(rest)/4)), rest...)
		case w == "text":
			return Vanilla(string(m.datagram(of[i+1:])))
		case w == "swapped":
			b = swapped(b)
		case name == "cut":
			b = b[:m.number(argument)]
		case name == "pad":
			b = append(b, make([]byte, m.number(argument)-len(b))...)
		case name == "fill":
			b = append(b, filled(m.number(second), byte(m.number(argument)))...)
		case name == "walk":
			for i := range m.number(argument) {
				b = append(b, words(uint16(' '+i%95), uint16(m.number(second)+i))...)
			}
		case isField && field == "name":
			b = append(b, words(uint16(m.entry(entry).Name))...)
		case isField:
			b = append(b, words(m.entry(entry).Port)...)
		default:
			e := m.entry(w)
			b = append(b, words(uint16(e.Name), e.Port)...)
		}
	}
	return b
}

func filled(n int, with byte) []byte { return bytes.Repeat([]byte{with}, n) }

// The datagrams as they stand on the wire, valid or not.

func words(fields ...uint16) []byte {
	b := make([]byte, 0, 2*len(fields))
	for _, f := range fields {
		b = binary.LittleEndian.AppendUint16(b, f)
	}
	return b
}

func Birth(name, port uint16) []byte { return words(uint16(core.TypeBirth), name, port) }
func BirthOf(e wire.Entry) []byte    { return Birth(uint16(e.Name), e.Port) }
func KeepAlive(name uint16) []byte   { return words(uint16(core.TypeKeepAlive), name) }

func KeepAliveOf(e wire.Entry) []byte { return KeepAlive(uint16(e.Name)) }

func Directory(entries ...wire.Entry) []byte {
	fields := append(make([]uint16, 0, 2+2*len(entries)), uint16(core.TypeDirectory), uint16(len(entries)))
	for _, e := range entries {
		fields = append(fields, uint16(e.Name), e.Port)
	}
	return words(fields...)
}

func Vanilla(text string) []byte { return append(lyingVanilla(uint16(len(text)), text), 0) }

func lyingVanilla(length uint16, rest string) []byte {
	return append(words(uint16(core.TypeVanilla), length), rest...)
}

func swapped(b []byte) []byte {
	s := make([]byte, len(b))
	for i := 0; i+1 < len(b); i += 2 {
		s[i], s[i+1] = b[i+1], b[i]
	}
	return s
}
