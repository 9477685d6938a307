package campaign

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
)

// batch is what is sent between two judgements.
type batch struct {
	mode, what string
	shots      []hostile.Shot
	skipped    int          // shots that there is no source for
	ghosts     []wire.Entry // that must be reaped, a while after the last sign of life
	flood      bool
	whole      bool // one case: its shots belong together
	linger     bool // judged only when a peer under attack has broadcast
}

const (
	serverBatch = 8   // a server's cases sent between two judgements
	peerBatch   = 32  // a peer's: it is judged by its broadcasts, which are seconds apart
	randomBatch = 512 // datagrams of the other modes likewise
)

// without is the batch that is left when some of its shots are known.
func (b batch) without(known []hostile.Shot) batch {
	rest := b
	rest.shots, rest.skipped = nil, 0
	for _, s := range b.shots {
		if !slices.ContainsFunc(known, func(k hostile.Shot) bool { return k.Case == s.Case }) {
			rest.shots = append(rest.shots, s)
		}
	}
	return rest
}

// batches gives the i-th batch of the campaign: the shots to replay, the
// catalogue, then the other modes in turn. It depends on the seed and on the
// canaries' ports alone. The first listed of them are the replay and the catalogue.
func (c *campaign) batches() (batches func(int) (batch, bool), listed int, err error) {
	var first []batch
	if len(c.Replay) > 0 {
		first = append(first, batch{mode: "replay", what: c.Role.Prefix() + "replay", shots: c.Replay, whole: true, linger: true})
		c.keepSendable(&first[0])
		first[0].ghosts = c.expectRemoved(c.Replay)
	}
	cases, err := c.env.Catalogue()
	if err != nil {
		return nil, 0, err
	}
	var random []string
	for _, mode := range c.Modes {
		switch mode {
		case "catalogue":
			first = append(append(first, c.bystanderBatch()), c.grouped(cases)...)
		case "replay":
		default:
			random = append(random, mode)
		}
	}
	words := c.dictionary(cases)
	return func(i int) (batch, bool) {
		if i < len(first) {
			return first[i], true
		}
		if i -= len(first); len(random) == 0 {
			return batch{}, false
		}
		return c.random(random[i%len(random)], i, words), true
	}, len(first), nil
}

// expectRemoved are those that shots bring into a server's directory and that nobody
// keeps there.
func (c *campaign) expectRemoved(shots []hostile.Shot) (all []wire.Entry) {
	for _, s := range shots {
		if m, err := wire.Parse(s.Datagram); c.Role == hostile.Server && err == nil && m.Type == core.TypeBirth &&
			!slices.Contains(all, m.Entry) && !c.mesh.canaries[0].sees(m.Entry) {
			all = append(all, m.Entry)
		}
	}
	return all
}

// dictionary is the cases' datagrams, for mutation.
func (c *campaign) dictionary(cases []hostile.Case) (words [][]byte) {
	for _, k := range cases {
		if d := k.Steps[0].Datagram; k.Role == c.Role && len(d) < large {
			words = append(words, d)
		}
	}
	return words
}

// random is the i-th batch of a random mode.
func (c *campaign) random(mode string, i int, dictionary [][]byte) batch {
	b := batch{mode: mode, what: c.Role.Prefix() + mode, flood: mode == "flood"}
	r := rand.New(rand.NewPCG(c.Seed, uint64(i)))
	g := hostile.NewGenerator(c.env, int64(r.Uint64()>>1))
	for n := range randomBatch {
		var d []byte
		switch {
		case mode == "mutate":
			d = hostile.Mutate(r, dictionary)
		case mode == "random", mode == "flood" && n%2 == 0:
			d = hostile.Noise(r)
		default:
			d = g.Next()
		}
		if c.mayAnswer(d) {
			d = []byte{}
		}
		from := hostile.FromStranger
		if c.Role == hostile.Peer && !b.flood {
			from = [...]hostile.Origin{hostile.FromMember, hostile.FromServer, hostile.FromMember, hostile.FromStranger}[r.IntN(4)]
		}
		b.shots = append(b.shots, hostile.Shot{Datagram: d, From: from, Case: fmt.Sprintf("%s%s/%d/%d", c.Role.Prefix(), mode, i, n)})
	}
	c.keepSendable(&b)
	return b
}

