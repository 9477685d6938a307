package campaign

import (
	"slices"
	"time"

	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
)

// evidence is why members may be in the directory, and what is wrong.
type evidence struct {
	owners  map[wire.Entry]*claim
	spoke   map[wire.Name]time.Duration
	signs   []sign
	looked  time.Time // when the slow checks were last made
	suspect *suspicion
}

// suspicion is the first thing that was wrong.
type suspicion struct {
	kind   Kind
	why    string
	shots  []hostile.Shot
	more   []hostile.Shot // those before, if they are not enough
	lead   bool           // what brings a silent member in must be there
	hold   time.Duration  // on the clock, until the effect shows
	victim victim
	open   []*openBatch
}

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
	if t.suspect != nil || t.joining || !t.sure(kind) {
		return nil
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
	s.open = slices.Clone(t.pending)
	t.suspect = s
	return s
}

// sure reports that a kind can be judged although the directory may not be as it should.
func (t *trial) sure(kind Kind) bool {
	if slices.Contains([]Kind{Died, Hung, Poisoned, Leaked, Spilled}, kind) {
		return true
	}
	return (!t.out() || t.lockedOut) && t.now.Sub(t.missed) >= excuseTime
}

// shotsOf are shots as they were sent; if some were timed, all get the times at which they went.
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

// slowLook makes the checks that take time.
func (t *trial) slowLook() {
	t.stood()
	t.looked = t.now
	t.lost()
	if u, ok := t.process.(user); ok {
		if why := grown(u.Usage(), t.usage); why != "" {
			t.suspectThese(Leaked, why, func(int, *sentShot) bool { return true })
		}
	}
}

// stood looks whether the target has stood still for so long that it may believe its peers have,
// too: then it keeps silent members for that much longer.
func (t *trial) stood() {
	const still = 2 * heartbeat / 5 // at a time, within what is looked at
	var longest time.Duration
	if t.process == nil {
		longest = t.Host.Late(t.looked)
	} else {
		copy(t.waits[:], t.waits[1:])
		now, runs := t.process.Waited()
		n := len(t.waits) - 1
		longest = (now - t.waits[n]) / time.Duration(runs-t.runs+1)
		t.waits[n], t.runs = now, runs
	}
	if longest > still {
		t.patient = max(t.patient, t.clock+ghostTime)
	}
}

// lastLook makes them at the end of a trial, and reports whether all that has come has been read.
func (t *trial) lastLook() bool {
	if t.overdue == 0 {
		t.slowLook()
	}
	return t.read(&t.overdue)
}
