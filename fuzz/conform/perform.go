package conform

import (
	"cmp"
	"fmt"
	"time"

	"p2plocal/core/wire"
)

// perform has a case do its work, and then looks whether the target is alive.
func (r *run) perform(l *trial, alive func()) (res Result) {
	c := l.Case
	res = c.Result(Pass, "")
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
	guard(func() { c.perform(l) })
	if c.Level == Info && res.Outcome == Seen && res.Detail == "" {
		res.Detail = l.info
	}
	if res.Outcome != Broken && res.Outcome != NotRun {
		was := res
		guard(alive)
		switch {
		case res.Outcome == Broken && was.Failure != nil:
			res.Failure = was.Failure
		case res.Outcome == Fail && was.Outcome == Fail: // slow, too
			res = was
		}
	}
	if res.Outcome == Broken && res.Failure == nil {
		res.Failure = l.failure(nil, 0, "the target goes on", "it does not")
	}
	res.Late = l.host.Late(l.started)
	res.Late += l.held()
	res.judge()
	return res
}

func (r Result) bad() bool { return r.Outcome == Fail || r.Outcome == Broken }

// judge says whether a failure may be this machine's, by how late that was: doubtful is what is to be
// tried again, excused what is no failure. An error of 4 s is not excused by a lateness of
// 0.3 s.
func (r *Result) judge() {
	const explains = 2 // a target waits as well as we do
	f := cmp.Or(r.Failure, new(Failure))
	r.doubtful = r.bad() && !f.certain && r.Late > calmLateness && f.over <= 2*explains*r.Late
	r.excused = r.doubtful && (f.over > 0 && f.over <= explains*r.Late || f.over == 0 && r.Late > mostTolerance)
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

// probe sees whether a server still lets a newcomer in. If it answers on a port that it was never
// told of before, it has read all that was sent before: a socket's datagrams stay in order.
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
	started, answered := clock(), func() bool { return len(l.came(p, 0)) > 0 }
	for range births {
		if p.birth(); l.wait(within, answered) {
			return
		}
	}
	if !l.host.Bound(l.server) {
		l.certain = true
		panic(abortCase{outcome: Broken, why: fmt.Sprintf("it died: nobody listens on port %d any more", l.server.Port())})
	}
	l.slowOrHung(p, started, answered, fmt.Sprintf("a newcomer's birth is answered within %v", within))
}

// slowOrHung waits some more for a target that has not answered in time. If it answers in the end
// it is slow. If it does not, although it runs or need not wait for a processor, it hangs, however
// late this machine is.
func (l *trial) slowOrHung(p *endpoint, started time.Time, answered func() bool, expected string) {
	waited, runs := l.scheduled()
	began := clock()
	if l.wait(slowest, answered) {
		l.fail(p, 0, expected, fmt.Sprintf("after %.1f s", clock().Sub(started).Seconds()))
	}
	const enough = 10
	waitedNow, runsNow := l.scheduled()
	l.certain = l.target != nil && (runsNow-runs > enough || waitedNow-waited < clock().Sub(began)/2)
	panic(abortCase{outcome: Broken, why: fmt.Sprintf("it hung: no answer for %.1f s", clock().Sub(started).Seconds())})
}
