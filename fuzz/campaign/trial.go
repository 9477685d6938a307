package campaign

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/send"
	"p2plocal/fuzz/target"
)

// trial is one life of the target, and the loop that watches it.
type trial struct {
	*campaign
	ctx      context.Context
	judge    judge
	process  target.Program // nil: it ran already
	output   output
	own      [ownPeers]ownPeer
	server   netip.AddrPort
	address  netip.AddrPort // of what is attacked
	usage    target.Usage   // of the process after its start
	joining  bool
	learning time.Duration // how long it took to find out how a peer answers
	plain    bool          // a part of what was sent is tried
	wants    *suspicion    // what it is then to show

	// The clock goes on only while the target could have answered: not while this process
	// stood still, nor while the target waited for a processor.
	now    time.Time
	born   time.Time
	ticked time.Time
	clock  time.Duration
	waited time.Duration

	sent        []sentShot // the last of them
	forgotten   int        // how many were sent before those; numbers of datagrams count them
	timed       []timedShot
	open        []*openBatch
	current     *openBatch // not all of which has been sent
	fired       time.Time  // when the first datagram was sent
	count       int        // datagrams since then
	weight      int        // of the datagrams since the last question
	window      int        // that may be sent before the next question
	acked       int        // of sent, what the target has taken
	before      int        // and what it had taken at the answer before
	lingers     bool       // nothing else goes before the next question
	asking      bool       // a question waits for its answer
	askedAt     time.Duration
	asks        int // of sent, what was sent when it was asked
	asked       time.Time
	late        bool          // it has waited for too long
	queue       uint64        // what waits for the target
	queued      time.Duration // since when it has not become less
	marks       uint64
	overdue     uint64 // the mark that all endpoints must have read before a verdict
	paused      time.Time
	beat        time.Time         // the last of all members' keep-alives
	missed      time.Time         // when they last came too late: what was to be seen around then is void
	lockedOut   bool              // members are out that should be in
	reborn      time.Time         // when those who are out were last born
	allIn       time.Duration     // on the clock, when nobody was out
	worked      time.Time         // when the target last answered
	limit       time.Time         // by when it ends, whatever the target does; zero: no bound
	beatTaken   time.Time         // the last that the target has taken
	waits       [14]time.Duration // for how long it had waited for a processor, looked at now and then; the first is excuseTime old
	drops       uint64            // datagrams that the kernel has thrown away
	dropped     time.Time
	owners      map[wire.Entry]*claim
	spoke       map[wire.Name]time.Duration
	signs       []sign
	looked      time.Time        // when the slow checks were last made
	flooding    chan send.Counts // under way; nil: none is
	flooder     *openBatch
	bytesBefore uint64 // that the campaign had sent
	suspect     *suspicion
}

// judge is what depends on the role.
type judge interface {
	join() error       // waits until the target takes part
	ask() bool         // has the target asked; false: nobody can now
	ready() bool       // what was sent has had its chance before the next question
	received(p packet) // what is no mark and no directory for a member
	listed(p *endpoint, all wire.Entries)
	look()             // every round
	repeated(size int) // a directory that said nothing new to one who had not asked
	note(m wire.Message, from hostile.Origin, o *openBatch)
	hung() (Kind, string) // says what it is that has not come
	expecting() bool      // something is still to come, whenever what was sent was sent
}

// sentShot is what has been sent, and for which batch.
type sentShot struct {
	hostile.Shot
	at    time.Time
	batch *openBatch
}

type timedShot struct {
	due time.Time
	hostile.Shot
	batch *openBatch
}

// openBatch is one that has not had all its consequences yet.
type openBatch struct {
	batch
	next  int // of its shots
	began time.Time
	last  int           // of sent, behind its last shot
	until time.Duration // on the clock
}

// suspicion is the first thing that was wrong.
type suspicion struct {
	kind  Kind
	why   string
	shots []hostile.Shot
	more  []hostile.Shot // those before, if they are not enough
	lead  bool           // what brings a silent member in must be there
	hold  time.Duration  // on the clock, until the effect shows
	open  []*openBatch
}

// output is what the target's processes print.
type output struct {
	sync.Mutex
	text    []byte // not looked at yet
	printed int
}

func (o *output) Write(b []byte) (int, error) {
	o.Lock()
	defer o.Unlock()
	o.text = append(o.text, b...)
	o.printed += len(b)
	return len(b), nil
}

