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

// batch is what belongs together. Shots whose time is 0 go as soon as the target takes them.
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

// dealer gives out names in turn.
type dealer struct {
	names []wire.Name
	next  int
}

func (d *dealer) deal() wire.Name {
	d.next++
	return d.names[(d.next-1)%len(d.names)]
}

// plan is what a campaign sends: the replay, and then the catalogue and the random modes by
// turns. It depends on the seed and on the ports alone.
type plan struct {
	c         *campaign
	first     []batch
	cases     []batch // the catalogue's that are not begun yet
	listed    int     // how many there were
	random    []string
	dealt     map[string]int // batches of each random mode
	turn      int
	words     [][]byte // for mutation
	free      map[wire.Name]time.Duration
	pool      dealer // of the catalogue's names
	silent    dealer // likewise, of those who are to stay away
	port      uint16 // the next from sparePort on
	tokens    int
	unbounded bool          // it does not end with the campaign: a part of what was sent is tried
	void      time.Time     // until when nothing can be said of what begins,
	waits     bool          // whether it is waited for,
	waited    time.Duration // and how long that was, all in all
}

const (
	serverBatch  = 8      // a server's cases of one datagram
	sleeperBatch = 3      // that are no sign of life of one silent member
	peerBatch    = 32     // a peer's
	randomBatch  = 24     // datagrams of the random modes
	burstBatch   = 192    // small ones: less than the kernel keeps for a receiver
	mostTries    = 4      // that a batch is repeated after
	leadCase     = "lead" // of what brings a silent member in
	tokenSize    = 15
)

func (c *campaign) newPlan(t *trial) (*plan, error) {
	p := &plan{c: c, dealt: map[string]int{}}
	c.env = p.environment(&dealer{names: c.names.loose}, len(c.names.loose))
	p.pool.names = c.names.pool
	if err := c.env.Validate(); err != nil {
		return nil, err
	}
	cases := c.env.Cases(c.Role)
	for _, k := range cases {
		if d := k.Steps[0].Datagram; len(d) < heavy {
			p.words = append(p.words, d)
		}
	}
	if len(c.Replay) > 0 {
		b := c.asFound(c.Replay)
		p.sendable(&b)
		p.first = append(p.first, b)
	}
	for _, mode := range c.Modes {
		switch {
		case mode == "catalogue" && c.Role == hostile.Server:
			p.serverCases(cases)
		case mode == "catalogue":
			p.peerCases(cases, t.judge.(*peerJudge).interval)
		case mode != "replay":
			p.random = append(p.random, mode)
		}
	}
	return p, nil
}

// environment is the mesh with the next n spare entries of a dealer's.
func (p *plan) environment(d *dealer, n int) hostile.Env {
	e := hostile.Env{Server: p.c.server(), Self: p.c.peer, Wide: p.c.gate.Dialect()}
	for _, m := range p.c.members[:2] {
		e.Members = append(e.Members, m.entry)
	}
	for range n {
		p.port++
		e.Spare = append(e.Spare, wire.Entry{Name: d.deal(), Port: sparePort + p.port%spares})
	}
	return e
}

// restarted forgets who may be in the directory.
func (p *plan) restarted() { p.free = map[wire.Name]time.Duration{} }

// again sends batches again that a finding has cut short, without its shots.
func (p *plan) again(open []*openBatch, without []hostile.Shot) {
	if p.c.command() == "" {
		return
	}
	for _, o := range open {
		b := o.batch
		b.shots = slices.DeleteFunc(slices.Clone(b.shots), func(s hostile.Shot) bool {
			return s.Case != leadCase && slices.ContainsFunc(without, func(w hostile.Shot) bool { return w.Case == s.Case })
		})
		if len(b.shots) < len(o.shots) {
			b.tries = 0
		}
		switch {
		case b.random() || len(casesOf(b.shots)) == 0:
		case b.tries == 0:
			p.repeat(b)
		default:
			p.giveUp(b)
		}
	}
}

// random says that others of its kind follow.
func (b *batch) random() bool { return b.mode != "catalogue" && b.mode != "replay" }

// due says that something can be said of it if it begins now; who tries again waits for that.
func (b *batch) due(t *trial) bool {
	return b.tries == 0 || t.missed.IsZero() || t.now.Sub(t.missed) >= excuseTime
}

