package fuzz_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
)

// directoryModel is the server as PROTOCOL.md tells it, slow and obvious: a
// list that is searched from end to end, and a note of who is owed what.
type directoryModel struct {
	port    int
	entries []modelEntry
	reaped  time.Time // the last look for silent peers
	owed    bool      // an announcement
	asked   []int     // ports that are owed a directory of their own
	steps   int       // datagrams in
	sent    int       // datagrams out
	heard   map[int]map[byte]int
	fates   map[core.Kind]int
	err     error
}

type modelEntry struct {
	name  byte
	port  int
	stamp time.Time
	born  time.Time
	from  netip.AddrPort
	own   bool // a keep-alive came from where the birth did, or from the port
}

func (m *directoryModel) fail(format string, args ...any) {
	if m.err == nil {
		m.err = fmt.Errorf(format, args...)
	}
}

// step does with a datagram what the protocol says.
func (m *directoryModel) step(now time.Time, from netip.AddrPort, datagram []byte) {
	m.steps++
	m.fates[m.fate(now, from, decode(datagram))]++
}

func (m *directoryModel) fate(now time.Time, from netip.AddrPort, d naive) core.Kind {
	switch d.Kind {
	case "":
		return core.Malformed
	case "directory", "vanilla":
		return core.Misdirected
	case "keep-alive":
		for i := range m.entries {
			if m.entries[i].name == d.Name {
				m.entries[i].stamp = now
				if from == m.entries[i].from || int(from.Port()) == m.entries[i].port {
					m.entries[i].own = true
				}
				return core.Alive
			}
		}
		return core.Unknown
	}
	if d.Port == m.port {
		return core.Rejected
	}
	for i, e := range m.entries {
		if e.name == d.Name && e.port == d.Port {
			m.entries[i].stamp = now
			m.asked = append(m.asked, d.Port)
			return core.Repeated
		}
	}
	rival := func(e modelEntry) bool { return e.name == d.Name || e.port == d.Port }
	home := int(from.Port()) == d.Port
	for _, e := range m.entries {
		away := int(e.from.Port()) != e.port
		if rival(e) && (e.own || now.Sub(e.born) <= time.Second && !(home && away)) {
			return core.Conflict
		}
	}
	m.entries = slices.DeleteFunc(m.entries, rival)
	m.entries = append(m.entries, modelEntry{name: d.Name, port: d.Port, stamp: now, born: now, from: from})
	m.owed = true
	return core.Born
}

// reap looks for silent peers at every multiple of 500 ms.
func (m *directoryModel) reap(now time.Time) {
	for !m.reaped.Add(500 * time.Millisecond).After(now) {
		m.reaped = m.reaped.Add(500 * time.Millisecond)
		before := len(m.entries)
		m.entries = slices.DeleteFunc(m.entries, func(e modelEntry) bool { return m.reaped.Sub(e.stamp) > 1500*time.Millisecond })
		m.owed = m.owed || len(m.entries) < before
	}
}

func (m *directoryModel) table() map[byte]int {
	t := map[byte]int{}
	for _, e := range m.entries {
		t[e.name] = e.port
	}
	return t
}

func (m *directoryModel) ports() (ports []int) {
	for _, e := range m.entries {
		ports = append(ports, e.port)
	}
	slices.Sort(ports)
	return ports
}

// polled judges what the server sends.
func (m *directoryModel) polled(now time.Time, out core.Outgoing) {
	m.reap(now)
	d := decode(out.Datagram)
	table := map[byte]int{}
	for i := range d.Len() {
		name, port := d.At(i)
		table[name] = port
	}
	if d.Kind != "directory" || !maps.Equal(table, m.table()) {
		m.fail("at %v sent %x, want the directory of %v", now.Sub(epoch), out.Datagram, m.table())
	}
	var to []int
	for _, a := range out.To {
		to = append(to, int(a.Port()))
		m.heard[int(a.Port())] = table
		m.sent++
	}
	slices.Sort(to)
	all := slices.Equal(to, m.ports())
	switch {
	case m.owed && all:
		m.owed = false
	default: // answers
		for _, p := range to {
			if !slices.Contains(m.asked, p) {
				m.fail("at %v sent a directory to port %d, which has not asked for it", now.Sub(epoch), p)
			}
		}
	}
	m.asked = slices.DeleteFunc(m.asked, func(p int) bool { return slices.Contains(to, p) })
	// PROTOCOL.md, "Additions": at most Rate datagrams a second after the burst, and a round of answers.
	if most := core.Burst + core.MaxPeers + int(core.Rate*now.Sub(epoch)/time.Second); m.sent > most {
		m.fail("at %v %d datagrams sent, want at most %d", now.Sub(epoch), m.sent, most)
	}
}