const (
	step         = 10 * time.Millisecond
	heartbeat    = 500 * time.Millisecond
	leastWindow  = 16
	mostWindow   = 128
	heavy        = 1024 // bytes from which a datagram weighs as many as leastWindow
	quickAnswer  = 30 * time.Millisecond
	slowAnswer   = 150 * time.Millisecond
	removeTime   = 2200 * time.Millisecond   // after which a peer that the server does not hear is gone
	ghostTime    = 2450 * time.Millisecond   // on the clock, after which it must be
	leaseTime    = ghostTime + 6*slowLooks/5 // for which a name is nobody else's after a sign of life
	excuseTime   = 3500 * time.Millisecond   // a silence so long ago explains a removal
	lateBeat     = time.Second               // a silence that may be too long
	slowLooks    = 250 * time.Millisecond
	outTime      = 4 * removeTime          // for which a name may be taken from a member
	stallFactor  = 10                      // how much slower than the clock real time may be
	missedBeat   = 1350 * time.Millisecond // a silence that is too long
	mostSuspects = 1 << 15                 // what is sent while a fresh peer is waited for
	moreSuspects = 1024                    // where the nearest are not enough
)

// end ends the trial and what it has started. Whoever interrupts it waits for nobody's end.
func (t *trial) end() {
	programs := []target.Program{t.process}
	for _, o := range t.own {
		programs = append(programs, o.process)
	}
	programs = slices.DeleteFunc(programs, func(p target.Program) bool { return p == nil })
	for _, p := range programs {
		p.Signal(syscall.SIGKILL)
	}
	if t.ctx.Err() != nil {
		return
	}
	for _, p := range programs {
		p.Kill()
	}
	t.marked() // what it has sent is nobody else's
	for t.ctx.Err() == nil && time.Now().Before(t.now.Add(time.Second)) && !t.passed() {
		t.take()
	}
}

// run sends what a plan gives until it has no more, and all has had its consequences, or it
// cannot go on, which is an error.
func (t *trial) run(from *plan) (*suspicion, error) {
	for t.worked, t.allIn = t.now, t.clock; t.ctx.Err() == nil; t.take() {
		t.round()
		t.fire(from)
		if t.suspect != nil || from.done() && t.settled() && t.lastLook() {
			break
		}
		if err := t.stalled(); err != nil {
			return nil, err
		}
		if t.over() && t.flooding == nil {
			t.result.Unwatched = t.result.Unwatched || !t.plain
			break
		}
	}
	return t.suspect, nil
}

// settled says that all that was sent has had its consequences.
func (t *trial) settled() bool {
	return t.current == nil && len(t.timed) == 0 && t.acked == t.total() && len(t.open) == 0 && !t.expecting() && t.flooding == nil
}

// expecting says that what was sent may still have consequences.
func (t *trial) expecting() bool {
	recent := !t.plain && len(t.sent) > 0 && t.now.Sub(t.sent[len(t.sent)-1].at) < t.aftermath()
	return t.judge.expecting() || recent
}

// over says that its time is.
func (t *trial) over() bool { return !t.limit.IsZero() && t.now.After(t.limit) }

// ErrUnjudged is what is wrong where a campaign cannot say whether the target survived.
var ErrUnjudged = errors.New("no verdict")

// stalled says why it cannot go on: whoever answers nothing, and is not known to have been able
// to, is not judged.
func (t *trial) stalled() error {
	if idle := t.now.Sub(t.worked); idle > stallFactor*(2*t.ProbeTimeout+removeTime) || t.over() && !t.judged {
		return fmt.Errorf("%w: %v has not shown for %.1f s that it takes what is sent", ErrUnjudged, t.address, idle.Seconds())
	}
	return nil
}

// await goes on until something is so, or its time is over on the clock.
func (t *trial) await(most time.Duration, is func() bool) bool {
	began := time.Now()
	for end := t.clock + most; !is(); t.take() {
		if t.round(); t.ctx.Err() != nil || t.clock > end || t.ended() != "" || t.over() || t.now.Sub(began) > most+startTimeout {
			return is()
		}
	}
	return true
}