// waiting says that nothing begins now, of which nothing could be said: members were too late not long ago, as where
// the machine has stood still. On one that is late again and again it goes on, so that a target that dies is seen.
func (p *plan) waiting(t *trial) bool {
	const part = 4 // of the time at most
	if t.plain || t.missed.IsZero() {
		return false
	}
	if until := t.missed.Add(excuseTime); until.After(p.void) {
		if !t.missed.Before(p.void) {
			p.void, p.waits = t.missed, p.waited <= t.now.Sub(p.c.start)/part
		}
		if p.waits {
			p.waited += until.Sub(p.void)
		}
		p.void = until
	}
	return p.waits && t.now.Before(p.void)
}

// repeat sends a batch once more, that nothing could be said of.
func (p *plan) repeat(b batch) {
	switch b.tries++; {
	case b.random() || b.tries > mostTries:
		p.giveUp(b)
	case b.mode == "replay":
		p.first = append(p.first, b)
	default:
		p.cases = append(p.cases, b)
	}
}

// mayFlood says that floods have had less than their share of the time, and that none would
// drown what is judged by silence or repeated.
func (p *plan) mayFlood(t *trial) bool {
	if slices.ContainsFunc(t.pending, func(o *openBatch) bool { return o.hold > 0 || o.tries > 0 }) || slices.ContainsFunc(p.cases, func(b batch) bool { return b.tries > 0 }) {
		return false
	}
	for _, c := range t.owners {
		if c.gone.IsZero() && !c.before && !c.batch.random() {
			return false
		}
	}
	modes := time.Duration(len(p.random) + min(1, len(p.cases)))
	return modes == 1 || modes*p.c.result.Flooding <= time.Since(p.c.start)
}

// giveUp counts a batch that nothing will be said of.
func (p *plan) giveUp(b batch) { p.c.result.tally(b.what).Unjudged++ }

// next is the next batch; false: there is none now.
func (p *plan) next(t *trial) (batch, bool) {
	if p.over() || p.waiting(t) {
		return batch{}, false
	}
	if len(p.first) > 0 {
		b := p.first[0]
		if !b.due(t) {
			return batch{}, false
		}
		p.first = p.first[1:]
		return p.known(b), true
	}
	p.turn++
	if p.turn%2 == 0 || len(p.random) == 0 {
		if b, ok := p.nextCase(t); ok {
			return p.known(b), true
		}
	}
	if len(p.random) == 0 {
		return batch{}, false
	}
	if p.random[0] == "flood" && !p.mayFlood(t) {
		if p.random = append(p.random[1:], "flood"); len(p.random) == 1 {
			return batch{}, false
		}
	}
	mode := p.random[0]
	p.random = append(p.random[1:], mode)
	p.dealt[mode]++
	b := p.randomBatch(mode, p.dealt[mode])
	p.progress(b.what, "")
	return p.known(b), true
}

func (p *plan) progress(what, narrowing string) {
	if c := p.c; c.Progress != nil {
		c.Progress(Progress{what, narrowing, c.result.Batches(), c.result.Sent, len(c.result.Findings), time.Since(c.start), p.listed, len(p.cases)})
	}
}

// nextCase is the next of the catalogue's batches whose names are free.
func (p *plan) nextCase(t *trial) (b batch, ok bool) {
	taken := func(n wire.Name) bool { return p.free[n] > t.clock }
	i := slices.IndexFunc(p.cases, func(b batch) bool {
		return !slices.ContainsFunc(b.names, taken) && (!b.last || len(p.cases) == 1) && b.due(t)
	})
	if i < 0 {
		return b, false
	}
	b = p.cases[i]
	p.cases = slices.Delete(p.cases, i, i+1)
	if b.build != nil {
		b.shots, b.build = b.build(), nil
		p.sendable(&b)
	}
	for _, s := range b.shots {
		if m, err := p.c.message(s.Datagram, p.c.source(s, b.shots)); err == nil && (m.Type == core.TypeBirth || m.Type == core.TypeKeepAlive) && slices.Contains(p.c.names.pool, m.Entry.Name) {
			at := s.At
			if b.insist > 0 {
				at = min(at, b.insist)
			}
			p.free[m.Entry.Name] = max(p.free[m.Entry.Name], t.clock+at+leaseTime)
		}
	}
	p.progress(b.what, "")
	return b, true
}

func (p *plan) over() bool { return !p.unbounded && p.c.enough() }

// done says that there is no batch any more.
func (p *plan) done() bool {
	return p.over() || len(p.first)+len(p.cases)+len(p.random) == 0
}

