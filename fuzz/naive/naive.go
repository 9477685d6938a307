// Package naive is a second decoder of the protocol's datagrams, written from
// PROTOCOL.md's tables alone and as plainly as can be: what the fuzz targets hold
// core against.
//
// It stands apart from package fuzz for FuzzParse's sake: at each execution the
// fuzzing engine goes through the coverage counters of all that is linked to the
// test, and there are four times fewer of them here.
package naive

// Datagram is what the bytes say. It aliases them.
type Datagram struct {
	Kind    string // birth, directory, vanilla, keep-alive; empty where the datagram is malformed
	Name    byte
	Port    int
	Entries []byte // 4 bytes each
	Text    []byte
}

// Len is the number of a directory's entries.
func (d Datagram) Len() int { return len(d.Entries) / 4 }

// At is a directory's entry i.
func (d Datagram) At(i int) (name byte, port int) {
	e := d.Entries[4*i:]
	return e[0], number(e[2], e[3])
}

func number(lo, hi byte) int { return int(lo) + 256*int(hi) }

// Decode returns no kind for whatever is not exactly one of the layouts.
func Decode(b []byte) (d Datagram) {
	if len(b) < 2 || len(b) > 65507 {
		return Datagram{}
	}
	rest := b[2:]
	switch number(b[0], b[1]) {
	case 0xC0:
		if len(rest) != 4 || !printable(rest[0], rest[1]) || number(rest[2], rest[3]) == 0 {
			return Datagram{}
		}
		return Datagram{Kind: "birth", Name: rest[0], Port: number(rest[2], rest[3])}
	case 0xC1:
		if len(rest) < 2 || len(rest) != 2+4*number(rest[0], rest[1]) {
			return Datagram{}
		}
		d = Datagram{Kind: "directory", Entries: rest[2:]}
		for i := range d.Len() {
			name, port := d.At(i)
			if !printable(name, d.Entries[4*i+1]) || port == 0 {
				return Datagram{}
			}
			for j := range i {
				if name2, port2 := d.At(j); name2 == name || port2 == port {
					return Datagram{}
				}
			}
		}
		return d
	case 0xC2:
		if len(rest) < 3 || len(rest) != 2+number(rest[0], rest[1])+1 || rest[len(rest)-1] != 0 {
			return Datagram{}
		}
		text := rest[2 : len(rest)-1]
		for _, c := range text {
			if c == 0 {
				return Datagram{}
			}
		}
		return Datagram{Kind: "vanilla", Text: text}
	case 0xC3:
		if len(rest) != 2 || !printable(rest[0], rest[1]) {
			return Datagram{}
		}
		return Datagram{Kind: "keep-alive", Name: rest[0]}
	}
	return Datagram{}
}

func printable(lo, hi byte) bool { return hi == 0 && lo >= 0x20 && lo <= 0x7E }
