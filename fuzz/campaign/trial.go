package campaign

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
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
	void     bool          // nothing can be said of some of that
	limit    time.Time     // by when it ends, whatever the target does; zero: no bound
	watch
	traffic
	questions
	attendance
	evidence
}

// watch is a trial's clock. It advances only while the target could have answered: not while this
// process stood still or the target waited for a processor.
type watch struct {
	now    time.Time
	born   time.Time
	ticked time.Time
	clock  time.Duration
	waited time.Duration
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
	heavy        = 1024 // bytes from which a datagram waits until there is room for it
	bulk         = 512  // bytes that take as much of a receiver's buffer as one more small datagram
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

// end ends the trial and what it has started. An interrupted trial waits for nobody's end.
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

// run sends what a plan gives until there is no more and all has had its consequences. That it
// cannot go on is an error.
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
			if !t.plain {
				t.result.Unwatched = true
				for _, o := range t.pending {
					t.plan.giveUp(o.batch)
				}
			}
			break
		}
	}
	return t.suspect, nil
}

// settled reports that all that was sent has had its consequences.
func (t *trial) settled() bool {
	return t.current == nil && len(t.timed) == 0 && t.acked == t.total() && len(t.pending) == 0 && !t.expecting() && t.flooding == nil
}

// expecting reports that what was sent may still have consequences.
func (t *trial) expecting() bool {
	recent := !t.plain && len(t.sent) > 0 && t.now.Sub(t.sent[len(t.sent)-1].at) < t.aftermath()
	return t.judge.expecting() || recent
}

// over reports that its time is over.
func (t *trial) over() bool { return !t.limit.IsZero() && t.now.After(t.limit) }

// ErrUnjudged is what is wrong where a campaign cannot say whether the target survived.
var ErrUnjudged = errors.New("no verdict")

// stalled is why it cannot go on: a target that answers nothing is not judged unless it has shown
// that it can.
func (t *trial) stalled() error {
	if idle := t.now.Sub(t.worked); idle > stallFactor*(2*t.ProbeTimeout+removeTime) || t.over() && !t.judged {
		return fmt.Errorf("%w: %v has not shown for %.1f s that it takes what is sent", ErrUnjudged, t.address, idle.Seconds())
	}
	return nil
}

// await goes on until a condition holds, or a time has passed on the clock.
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
	t.attend()
	t.overdueAnswer()
	t.settle()
	if t.now.Sub(t.looked) > slowLooks {
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
	t.now = time.Now() // since the round began this process may have stood still
	mark, marked := target.Marked(p.to.socket, p.from, p.data)
	switch {
	case marked:
		p.to.passed = mark
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

// ended says how the target's process has ended; "": it runs, or is not ours.
func (t *trial) ended() string {
	if t.process == nil {
		return ""
	}
	return t.process.Ended()
}

// waited is for how long a process has waited for a processor.
func waited(p target.Program) time.Duration {
	d, _ := p.Waited()
	return d
}
