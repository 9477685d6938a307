package conform

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"p2plocal/core"
	"p2plocal/fuzz/target"
)

// lab is where one case is tried once: its sockets and a log of all that went
// through them.
type lab struct {
	ctx       context.Context
	Case      Case
	server    netip.AddrPort // the target, or meshcheck's own
	alone     bool           // whatever the server sends has to do with this case
	residents []core.Entry   // in the directory and not of this case
	names     []core.Name    // for its peers; the last is the probe's
	used      int
	monitor   *target.Monitor
	lenient   bool          // see tolerance
	certain   bool          // see surely
	target    *process      // nil: not started here
	waited    time.Duration // how long the target had waited for a processor when the case began

	begun time.Time
	mu    sync.Mutex // guards all below
	log   []event
	news  chan struct{} // closed when the log gets longer
	posts []*post
	kept  []*post
	infos []string
	still chan struct{} // closed: no more keep-alives
	work  sync.WaitGroup

	peerSide
}

// event is one datagram in the log.
type event struct {
	at       time.Time // sent: just before; come: by the kernel's clock
	post     *post
	out      bool
	beat     bool // a keep-alive of those that the lab keeps in the directory
	other    netip.AddrPort
	datagram []byte
}

// halt is what a case that cannot go on panics with; run recovers it.
type halt struct {
	outcome Outcome
	why     string
	failure *Failure
	err     error // not the target's fault
}

func newLab(ctx context.Context, c Case, m *target.Monitor) *lab {
	return &lab{ctx: ctx, Case: c, monitor: m, begun: clock(), news: make(chan struct{}), still: make(chan struct{})}
}

// close frees the ports.
func (l *lab) close() {
	l.calm()
	l.mu.Lock()
	posts := slices.Clone(l.posts)
	l.mu.Unlock()
	for _, p := range posts {
		if !p.lent {
			p.udp.Close()
		}
	}
	l.work.Wait()
}

// calm ends the keep-alives.
func (l *lab) calm() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.still:
	default:
		close(l.still)
	}
	l.kept = nil
}

func (l *lab) note(e event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.log = append(l.log, e)
	l.wake()
}

// wake has wait look again. The lock is held.
func (l *lab) wake() {
	close(l.news)
	l.news = make(chan struct{})
}

// open adds a socket; port 0: any.
func (l *lab) open(label string, host netip.Addr, port uint16) *post {
	var u *net.UDPConn
	var err error
	if port == 0 {
		u, err = target.ListenFree(host)
	} else {
		u, err = target.Listen(netip.AddrPortFrom(host, port))
	}
	if err != nil {
		panic(halt{err: err})
	}
	return l.adopt(label, host, u)
}

// adopt adds a socket that is bound already.
func (l *lab) adopt(label string, host netip.Addr, u *net.UDPConn) *post {
	p := &post{lab: l, label: label, udp: u, addr: netip.AddrPortFrom(host, portOf(u))}
	l.mu.Lock()
	l.posts = append(l.posts, p)
	l.mu.Unlock()
	l.work.Go(func() {
		listen(u, func(at time.Time, from netip.AddrPort, datagram []byte) {
			if from == p.addr {
				l.pass(p, datagram)
				return
			}
			l.note(event{at: at, post: p, other: from, datagram: datagram})
		})
	})
	return p
}

// stranger is a socket that no directory names.
func (l *lab) stranger() *post { return l.open("stranger", l.server.Addr(), 0) }

// peer is a socket with a name that is not born yet.
func (l *lab) peer() *post { return l.christen(l.open("", l.server.Addr(), 0)) }

// christen gives a socket a name that nobody has yet.
func (l *lab) christen(p *post) *post {
	p.entry = core.Entry{Name: l.name(), Port: p.addr.Port()}
	p.label = p.entry.Name.String()
	return p
}

// name is one that nobody has yet.
func (l *lab) name() core.Name {
	if l.used >= len(l.names)-1 {
		panic(halt{err: fmt.Errorf("%s has no name left of %d", l.Case.ID, len(l.names))})
	}
	l.used++
	return l.names[l.used-1]
}

// left is how many names there still are.
func (l *lab) left() int { return len(l.names) - 1 - l.used }

// keep has peers send keep-alives until the case ends.
func (l *lab) keep(peers ...*post) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.kept == nil
	l.kept = append(l.kept, peers...)
	if first {
		l.work.Go(l.beat)
	}
}