// round does what is due.
func (t *trial) round() {
	t.tick()
	if t.home != nil && t.home.machine != nil {
		t.poll(t.home)
	}
	if t.now.Sub(t.beat) >= heartbeat && !t.now.Before(t.paused) {
		t.keepAlive()
	}
	if how := t.ended(); how != "" && t.suspect == nil && !t.joining {
		t.suspectRecent(Died, how)
	}
	t.judge.look()
	if t.joining {
		return
	}
	if !t.out() {
		t.allIn = t.clock
	} else if t.now.Sub(t.reborn) > t.ProbeTimeout/4 {
		t.reborn = t.now
		t.bearMembers()
	}
	if out := t.clock - t.allIn; out > outTime {
		t.missed, t.lockedOut = time.Time{}, true
		t.suspectThese(Removed, fmt.Sprintf("it does not let members in again for %.1f s", out.Seconds()), func(int, *sentShot) bool { return true })
	}
	t.overdueAnswer()
	t.settle()
	if t.now.Sub(t.looked) > slowLooks {
		t.looked = t.now
		t.slowLook()
	}
}

// tick moves the clock on.
func (t *trial) tick() {
	t.now = time.Now()
	d := min(t.now.Sub(t.ticked), 10*step)
	if t.process != nil {
		so := t.waited
		if t.asking && t.now.Sub(t.asked) > slowAnswer || t.now.Sub(t.ticked) > step {
			so = waited(t.process)
		}
		d -= min(d, max(0, so-t.waited))
		t.waited = so
	}
	t.clock += d
	t.ticked = t.now
}

// take waits for what comes, for a while.
func (t *trial) take() {
	wait := step
	if t.current != nil || len(t.timed) > 0 {
		wait = step / 5
	}
	var done <-chan struct{}
	if t.process != nil && t.ended() == "" {
		done = t.process.Done()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case p := <-t.inbox:
		t.handle(p)
	case n := <-t.flooding:
		t.flooded(n, t.flooder)
	case <-timer.C:
	case <-done:
	case <-t.ctx.Done():
	}
	for range cap(t.inbox) {
		select {
		case p := <-t.inbox:
			t.handle(p)
		default:
			return
		}
	}
}

func (t *trial) handle(p packet) {
	own := p.to.socket.Addr()
	switch {
	case p.from == own && len(p.data) == 8:
		p.to.passed = binary.LittleEndian.Uint64(p.data)
	case p.to.machine != nil:
		p.to.machine.Step(time.Now(), p.from, p.data)
		t.poll(p.to)
	case p.from == t.server && p.to.entry.Name != 0:
		t.directory(p)
	default:
		t.judge.received(p)
	}
}

// poll sends what a machine of ours has to send.
func (t *trial) poll(p *endpoint) {
	for {
		out, _ := p.machine.Poll(time.Now())
		if out.Empty() {
			return
		}
		for _, to := range out.To {
			p.socket.Send(to, out.Datagram)
		}
	}
}

// marked has each endpoint read a mark behind all that has come to it so far; passed
// says that all have.
func (t *trial) marked() {
	t.marks = max(t.marks, t.all[0].passed) + 1
	for _, p := range t.all {
		p.socket.Send(p.socket.Addr(), binary.LittleEndian.AppendUint64(nil, t.marks))
	}
}

// read says that all has been read that had come when it was first asked about a mark.
func (t *trial) read(mark *uint64) bool {
	if *mark == 0 {
		t.marked()
		*mark = t.marks
		return false
	}
	return t.passed()
}

func (t *trial) passed() bool {
	return !slices.ContainsFunc(t.all, func(p *endpoint) bool { return p.passed < t.marks })
}

// ended says how the target's process has ended; "": it runs, or is not ours.
func (t *trial) ended() string {
	if t.process == nil {
		return ""
	}
	return t.process.Ended()
}

// toServer sends for a member or a prober.
func (t *trial) toServer(p *endpoint, datagram []byte) {
	p.socket.Send(t.server, datagram)
}

// keepAlive keeps all members in the directory.
func (t *trial) keepAlive() {
	if !t.joining && t.now.Sub(t.beat) > missedBeat {
		t.missed = t.now
		for _, p := range t.members {
			p.joined = false // maybe: they are born again
		}
	}
	t.beat = t.now
	for _, p := range t.members {
		if p.joined {
			t.toServer(p, hostile.KeepAliveOf(p.entry))
		}
	}
}

