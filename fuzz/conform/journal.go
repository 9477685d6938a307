package conform

import (
	"bytes"
	"net/netip"
	"slices"
	"sync"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
	"p2plocal/fuzz/target"
)

// journal is what a trial's sockets have sent and got, and what its target has printed.
type journal struct {
	mu        sync.Mutex // guards all below
	endpoints []*endpoint
	noted     int           // events so far
	sent      []event       // without the keep-alives of those that the trial keeps in the directory
	news      chan struct{} // closed when something comes
	out       bytes.Buffer  // what a peer under test has printed
	lag       time.Duration // how far behind the target was at most by what this trial sent
}

// event is one datagram that went through an endpoint.
type event struct {
	at        time.Time // sent: just before; come: by the kernel's clock
	endpoint  *endpoint
	out       bool
	other     netip.AddrPort
	datagram  []byte
	shown     []byte         // as it was on the wire, before it was sealed; nil: the same
	number    int            // in the order in which the trial has noted them
	directory *directorySeen // what it says, if it is one
}

func (l *trial) note(e event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.noted++
	e.number = l.noted
	if e.out {
		l.sent = append(l.sent, e)
		return
	}
	if m, err := wire.Parse(e.datagram); err == nil && m.Type == core.TypeDirectory {
		e.directory = &directorySeen{e.at, m.Entries}
	}
	e.endpoint.received = inOrder(e.endpoint.received, e)
	l.wake()
}

// inOrder inserts what has come by when it was sent: on a busy machine datagrams overtake each
// other. What came before a mark stays before it.
func inOrder(all []event, e event) []event {
	i := len(all)
	for i > 0 && e.at.Before(all[i-1].at) {
		i--
		e.number = all[i].number
	}
	if i < len(all) {
		all = slices.Clone(all) // others read it without the lock
	}
	return slices.Insert(all, i, e)
}

// wake has wait look again. The lock is held.
func (l *trial) wake() {
	close(l.news)
	l.news = make(chan struct{})
}

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

// came is what has come to an endpoint since a mark. The lock is held.
func (l *trial) came(p *endpoint, since int) []event {
	i, _ := slices.BinarySearchFunc(p.received, since+1, func(e event, n int) int { return e.number - n })
	return slices.Clip(p.received)[i:]
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

func (l *trial) pass(p *endpoint, mark uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.passed = mark
	l.wake()
}
