package campaign

import (
	"fmt"
	"slices"
	"time"

	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/target"
)

// questions are how a trial knows what the target has taken: it answers each one when it has taken
// everything before.
type questions struct {
	acked   int       // of sent, what the target has taken
	before  int       // and what it had taken at the answer before
	worked  time.Time // when the target last answered
	asking  bool      // a question waits for its answer
	asked   time.Time
	askedAt time.Duration
	asks    int           // of sent, what was sent when it was asked
	late    bool          // it has waited for too long
	queue   uint64        // what waits for the target
	queued  time.Duration // since when it has not become less
	marks   uint64
	overdue uint64 // the mark that all endpoints must have read before a verdict
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
		t.beatTaken, t.takenBy = t.beat, t.now
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
	waited, late := t.clock-t.askedAt, 2*t.ProbeTimeout+t.healing()
	if !t.prints { // a peer then answers by its broadcast
		late = t.broadcastTime()
	}
	if !t.late && waited > late {
		t.late, t.queue = true, 0
	}
	limit := max(2*t.ProbeTimeout+removeTime, late)
	if t.plain && (t.wants.kind == Hung || t.wants.kind == Deaf) || t.late && t.stuck() {
		limit = late
	}
	switch {
	case waited < limit:
		t.judge.ask() // another one: datagrams are lost
	case t.read(&t.overdue) && !t.unbound():
		kind, why := t.judge.hung()
		t.suspectRecent(kind, why)
	}
}

// unbound blames what was sent for the death of a server that was running already; nothing else
// tells of it.
func (t *trial) unbound() bool {
	if t.process != nil || t.Role != hostile.Server || t.Host.Bound(t.address) {
		return false
	}
	t.suspectRecent(Died, fmt.Sprintf("nobody listens on %v any more", t.address))
	return true
}

// stuck reports that the target has taken nothing that waits for it for long. A slow one does.
func (t *trial) stuck() bool {
	queue, _, _ := t.Host.Backlog(t.address)
	if t.queue == 0 || queue < t.queue { // it has just become late, or takes something
		t.queued = t.clock
	}
	t.queue = queue
	return queue > 0 && t.clock-t.queued > time.Second
}

// marked sends each endpoint a mark, behind all that has come to it so far; passed reports that all
// have read theirs.
func (t *trial) marked() {
	t.marks = max(t.marks, t.all[0].passed) + 1
	for _, p := range t.all {
		target.Mark(p.socket, t.marks)
	}
}

// read reports that all has been read that had come when it was first asked with a mark.
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