// join has the members born, under other names where theirs are taken.
func (t *trial) join() error {
	t.joining = true
	first := t.ProbeTimeout
	if t.process != nil {
		first = startTimeout
	}
	rename := wire.Name('~' - mostMembers)
	tries := 0
	var asked time.Duration = -time.Hour
	some := func() bool { return slices.ContainsFunc(t.members, func(p *endpoint) bool { return p.joined }) }
	for !t.await(first, func() bool {
		if again := t.ProbeTimeout / 4; t.clock-asked > again {
			asked = t.clock
			t.bearMembers()
		}
		return !t.out()
	}) {
		if t.ctx.Err() != nil {
			return t.ctx.Err()
		}
		if how := t.ended(); how != "" {
			return fmt.Errorf("%q ended at once: %s", t.command(), how)
		}
		if tries++; tries > 6 || t.process != nil && !some() {
			if !some() {
				return fmt.Errorf("no answer from %v to peers' births within %v", t.server, time.Duration(tries)*first)
			}
			return fmt.Errorf("not all of %d members are let in by %v", len(t.members), t.server)
		}
		for _, p := range t.members {
			if !p.joined {
				p.entry.Name = rename
				rename--
			}
		}
	}
	return nil
}

// out says that some member is not in the directory.
func (t *trial) out() bool {
	return slices.ContainsFunc(t.members, func(p *endpoint) bool { return !p.joined })
}

// bearMembers has those born.
func (t *trial) bearMembers() {
	for _, p := range t.members {
		if !p.joined {
			p.asked++
			t.toServer(p, hostile.BirthOf(p.entry))
		}
	}
}

// directory is what the server has sent to a member or a prober.
func (t *trial) directory(p packet) {
	m, err := wire.Parse(p.data)
	if err != nil || m.Type != typeDirectory {
		if t.Role == hostile.Server {
			t.suspectRecent(Poisoned, fmt.Sprintf("the target sent %x, which is no directory", head(p.data)))
		}
		return
	}
	ep := p.to
	again := ep.view != nil && string(ep.view) == string(m.Entries)
	ep.view = append(ep.view[:0], m.Entries...)
	if !ep.joined {
		ep.joined, ep.since = m.Entries.Contains(ep.entry), t.now
	}
	ep.same = again
	switch {
	case again && ep.asked > 0:
		ep.asked--
	case again:
		t.judge.repeated(len(p.data))
	}
	if t.joining {
		return
	}
	t.judge.listed(ep, ep.view)
}

// freshProber is a peer that the target has not heard of for long, as new; nil: there is none.
func (t *trial) freshProber() *endpoint {
	first := t.members[0]
	i := slices.IndexFunc(t.probers, func(p *endpoint) bool {
		return t.now.Sub(p.rest) > removeTime && !first.view.Contains(p.entry) && !holds(first.view, p.entry)
	})
	if i < 0 {
		return nil
	}
	p := t.probers[i]
	p.joined, p.view, p.heard, p.rest = false, nil, 0, time.Time{}
	return p
}

// head is as much of a datagram as a line shows.
func head(b []byte) []byte { return b[:min(len(b), 32)] }

// fire sends what is due, and asks the target whether it has taken it.
func (t *trial) fire(from *plan) {
	for len(t.timed) > 0 && !t.timed[0].due.After(t.now) {
		s := t.timed[0]
		t.timed = t.timed[1:]
		t.shoot(s.Shot, s.batch)
	}
	if t.out() || t.asking || t.flooding != nil || t.now.Before(t.paused) || t.suspect != nil {
		return
	}
	if t.advance(from); t.flooding != nil {
		return
	}
	if (t.acked < t.total() || t.expecting() || t.now.Sub(t.asked) > slowLooks) && t.now.After(t.paused) && t.judge.ready() {
		t.question()
	}
}

