package conform

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"p2plocal/core/wire"
	"p2plocal/fuzz/target"
)

const most = 8 // datagrams of a kind in a failure

// failCertain is fail for what no lateness of this machine excuses. (In the wide dialect a peer
// that is late to acknowledge may be told again.)
func (l *trial) failCertain(p *endpoint, since int, expected, got string) {
	l.certain = l.gate == nil
	l.fail(p, since, expected, got)
}

// fail ends the case.
func (l *trial) fail(p *endpoint, since int, expected, got string) {
	panic(abortCase{outcome: Fail, failure: l.failure(p, since, expected, got)})
}

func (l *trial) failure(p *endpoint, since int, expected, got string) *Failure {
	f := &Failure{Expected: expected, Got: got, certain: l.certain, over: l.over}
	l.mu.Lock()
	sent, came := l.sent, []event(nil)
	if p != nil {
		came = l.came(p, since)
	}
	l.mu.Unlock()
	if p != nil && l.gate != nil && !p.borrowed {
		came = nil
		for _, d := range l.wide(p).Came() {
			came = append(came, event{at: d.At, endpoint: p, other: d.Peer, datagram: d.Data})
		}
	}
	f.Sent, f.Came = l.tail(sent), l.tail(came)
	if got == "" {
		switch {
		case p == nil:
		case len(came) == 0:
			f.Got = fmt.Sprintf("%s was sent nothing", p)
		default:
			f.Got = fmt.Sprintf("%s was sent %s, at last %s", p, plural(len(came), "datagram"), Summary(came[len(came)-1].datagram))
		}
	}
	f.Output = target.LastLines(l.output(), 4)
	return f
}

// expect waits until done, and fails if that takes longer than within.
func (l *trial) expect(p *endpoint, since int, within time.Duration, expected string, done func() bool) {
	if !l.wait(within, done) {
		l.fail(p, since, expected, "")
	}
}

// failf is fail without a socket to blame.
func (l *trial) failf(p *endpoint, expected, got string, args ...any) {
	l.fail(p, 0, expected, fmt.Sprintf(got, args...))
}

// wantChanges ensures that since a mark an endpoint was sent one directory for each of some changes
// of the case's own, and nothing else but, where others use the server, directories about them.
func (l *trial) wantChanges(p *endpoint, since int, expected string, changes ...[]wire.Entry) {
	earlier, came := l.split(p, since)
	before, _ := last(earlier)
	for _, e := range came {
		if e.directory == nil {
			l.failCertain(p, since, expected, fmt.Sprintf("%s was sent what is no directory", p))
		}
		now := *e.directory
		if slices.Equal(whole(now), whole(before)) {
			l.failCertain(p, since, expected, fmt.Sprintf("%s was sent the same directory again", p))
		}
		own, same := l.ownEntries(now), slices.Equal(l.ownEntries(now), l.ownEntries(before))
		before = now
		if same && !l.alone {
			continue
		}
		if len(changes) == 0 || !slices.Equal(own, sorted(changes[0])) {
			l.fail(p, since, expected, fmt.Sprintf("%s was sent a %s", p, Summary(e.datagram)))
		}
		changes = changes[1:]
	}
	if len(changes) > 0 {
		l.fail(p, since, expected, "")
	}
}

// wantNothing ensures that an endpoint that is in no directory was sent nothing.
func (l *trial) wantNothing(p *endpoint, expected string) {
	l.settle() // what is under way arrives
	l.wantCount(p, 0, 0, expected)
}

// wantCount ensures that an endpoint was sent n datagrams since a mark.
func (l *trial) wantCount(p *endpoint, since, n int, expected string) {
	if is := len(l.got(p, since)); is != n {
		l.fail(p, since, expected, fmt.Sprintf("%s was sent %s", p, plural(is, "datagram")))
	}
}

// wantNewsOnly ensures that since a time each directory has told a peer something new.
func (l *trial) wantNewsOnly(p *endpoint, since time.Time, expected string) {
	if n := l.again(p, since); n > 0 {
		l.failCertain(p, 0, expected, fmt.Sprintf("%s told %s nothing new", plural(n, "directory"), p))
	}
}

// tail is the last few events, as they are reported, in order of time.
func (l *trial) tail(events []event) (out []Event) {
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b event) int { return a.at.Compare(b.at) })
	for _, e := range events[max(0, len(events)-most):] {
		self := fmt.Sprintf("%s:%d", e.endpoint, e.endpoint.addr.Port())
		x := Event{At: e.at.Sub(l.started), From: l.called(e.other), To: self, Datagram: bytes.Clone(e.datagram)}
		if e.shown != nil {
			x.Datagram = bytes.Clone(e.shown)
		}
		if e.out {
			x.From, x.To = x.To, x.From
		}
		out = append(out, x)
	}
	return out
}

// called is what the address of another side is called.
func (l *trial) called(a netip.AddrPort) string {
	switch {
	case a == l.server:
		return fmt.Sprintf("server:%d", a.Port())
	case l.self.Port != 0 && a.Port() == l.self.Port:
		return fmt.Sprintf("target:%d", a.Port())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.endpoints {
		if p.addr == a {
			return fmt.Sprintf("%s:%d", p, a.Port())
		}
	}
	return "port " + fmt.Sprint(a.Port())
}
