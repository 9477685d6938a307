// Package study asks what one run cannot tell, of many meshes on the virtual
// network of core/simnet.
package study

import (
	"math/bits"
	"time"

	"p2plocal/core"
	"p2plocal/core/simnet"
)

// launching is the time within which all peers are launched.
const launching = 2 * time.Second

// peer is the i-th one, index its inverse.
func peer(i int) core.Member {
	return core.Member{Name: core.Char(' ' + i).Name(), Addr: simnet.Addr(simnet.ServerPort + 1 + uint16(i))}
}

func index(m core.Member) int { return int(m.Addr.Port()) - simnet.ServerPort - 1 }

// dice is SplitMix64 (Steele, Lea, Flood 2014): the same numbers on every
// platform and Go version.
type dice uint64

func (d *dice) next() uint64 {
	*d += 0x9E3779B97F4A7C15
	z := uint64(*d)
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

func (d *dice) below(n int) int {
	hi, _ := bits.Mul64(d.next(), uint64(n))
	return int(hi)
}

func (d *dice) between(a, b time.Duration) time.Duration {
	const grain = 100 * time.Microsecond
	hi, _ := bits.Mul64(d.next(), uint64(b-a)+1)
	return (a + time.Duration(hi)) / grain * grain
}
