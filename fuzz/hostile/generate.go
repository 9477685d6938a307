package hostile

import (
	"math/rand/v2"

	gofuzz "github.com/google/gofuzz"

	"p2plocal/core"
)

// The structures that gofuzz fills. Their fields lean to the boundaries:
// uniform 16-bit numbers would hit a given type once in 65,536 times.
type (
	typeField  uint16
	nameField  uint16
	portField  uint16
	countField int16 // what a count or a length is wrong by
	tail       []byte

	anyDatagram struct {
		Type    typeField
		Name    nameField
		Port    portField
		Entries []struct {
			Name nameField
			Port portField
		}
		Text  string
		Wrong countField
		Tail  tail
	}
)

// invalidNames are fields that are not one printable ASCII character.
var invalidNames = []uint16{0x0000, 0x000A, 0x001B, 0x001F, 0x007F, 0x0080, 0x00FF, 0x0141, 0x4100, 0x4241, 0xFFFF}

// Generator makes structured datagrams, the same ones for the same seed.
type Generator struct {
	fuzzer *gofuzz.Fuzzer
	wide   bool
}

// NewGenerator makes a Generator for an environment.
func NewGenerator(e Env, seed int64) *Generator {
	pick := func(c gofuzz.Continue, of ...uint16) uint16 { return of[c.Intn(len(of))] }
	names := make([]uint16, 0, 32)
	ports := []uint16{0, 1, 1023, 32767, 32768, 65535, e.Server.Port()}
	for _, m := range append(e.Members[:len(e.Members):len(e.Members)], e.Spare[:min(16, len(e.Spare))]...) {
		names, ports = append(names, uint16(m.Name)), append(ports, m.Port)
	}
	if e.Wide != nil {
		return &Generator{wideFuzzer(e, seed), true}
	}
	return &Generator{fuzzer: gofuzz.NewWithSeed(seed).NilChance(0).NumElements(0, 4).Funcs(
		func(t *typeField, c gofuzz.Continue) {
			*t = typeField(pick(c, 0xC0, 0xC0, 0xC0, 0xC1, 0xC2, 0xC3, 0xC3, 0xBF, 0xC4, 0xC000, 0, 0xFFFF))
		},
		func(n *nameField, c gofuzz.Continue) {
			if *n = nameField(pick(c, names...)); c.Intn(4) == 0 {
				*n = nameField(invalidNames[c.Intn(len(invalidNames))])
			}
		},
		func(p *portField, c gofuzz.Continue) { *p = portField(pick(c, ports...)) },
		func(w *countField, c gofuzz.Continue) {
			if *w = 0; c.Intn(4) == 0 {
				*w = countField(int16(pick(c, 1, 0xFFFF, 0x7FFF, 0x8000)))
			}
		},
		func(t *tail, c gofuzz.Continue) {
			if *t = nil; c.Intn(8) == 0 {
				*t = filled(c.Intn(64), byte(c.Intn(256)))
			}
		},
	)}
}

// Next is one more datagram.
func (g *Generator) Next() []byte {
	if g.wide {
		return g.nextWide()
	}
	var d anyDatagram
	g.fuzzer.Fuzz(&d)
	var b []byte
	switch core.Type(d.Type) {
	case core.TypeDirectory:
		b = words(uint16(d.Type), uint16(len(d.Entries))+uint16(d.Wrong))
		for _, e := range d.Entries {
			b = append(b, words(uint16(e.Name), uint16(e.Port))...)
		}
	case core.TypeVanilla:
		b = append(lyingVanilla(uint16(len(d.Text))+uint16(d.Wrong), d.Text), 0)
	case core.TypeKeepAlive:
		b = KeepAlive(uint16(d.Name))
	default:
		b = words(uint16(d.Type), uint16(d.Name), uint16(d.Port))
	}
	if d.Wrong == -1 {
		b = b[:len(b)-1]
	}
	return append(b, d.Tail...)
}

// Mutate changes a datagram of dictionary a little: a flipped bit, another
// byte, a cut, a splice with another one.
func Mutate(r *rand.Rand, dictionary [][]byte) []byte {
	b := append([]byte(nil), dictionary[r.IntN(len(dictionary))]...)
	for range 1 + r.IntN(3) {
		switch r.IntN(5) {
		case 0:
			if len(b) > 0 {
				b[r.IntN(len(b))] ^= 1 << r.IntN(8)
			}
		case 1:
			if len(b) > 0 {
				b[r.IntN(len(b))] = [...]byte{0, 1, 0x7F, 0x80, 0xFF, 0xC0}[r.IntN(6)]
			}
		case 2:
			b = b[:r.IntN(len(b)+1)]
		case 3:
			other := dictionary[r.IntN(len(dictionary))]
			b = append(b[:r.IntN(len(b)+1)], other[r.IntN(len(other)+1):]...)
		case 4:
			b = append(b, filled(r.IntN(16), byte(r.IntN(256)))...)
		}
	}
	return b[:min(len(b), core.MaxDatagram)]
}

// Noise is random bytes, short ones more often than long ones.
func Noise(r *rand.Rand) []byte {
	b := make([]byte, r.IntN(1<<r.IntN(11)))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}
