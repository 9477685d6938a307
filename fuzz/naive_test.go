package fuzz

import (
	"bytes"
	"errors"

	"p2plocal/core"
)

// naive is a second decoder, written from PROTOCOL.md's tables alone and as
// plainly as can be: what FuzzParse holds core.Parse against.
type naive struct {
	kind    string // birth, directory, vanilla, keep-alive; empty where the datagram is malformed
	name    byte
	port    int
	entries []byte // 4 bytes each
	text    []byte
}

func (n naive) len() int { return len(n.entries) / 4 }

func (n naive) at(i int) (name byte, port int) {
	e := n.entries[4*i:]
	return e[0], number(e[2], e[3])
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
		n = naive{kind: "directory", entries: rest[2:]}
		for i := range n.len() {
			name, port := n.at(i)
			if !printable(name, n.entries[4*i+1]) || port == 0 {
				return naive{}
			}
			for j := range i {
				if name2, port2 := n.at(j); name2 == name || port2 == port {
					return naive{}
				}
			}
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
		return naive{kind: "vanilla", text: text}
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
	case n.kind == "vanilla" && !bytes.Equal(n.text, m.Payload):
		return errors.New("another text")
	case n.kind == "directory" && m.Entries.Len() != n.len():
		return errors.New("another number of entries")
	}
	for i := range n.len() {
		if name, port := n.at(i); m.Entries.At(i) != (core.Entry{Name: core.Name(name), Port: uint16(port)}) {
			return errors.New("another entry")
		}
	}
	return nil
}
