package hostile

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"p2plocal/core"
	"p2plocal/core/wire"
)

// FloodKinds are the floods that a server can be put under:
//
//	garbage    what no server takes: random bytes, malformed structures, misdirected types
//	keepalive  well-formed keep-alives of names that are not in the directory
//	conflict   births with a member's name or port
//	fill       births of every name that is free, each on several ports in turn
var FloodKinds = []string{"garbage", "keepalive", "conflict", "fill"}

// floodSize is how many datagrams of a kind follow each other before they are
// sent again.
const floodSize = 512

// Flood is a set of datagrams of one kind, the same for the same seed. It is an
// error where the mesh leaves no such datagram.
func Flood(kind string, e Env, seed uint64) (set [][]byte, err error) {
	r := rand.New(rand.NewPCG(seed, 0))
	var next func() []byte
	switch kind {
	case "garbage":
		next = garbage(r, e)
	case "conflict":
		next = func() []byte {
			m := e.Members[r.IntN(len(e.Members))]
			if other := e.Members[r.IntN(len(e.Members))]; other != m {
				m.Port = other.Port
			} else {
				m.Port = 1 // nobody's
			}
			return BirthOf(m)
		}
	case "keepalive":
		next = func() []byte { return KeepAlive(uint16(e.Spare[r.IntN(len(e.Spare))].Name)) }
	case "fill":
		const ports = 8
		next = func() []byte {
			s := e.Spare[r.IntN(len(e.Spare))]
			return Birth(uint16(s.Name), 1+uint16(s.Name-' ')*ports+uint16(r.IntN(ports)))
		}
	default:
		return nil, fmt.Errorf("flood of %q, want one of %s", kind, strings.Join(FloodKinds, ", "))
	}
	if len(e.Members) == 0 || len(e.Spare) == 0 && (kind == "keepalive" || kind == "fill") {
		return nil, fmt.Errorf("a flood of kind %s wants a member and a free name", kind)
	}
	for len(set) < floodSize {
		set = append(set, next())
	}
	return set, nil
}

// garbage makes datagrams, by halves noise and structures, that a server must drop.
func garbage(r *rand.Rand, e Env) func() []byte {
	g := NewGenerator(e, int64(r.Uint64()>>1))
	return func() []byte {
		for {
			d := Noise(r)
			if r.IntN(2) == 0 {
				d = g.Next()
			}
			if m, err := wire.Parse(d); err != nil || m.Type != core.TypeBirth && m.Type != core.TypeKeepAlive {
				return d
			}
		}
	}
}
