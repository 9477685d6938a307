package campaign

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
)

// batch is what is sent and judged together. Shots whose time is 0 go as soon as the target takes
// them.
type batch struct {
	mode, what string
	shots      []hostile.Shot
	build      func() []hostile.Shot // makes them when their turn has come; nil: they are there
	skipped    int                   // shots that there is no source for
	hold       time.Duration         // on the clock, after which it has had its consequences
	insist     time.Duration         // on the clock, from its start, after which its later shots are not needed; 0: all are
	quiet      time.Duration         // from its start, in which nobody else speaks
	flood      bool
	burst      bool        // all at once, however long the target takes
	linger     bool        // a peer is to broadcast before it is asked
	names      []wire.Name // of the pool, that nobody may have
	last       bool        // it wants all names, so it waits until nobody else does
	tries      int         // that nothing could be said of
}

// dealer hands out names in turn.
type dealer struct {
	names []wire.Name
	next  int
}

func (d *dealer) deal() wire.Name {
	d.next++
	return d.names[(d.next-1)%len(d.names)]
}

const (
	serverBatch  = 8   // a server's cases of one datagram
	sleeperBatch = 3   // that are no sign of life of one silent member
	peerBatch    = 32  // a peer's
	randomBatch  = 24  // datagrams of the random modes
	burstBatch   = 192 // small ones: less than the kernel keeps for a receiver
	tokenSize    = 15
)

// maker makes batches. Each case of the catalogue gets names and ports of its own.
type maker struct {
	c      *campaign
	words  [][]byte // for mutation
	pool   dealer   // of the catalogue's names
	silent dealer   // likewise, of those who are to stay away
	port   uint16   // the next from sparePort on
	tokens int
}

// environment is the mesh with the next n spare entries, whose names a dealer hands out.
func (m *maker) environment(d *dealer, n int) hostile.Env {
	e := hostile.Env{Server: m.c.server(), Self: m.c.peer, Wide: m.c.gate.Dialect()}
	for _, p := range m.c.members[:2] {
		e.Members = append(e.Members, p.entry)
	}
	for range n {
		m.port++
		e.Spare = append(e.Spare, wire.Entry{Name: d.deal(), Port: sparePort + m.port%spares})
	}
	return e
}