// idle judges the server when it has nothing to send before next.
func (m *directoryModel) idle(now, next time.Time, d *core.Directory) {
	m.reap(now)
	table := map[byte]int{}
	for _, x := range d.Members() {
		e := wire.EntryOf(x)
		table[byte(e.Name)] = int(e.Port)
	}
	if len(table) != d.Len() || !maps.Equal(table, m.table()) {
		m.fail("at %v the directory is %v, want %v", now.Sub(epoch), table, m.table())
	}
	m.asked = slices.DeleteFunc(m.asked, func(p int) bool { return !slices.Contains(m.ports(), p) })
	tick := m.reaped.Add(500 * time.Millisecond)
	switch {
	case next.After(tick):
		m.fail("at %v wants to sleep until %v, beyond its next look for the silent at %v", now.Sub(epoch), next.Sub(epoch), tick.Sub(epoch))
	case !next.After(now):
		m.fail("at %v had nothing to send, but wants to be called again at once", now.Sub(epoch))
	case next.Equal(tick): // it thinks that it owes nobody anything
		if m.owed && len(m.entries) > 0 || len(m.asked) > 0 {
			if tick.Sub(now) > core.AnswerGap {
				m.fail("at %v still owes an announcement (%v) or answers (to %v)", now.Sub(epoch), m.owed, m.asked)
			}
			return
		}
		for _, e := range m.entries {
			if !maps.Equal(m.heard[e.port], table) {
				m.fail("at %v port %d was last told %v, but the directory is %v", now.Sub(epoch), e.port, m.heard[e.port], table)
			}
		}
	}
	c := d.Counters()
	if in := int(c.In.Total().Datagrams); in != m.steps {
		m.fail("%d datagrams counted in, want %d", in, m.steps)
	}
	if out := int(c.Out.Total().Datagrams); out != m.sent {
		m.fail("%d datagrams counted out, want %d", out, m.sent)
	}
	for f := core.Malformed; f <= core.Unknown; f++ {
		if got := int(c.Events[f]); got != m.fates[f] {
			m.fail("%d counted as %v, want %d", got, f, m.fates[f])
		}
	}
}

// peerModel is the peer as PROTOCOL.md tells it: a script of what is due when.
type peerModel struct {
	env     hostile.Env
	refresh time.Duration
	others  []modelEntry
	joined  bool
	birth   time.Time // due; zero: no more
	alive   time.Time
	tick    time.Time
	counter int
	sent    int
	fates   map[core.Kind]int
	err     error
}

func (m *peerModel) fail(format string, args ...any) {
	if m.err == nil {
		m.err = fmt.Errorf(format, args...)
	}
}

func (m *peerModel) step(now time.Time, from netip.AddrPort, datagram []byte) {
	m.fates[m.fate(now, from, decode(datagram))]++
}

func (m *peerModel) fate(now time.Time, from netip.AddrPort, d naive) core.Kind {
	switch d.Kind {
	case "":
		return core.Malformed
	case "birth", "keep-alive":
		return core.Misdirected
	case "directory":
		if from != m.env.Server {
			return core.Stranger
		}
		m.others = nil
		for i := range d.Len() {
			name, port := d.At(i)
			if name == byte(m.env.Self.Name) && port == int(m.env.Self.Port) && !m.joined {
				m.joined, m.birth = true, time.Time{}
				if m.refresh > 0 {
					m.birth = now.Add(m.refresh)
				}
			}
			if port != int(m.env.Self.Port) {
				m.others = append(m.others, modelEntry{name: name, port: port})
			}
		}
		return core.Listed
	}
	for _, e := range m.others {
		if from == netip.AddrPortFrom(m.env.Server.Addr(), uint16(e.port)) {
			return core.Heard
		}
	}
	return core.Stranger
}

// polled judges what the peer sends: birth before keep-alive before broadcast
// where several are due at one instant.
func (m *peerModel) polled(now time.Time, out core.Outgoing) {
	self := m.env.Self
	toServer := []netip.AddrPort{m.env.Server}
	var want []byte
	var to []netip.AddrPort
	switch {
	case now.Equal(m.birth):
		want, to = hostile.BirthOf(self), toServer
		m.birth = time.Time{}
		if !m.joined {
			m.birth = now.Add(3 * time.Second)
		} else if m.refresh > 0 {
			m.birth = now.Add(m.refresh)
		}
	case now.Equal(m.alive):
		want, to = hostile.KeepAliveOf(self), toServer
		m.alive = now.Add(500 * time.Millisecond)
	case now.Equal(m.tick):
		want = hostile.Vanilla(fmt.Sprintf("peer%c_broadcast_%x", self.Name, m.counter))
		for _, e := range m.others {
			to = append(to, netip.AddrPortFrom(m.env.Server.Addr(), uint16(e.port)))
		}
		m.ticked()
	}
	if !bytes.Equal(out.Datagram, want) || !slices.Equal(out.To, to) {
		m.fail("at %v sent %x to %v, want %x to %v", now.Sub(epoch), out.Datagram, out.To, want, to)
	}
	m.sent += len(out.To)
}

func (m *peerModel) ticked() {
	m.tick = m.tick.Add(4 * time.Second)
	m.counter = (m.counter + 1) % 65536
}

func (m *peerModel) idle(now, next time.Time, p *core.Peer) {
	if now.Equal(m.tick) && len(m.others) == 0 {
		m.ticked() // the counter goes up though nobody is there
	}
	want := m.alive
	for _, t := range []time.Time{m.birth, m.tick} {
		if !t.IsZero() && t.Before(want) {
			want = t
		}
	}
	if !next.Equal(want) {
		m.fail("at %v next is %v, want %v", now.Sub(epoch), next.Sub(epoch), want.Sub(epoch))
	}
	if p.Joined() != m.joined {
		m.fail("at %v joined is %v, want %v", now.Sub(epoch), p.Joined(), m.joined)
	}
	others := p.Others()
	if len(others) != len(m.others) {
		m.fail("at %v knows %d others, want %d", now.Sub(epoch), len(others), len(m.others))
		return
	}
	for i, e := range m.others {
		if wire.EntryOf(others[i]) != (wire.Entry{Name: wire.Name(e.name), Port: uint16(e.port)}) {
			m.fail("at %v other %d is %v, want %v", now.Sub(epoch), i, others[i], e)
		}
	}
	c := p.Counters()
	if out := int(c.Out.Total().Datagrams); out != m.sent {
		m.fail("%d datagrams counted out, want %d", out, m.sent)
	}
	for _, f := range []core.Kind{core.Malformed, core.Misdirected, core.Stranger, core.Listed, core.Heard} {
		if got := int(c.Events[f]); got != m.fates[f] {
			m.fail("%d counted as %v, want %d", got, f, m.fates[f])
		}
	}
}
