package core

import "time"

// Pacing bounds what the server sends, whatever comes in (PROTOCOL.md, "Additions").
const (
	Burst     = 8 * MaxPeers           // datagrams that may go without waiting
	Rate      = 100 * MaxPeers         // datagrams a second, after that
	AnswerGap = 100 * time.Millisecond // between answers to one peer's repeated births
)

// With Rules, an announcement goes when nobody has joined or left for a quarter of the time that
// it costs, and waits for those who were sent a retry at most settling times as long as it costs.
const settling = 8

// pacer says when the announcement that is owed may go. What has been sent it counts by the
// generic cell rate algorithm (ITU-T I.371).
type pacer struct {
	rules   *Rules    // nil: the exact protocol's
	changed time.Time // since when an announcement is owed; zero: none is
	latest  time.Time // when the members last changed
	held    bool      // this announcement has been counted as held
	paid    time.Time // all datagrams so far, at their rate, take until here

	expected int       // peers that were sent a retry since the last announcement and have not returned
	retried  time.Time // when the last of them was
}

// cost is how long so many datagrams take at Rate, or as the Rules have it.
func (p *pacer) cost(datagrams int) time.Duration {
	if p.rules != nil {
		return time.Duration(datagrams) * p.rules.Cost
	}
	return (time.Duration(datagrams)*time.Second + Rate - 1) / Rate
}

// burst is how far what is sent may run ahead of time.
func (p *pacer) burst() time.Duration {
	if p.rules != nil {
		return p.rules.Burst
	}
	return p.cost(Burst)
}

// owes reports that an announcement is owed.
func (p *pacer) owes() bool { return !p.changed.IsZero() }

// change makes an announcement due.
func (p *pacer) change(now time.Time) {
	p.latest = now
	if !p.owes() {
		p.changed = now
	}
}

// expect makes the next announcement wait for a peer that is sent a retry, until came.
func (p *pacer) expect(now time.Time) {
	if now.Sub(p.retried) > settling*p.burst() { // the earlier ones have given up
		p.expected = 0
	}
	p.expected++
	p.retried = now
}

func (p *pacer) came() { p.expected = max(0, p.expected-1) }

// charge counts datagrams. Answers do not wait, but are charged too, so that they and
// announcements together stay below the rate.
func (p *pacer) charge(now time.Time, datagrams int) {
	if p.paid.Before(now) {
		p.paid = now
	}
	p.paid = p.paid.Add(p.cost(datagrams))
}

// roomAt is when an announcement of so many datagrams fits into the burst.
func (p *pacer) roomAt(datagrams int) time.Time {
	burst := p.burst()
	return p.paid.Add(min(p.cost(datagrams), burst) - burst)
}

// settledAt is when an announcement to so many members need not wait for more changes. A directory
// of many to many is so expensive that simultaneous changes should share one.
func (p *pacer) settledAt(members int) time.Time {
	if p.rules == nil {
		return p.changed
	}
	most := settling * min(p.cost(members+p.expected), p.burst())
	at := p.latest.Add(min(p.cost(members), p.burst()) / 4)
	if back := p.retried.Add(most); p.expected > 0 && back.After(at) {
		at = back
	}
	return earliest(at, p.changed.Add(most))
}