// advance sends as much of a plan's batches as may go before the next question.
func (t *trial) advance(from *plan) {
	if t.current != nil && !t.plain && t.Count > 0 && t.result.Sent >= t.Count {
		t.current.next, t.current = len(t.current.shots), nil
	}
	for !t.lingers && (t.weight < t.window || t.current != nil && t.current.burst) && t.allowed() {
		if t.current == nil {
			b, ok := from.next(t)
			if !ok {
				return
			}
			if t.beginBatch(b); t.flooding != nil {
				return
			}
			continue
		}
		o := t.current
		if o.burst && o.next == 0 && t.acked < t.total() {
			return // it begins when nothing else waits
		}
		s := o.shots[o.next]
		if o.next++; s.At > 0 {
			t.later(s, o)
		} else {
			t.shoot(s, o)
		}
		if o.next == len(o.shots) {
			t.current = nil
			if t.lingers = o.linger; o.linger || o.quiet > 0 {
				return
			}
		}
	}
}

// allowed says that a bound lets one more datagram go.
func (t *trial) allowed() bool {
	if t.plain {
		return true
	}
	if t.Rate > 0 && !t.fired.IsZero() && float64(t.count) >= t.now.Sub(t.fired).Seconds()*t.Rate+1 {
		return false
	}
	return t.Count == 0 || t.result.Sent < t.Count
}

func (t *trial) beginBatch(b batch) {
	o := &openBatch{batch: b, began: t.now}
	t.open = append(t.open, o)
	if !t.plain {
		t.result.tally(b.what).add(b)
	}
	switch {
	case b.flood:
		t.flood(o)
		t.flooder = o
	case b.quiet > 0: // nobody else speaks until then
		t.keepAlive()
		t.paused = t.now.Add(b.quiet)
		t.current = o
	case len(b.shots) > 0:
		t.current = o
	}
}

// later keeps a shot until it is due.
func (t *trial) later(s hostile.Shot, o *openBatch) {
	x := timedShot{o.began.Add(s.At), s, o}
	i, _ := slices.BinarySearchFunc(t.timed, x, func(a, b timedShot) int { return a.due.Compare(b.due)*2 - 1 })
	t.timed = slices.Insert(t.timed, i, x)
}

// shoot sends one datagram.
func (t *trial) shoot(s hostile.Shot, o *openBatch) {
	from := t.source(s, o.shots)
	from.socket.Send(t.address, s.Datagram)
	if t.Config.Sent != nil && !t.plain {
		t.Config.Sent(t.now, from.socket.Addr(), t.address, onWire(from, s.Datagram))
	}
	if t.fired.IsZero() {
		t.fired = t.now
	}
	t.count++
	t.result.Sent++
	t.result.Bytes += uint64(len(s.Datagram))
	if !t.plain {
		y := t.result.tally(o.what)
		y.Sent, y.Bytes = y.Sent+1, y.Bytes+uint64(len(s.Datagram))
	}
	if t.weight++; len(s.Datagram) >= heavy {
		t.weight += leastWindow - 1
	}
	t.sent = append(t.sent, sentShot{s, t.now, o})
	o.last = t.total()
	t.note(s, o)
}

// note has the judge know what is sent that is well-formed.
func (t *trial) note(s hostile.Shot, o *openBatch) {
	if m, err := t.message(s.Datagram, t.source(s, o.shots)); err == nil {
		t.judge.note(m, s.From, o)
	}
}

// question asks the target.
func (t *trial) question() {
	if !t.judge.ask() {
		return
	}
	t.asking, t.late, t.overdue, t.lingers = true, false, 0, false
	t.asked, t.askedAt, t.asks = t.now, t.clock, t.total()
}

// answered is called when the target has taken all that was sent before the question.
func (t *trial) answered() {
	if !t.asking {
		return
	}
	took := t.clock - t.askedAt
	if t.late && t.suspect == nil {
		t.suspectRecent(Slow, fmt.Sprintf("an answer came only after %.1f s", took.Seconds()))
	}
	t.before = t.acked
	t.asking, t.acked, t.weight, t.worked, t.judged = false, t.asks, 0, t.now, true
	if t.beat.Before(t.asked) {
		t.beatTaken = t.beat
	}
	switch {
	case took < quickAnswer:
		t.window = min(2*t.window, mostWindow)
	case took > slowAnswer:
		t.window = max(t.window/2, 4)
	}
	t.confirm()
}

