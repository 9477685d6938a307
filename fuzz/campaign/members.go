package campaign

import (
	"fmt"
	"slices"
	"time"

	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
)

// attendance is which members are in the directory, and why not.
type attendance struct {
	beat      time.Time         // the last of all members' keep-alives
	beatTaken time.Time         // the last that the target has taken,
	takenBy   time.Time         // as was known then
	viewAt    time.Time         // when the directory that is judged came
	missed    time.Time         // when they last came too late: what was to be seen around then is void
	lockedOut bool              // members are out that should be in
	reborn    time.Time         // when those who are out were last born
	allIn     time.Duration     // on the clock, when nobody was out
	waits     [14]time.Duration // for how long the target had waited for a processor, looked at now and then; the first is excuseTime old
	runs      int64             // how often it had got one
	drops     uint64            // datagrams that the kernel has thrown away
	dropped   time.Time         // when the last was known to be
	patient   time.Duration     // on the clock, until when a server may keep the silent for that, or because it stood still
}

// join has the members join, under other names where theirs are taken.
func (t *trial) join() error {
	t.joining = true
	first := t.ProbeTimeout
	if t.process != nil {
		first = startTimeout
	}
	rename := wire.Name('~' - mostMembers)
	tries := 0
	var asked time.Duration = -time.Hour
	some := func() bool { return slices.ContainsFunc(t.members, func(p *endpoint) bool { return p.joined }) }
	for !t.await(first, func() bool {
		if again := t.ProbeTimeout / 4; t.clock-asked > again {
			asked = t.clock
			t.sendBirths()
		}
		return !t.out()
	}) {
		if t.ctx.Err() != nil {
			return t.ctx.Err()
		}
		if how := t.ended(); how != "" {
			return fmt.Errorf("%q ended at once: %s", t.command(), how)
		}
		if tries++; tries > 6 || t.process != nil && !some() {
			if !some() {
				return fmt.Errorf("no answer from %v to peers' births within %v", t.server, time.Duration(tries)*first)
			}
			return fmt.Errorf("not all of %d members are let in by %v", len(t.members), t.server)
		}
		for _, p := range t.members {
			if !p.joined {
				p.entry.Name = rename
				rename--
			}
		}
	}
	return nil
}

// out reports that some member is not in the directory.
func (t *trial) out() bool {
	return slices.ContainsFunc(t.members, func(p *endpoint) bool { return !p.joined })
}

// sendBirths has the members join that are out.
func (t *trial) sendBirths() {
	for _, p := range t.members {
		if !p.joined {
			p.asked++
			t.toServer(p, hostile.BirthOf(p.entry))
		}
	}
}

// keepAlive keeps all members in the directory.
func (t *trial) keepAlive() {
	if !t.joining && t.now.Sub(t.beat) > missedBeat {
		t.missed = t.now
		for _, p := range t.members {
			p.joined = false // maybe: they are born again
		}
	}
	t.beat = t.now
	for _, p := range t.members {
		if p.joined {
			t.toServer(p, hostile.KeepAliveOf(p.entry))
		}
	}
}

// toServer sends for a member or a prober.
func (t *trial) toServer(p *endpoint, datagram []byte) {
	p.socket.Send(t.server, datagram)
}

// attend has members that are out join again, for a while.
func (t *trial) attend() {
	if !t.out() {
		t.allIn = t.clock
	} else if t.now.Sub(t.reborn) > t.ProbeTimeout/4 {
		t.reborn = t.now
		t.sendBirths()
	}
	if out := t.clock - t.allIn; out > outTime {
		t.missed, t.lockedOut = time.Time{}, true
		t.suspectThese(Removed, fmt.Sprintf("it does not let members in again for %.1f s", out.Seconds()), func(int, *sentShot) bool { return true })
	}
}

// directory takes what the server has sent to a member or a prober.
func (t *trial) directory(p packet) {
	m, err := wire.Parse(p.data)
	if err != nil || m.Type != typeDirectory {
		if t.Role == hostile.Server {
			t.suspectRecent(Poisoned, fmt.Sprintf("the target sent %x, which is no directory", head(p.data)))
		}
		return
	}
	ep := p.to
	if p.at.Before(ep.viewAt) { // a newer one has overtaken it
		return
	}
	t.viewAt, ep.viewAt = p.at, p.at
	again := ep.view != nil && string(ep.view) == string(m.Entries)
	ep.view = append(ep.view[:0], m.Entries...)
	if !ep.joined {
		ep.joined, ep.since = m.Entries.Contains(ep.entry), t.now
	}
	ep.same = again
	switch {
	case again && ep.asked > 0:
		ep.asked--
	case again:
		t.judge.repeated(len(p.data))
	}
	if t.joining {
		return
	}
	t.judge.listed(ep, ep.view)
}

// freshProber is a peer that the target has not heard of for long, as if it were new; nil: there is
// none.
func (t *trial) freshProber() *endpoint {
	first := t.members[0]
	i := slices.IndexFunc(t.probers, func(p *endpoint) bool {
		return t.now.Sub(p.rest) > removeTime && !first.view.Contains(p.entry) && !holds(first.view, p.entry)
	})
	if i < 0 {
		return nil
	}
	p := t.probers[i]
	p.joined, p.view, p.heard, p.rest = false, nil, 0, time.Time{}
	return p
}

// head is as much of a datagram as a line shows.
func head(b []byte) []byte { return b[:min(len(b), 32)] }