// keepSendable leaves a batch the shots that there is a source for, and counts the others
// as skipped.
func (c *campaign) keepSendable(b *batch) {
	var can []hostile.Shot
	for _, s := range b.shots {
		if c.sources[s.From] != nil {
			can = append(can, s)
		}
	}
	b.skipped, b.shots = len(b.shots)-len(can), can
}

// mayAnswer says that a sound target must answer a datagram: an exact repeat of a
// canary's birth, or what invites it to send to a bystander.
func (c *campaign) mayAnswer(d []byte) bool {
	m, err := wire.Parse(d)
	if err == nil && m.Type == core.TypeBirth && slices.Contains(c.env.Members, m.Entry) {
		return true
	}
	return c.bystanders.mayDraw(d, func(n wire.Name) bool {
		return slices.ContainsFunc(c.env.Members, func(e wire.Entry) bool { return e.Name == n })
	})
}

// bystanderBatch is what must not make the target send to the bystander.
func (c *campaign) bystanderBatch() batch {
	port, a := c.bystanders.port(), c.env.Members[0]
	b := batch{mode: "catalogue", what: c.Role.Prefix() + "bystander", linger: true}
	add := func(name, why string, d []byte) {
		b.shots = append(b.shots, hostile.Shot{Datagram: d, Case: b.what + "/" + name, Comment: why})
	}
	forged := hostile.Directory(a, wire.Entry{Name: c.env.Spare[0].Name, Port: port})
	if c.Role == hostile.Peer {
		add("forged-directory", "only the server's word counts", forged)
		add("birth", "a birth is not for a peer", hostile.Birth(uint16(c.env.Spare[0].Name), port))
		return b
	}
	add("refused-birth", "whom the server refuses hears nothing", hostile.Birth(uint16(a.Name), port))
	add("forged-directory", "must not become the server's own", forged)
	add("bad-name", "malformed, though its port is none", hostile.Birth(0x4100|uint16(c.env.Spare[0].Name), port))
	add("cut-birth", "malformed, though its port is none", hostile.Birth(uint16(c.env.Spare[0].Name), port)[:5])
	return b
}

// grouped is the catalogue's cases: first those of one datagram, several of a
// kind to a batch, then the others one by one, and at the end what takes time. So
// the faults that one datagram shows are found within seconds.
func (c *campaign) grouped(cases []hostile.Case) (groups []batch) {
	var whole, slow []batch
	open := map[string]int{} // the group of a kind that has room
	most := [...]int{serverBatch, peerBatch}[c.Role]
	for _, k := range cases {
		if k.Role != c.Role {
			continue
		}
		b := c.single(k)
		i, some := open[b.what]
		switch {
		case len(b.shots) == 0:
			c.result.tally(b.what).Skipped += b.skipped
		case k.Span() > time.Second && len(k.Left) == 0:
			slow = append(slow, b)
		case b.whole:
			whole = append(whole, b)
		case some && len(groups[i].shots) < most:
			groups[i].add(b)
		default:
			open[b.what] = len(groups)
			groups = append(groups, b)
		}
	}
	return append(append(groups, whole...), slow...)
}

// add puts another case behind.
func (b *batch) add(other batch) {
	end := b.shots[len(b.shots)-1].At
	for _, s := range other.shots {
		s.At += end
		b.shots = append(b.shots, s)
	}
	b.skipped += other.skipped
}

// large is the size in bytes from which a datagram is judged alone: what it
// draws must not hide what others do.
const large = 1024

// single is one case as a batch. For a peer, cases of up to two datagrams, the
// second of which sets it right again, go with others.
func (c *campaign) single(k hostile.Case) batch {
	prefix := c.Role.Prefix()
	kind, _, _ := strings.Cut(k.Name[len(prefix):], "/")
	b := batch{mode: "catalogue", what: prefix + kind, whole: len(k.Steps) > 1+int(c.Role)}
	for _, s := range k.Steps {
		b.whole = b.whole || len(s.Datagram) >= large
		b.shots = append(b.shots, hostile.Shot{At: s.At, Datagram: s.Datagram, From: s.From, Case: k.Name, Comment: k.Why})
	}
	c.keepSendable(&b)
	if c.Role == hostile.Server && k.Span() > time.Second && len(k.Left) == 0 && k.Steps[len(k.Steps)-1].At > 2100*time.Millisecond {
		for _, s := range k.Steps {
			if s.Fate == core.Born {
				m, _ := wire.Parse(s.Datagram)
				b.ghosts = append(b.ghosts, m.Entry)
			}
		}
	}
	return b
}
