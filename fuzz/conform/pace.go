package conform

import (
	"fmt"
	"sync"
	"time"

	"p2plocal/fuzz/hostile"
)

// pace is how fast a target takes datagrams, and so how far behind it is with what it
// has been sent: a limit counts from when it can have seen to all. Trials at one
// target share it.
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

// took accounts for a datagram, and says how far behind the target then is.
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

// measured is the least of a few measurements: how long after the first of some datagrams
// the answer to the last came.
func measured(round func(i int) time.Duration) *pace {
	best := time.Duration(0)
	for i := range paceRounds {
		if d := round(i); i == 0 || d < best {
			best = d
		}
	}
	return &pace{each: max(0, best) / (paceBurst + 1)}
}

// measureServer is the pace of a server: keep-alives of nobody, and then a birth.
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

// measurePeer is the pace of a peer: messages that it prints. Of one that prints none nothing
// is known.
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
