package campaign

import (
	"fmt"
	"time"

	"p2plocal/core/wire"
)

// targetPeer is a peer under attack, as its mesh sees it.
type targetPeer struct {
	entry    wire.Entry
	interval time.Duration // between its broadcasts; 0: it does not broadcast
}

// limit is the time within which it must broadcast.
func (p *targetPeer) limit(m *mesh) time.Duration { return p.interval + p.interval/2 + m.timeout }

// awaitBroadcasts waits for two broadcasts of a peer: the second at least comes after
// all that it was sent before.
func (m *mesh) awaitBroadcasts(p *targetPeer) {
	first := m.canaries[0].heardFrom(p.entry.Name).times
	m.await(p.interval+p.limit(m), func() bool { return m.canaries[0].heardFrom(p.entry.Name).times >= first+2 })
	time.Sleep(settle)
}

// learnTime is how long a peer is listened to for its broadcasts: three intervals and some.
const learnTime = 15 * time.Second

// measureInterval waits for two of a peer's broadcasts to tell its interval; 0: it has not
// sent them, or is not in the directory any more.
func (m *mesh) measureInterval(e wire.Entry) time.Duration {
	heard := func() heardMessages { return m.canaries[0].heardFrom(e.Name) }
	first := heard().times
	m.await(learnTime, func() bool { return heard().times >= first+2 || !m.canaries[0].sees(e) })
	if v := heard(); v.times >= first+2 {
		return v.gap
	}
	return 0
}

// checkPeer says what is wrong with a peer, that had been heard before, times
// by the first canary, and whose last judgement was at since. With watch a second
// newcomer has the last word: something may have kept the peer from the first.
func (m *mesh) checkPeer(p *targetPeer, before heardMessages, since time.Time, watch bool) (Kind, string) {
	kind, why := m.checkNewcomer(p)
	if kind != "" && watch {
		kind, why = m.checkNewcomer(p)
	}
	if kind != "" || m.stale || p.interval == 0 {
		return kind, why
	}
	m.catchUp()
	spent := time.Since(since)
	times := m.canaries[0].heardFrom(p.entry.Name).times - before.times
	if due := int(spent/p.interval) + spare; times > due {
		due = m.idleMessages(p, spent) + spare // its interval was measured once, on a machine that may have been busy
		if times > due {
			return Amplified, fmt.Sprintf("%v sent %d messages where %d were due", p.entry, times, due)
		}
	}
	return "", ""
}

// checkNewcomer says what is wrong with how a peer receives a newcomer.
func (m *mesh) checkNewcomer(p *targetPeer) (Kind, string) {
	g, err := m.newcomer()
	if err != nil || g == nil {
		return "", "" // the server's business
	}
	defer m.retire(g)
	if !m.await(m.timeout, func() bool { return closed(g.joined) }) {
		return "", ""
	}
	if !g.sees(p.entry) {
		if m.machineAtFault() { // nobody can bring a peer back that the machine had removed
			m.stale = true
			return "", ""
		}
		return Hung, fmt.Sprintf("%v is not in its server's directory any more: it sends no keep-alives", p.entry)
	}
	if p.interval == 0 {
		return "", ""
	}
	started := time.Now()
	limit := p.limit(m)
	if !m.await(limit, func() bool { return g.heardFrom(p.entry.Name).times > 0 }) && !m.over() {
		if m.canaries[0].heardFrom(p.entry.Name).last.After(started) {
			return Deaf, fmt.Sprintf("%v broadcasts to others, but not to %v, whom a directory named to it", p.entry, g.entry)
		}
		return Hung, fmt.Sprintf("%v has not broadcast for %v, though its interval is %v", p.entry, limit.Round(time.Millisecond), p.interval.Round(time.Millisecond))
	}
	return "", ""
}

// spare is how many messages more than a time has intervals may come in it.
const spare = 3

// idleMessages is how many messages a peer sends in a time in which it is sent nothing hostile.
// What it tells of the interval is remembered.
func (m *mesh) idleMessages(p *targetPeer, d time.Duration) int {
	m.catchUp()
	first := m.canaries[0].heardFrom(p.entry.Name).times
	pause(m.ctx, d)
	m.catchUp()
	n := m.canaries[0].heardFrom(p.entry.Name).times - first
	if n > 1 {
		p.interval = min(p.interval, d/time.Duration(n))
	}
	return n
}
