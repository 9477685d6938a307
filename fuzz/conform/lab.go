package conform

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"p2plocal/core"
	"p2plocal/fuzz"
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
	gauge     *gauge
	lenient   bool          // see tolerance
	certain   bool          // see surely
	target    *target       // nil: not started here
	starved   time.Duration // how long the target had waited for a processor when the case began

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

func newLab(ctx context.Context, c Case, g *gauge) *lab {
	return &lab{ctx: ctx, Case: c, gauge: g, begun: clock(), news: make(chan struct{}), still: make(chan struct{})}
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
	u, err := bind(host, port)
	if err != nil {
		panic(halt{err: err})
	}
	p := &post{lab: l, label: label, udp: u, addr: netip.AddrPortFrom(host, portOf(u))}
	l.mu.Lock()
	l.posts = append(l.posts, p)
	l.mu.Unlock()
	l.work.Go(func() {
		listen(u, func(at time.Time, from netip.AddrPort, datagram []byte) {
			l.note(event{at: at, post: p, other: from, datagram: datagram})
		})
	})
	return p
}

// stranger is a socket that no directory names.
func (l *lab) stranger() *post { return l.open("stranger", l.server.Addr(), 0) }

// peer is a socket with a name that is not born yet.
func (l *lab) peer() *post { return l.peerOn(0) }

func (l *lab) peerOn(port uint16) *post {
	p := l.open("", l.server.Addr(), port)
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
	late := 2 * l.gauge.late(since)
	if l.target != nil {
		late += l.target.starved() - l.starved
	}
	return min(late, patience)
}

// tolerance is how much later than on an idle machine a timer may be: nothing,
// but in the last attempt of a case that has only been tried on a late machine.
// A sound target is in time at least once; a wrong one never is.
func (l *lab) tolerance(since time.Time) time.Duration {
	const most = 200 * time.Millisecond
	if !l.lenient {
		return 0
	}
	return min(l.slack(since), most)
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
		panic(halt{outcome: Broken, why: l.target.how()})
	}
}

func (l *lab) sleep(d time.Duration) { l.pause(d, nil) }

// until sleeps until a time after the case's begin.
func (l *lab) until(at time.Time) { l.sleep(max(0, time.Until(at))) }

// mark is a place in the log.
func (l *lab) mark() int {
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

// got is came without the lock.
func (l *lab) got(p *post, since int) []event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.came(p, since)
}

// directories are the sound ones of some events, taken apart.
func directories(events []event) (all []told) {
	for _, e := range events {
		if m, err := core.Parse(e.datagram); err == nil && m.Type == core.TypeDirectory {
			all = append(all, told{e.at, m.Entries})
		}
	}
	return all
}

// told is a directory that somebody was sent.
type told struct {
	at      time.Time
	entries core.Entries
}

func (d told) lists(x core.Entry) bool {
	for i := range d.entries.Len() {
		if d.entries.At(i) == x {
			return true
		}
	}
	return false
}

// mine are the entries of a directory that have to do with the case, sorted.
func (l *lab) mine(d told) (own []core.Entry) {
	for i := range d.entries.Len() {
		e := d.entries.At(i)
		foreign := slices.Contains(l.residents, e) ||
			!l.alone && !slices.Contains(l.names, e.Name) && !slices.ContainsFunc(l.posts, func(p *post) bool { return p.entry.Name != 0 && p.addr.Port() == e.Port })
		if !foreign {
			own = append(own, e)
		}
	}
	return sorted(own)
}

func sorted(entries []core.Entry) []core.Entry {
	entries = slices.Clone(entries)
	slices.SortFunc(entries, func(a, b core.Entry) int { return int(a.Name) - int(b.Name) })
	return entries
}

// knows waits until the last directory that a peer was sent is of just these.
func (l *lab) knows(p *post, want ...*post) told {
	return l.knowsIn(soon, 0, p, entriesOf(want))
}

// knowsIn is knows with a time, and only for what has come since a mark.
func (l *lab) knowsIn(within time.Duration, since int, p *post, entries []core.Entry) (last told) {
	entries = sorted(entries)
	if !l.wait(within, func() bool {
		all := directories(l.came(p, since))
		if len(all) == 0 {
			return false
		}
		last = all[len(all)-1]
		return slices.Equal(l.mine(last), entries)
	}) {
		l.fail(p, since, fmt.Sprintf("%s is told within %v of %s", p, within, l.listed(entries)), "")
	}
	return last
}

// first waits for the first directory that names a peer: it is of just these.
// What the server has wrongly taken in is in it, however soon it is reaped again.
func (l *lab) first(p *post, entries []core.Entry) {
	entries = sorted(entries)
	var got []core.Entry
	if !l.wait(soon, func() bool {
		for _, d := range directories(l.came(p, 0)) {
			if d.lists(p.entry) {
				got = l.mine(d)
				return true
			}
		}
		return false
	}) || !slices.Equal(got, entries) {
		l.fail(p, 0, fmt.Sprintf("the first directory that %s is sent within %v is of %s", p, soon, l.listed(entries)), "")
	}
}