// random is the i-th batch of a random mode.
func (m *maker) random(mode string, i int) batch {
	c := m.c
	b := batch{mode: mode, what: c.Role.Prefix() + mode, flood: mode == "flood"}
	r := rand.New(rand.NewPCG(c.Seed, uint64(i)<<8+uint64(slices.Index(Modes, mode))))
	g := hostile.NewGenerator(c.env, int64(r.Uint64()>>1))
	n := randomBatch
	if b.flood {
		n *= 16
	}
	for k := range n {
		var d []byte
		switch {
		case mode == "mutate":
			d = hostile.Mutate(r, m.words)
		case mode == "random", mode == "flood" && k%2 == 0:
			if d = hostile.Noise(r); c.gate != nil && k%4 == 0 && len(d) > 1 {
				d[0], d[1] = 0xC0+d[0]%6, 0x57 // it is sealed, where there is a key
			}
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
		b.shots = append(b.shots, hostile.Shot{Datagram: d, From: from, Case: fmt.Sprintf("%s/%d/%d", b.what, i, k)})
	}
	return c.sendable(b)
}

// shots are those of a case.
func shots(k hostile.Case) (all []hostile.Shot) {
	for _, s := range k.Steps {
		all = append(all, hostile.Shot{At: s.At, Datagram: s.Datagram, From: s.From, Case: k.Name, Comment: k.Why})
	}
	return all
}

// serverCases are the batches against a server: first cases of one datagram, several at a time,
// then what could keep a silent member in the directory, then what lets peers in.
func (m *maker) serverCases(cases []hostile.Case) (all []batch) {
	if m.c.gate == nil {
		all = append(all, m.invitations())
	}
	var single, others []int
	for i, k := range cases {
		if k.NeedsKey() && len(m.c.Keys) == 0 {
			continue
		}
		if len(k.Steps) == 1 && k.Steps[0].Fate != core.Born {
			single = append(single, i)
		} else {
			others = append(others, i)
		}
	}
	n := len(m.pool.names) / 2
	m.silent.names, m.pool.names = m.pool.names[:n], m.pool.names[n:]
	for some := range slices.Chunk(single, serverBatch) {
		all = append(all, m.separate(cases, some...))
	}
	all = append(all, m.lastSpeaker(cases, single))
	var nobodys []int
	for _, i := range single {
		if f := cases[i].Steps[0].Fate; f == core.Malformed || f == core.Misdirected {
			nobodys = append(nobodys, i)
		} else {
			all = append(all, m.sleeper(cases, i))
		}
	}
	for some := range slices.Chunk(nobodys, sleeperBatch) {
		all = append(all, m.sleeper(cases, some...))
	}
	slices.SortStableFunc(others, func(i, j int) int { // what takes long first, but who needs all names last
		a, b := cases[i], cases[j]
		return cmp.Or(len(a.Left)/looseNames-len(b.Left)/looseNames, int(b.Span()-a.Span()))
	})
	all = append(all, m.burst())
	for _, i := range others {
		all = append(all, m.separate(cases, i))
	}
	return all
}

// separate is a batch of cases, each with names of its own.
func (m *maker) separate(cases []hostile.Case, some ...int) batch {
	b := batch{what: m.c.what(cases[some[0]].Name)}
	envs := make([]hostile.Env, len(some))
	for k, i := range some {
		d := dealer{names: m.pool.names, next: m.pool.next}
		e := m.environment(&d, 4)
		n := 1 // names that a case uses, of four or more that it is given
		for _, s := range e.Case(hostile.Server, i).Steps {
			for k := n; k < 3; k++ {
				if victim(e.Spare[k]).in(s.Datagram) {
					n = k + 1
				}
			}
		}
		switch entire := len(cases[i].Steps); {
		case len(cases[i].Left) >= looseNames:
			n = len(d.names)
			others := slices.Concat(m.silent.names, m.c.names.loose)
			e.Spare = append(m.environment(&d, n).Spare, m.environment(&dealer{names: others}, len(others)).Spare...)
		case entire >= looseNames && len(e.Case(hostile.Server, i).Steps) < entire: // it does something for each of them
			n = 8
			e = m.environment(&d, n)
		}
		m.pool.next += n
		for _, x := range e.Spare[:n] {
			if b.last = n > 8; !b.last {
				b.names = append(b.names, x.Name)
			}
		}
		envs[k] = e
	}
	b.build = func() (all []hostile.Shot) {
		for k, i := range some {
			all = append(all, shots(envs[k].Case(hostile.Server, i))...)
		}
		return all
	}
	return b
}

// lead lets a member in that is silent from then on.
func lead(e wire.Entry) []hostile.Shot {
	const why = "brings a member in that is silent from then on"
	return []hostile.Shot{{Datagram: hostile.BirthOf(e), Case: leadCase, Comment: why}, {Datagram: hostile.KeepAliveOf(e), Case: leadCase, Comment: why}}
}

// What a sleeper repeats, and how much longer on a machine that is late.
const (
	repeats    = 3
	apart      = 700 * time.Millisecond
	insistence = 3 * apart // large ones are not: they take the time that the target has not
)

// sleeper repeats datagrams that are no signs of life, although they name a silent member as if
// they were.
func (m *maker) sleeper(cases []hostile.Case, some ...int) batch {
	silent := m.environment(&m.silent, 1).Spare[0]
	b := batch{what: "srv/silent", hold: ghostTime, insist: repeats * apart, names: []wire.Name{silent.Name}}
	env := m.environment(&dealer{names: m.pool.names}, 4)
	env.Members = []wire.Entry{silent, env.Members[1]}
	spare := env.Spare[0]
	b.build = func() []hostile.Shot {
		all := lead(silent)
		for n := range repeats + int(insistence/apart) {
			for _, i := range some {
				if env.Spare[0] = spare; cases[i].Steps[0].Fate == core.Malformed { // no part of it counts
					env.Spare[0] = silent
				}
				s := shots(env.Case(hostile.Server, i))[0]
				s.At = time.Duration(n+1) * apart
				if n < repeats || len(s.Datagram) < heavy {
					all = append(all, s)
				}
			}
		}
		return all
	}
	return b
}

// lastSpeaker sends what is too short to name anybody, after a silent member was the last to speak.
func (m *maker) lastSpeaker(cases []hostile.Case, numbers []int) batch {
	const after = 1150 * time.Millisecond
	silent := m.environment(&m.silent, 1).Spare[0]
	b := batch{what: "srv/silent", quiet: after + 50*time.Millisecond, hold: ghostTime, shots: lead(silent), names: []wire.Name{silent.Name}}
	for _, i := range numbers {
		if s := shots(cases[i])[0]; len(s.Datagram) < 4 {
			s.At = after
			b.shots = append(b.shots, s)
		}
	}
	return b
}

// burst is as much at once as a mesh sends whose peers start together. A server that falls behind
// for long takes its members for silent.
func (m *maker) burst() batch {
	b := batch{what: "srv/burst", burst: true}
	for i := range burstBatch {
		b.shots = append(b.shots, hostile.Shot{Datagram: hostile.KeepAlive(uint16(m.c.names.loose[i%looseNames])), Case: b.what + "/keep-alives", Comment: "keep-alives of nobody, all at once"})
	}
	return b
}

// invitations must not make the target send to the outsider.
func (m *maker) invitations() batch {
	port, a, spare := m.c.outsider.socket.Addr().Port(), m.c.members[0].entry, m.c.names.loose[0]
	b := batch{what: m.c.Role.Prefix() + "outsider", linger: true}
	add := func(name, why string, d []byte) {
		b.shots = append(b.shots, hostile.Shot{Datagram: d, Case: b.what + "/" + name, Comment: why})
	}
	forged := hostile.Directory(a, wire.Entry{Name: spare, Port: port})
	if m.c.Role == hostile.Peer {
		add("forged-directory", "only the server's word counts", forged)
		add("birth", "a birth is not for a peer", hostile.Birth(uint16(spare), port))
		return b
	}
	add("refused-birth", "whom the server refuses hears nothing", hostile.Birth(uint16(a.Name), port))
	add("forged-directory", "must not become the server's own", forged)
	add("bad-name", "malformed, though its port is none", hostile.Birth(0x4100|uint16(spare), port))
	add("cut-birth", "malformed, though its port is none", hostile.Birth(uint16(spare), port)[:5])
	return b
}

// peerCases are the batches against a peer. What it must drop names the outsider, as a member or in
// a text that it must not print. Directories that it must drop stay until it has broadcast: several
// go at a time, to keep that short.
func (m *maker) peerCases(cases []hostile.Case, interval time.Duration) []batch {
	var quick, slow, whole []batch
	if m.c.gate == nil {
		quick = append(quick, m.invitations())
	}
	forged := m.c.env
	forged.Members = []wire.Entry{forged.Members[0], {Name: m.c.names.loose[len(m.c.names.loose)-1], Port: m.c.outsider.socket.Addr().Port()}}
	wrong := forged.Cases(hostile.Peer)
	groups := map[string][]hostile.Shot{}
	var order []string
	for i, k := range cases {
		if k.NeedsKey() && len(m.c.Keys) == 0 {
			continue
		}
		var some []hostile.Shot
		for j, s := range shots(k) {
			if fate := k.Steps[j].Fate; fate < core.Born {
				s.Datagram = m.tokened(wrong[i].Steps[j].Datagram)
			} else if j > 0 && k.Steps[0].Fate < core.Born {
				continue // it would set right what the first has done
			}
			some = append(some, s)
		}
		what := m.c.what(k.Name)
		if len(some) > 1 {
			whole = append(whole, batch{what: what, shots: some, linger: true})
			continue
		}
		if k.Steps[0].Fate >= core.Born {
			what += " "
		}
		if groups[what] == nil {
			order = append(order, what)
		}
		groups[what] = append(groups[what], some...)
	}
	for _, what := range order {
		n, to := peerBatch, &quick
		if what == "peer/directory" {
			n, to = max(1, min(8, int(interval.Round(10*time.Millisecond)/(100*time.Millisecond)))), &slow
		}
		for some := range slices.Chunk(groups[what], n) {
			*to = append(*to, batch{what: strings.TrimSpace(what), shots: some, linger: true})
		}
	}
	return slices.Concat(quick, slow, whole)
}

// tokened is a datagram whose text, if it has one, is replaced by one of its own that must not be
// printed.
func (m *maker) tokened(d []byte) []byte {
	m.tokens++
	return bytes.Replace(d, []byte("peerA_broadcast"), fmt.Appendf(nil, never+"%010d", m.tokens), 1)
}

// wordsOf are datagrams of the catalogue that mutations start from.
func wordsOf(cases []hostile.Case) (words [][]byte) {
	for _, k := range cases {
		if d := k.Steps[0].Datagram; len(d) < heavy {
			words = append(words, d)
		}
	}
	return words
}

// what is the row of the table in which a case stands.
func (c *campaign) what(name string) string {
	if len(c.Replay) > 0 && !slices.ContainsFunc(c.Modes, func(mode string) bool { return mode != "replay" }) {
		name = c.Role.Prefix() + "replay"
	}
	parts := strings.Split(name, "/")
	return strings.Join(parts[:min(2, len(parts))], "/")
}

// sendable keeps the shots of a batch that there is a socket to send from, and counts the others as
// skipped.
func (c *campaign) sendable(b batch) batch {
	all := len(b.shots)
	b.shots = slices.DeleteFunc(slices.Clone(b.shots), func(s hostile.Shot) bool { return c.sources[s.From] == nil })
	b.skipped = all - len(b.shots)
	return b
}

// mayAnswer reports that a sound target may answer a datagram: it repeats a birth of ours, or
// invites the target to send to a port of ours.
func (c *campaign) mayAnswer(d []byte) bool {
	if c.gate != nil {
		return c.mayAnswerWide(d)
	}
	m, err := wire.Parse(d)
	if err != nil {
		return false
	}
	ours := func(e wire.Entry) bool {
		i := int(e.Port) - int(c.Ports)
		return i >= 0 && i < PortsUsed && (i >= proberPort || m.Type == core.TypeBirth && slices.ContainsFunc(c.members, func(p *endpoint) bool { return p.entry == e }))
	}
	if m.Type == core.TypeBirth {
		return ours(m.Entry)
	}
	for e := range m.Entries.Each() {
		if ours(e) {
			return true
		}
	}
	return false
}
