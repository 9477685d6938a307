package campaign

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
	"p2plocal/fuzz/figure"
	"p2plocal/fuzz/hostile"
)

// peerJudge watches a peer. Its questions are births of fresh peers, of whom the server
// tells it: where it prints the messages that it gets, it must print one of theirs,
// and otherwise broadcast to them.
type peerJudge struct {
	*trial
	came    time.Time     // when its first broadcast did, however late it was read
	last    time.Duration // since when the next is due
	heard   int           // by the first member
	fresh   *endpoint     // who was born for the question
	born    time.Duration // when
	spoken  time.Time     // when it last spoke
	word    string        // what it says
	words   int
	forged  string // what is said by one whom only forged directories name
	printed []byte // the end of what was printed
	fired   int    // of sent, when a broadcast was last waited for
	heardBy int    // then
	waiting time.Duration
	gone    time.Duration // since when it is not in the directory; 0: it is
}

const (
	learnTime = 9 * time.Second // two of the slowest broadcasts and some
	keptWords = 64
	never     = "never" // what the texts of messages that must be dropped begin with
)

// join starts the peer, and finds out how it shows that it has understood.
func (p *peerJudge) join() (err error) {
	first := p.members[0]
	p.peer = wire.Entry{Name: peerName, Port: p.Ports + peerPort}
	p.address = p.peer.Member(p.server.Addr()).Addr
	if p.process, err = p.startPeer(p.peer); err != nil {
		return err
	}
	if !p.await(startTimeout, func() bool { return first.view.Contains(p.peer) }) {
		if how := p.ended(); how != "" {
			return fmt.Errorf("%q ended at once: %s", p.PeerExec, how)
		}
		return fmt.Errorf("%q was not born as %v at %v within %v", p.PeerExec, p.peer, p.server, startTimeout)
	}
	p.await(5*step, func() bool { return false }) // no directory of the members' births comes later
	if !p.learned {
		began := time.Now()
		p.learn(first)
		p.learned, p.learning = p.ctx.Err() == nil, time.Since(began)
	}
	p.last = p.clock // however long it took to start
	return p.ctx.Err()
}

// learn finds out how the peer shows that it has understood.
func (p *peerJudge) learn(first *endpoint) {
	p.word = "ask-first"
	asked := time.Duration(-time.Hour)
	p.prints = p.await(2*p.ProbeTimeout, func() bool {
		if p.clock-asked > p.ProbeTimeout/4 {
			asked = p.clock
			p.say(first, p.word)
		}
		return p.saw(p.word)
	})
	if p.prints {
		p.say(p.outsider, "nobody's")
		p.await(2*step, func() bool { return p.saw("nobody's") })
		p.hearsAll = p.saw("nobody's")
		p.await(2*p.ProbeTimeout, func() bool { return p.interval > 0 })
	} else if !p.await(learnTime, func() bool { return p.interval > 0 }) {
		p.Log(fmt.Sprintf("%v prints no messages, and has not broadcast three times within %v: only its keep-alives are watched", p.peer, learnTime))
	}
}

func (p *peerJudge) say(from *endpoint, text string) {
	from.socket.Send(p.address, hostile.Vanilla(text))
}

// look reads what the peer has printed, and whether it keeps alive and broadcasts.
func (p *peerJudge) look() {
	total := p.listen()
	if p.joining {
		return
	}
	if i := bytes.Index(p.printed, []byte(never)); i >= 0 {
		p.suspectPrinted(string(p.printed[i:min(len(p.printed), i+tokenSize)]))
	}
	if p.forged != "" && p.saw(p.forged) {
		p.suspectRecent(Strayed, "it hears one whom only forged directories name")
	}
	if total > printedMost+printedMore*int(p.result.Bytes-p.bytesBefore) {
		p.suspectRecent(Spilled, fmt.Sprintf("it printed %s bytes, though only %s came in", figure.Grouped(total), figure.Grouped(p.result.Bytes-p.bytesBefore)))
	}
	if p.fresh != nil && p.fresh.joined {
		p.lookForAnswer()
	}
	if n := len(p.printed); n > 1<<16 {
		p.printed = p.printed[n-1<<12:]
	}
	if p.gone != 0 && p.clock-p.gone > p.ProbeTimeout {
		p.suspectSlow(fmt.Sprintf("%v is not in its server's directory any more: it sends no keep-alives", p.peer), removeTime+p.ProbeTimeout)
	}
	if p.interval > 0 && !p.asking && p.clock-p.last > p.broadcastTime() {
		p.suspectSlow(p.silent(), p.broadcastTime())
	}
}

// listen takes what the peer has printed, and returns how much that is in all.
func (p *peerJudge) listen() (total int) {
	p.output.Lock()
	defer p.output.Unlock()
	p.printed = append(p.printed, p.output.text...)
	p.output.text = nil
	return p.output.printed
}

// lookForAnswer looks whether the question's fresh peer has been heard by the target, or has heard
// from it.
func (p *peerJudge) lookForAnswer() {
	if p.prints && p.saw(p.word) || p.fresh.heard > 0 || !p.prints && p.interval == 0 {
		p.fresh.rest = p.now
		p.fresh, p.forged = nil, ""
		p.answered()
	} else if p.prints && (p.spoken.IsZero() || p.now.Sub(p.spoken) > p.ProbeTimeout/4) {
		p.spoken = p.now
		p.say(p.fresh, p.word)
	}
}