// missing says what was not begun, and gives up what was not begun again.
func (p *plan) missing() (all []string) {
	n := 0
	for _, b := range slices.Concat(p.first, p.cases) {
		if b.tries > 0 {
			p.giveUp(b)
		} else if b.mode == "catalogue" {
			n++
		}
	}
	switch {
	case n > 0 && n == p.listed:
		all = append(all, "mode catalogue")
	case n > p.listed/2 && p.c.Count == 0:
		all = append(all, fmt.Sprintf("mode catalogue but for %d of %d batches", p.listed-n, p.listed))
	case n > 0:
		all = append(all, fmt.Sprintf("%d of %d batches of the catalogue", n, p.listed))
	}
	for _, mode := range p.random {
		if p.dealt[mode] == 0 {
			all = append(all, "mode "+mode)
		}
	}
	return all
}

// known leaves out what is known to be too much for the target.
func (p *plan) known(b batch) batch {
	if b.mode != "replay" && len(p.c.culprit) > 0 {
		b.shots = slices.DeleteFunc(slices.Clone(b.shots), func(s hostile.Shot) bool { return p.c.culprit[p.c.look(s)] })
	}
	return b
}

// what is the row of the table that a case stands in.
func (p *plan) what(name string) string {
	if len(p.random)+p.listed == 0 && len(p.c.Replay) > 0 { // nothing but a replay
		name = p.c.Role.Prefix() + "replay"
	}
	parts := strings.Split(name, "/")
	return strings.Join(parts[:min(2, len(parts))], "/")
}

// randomBatch is the i-th of a random mode.
func (p *plan) randomBatch(mode string, i int) batch {
	c := p.c
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
			d = hostile.Mutate(r, p.words)
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
	p.sendable(&b)
	return b
}

// sendable leaves a batch the shots that there is a source for, and counts the others
// as skipped.
func (p *plan) sendable(b *batch) {
	all := len(b.shots)
	b.shots = slices.DeleteFunc(slices.Clone(b.shots), func(s hostile.Shot) bool { return p.c.sources[s.From] == nil })
	b.skipped = all - len(b.shots)
}

// mayAnswer says that a sound target may answer a datagram: it repeats a birth of one of
// ours, or invites to send to a port of ours.
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

// shots are a case's, as a batch has them.
func shots(k hostile.Case) (all []hostile.Shot) {
	for _, s := range k.Steps {
		all = append(all, hostile.Shot{At: s.At, Datagram: s.Datagram, From: s.From, Case: k.Name, Comment: k.Why})
	}
	return all
}

func (p *plan) add(b batch) {
	b.mode = "catalogue"
	p.sendable(&b)
	p.cases = append(p.cases, b)
	p.listed++
}

// serverCases are a server's: first those of one datagram, several at a time, then what
// could keep a silent member in the directory, then those that bring peers in. Each case
// has names and ports of its own.
func (p *plan) serverCases(cases []hostile.Case) {
	if p.c.gate == nil {
		p.add(p.invitations())
	}
	var single, others []int
	for i, k := range cases {
		if k.NeedsKey() && len(p.c.Keys) == 0 {
			continue
		}
		if len(k.Steps) == 1 && k.Steps[0].Fate != core.Born {
			single = append(single, i)
		} else {
			others = append(others, i)
		}
	}
	n := len(p.pool.names) / 2
	p.silent.names, p.pool.names = p.pool.names[:n], p.pool.names[n:]
	for some := range slices.Chunk(single, serverBatch) {
		p.add(p.separate(cases, some...))
	}
	p.add(p.lastSpeaker(cases, single))
	var nobodys []int
	for _, i := range single {
		if f := cases[i].Steps[0].Fate; f == core.Malformed || f == core.Misdirected {
			nobodys = append(nobodys, i)
		} else {
			p.add(p.sleeper(cases, i))
		}
	}
	for some := range slices.Chunk(nobodys, sleeperBatch) {
		p.add(p.sleeper(cases, some...))
	}
	slices.SortStableFunc(others, func(i, j int) int { // what takes long first, but who needs all names last
		a, b := cases[i], cases[j]
		return cmp.Or(len(a.Left)/looseNames-len(b.Left)/looseNames, int(b.Span()-a.Span()))
	})
	p.add(p.burst())
	for _, i := range others {
		p.add(p.separate(cases, i))
	}
}