// listed is a list of entries in words.
func (l *lab) listed(entries []core.Entry) string {
	var b strings.Builder
	if l.alone {
		b.WriteString("exactly")
	} else {
		b.WriteString("of this case's names exactly")
	}
	if len(entries) == 0 {
		b.WriteString(" nobody")
	}
	for i, e := range entries {
		if i == 12 {
			fmt.Fprintf(&b, " and %d more", len(entries)-i)
			break
		}
		fmt.Fprintf(&b, " %v", e)
	}
	return b.String()
}

// quiet sees to it that these are sent nothing for a time. Where others use the
// server, what tells of their changes is no noise.
func (l *lab) quiet(d time.Duration, expected string, posts ...*post) {
	since := l.mark()
	l.sleep(d)
	for _, p := range posts {
		l.silent(p, since, expected)
	}
}

// silent is quiet for the time since a mark.
func (l *lab) silent(p *post, since int, expected string) {
	came := l.got(p, since)
	if len(came) == 0 {
		return
	}
	var last []core.Entry
	earlier := l.got(p, 0)
	if before := directories(earlier[:len(earlier)-len(came)]); len(before) > 0 {
		last = whole(before[len(before)-1])
	}
	for _, e := range came {
		all := directories([]event{e})
		if len(all) == 0 {
			l.surely(p, since, expected, fmt.Sprintf("%s was sent what is no directory", p))
		}
		now := whole(all[0])
		if slices.Equal(now, last) {
			l.surely(p, since, expected, fmt.Sprintf("%s was sent the same directory again", p))
		}
		last = now
	}
	if l.alone {
		l.fail(p, since, expected, fmt.Sprintf("%s was sent %s", p, plural(len(came), "datagram")))
	}
}

func whole(d told) (all []core.Entry) {
	for i := range d.entries.Len() {
		all = append(all, d.entries.At(i))
	}
	return sorted(all)
}

// never sees to it that a post that is in no directory was sent nothing.
func (l *lab) never(p *post, expected string) {
	l.sleep(settle) // what is under way arrives
	if n := len(l.got(p, 0)); n > 0 {
		l.fail(p, 0, expected, fmt.Sprintf("%s was sent %s", p, plural(n, "datagram")))
	}
}

// once sees to it that no directory has told a peer nothing new since a time.
func (l *lab) once(p *post, since time.Time, expected string) {
	if n := l.again(p, since); n > 0 {
		l.surely(p, 0, expected, fmt.Sprintf("%s told %s nothing new", plural(n, "directory"), p))
	}
}

const most = 8 // datagrams of a kind in a failure

// surely is fail for what no lateness of this machine excuses.
func (l *lab) surely(p *post, since int, expected, got string) {
	l.certain = true
	l.fail(p, since, expected, got)
}

// fail ends the case.
func (l *lab) fail(p *post, since int, expected, got string) {
	f := &Failure{Expected: expected, Got: got, certain: l.certain}
	l.mu.Lock()
	var sent, came []event
	for i, e := range l.log {
		switch {
		case e.out && !e.beat:
			sent = append(sent, e)
		case i >= since && !e.out && e.post == p:
			came = append(came, e)
		}
	}
	l.mu.Unlock()
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
	if l.target != nil && l.Case.Role == fuzz.Peer {
		f.Output = l.target.lastLines()
	}
	panic(halt{outcome: Fail, failure: f})
}

// failf is fail without a socket to blame.
func (l *lab) failf(p *post, expected, got string, args ...any) {
	l.fail(p, 0, expected, fmt.Sprintf(got, args...))
}

// tail turns the last few events into what is reported, in the order of time.
func (l *lab) tail(events []event) (out []Event) {
	slices.SortStableFunc(events, func(a, b event) int { return a.at.Compare(b.at) })
	for _, e := range events[max(0, len(events)-most):] {
		self := fmt.Sprintf("%s:%d", e.post, e.post.addr.Port())
		x := Event{At: e.at.Sub(l.begun), From: l.called(e.other), To: self, Datagram: bytes.Clone(e.datagram)}
		if e.out {
			x.From, x.To = x.To, x.From
		}
		out = append(out, x)
	}
	return out
}

// called is how an address of the other side is called.
func (l *lab) called(a netip.AddrPort) string {
	switch {
	case a == l.server:
		return fmt.Sprintf("server:%d", a.Port())
	case l.self.Port != 0 && a.Port() == l.self.Port:
		return fmt.Sprintf("target:%d", a.Port())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.posts {
		if p.addr == a {
			return fmt.Sprintf("%s:%d", p, a.Port())
		}
	}
	return "port " + fmt.Sprint(a.Port())
}

// inform adds to what an INFO case has seen.
func (l *lab) inform(format string, args ...any) {
	l.infos = append(l.infos, fmt.Sprintf(format, args...))
}
