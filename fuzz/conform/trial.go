package conform

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"p2plocal/core/wire"
	"p2plocal/fuzz/gateway"
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/target"
)

// trial is one try of one case: its sockets, and a journal of all that went through them.
type trial struct {
	ctx     context.Context
	Case    Case
	lenient bool // see tolerance
	started time.Time
	host    target.Host
	gate    *gateway.Host // which host then is; nil: the exact dialect

	server netip.AddrPort // the target, or meshcheck's own
	target target.Program // nil: not started here
	waited time.Duration  // how long it had waited for a processor when the case began
	ending bool           // it is to end
	pace   *pace
	peerSide

	names     []wire.Name  // for its peers; the last is the probe's
	used      int          // of them
	alone     bool         // whatever the server sends has to do with this case
	residents []wire.Entry // in the directory and not of this case

	certain bool          // of a Failure
	over    time.Duration // likewise
	info    string        // what an INFO case has seen

	journal
	keptAlive []*endpoint   // guarded by the journal's lock
	stopped   chan struct{} // closed: no more keep-alives
	work      sync.WaitGroup
}

// abortCase is the panic of a case that cannot go on; perform recovers it.
type abortCase struct {
	outcome Outcome
	why     string
	failure *Failure
	err     error // not the target's fault
}

func (r *run) newTrial(ctx context.Context, c Case) *trial {
	on, gate := r.Host, (*gateway.Host)(nil)
	if r.Wide {
		gate = gateway.New(on, r.Keys)
		on = gate
	}
	return &trial{ctx: ctx, Case: c, host: on, gate: gate, pace: new(pace), started: clock(), journal: journal{news: make(chan struct{})}, stopped: make(chan struct{})}
}

// close closes the sockets.
func (l *trial) close() {
	l.stopKeepAlives()
	l.mu.Lock()
	endpoints := slices.Clone(l.endpoints)
	l.mu.Unlock()
	for _, p := range endpoints {
		if !p.borrowed {
			p.socket.Close()
		}
	}
	l.work.Wait()
}

// stopKeepAlives ends the keep-alives.
func (l *trial) stopKeepAlives() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.stopped:
	default:
		close(l.stopped)
	}
	l.keptAlive = nil
}

// open adds a socket; port 0: any.
func (l *trial) open(label string, host netip.Addr, port uint16) *endpoint {
	s, err := l.host.Listen(netip.AddrPortFrom(host, port))
	if err != nil {
		panic(abortCase{err: err})
	}
	return l.adopt(label, s)
}

// adopt adds a socket that is bound already.
func (l *trial) adopt(label string, s target.Socket) *endpoint {
	p := &endpoint{trial: l, label: label, socket: s, addr: s.Addr()}
	if l.gate != nil {
		l.wide(p).Keep = true
	}
	l.mu.Lock()
	l.endpoints = append(l.endpoints, p)
	l.mu.Unlock()
	l.work.Go(func() {
		target.Read(s, func(at time.Time, from netip.AddrPort, datagram []byte) {
			if n, ok := target.Marked(s, from, datagram); ok {
				l.pass(p, n)
			} else {
				l.note(event{at: at, endpoint: p, other: from, datagram: datagram})
			}
		})
	})
	return p
}

// stranger is a socket that no directory names.
func (l *trial) stranger() *endpoint { return l.open("stranger", l.server.Addr(), 0) }

// peer is a socket with a name, which has not joined yet.
func (l *trial) peer() *endpoint { return l.nameEndpoint(l.open("", l.server.Addr(), 0)) }

// peers are n such.
func (l *trial) peers(n int) (peers []*endpoint) {
	for range n {
		peers = append(peers, l.peer())
	}
	return peers
}

// nameEndpoint gives a socket a name that nobody has yet.
func (l *trial) nameEndpoint(p *endpoint) *endpoint {
	p.entry = wire.Entry{Name: l.name(), Port: p.addr.Port()}
	p.label = p.entry.Name.String()
	return p
}

// name is a name that nobody has yet.
func (l *trial) name() wire.Name {
	if l.used >= len(l.names)-1 {
		panic(abortCase{err: fmt.Errorf("%s has no name left of %d", l.Case.ID, len(l.names))})
	}
	l.used++
	return l.names[l.used-1]
}

// left is how many names there still are.
func (l *trial) left() int { return len(l.names) - 1 - l.used }

// keepAlive has peers send keep-alives until the case ends.
func (l *trial) keepAlive(peers ...*endpoint) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.keptAlive == nil
	l.keptAlive = append(l.keptAlive, peers...)
	if first {
		l.work.Go(l.sendKeepAlives)
	}
}

func (l *trial) sendKeepAlives() {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-l.stopped:
			return
		case <-tick.C:
		}
		l.mu.Lock()
		keptAlive := l.keptAlive
		l.mu.Unlock()
		for _, p := range keptAlive {
			l.account()
			p.socket.Send(l.server, hostile.KeepAliveOf(p.entry))
		}
	}
}

// inform keeps which of two texts says what an INFO case has seen.
func (l *trial) inform(first bool, texts []string) {
	if l.info = texts[1]; first {
		l.info = texts[0]
	}
}

const outputMost = 8 << 20 // bytes of what a target prints that are kept

// Write takes what the target prints.
func (l *trial) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.out.Len() < outputMost {
		l.out.Write(b)
	}
	l.wake()
	return len(b), nil
}

func (l *trial) output() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.String()
}

// died is closed once the target has ended, unless it was to.
func (l *trial) died() <-chan struct{} {
	if l.target == nil || l.ending {
		return nil
	}
	return l.target.Done()
}

// scheduled is how long the target has waited for a processor, and how often it has got one.
func (l *trial) scheduled() (waited time.Duration, runs int64) {
	if l.target == nil {
		return 0, 0
	}
	return l.target.Waited()
}
