package conform

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/target"
)

// The protocol's times, and what is tolerated in an answer.
const (
	heartbeat = 500 * time.Millisecond
	deadline  = 1500 * time.Millisecond
	reap      = 500 * time.Millisecond
	broadcast = 4 * time.Second
	retry     = 3 * time.Second

	soon      = 500 * time.Millisecond // for what is to come at once
	settle    = 60 * time.Millisecond  // after which what was to come at once has come
	coarse    = 20 * time.Millisecond  // by which a target's clock may be too early
	overdue   = 60 * time.Millisecond  // by which a timer may be late
	mostSlack = 5 * time.Second        // that a slow machine gets, at most
)

// slack is how much later than on an idle machine something may come.
func (l *trial) slack(since time.Time) time.Duration {
	return min(2*l.host.Late(since)+l.held(), mostSlack)
}

// held is how long the target has waited for a processor since the case began.
func (l *trial) held() time.Duration {
	waited, _ := l.scheduled()
	return max(0, waited-l.waited)
}

const mostTolerance = 200 * time.Millisecond

// tolerance is how much later than on an idle machine a timer may be: not at all, except in the
// last try of a case that has only been tried while the machine was late. A sound target is in time
// at least once; a wrong one never is.
func (l *trial) tolerance(since time.Time) time.Duration {
	if !l.lenient {
		return 0
	}
	return min(l.slack(since), mostTolerance)
}

// wait waits until done, for a time that is longer on a slow machine.
func (l *trial) wait(within time.Duration, done func() bool) bool {
	for started := clock().Add(l.pace.behind()); ; {
		l.mu.Lock()
		ok, news := done(), l.news
		l.mu.Unlock()
		if ok {
			return true
		}
		rest := time.Until(started.Add(within))
		if rest <= 0 { // only then does it matter how slow the machine was
			if rest += l.slack(started); rest <= 0 {
				return false
			}
		}
		l.pause(rest, news)
	}
}

// pause ends after a time or with news; the end of the run or of the target makes it panic.
func (l *trial) pause(d time.Duration, news chan struct{}) {
	alarm := time.NewTimer(d)
	defer alarm.Stop()
	select {
	case <-news:
	case <-alarm.C:
	case <-l.ctx.Done():
		panic(abortCase{outcome: NotRun})
	case <-l.died():
		l.certain = true // nobody dies of lateness
		panic(abortCase{outcome: Broken, why: l.target.Ended()})
	}
}

func (l *trial) sleep(d time.Duration) { l.pause(d, nil) }

// settle waits until what was to come at once has come.
func (l *trial) settle() { l.sleep(l.pace.behind() + settle) }

// account notes that a datagram is sent to the target, and waits if its buffer may be full.
func (l *trial) account() {
	const most = 500 * time.Millisecond
	behind := l.pace.took(time.Now())
	l.mu.Lock()
	l.lag = max(l.lag, behind)
	l.mu.Unlock()
	if behind > most {
		time.Sleep(behind - most)
	}
}

// lagged is how far behind the target was at most.
func (l *trial) lagged() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lag
}

// until sleeps until a time after the case's begin.
func (l *trial) until(at time.Time) { l.sleep(max(0, time.Until(at))) }

// mark is the number of the last event that has come by now.
func (l *trial) mark() int {
	l.mu.Lock()
	endpoints := slices.Clone(l.endpoints)
	l.mu.Unlock()
	l.catchUp(endpoints...)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.noted
}

// got is came without the lock held, and with all that had come by now, read or not.
func (l *trial) got(p *endpoint, since int) []event {
	_, after := l.split(p, since)
	return after
}

// split is what had come to an endpoint before a mark, and what has since.
func (l *trial) split(p *endpoint, since int) (before, after []event) {
	l.catchUp(p)
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.came(p, 0)
	after = l.came(p, since)
	return all[:len(all)-len(after)], after
}

// catchUp waits until all that has come to endpoints so far is in the journal: each sends itself a
// mark, which is read after that.
func (l *trial) catchUp(endpoints ...*endpoint) {
	for _, p := range endpoints {
		if p.borrowed {
			continue // it cannot be told whose mark that is
		}
		l.mu.Lock()
		p.marked++
		n := p.marked
		l.mu.Unlock()
		target.Mark(p.socket, n)
	}
	l.wait(soon, func() bool {
		return !slices.ContainsFunc(endpoints, func(p *endpoint) bool { return p.passed < p.marked })
	})
}

// pace is how fast a target takes datagrams, and so how far it is behind with what it was sent:
// time limits count from when it may have caught up. Trials at one target share it.
type pace struct {
	each time.Duration // a datagram takes

	mu   sync.Mutex
	free time.Time // when all is seen to
}

func (p *pace) set(each time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.each = each
}

// took adds a datagram, and says how far behind the target then is.
func (p *pace) took(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free.Before(now) {
		p.free = now
	}
	p.free = p.free.Add(p.each)
	return p.free.Sub(now)
}

func (p *pace) behind() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(0, time.Until(p.free))
}

// What a pace is measured with.
const (
	paceRounds = 3
	paceBurst  = 20              // datagrams before the one that is answered
	slowest    = 5 * time.Second // after which the target is no longer slow, but hung
)

// measured is the best of a few measurements of how long after the first of some datagrams the
// answer to the last came.
func measured(round func(i int) time.Duration) *pace {
	best := time.Duration(0)
	for i := range paceRounds {
		if d := round(i); i == 0 || d < best {
			best = d
		}
	}
	return &pace{each: max(0, best) / (paceBurst + 1)}
}

// measureServer is a server's pace: keep-alives of nobody, and then a birth.
func measureServer(l *trial) *pace {
	return measured(func(int) time.Duration {
		s, p := l.stranger(), l.peer()
		at := s.toServer(hostile.KeepAlive(uint16(p.entry.Name)))
		for range paceBurst - 1 {
			s.toServer(hostile.KeepAlive(uint16(p.entry.Name)))
		}
		p.birth()
		if !l.wait(slowest, func() bool { return len(l.came(p, 0)) > 0 }) {
			panic(abortCase{outcome: Broken, why: fmt.Sprintf("no answer to a birth within %v", slowest)})
		}
		defer l.settle()
		return l.got(p, 0)[0].at.Sub(at)
	})
}

// measurePeer is a peer's pace: messages that it prints. Nothing is known of a peer that prints
// none.
func measurePeer(l *trial, m *endpoint) *pace {
	printed := true
	p := measured(func(i int) time.Duration {
		at, text := clock(), fmt.Sprintf("the end of round %d", i)
		for range paceBurst {
			m.send(l.at(), hostile.Vanilla("one of a round"))
		}
		m.send(l.at(), hostile.Vanilla(text))
		printed = printed && l.printed(slowest, text)
		return clock().Sub(at)
	})
	if !printed {
		return new(pace)
	}
	return p
}