// separate are cases, each with names of its own.
func (p *plan) separate(cases []hostile.Case, some ...int) batch {
	b := batch{what: p.what(cases[some[0]].Name)}
	envs := make([]hostile.Env, len(some))
	for k, i := range some {
		d := dealer{names: p.pool.names, next: p.pool.next}
		e := p.environment(&d, 4)
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
			others := slices.Concat(p.silent.names, p.c.names.loose)
			e.Spare = append(p.environment(&d, n).Spare, p.environment(&dealer{names: others}, len(others)).Spare...)
		case entire >= looseNames && len(e.Case(hostile.Server, i).Steps) < entire: // it does something for each of them
			n = 8
			e = p.environment(&d, n)
		}
		p.pool.next += n
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

// lead brings a silent member in.
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

// sleeper repeats datagrams that are no sign of life, though they name a silent member as if
// they were.
func (p *plan) sleeper(cases []hostile.Case, some ...int) batch {
	silent := p.environment(&p.silent, 1).Spare[0]
	b := batch{what: "srv/silent", hold: ghostTime, insist: repeats * apart, names: []wire.Name{silent.Name}}
	env := p.environment(&dealer{names: p.pool.names}, 4)
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

// lastSpeaker sends what is too short to name anybody, when a silent member was the last to
// speak.
func (p *plan) lastSpeaker(cases []hostile.Case, numbers []int) batch {
	const after = 1150 * time.Millisecond
	silent := p.environment(&p.silent, 1).Spare[0]
	b := batch{what: "srv/silent", quiet: after + 50*time.Millisecond, hold: ghostTime, shots: lead(silent), names: []wire.Name{silent.Name}}
	for _, i := range numbers {
		if s := shots(cases[i])[0]; len(s.Datagram) < 4 {
			s.At = after
			b.shots = append(b.shots, s)
		}
	}
	return b
}

// burst is as much at once as a mesh of peers that start together sends. Whoever falls behind
// for long takes its members for silent.
func (p *plan) burst() batch {
	b := batch{what: "srv/burst", burst: true}
	for i := range burstBatch {
		b.shots = append(b.shots, hostile.Shot{Datagram: hostile.KeepAlive(uint16(p.c.names.loose[i%looseNames])), Case: b.what + "/keep-alives", Comment: "keep-alives of nobody, all at once"})
	}
	return b
}

// invitations must not make the target send to the outsider.
func (p *plan) invitations() batch {
	port, a, spare := p.c.outsider.socket.Addr().Port(), p.c.members[0].entry, p.c.names.loose[0]
	b := batch{what: p.c.Role.Prefix() + "outsider", linger: true}
	add := func(name, why string, d []byte) {
		b.shots = append(b.shots, hostile.Shot{Datagram: d, Case: b.what + "/" + name, Comment: why})
	}
	forged := hostile.Directory(a, wire.Entry{Name: spare, Port: port})
	if p.c.Role == hostile.Peer {
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

// peerCases are a peer's. What it must drop names the outsider, as a member or as a text
// that it must not print; directories that it must drop stay until it has broadcast, as many
// at a time as keeps that short.
func (p *plan) peerCases(cases []hostile.Case, interval time.Duration) {
	if p.c.gate == nil {
		p.add(p.invitations())
	}
	forged := p.c.env
	forged.Members = []wire.Entry{forged.Members[0], {Name: p.c.names.loose[len(p.c.names.loose)-1], Port: p.c.outsider.socket.Addr().Port()}}
	wrong := forged.Cases(hostile.Peer)
	groups := map[string][]hostile.Shot{}
	var order []string
	var quick, slow, whole []batch
	for i, k := range cases {
		if k.NeedsKey() && len(p.c.Keys) == 0 {
			continue
		}
		var some []hostile.Shot
		for j, s := range shots(k) {
			if fate := k.Steps[j].Fate; fate < core.Born {
				s.Datagram = p.tokened(wrong[i].Steps[j].Datagram)
			} else if j > 0 && k.Steps[0].Fate < core.Born {
				continue // it would set right what the first has done
			}
			some = append(some, s)
		}
		what := p.what(k.Name)
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
	for _, b := range slices.Concat(quick, slow, whole) {
		p.add(b)
	}
}

// tokened is a datagram with a text of its own, if it has one, that must not be printed.
func (p *plan) tokened(d []byte) []byte {
	p.tokens++
	return bytes.Replace(d, []byte("peerA_broadcast"), fmt.Appendf(nil, never+"%010d", p.tokens), 1)
}
