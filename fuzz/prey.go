package fuzz

import (
	"fmt"
	"time"

	"p2plocal/core"
)

// prey is a peer under attack, as its mesh sees it.
type prey struct {
	entry    core.Entry
	interval time.Duration // between its broadcasts; 0: it does not broadcast
}

// limit is the time within which it must broadcast.
func (p *prey) limit(m *mesh) time.Duration { return p.interval + p.interval/2 + m.timeout }

// hearTwice waits for two broadcasts of a peer: the second at least comes after
// all that it was sent before.
func (m *mesh) hearTwice(p *prey) {
	first := m.canaries[0].hears(p.entry.Name).times
	m.await(p.interval+p.limit(m), func() bool { return m.canaries[0].hears(p.entry.Name).times >= first+2 })
	time.Sleep(settle)
}

// learn waits for two of the prey's broadcasts to tell its interval.
func (m *mesh) learn(name core.Name, most time.Duration) time.Duration {
	first := m.canaries[0].hears(name).times
	for begun := time.Now(); time.Since(begun) < most && !m.over(); time.Sleep(glance) {
		if v := m.canaries[0].hears(name); v.times >= first+2 {
			return v.gap
		}
	}
	return 0
}

// judgePeer says what is wrong with a peer, that had been heard before, times
// by the first canary, and whose last judgement was at since.
func (m *mesh) judgePeer(p *prey, before voice, since time.Time) (Kind, string) {
	g, err := m.guest()
	if err != nil || g == nil {
		return "", "" // the server's business
	}
	defer m.dismiss(g)
	if !m.await(m.timeout, func() bool { return closed(g.joined) }) {
		return "", ""
	}
	if !g.sees(p.entry) {
		if m.excused() { // nobody can bring a peer back that the machine had culled
			m.stale = true
			return "", ""
		}
		return Hung, fmt.Sprintf("%v is not in its server's directory any more: it sends no keep-alives", p.entry)
	}
	if p.interval == 0 {
		return "", ""
	}
	begun := time.Now()
	limit := p.limit(m)
	if !m.await(limit, func() bool { return g.hears(p.entry.Name).times > 0 }) && !m.over() {
		if m.canaries[0].hears(p.entry.Name).last.After(begun) {
			return Deaf, fmt.Sprintf("%v broadcasts to others, but not to %v, whom a directory named to it", p.entry, g.entry)
		}
		return Hung, fmt.Sprintf("%v has not broadcast for %v, though its interval is %v", p.entry, limit, p.interval)
	}
	times := m.canaries[0].hears(p.entry.Name).times - before.times
	if due := int(time.Since(since)/p.interval) + 3; times > due {
		return Amplified, fmt.Sprintf("%v sent %d messages where %d were due", p.entry, times, due)
	}
	return "", ""
}
