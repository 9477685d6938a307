package faults

import (
	"math/bits"
	"math/rand/v2"
	"sync"
	"time"

	"p2plocal/core"
	"p2plocal/core/simnet"
	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
)

// Stranger is the first of a thousand ports that hostile datagrams come from.
// Nobody forges the server's or a peer's address: that takes privileges.
const Stranger = 20_000

// attacker makes datagrams of somebody who means no good, or knows no better,
// for the node on one port.
type attacker struct {
	d        *Dice
	peers    int
	cases    []hostile.Case
	wire     [][]byte // datagrams to mutate
	made     *hostile.Generator
	mutation *rand.Rand
	from     uint16         // of the sequence under way
	rest     []hostile.Step // of it
}

// newHostile begins at the seed and the fault's own time and target, so that
// the other faults of a scenario do not change what it sends.
func newHostile(s Script, f Fault) *attacker {
	c := catalogueFor(f.A)
	d := Dice(s.Seed ^ uint64(f.At)<<16 ^ uint64(f.A))
	return &attacker{d: &d, peers: s.Peers, cases: c.cases, wire: c.wire,
		made: hostile.NewGenerator(c.env, int64(d.next()>>1)), mutation: rand.New(rand.NewPCG(d.next(), d.next()))}
}

// longestSequence is how many datagrams of one case follow each other.
const longestSequence = 64

// next draws one datagram and the port that it seems to come from.
func (h *attacker) next() (from uint16, datagram []byte) {
	if len(h.rest) > 0 {
		datagram, h.rest = h.rest[0].Datagram, h.rest[1:]
		return h.from, datagram
	}
	from = Stranger + uint16(h.d.Below(1000))
	switch h.d.Below(8) {
	case 0, 1: // the catalogue's, a sequence from one port without its pauses
		c := h.cases[h.d.Below(len(h.cases))]
		steps := c.Steps[h.d.Below(max(1, len(c.Steps)-longestSequence)):]
		h.from, h.rest = from, steps[1:min(len(steps), longestSequence)]
		return from, steps[0].Datagram
	case 2:
		return from, h.made.Next()
	case 3:
		return from, hostile.Mutate(h.mutation, h.wire)
	case 4:
		return from, hostile.Noise(h.mutation)
	}
	// What has taught most: births and keep-alives that are well-formed.
	ghost := wire.Name(' ' + h.d.Below(core.MaxPeers))
	mine := wire.Entry{Name: ghost, Port: from}
	switch h.d.Below(4) {
	case 0: // a ghost: born, never heard again
		return from, wire.Message{Type: core.TypeBirth, Entry: mine}.Append(nil)
	case 1: // one that speaks up once
		h.from, h.rest = from, []hostile.Step{{Datagram: wire.Message{Type: core.TypeKeepAlive, Entry: mine}.Append(nil)}}
		return from, wire.Message{Type: core.TypeBirth, Entry: mine}.Append(nil)
	case 2: // a claim to somebody's port
		mine.Port = PeerEntry(h.d.Below(h.peers)).Port
		return from, wire.Message{Type: core.TypeBirth, Entry: mine}.Append(nil)
	}
	return from, wire.Message{Type: core.TypeKeepAlive, Entry: mine}.Append(nil)
}

// catalogue is fuzz's for one target.
type catalogue struct {
	env   hostile.Env
	cases []hostile.Case // of the target's role
	wire  [][]byte       // the first datagram of each
}

// catalogues has one for each port, made when it is first wanted.
var catalogues [core.MaxPeers + 1]struct {
	sync.Once
	catalogue
}

func catalogueFor(target uint16) *catalogue {
	c := &catalogues[target-simnet.ServerPort]
	c.Do(func() {
		c.env = hostile.Env{Server: simnet.Addr(simnet.ServerPort)}
		role, self := hostile.Server, -1
		if target != simnet.ServerPort {
			role, self = hostile.Peer, int(target)-simnet.ServerPort-1
			c.env.Self = PeerEntry(self)
		}
		for i := 0; len(c.env.Members) < 2; i++ {
			if i != self {
				c.env.Members = append(c.env.Members, PeerEntry(i))
			}
		}
		for i := int(core.MaxPeers) - 1; i >= 0; i-- { // the first of these are names that no small mesh has
			c.env.Spare = append(c.env.Spare, wire.Entry{Name: PeerEntry(i).Name, Port: Stranger + uint16(i)})
		}
		for _, x := range c.env.Cases(role) {
			c.cases = append(c.cases, x)
			c.wire = append(c.wire, x.Steps[0].Datagram)
		}
	})
	return &c.catalogue
}

// Dice is SplitMix64 (Steele, Lea, Flood 2014): the same numbers on every
// platform and Go version.
type Dice uint64

func (d *Dice) next() uint64 {
	*d += 0x9E3779B97F4A7C15
	z := uint64(*d)
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// Below is a number from 0 to n-1; between is a duration from a to b.
func (d *Dice) Below(n int) int { return int(d.below64(uint64(n))) }

func (d *Dice) below64(n uint64) uint64 {
	hi, _ := bits.Mul64(d.next(), n)
	return hi
}

// Between is a duration from a to b.
func (d *Dice) Between(a, b time.Duration) time.Duration {
	const grain = 100 * time.Microsecond // so that schedules read well
	return (a + time.Duration(d.below64(uint64(b-a)+1))) / grain * grain
}

// Percent is a part from 1 % to most %.
func (d *Dice) Percent(most int) float64 { return float64(d.Below(most)+1) / 100 }
