package conform

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
	"p2plocal/fuzz/gateway"
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/target"
)

// trial is where one case is tried once: its sockets and a log of all that went
// through them.
type trial struct {
	ctx       context.Context
	Case      Case
	server    netip.AddrPort // the target, or meshcheck's own
	alone     bool           // whatever the server sends has to do with this case
	residents []wire.Entry   // in the directory and not of this case
	names     []wire.Name    // for its peers; the last is the probe's
	used      int
	host      target.Host
	gate      *gateway.Host  // which host then is; nil: the exact dialect
	lenient   bool           // see tolerance
	certain   bool           // of a Failure
	over      time.Duration  // likewise
	target    target.Program // nil: not started here
	ending    bool           // it is to end
	waited    time.Duration  // how long the target had waited for a processor when the case began
	pace      *pace

	started   time.Time
	mu        sync.Mutex    // guards all below
	lag       time.Duration // how far behind the target was at most by what this trial sent
	noted     int           // events so far
	sent      []event       // without the keep-alives of those that the trial keeps in the directory
	news      chan struct{} // closed when something comes
	out       bytes.Buffer  // what a peer under test has printed
	endpoints []*endpoint
	keptAlive []*endpoint
	info      string        // what an INFO case has seen
	stopped   chan struct{} // closed: no more keep-alives
	work      sync.WaitGroup

	peerSide
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

// abortCase is what a case that cannot go on panics with; run recovers it.
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
	return &trial{ctx: ctx, Case: c, host: on, gate: gate, pace: new(pace), started: clock(), news: make(chan struct{}), stopped: make(chan struct{})}
}

// close frees the ports.
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

// inOrder inserts what has come where it was sent, which on a busy machine others overtake. What came before a mark still has.
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

// peer is a socket with a name that is not born yet.
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

// name is one that nobody has yet.
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

// slack is how much later than on an idle machine something may be.
func (l *trial) slack(since time.Time) time.Duration {
	return min(2*l.host.Late(since)+l.held(), mostSlack)
}

// held is how long the target has waited for a processor since the case began.
func (l *trial) held() time.Duration {
	waited, _ := l.scheduled()
	return max(0, waited-l.waited)
}

const mostTolerance = 200 * time.Millisecond

// tolerance is how much later than on an idle machine a timer may be: nothing,
// but in the last attempt of a case that has only been tried on a late machine.
// A sound target is in time at least once; a wrong one never is.
func (l *trial) tolerance(since time.Time) time.Duration {
	if !l.lenient {
		return 0
	}
	return min(l.slack(since), mostTolerance)
}

// wait waits until done, for a time that a slow machine lengthens.
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

// pause ends with the time, with news, and with the run or the target by a panic.
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

// account notes that the target is sent a datagram, and keeps from sending more than its
// buffer may hold.
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

// mark is the number of the last event of all that have come by now.
func (l *trial) mark() int {
	l.mu.Lock()
	endpoints := slices.Clone(l.endpoints)
	l.mu.Unlock()
	l.catchUp(endpoints...)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.noted
}

// came is what an endpoint has got since a mark. The lock is held.
func (l *trial) came(p *endpoint, since int) []event {
	i, _ := slices.BinarySearchFunc(p.received, since+1, func(e event, n int) int { return e.number - n })
	return slices.Clip(p.received)[i:]
}

// got is came without the lock, of all that has come by now, whether there was
// time to read it or not.
func (l *trial) got(p *endpoint, since int) []event {
	_, after := l.split(p, since)
	return after
}

// split is what an endpoint has got before a mark, and since then by now.
func (l *trial) split(p *endpoint, since int) (before, after []event) {
	l.catchUp(p)
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.came(p, 0)
	after = l.came(p, since)
	return all[:len(all)-len(after)], after
}

// catchUp waits until all is in the log that has come to endpoints so far: each sends
// itself a mark, which is read behind that.
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

// inform says which of two texts is what an INFO case has seen.
func (l *trial) inform(first bool, texts []string) {
	if l.info = texts[1]; first {
		l.info = texts[0]
	}
}
