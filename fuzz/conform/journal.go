package conform

import (
	"bytes"
	"net/netip"
	"slices"
	"sync"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
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

func (j *journal) note(e event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.noted++
	e.number = j.noted
	if e.out {
		j.sent = append(j.sent, e)
		return
	}
	if m, err := wire.Parse(e.datagram); err == nil && m.Type == core.TypeDirectory {
		e.directory = &directorySeen{e.at, m.Entries}
	}
	e.endpoint.received = inOrder(e.endpoint.received, e)
	j.wake()
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
func (j *journal) wake() {
	close(j.news)
	j.news = make(chan struct{})
}

// came is what has come to an endpoint since a mark. The lock is held.
func (j *journal) came(p *endpoint, since int) []event {
	i, _ := slices.BinarySearchFunc(p.received, since+1, func(e event, n int) int { return e.number - n })
	return slices.Clip(p.received)[i:]
}

func (j *journal) pass(p *endpoint, mark uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	p.passed = mark
	j.wake()
}