// overdueAnswer looks at a question that has waited for too long.
func (t *trial) overdueAnswer() {
	if !t.asking {
		return
	}
	waited := t.clock - t.askedAt
	late := 2 * t.ProbeTimeout
	limit := late + removeTime
	if !t.prints { // a peer then answers by its broadcast
		late = t.broadcastTime()
	}
	if !t.late && waited > late {
		t.late, t.queue = true, 0
	}
	if limit = max(limit, late); t.plain && (t.wants.kind == Hung || t.wants.kind == Deaf) || t.late && t.stuck() {
		limit = late
	}
	if waited < limit {
		t.judge.ask() // another one: datagrams are lost
		return
	}
	if !t.read(&t.overdue) {
		return
	}
	if !t.unbound() {
		kind, why := t.judge.hung()
		t.suspectRecent(kind, why)
	}
}

// unbound blames what was sent for the death of a server that ran already, whose end nothing
// else tells.
func (t *trial) unbound() bool {
	if t.process != nil || t.Role != hostile.Server || t.Host.Bound(t.address) {
		return false
	}
	t.suspectRecent(Died, fmt.Sprintf("nobody listens on %v any more", t.address))
	return true
}

// stuck says that a target has for long not taken anything that waits for it. A slow one has.
func (t *trial) stuck() bool {
	queue, _, _ := t.Host.Backlog(t.address)
	if t.queue == 0 || queue < t.queue { // it has just become late, or takes something
		t.queued = t.clock
	}
	t.queue = queue
	return queue > 0 && t.clock-t.queued > time.Second
}

// settle forgets batches that have had all their consequences.
func (t *trial) settle() {
	t.open = slices.DeleteFunc(t.open, func(o *openBatch) bool {
		if o.next < len(o.shots) || o.last > t.acked || slices.ContainsFunc(t.timed, func(s timedShot) bool { return s.batch == o }) {
			return false
		}
		if o.until == 0 {
			o.until = t.clock + o.hold
		}
		over := t.clock >= o.until
		if over && !t.missed.IsZero() && o.began.Sub(t.missed) < excuseTime {
			t.plan.repeat(o.batch)
		}
		return over
	})
	if n := len(t.sent) - mostSuspects; n > mostSuspects {
		t.sent = append(t.sent[:0], t.sent[n:]...)
		t.forgotten += n
	}
}

// total is how many datagrams have been sent.
func (t *trial) total() int { return t.forgotten + len(t.sent) }

// since are those from a number on, as far as they are remembered.
func (t *trial) since(n int) []sentShot { return t.sent[max(0, n-t.forgotten):] }

// suspectRecent blames what the target may not have taken before.
func (t *trial) suspectRecent(kind Kind, why string) {
	from := t.before
	if t.acked < t.total() && (kind == Died || kind == Hung) {
		from = t.acked
	}
	t.suspectThese(kind, why, func(i int, _ *sentShot) bool { return i >= from })
}

// suspectThese blames some of what was sent; nil: it does not.
func (t *trial) suspectThese(kind Kind, why string, which func(i int, s *sentShot) bool) *suspicion {
	const sure = " died hung poisoned leaked spilled "
	if t.suspect != nil || t.joining || (t.out() && !t.lockedOut || t.now.Sub(t.missed) < excuseTime) && !strings.Contains(sure, " "+string(kind)+" ") {
		return nil // who is in the directory is not what it should be
	}
	if t.plain && kind != t.wants.kind && kind != Died && kind != Hung {
		return nil // one fault may show in several ways, in any order
	}
	s := &suspicion{kind: kind, why: why}
	var last, wider []sentShot
	for i := max(0, len(t.sent)-mostSuspects); i < len(t.sent); i++ {
		if which(t.forgotten+i, &t.sent[i]) {
			last = append(last, t.sent[i])
		}
		if i >= len(t.sent)-moreSuspects {
			wider = append(wider, t.sent[i])
		}
	}
	s.shots, s.more = shotsOf(last), shotsOf(wider)
	s.open = slices.Clone(t.open)
	t.suspect = s
	return s
}

// shotsOf are shots as they were sent: if some of them had their times, all have.
func shotsOf(sent []sentShot) (shots []hostile.Shot) {
	timed := slices.ContainsFunc(sent, func(s sentShot) bool { return s.At > 0 })
	for _, s := range sent {
		if s.Shot.At = 0; timed {
			s.Shot.At = s.at.Sub(sent[0].at)
		}
		shots = append(shots, s.Shot)
	}
	return shots
}

// waited is for how long a process has waited for a processor.
func waited(p target.Program) time.Duration {
	d, _ := p.Waited()
	return d
}