func (l *lab) beat() {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-l.still:
			return
		case <-tick.C:
		}
		l.mu.Lock()
		kept := l.kept
		l.mu.Unlock()
		for _, p := range kept {
			b := keepAliveOf(p.entry.Name)
			l.note(event{at: clock(), post: p, out: true, beat: true, other: l.server, datagram: b})
			p.udp.WriteToUDPAddrPort(b, l.server)
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

	soon     = 500 * time.Millisecond // for what is to come at once
	settle   = 60 * time.Millisecond  // after which what was to come at once has come
	coarse   = 20 * time.Millisecond  // by which a target's clock may be too early
	overdue  = 60 * time.Millisecond  // by which a timer may be late
	patience = 5 * time.Second        // that a slow machine gets, at most
)

// slack is how much later than on an idle machine something may be.
func (l *lab) slack(since time.Time) time.Duration {
	late := 2 * l.monitor.Late(since)
	if l.target != nil {
		late += l.target.waited() - l.waited
	}
	return min(late, patience)
}

const mostTolerance = 200 * time.Millisecond

// tolerance is how much later than on an idle machine a timer may be: nothing,
// but in the last attempt of a case that has only been tried on a late machine.
// A sound target is in time at least once; a wrong one never is.
func (l *lab) tolerance(since time.Time) time.Duration {
	if !l.lenient {
		return 0
	}
	return min(l.slack(since), mostTolerance)
}

// wait waits until done, for a time that a slow machine lengthens.
func (l *lab) wait(within time.Duration, done func() bool) bool {
	for begun := clock(); ; {
		l.mu.Lock()
		ok, news := done(), l.news
		l.mu.Unlock()
		if ok {
			return true
		}
		rest := time.Until(begun.Add(within))
		if rest <= 0 { // only then does it matter how slow the machine was
			if rest += l.slack(begun); rest <= 0 {
				return false
			}
		}
		l.pause(rest, news)
	}
}

// pause ends with the time, with news, and with the run or the target by a panic.
func (l *lab) pause(d time.Duration, news chan struct{}) {
	alarm := time.NewTimer(d)
	defer alarm.Stop()
	select {
	case <-news:
	case <-alarm.C:
	case <-l.ctx.Done():
		panic(halt{outcome: NotRun})
	case <-l.target.died():
		l.certain = true // nobody dies of lateness
		panic(halt{outcome: Broken, why: l.target.Ended()})
	}
}

func (l *lab) sleep(d time.Duration) { l.pause(d, nil) }

// until sleeps until a time after the case's begin.
func (l *lab) until(at time.Time) { l.sleep(max(0, time.Until(at))) }

// mark is a place in the log, behind all that has come by now.
func (l *lab) mark() int {
	l.mu.Lock()
	posts := slices.Clone(l.posts)
	l.mu.Unlock()
	l.catchUp(posts...)
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.log)
}

// came is what a post has got since a mark. The lock is held.
func (l *lab) came(p *post, since int) (events []event) {
	for _, e := range l.log[since:] {
		if e.post == p && !e.out {
			events = append(events, e)
		}
	}
	return events
}

// got is came without the lock, of all that has come by now, whether there was
// time to read it or not.
func (l *lab) got(p *post, since int) []event {
	_, after := l.split(p, since)
	return after
}

// split is what a post has got before a mark, and since then by now.
func (l *lab) split(p *post, since int) (before, after []event) {
	l.catchUp(p)
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.came(p, 0)
	after = l.came(p, since)
	return all[:len(all)-len(after)], after
}

// catchUp waits until all is in the log that has come to posts so far: each sends
// itself a mark, which is read behind that.
func (l *lab) catchUp(posts ...*post) {
	for _, p := range posts {
		if p.lent {
			continue // it cannot be told whose mark that is
		}
		l.mu.Lock()
		p.marked++
		n := p.marked
		l.mu.Unlock()
		p.udp.WriteToUDPAddrPort(binary.LittleEndian.AppendUint64(nil, n), p.addr)
	}
	l.wait(soon, func() bool {
		return !slices.ContainsFunc(posts, func(p *post) bool { return p.passed < p.marked })
	})
}

func (l *lab) pass(p *post, mark []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(mark) == 8 {
		p.passed = binary.LittleEndian.Uint64(mark)
	}
	l.wake()
}

// inform adds to what an INFO case has seen.
func (l *lab) inform(format string, args ...any) {
	l.infos = append(l.infos, fmt.Sprintf(format, args...))
}
