package fuzz

import (
	"errors"

	"p2plocal/core"
)

// naive is a second decoder, written from PROTOCOL.md's tables alone and as
// plainly as can be: what FuzzParse holds core.Parse against.
type naive struct {
	kind  string // birth, directory, vanilla, keep-alive; empty where the datagram is malformed
	name  byte
	port  int
	names []byte
	ports []int
	text  string
}

func number(lo, hi byte) int { return int(lo) + 256*int(hi) }

// decode returns no kind for whatever is not exactly one of the layouts.
func decode(b []byte) (n naive) {
	if len(b) < 2 || len(b) > 65507 {
		return naive{}
	}
	rest := b[2:]
	switch number(b[0], b[1]) {
	case 0xC0:
		if len(rest) != 4 || !printable(rest[0], rest[1]) || number(rest[2], rest[3]) == 0 {
			return naive{}
		}
		return naive{kind: "birth", name: rest[0], port: number(rest[2], rest[3])}
	case 0xC1:
		if len(rest) < 2 || len(rest) != 2+4*number(rest[0], rest[1]) {
			return naive{}
		}
		n.kind = "directory"
		for e := rest[2:]; len(e) > 0; e = e[4:] {
			port := number(e[2], e[3])
			if !printable(e[0], e[1]) || port == 0 {
				return naive{}
			}
			for i := range n.names {
				if n.names[i] == e[0] || n.ports[i] == port {
					return naive{}
				}
			}
			n.names, n.ports = append(n.names, e[0]), append(n.ports, port)
		}
		return n
	case 0xC2:
		if len(rest) < 3 || len(rest) != 2+number(rest[0], rest[1])+1 || rest[len(rest)-1] != 0 {
			return naive{}
		}
		text := rest[2 : len(rest)-1]
		for _, c := range text {
			if c == 0 {
				return naive{}
			}
		}
		return naive{kind: "vanilla", text: string(text)}
	case 0xC3:
		if len(rest) != 2 || !printable(rest[0], rest[1]) {
			return naive{}
		}
		return naive{kind: "keep-alive", name: rest[0]}
	}
	return naive{}
}

func printable(lo, hi byte) bool { return hi == 0 && lo >= 0x20 && lo <= 0x7E }

// matches says how core's reading of a datagram differs from the naive one.
func (n naive) matches(m core.Message, err error) error {
	switch {
	case n.kind == "" && err == nil:
		return errors.New("core takes what the protocol does not allow")
	case n.kind == "":
		if !errors.Is(err, core.ErrMalformed) {
			return errors.New("the error is not ErrMalformed")
		}
		return nil
	case err != nil:
		return errors.New("core refuses what the protocol allows")
	case n.kind != m.Type.String():
		return errors.New("another type")
	case n.kind == "birth" && m.Entry != (core.Entry{Name: core.Name(n.name), Port: uint16(n.port)}):
		return errors.New("another entry")
	case n.kind == "keep-alive" && m.Entry != (core.Entry{Name: core.Name(n.name)}):
		return errors.New("another name")
	case n.kind == "vanilla" && n.text != string(m.Payload):
		return errors.New("another text")
	case n.kind == "directory" && m.Entries.Len() != len(n.names):
		return errors.New("another number of entries")
	}
	for i := range n.names {
		if m.Entries.At(i) != (core.Entry{Name: core.Name(n.names[i]), Port: uint16(n.ports[i])}) {
			return errors.New("another entry")
		}
	}
	return nil
}