func (p *peerJudge) silent() string {
	return fmt.Sprintf("it has not broadcast for %v, though its interval is %v", p.broadcastTime().Round(time.Millisecond), p.interval.Round(time.Millisecond))
}

// suspectSlow blames what was sent since the missing thing was last seen, and a while before.
func (p *peerJudge) suspectSlow(why string, since time.Duration) {
	if found := p.suspectThese(Hung, why, func(_ int, x *sentShot) bool { return p.now.Sub(x.at) < 2*since }); found != nil {
		found.hold = since + p.ProbeTimeout
	}
}

const (
	printedMost = 32 << 10 // bytes that a peer may print of itself
	printedMore = 16       // and for each byte that came in
)

// broadcastTime is the time within which a peer must broadcast.
func (c *campaign) broadcastTime() time.Duration {
	return 3*c.interval + 2*c.ProbeTimeout + c.healing()
}

func (p *peerJudge) saw(word string) bool { return bytes.Contains(p.printed, []byte(word)) }

// suspectPrinted blames the datagram that a text stood in.
func (p *peerJudge) suspectPrinted(text string) {
	if found := p.suspectThese(Spilled, fmt.Sprintf("it printed %q, a message that it must drop", text), func(_ int, x *sentShot) bool {
		return bytes.Contains(x.Datagram, []byte(text))
	}); found != nil && len(found.shots) == 0 {
		found.shots = found.more
	}
}

func (p *peerJudge) hung() (Kind, string) {
	switch {
	case p.prints:
		return Hung, fmt.Sprintf("it does not print what a member says to it within %v", 2*p.ProbeTimeout)
	case p.fresh != nil && p.heard > p.heardBy+1 && p.clock-p.last < 2*p.interval:
		return Deaf, fmt.Sprintf("it broadcasts to others, but not to %v, whom a directory named to it", p.fresh.entry)
	}
	return Hung, p.silent()
}

// ready waits for a broadcast if directories were sent: it shows what was believed. Meanwhile
// somebody speaks whom only forged directories name.
func (p *peerJudge) ready() bool {
	if p.fired == p.total() || len(p.timed) > 0 {
		return len(p.timed) == 0
	}
	fresh := p.since(p.fired)
	directories := slices.ContainsFunc(fresh, func(x sentShot) bool { return len(x.Datagram) > 1 && x.Datagram[0] == byte(core.TypeDirectory) })
	if p.waiting == 0 {
		p.waiting, p.heardBy = p.clock, p.heard
		if p.prints && directories && !p.hearsAll {
			p.words++
			p.forged = fmt.Sprintf("forged-%d", p.words)
			p.say(p.outsider, p.forged)
		}
	}
	if directories && p.interval > 0 && p.heard == p.heardBy && p.clock-p.waiting < p.interval+p.interval/4 {
		return false
	}
	p.fired, p.waiting = p.total(), 0
	return true
}

func (p *peerJudge) ask() bool {
	if p.fresh != nil && p.clock-p.born > p.ProbeTimeout && p.prints { // something may have kept it from this one
		p.fresh.rest, p.fresh = p.now, nil
	}
	if p.fresh == nil {
		if p.fresh = p.freshProber(); p.fresh == nil {
			return false
		}
		p.words++
		p.word, p.heardBy = fmt.Sprintf("ask-%d", p.words), p.heard
		p.spoken, p.born = time.Time{}, p.clock
	}
	if p.now.Sub(p.fresh.rest) > p.ProbeTimeout/4 {
		p.fresh.rest = p.now
		p.toServer(p.fresh, hostile.BirthOf(p.fresh.entry))
	}
	return true
}

func (p *peerJudge) received(k packet) {
	switch {
	case k.from != p.address:
	case k.to == p.outsider || k.to == p.sources[hostile.FromStranger]:
		p.suspectRecent(Strayed, fmt.Sprintf("the target sent %q to %v, whom no true directory names", head(k.data), k.to.socket.Addr()))
	case k.to.entry.Name != 0:
		k.to.heard++
		if k.to == p.members[0] {
			if p.heard++; p.heard == 1 {
				p.came = k.at
			} else if p.heard == 3 && p.interval == 0 {
				p.interval = max(k.at.Sub(p.came)/2, step)
			}
			p.last = p.clock
		}
		if due := int(p.now.Sub(p.trial.born)/max(p.interval, step)) + keptWords; p.heard > 2*due {
			p.suspectRecent(Amplified, fmt.Sprintf("%v sent %s messages where %s were due", p.peer, figure.Grouped(p.heard), figure.Grouped(due)))
		}
	}
}

func (p *peerJudge) listed(q *endpoint, all wire.Entries) {
	if q != p.members[0] {
		return
	}
	if all.Contains(p.peer) {
		p.gone = 0
	} else if p.gone == 0 && (p.process == nil || waited(p.process)-p.waits[0] < lateBeat/4) && p.now.Sub(p.missed) > excuseTime {
		p.gone = p.clock
	}
}

func (p *peerJudge) expecting() bool { return false }

// note keeps when a directory was its server's: what that names others for a while.
func (p *peerJudge) note(m wire.Message, from hostile.Origin, _ *openBatch) {
	if m.Type == typeDirectory && from == hostile.FromServer {
		p.last = p.clock
	}
}

func (p *peerJudge) repeated(int) {} // its server is ours
