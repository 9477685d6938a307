package fuzz_test

// naive is what the bytes of a datagram say, as a second decoder reads them: written
// from PROTOCOL.md's tables alone and as plainly as can be. It aliases them.
type naive struct {
	Kind    string // birth, directory, vanilla, keep-alive; empty where the datagram is malformed
	Name    byte
	Port    int
	Entries []byte // 4 bytes each
	Text    []byte
}

// Len is the number of a directory's entries.
func (d naive) Len() int { return len(d.Entries) / 4 }

// At is a directory's entry i.
func (d naive) At(i int) (name byte, port int) {
	e := d.Entries[4*i:]
	return e[0], number(e[2], e[3])
}

func number(lo, hi byte) int { return int(lo) + 256*int(hi) }

// decode returns no kind for whatever is not exactly one of the layouts.
func decode(b []byte) (d naive) {
	if len(b) < 2 || len(b) > 65507 {
		return naive{}
	}
	rest := b[2:]
	switch number(b[0], b[1]) {
	case 0xC0:
		if len(rest) != 4 || !isName(rest[0], rest[1]) || number(rest[2], rest[3]) == 0 {
			return naive{}
		}
		return naive{Kind: "birth", Name: rest[0], Port: number(rest[2], rest[3])}
	case 0xC1:
		if len(rest) < 2 || len(rest) != 2+4*number(rest[0], rest[1]) {
			return naive{}
		}
		d = naive{Kind: "directory", Entries: rest[2:]}
		for i := range d.Len() {
			name, port := d.At(i)
			if !isName(name, d.Entries[4*i+1]) || port == 0 {
				return naive{}
			}
			for j := range i {
				if name2, port2 := d.At(j); name2 == name || port2 == port {
					return naive{}
				}
			}
		}
		return d
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
		return naive{Kind: "vanilla", Text: text}
	case 0xC3:
		if len(rest) != 2 || !isName(rest[0], rest[1]) {
			return naive{}
		}
		return naive{Kind: "keep-alive", Name: rest[0]}
	}
	return naive{}
}

func isName(lo, hi byte) bool { return hi == 0 && lo >= 0x20 && lo <= 0x7E }
