package conform

import (
	"fmt"
	"strings"
	"time"

	"p2plocal/core/wire"
)

// perform has a case do its work, and then looks whether the target lives.
func (r *run) perform(l *trial, alive func()) (res Result) {
	c := l.Case
	res = Result{ID: c.ID, Title: c.Title, Section: c.Section, Level: c.Level, Outcome: Pass}
	if c.Level == Info {
		res.Outcome = Seen
	}
	guard := func(f func()) {
		defer func() {
			h, ok := aborted(recover())
			if !ok {
				return
			}
			if h.err != nil {
				r.machineError(h.err)
				h.outcome = NotRun
			}
			if h.failure != nil && c.Level == Info { // it cannot fail: what it would have been is what was seen
				h.outcome, h.why, h.failure = Seen, "not seen: "+h.failure.Expected+"; "+h.failure.Got, nil
			}
			res.Outcome, res.Detail, res.Failure = h.outcome, h.why, h.failure
		}()
		f()
	}
	guard(func() { c.called(l, l.gather(c.members)) })
	if c.Level == Info && res.Outcome == Seen && res.Detail == "" {
		res.Detail = strings.Join(l.infos, "; ")
	}
	if res.Outcome != Broken && res.Outcome != NotRun {
		was := res
		guard(alive)
		if res.Outcome == Broken && was.Failure != nil {
			res.Failure = was.Failure
		}
	}
	if res.Outcome == Broken && res.Failure == nil {
		res.Failure = l.lastSent()
	}
	res.Late = l.host.Late(l.started)
	if l.target != nil {
		res.Late += max(0, l.target.waited()-l.waited)
	}
	return res
}

// aborted is what has ended a case's work early; false if nothing has. What is no
// abortCase is a fault of ours, and goes on panicking.
func aborted(x any) (abortCase, bool) {
	if x == nil {
		return abortCase{}, false
	}
	h, ok := x.(abortCase)
	if !ok {
		panic(x)
	}
	return h, true
}

// lastSent is what a broken target was sent.
func (l *trial) lastSent() (f *Failure) {
	defer func() {
		if h, ok := aborted(recover()); ok {
			f = h.failure
		}
	}()
	l.fail(nil, 0, "the target goes on", "it does not")
	return nil
}

// probe sees whether a server still lets anybody in. Whoever is answered by it on a
// port that it was never told of before has read all that it was sent until then, for
// a socket's datagrams come in their order.
func (l *trial) probe(within time.Duration) {
	name := l.names[len(l.names)-1]
	l.stopKeepAlives()
	const births = 3
	if name == 0 { // the case has used them all
		for _, p := range l.endpoints {
			if p.entry != (wire.Entry{Name: l.names[0], Port: p.addr.Port()}) {
				continue
			}
			for range births {
				if at := p.birth(); l.wait(within, func() bool { return repeats(l.came(p, 0), at) > 0 }) {
					return
				}
			}
		}
		name = l.names[0]
		l.sleep(deadline + reap + 200*time.Millisecond)
	}
	p := l.open("probe", l.server.Addr(), 0)
	p.entry = wire.Entry{Name: name, Port: p.addr.Port()}
	for range births {
		if p.birth(); l.wait(within, func() bool { return len(l.came(p, 0)) > 0 }) {
			return
		}
	}
	if !l.host.Bound(l.server) {
		l.certain = true
		panic(abortCase{outcome: Broken, why: fmt.Sprintf("it died: nobody listens on port %d any more", l.server.Port())})
	}
	panic(abortCase{outcome: Broken, why: fmt.Sprintf("it hung: %d births of a newcomer were not answered within %v each", births, within)})
}
