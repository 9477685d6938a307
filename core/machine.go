package core

import (
	"fmt"
	"net/netip"
	"time"
)

// A Machine is one end of the protocol: a Directory or a Peer. It holds no
// socket, clock, goroutine, lock or random number; whoever owns it says what
// time it is and carries its datagrams. Time must not run backwards.
type Machine interface {
	// Step takes one datagram in. It keeps nothing of the datagram.
	Step(now time.Time, from netip.AddrPort, datagram []byte)

	// Poll gives out one datagram that is due. An empty Outgoing says that there
	// is nothing to send before next, or, where next is the zero Time, before
	// the next Step. Call it until empty after every Step (several Steps may
	// share one round of Polls) and at next.
	Poll(now time.Time) (out Outgoing, next time.Time)
}

// Outgoing is one datagram and the UDP ports, on the mesh's host, that get it.
// It is valid until the machine is called again.
type Outgoing struct {
	Datagram []byte
	Ports    []uint16
}

// Empty reports that there was nothing to send.
func (o Outgoing) Empty() bool { return len(o.Ports) == 0 }

// Timing holds the protocol's intervals. The server uses Reap and Deadline,
// the peer the others, and Deadline to tell a suspension from mere lateness.
type Timing struct {
	Heartbeat time.Duration // between a peer's keep-alives; 500ms
	Reap      time.Duration // between the server's looks for silent peers; 500ms
	Deadline  time.Duration // a peer silent for longer is reaped; 1.5s
	Broadcast time.Duration // between a peer's broadcasts, 0: none; 4s
	Retry     time.Duration // between the births of a peer that hears no answer, 0: one birth only; 3s
	Refresh   time.Duration // between the births of a member, 0: no more; 0
}

// DefaultTiming is the protocol's own (PROTOCOL.md, "Server" and "Peer").
func DefaultTiming() Timing {
	return Timing{
		Heartbeat: 500 * time.Millisecond,
		Reap:      500 * time.Millisecond,
		Deadline:  1500 * time.Millisecond,
		Broadcast: 4 * time.Second,
		Retry:     3 * time.Second,
	}
}

// Validate names the first interval that no machine can run on.
func (t Timing) Validate() error {
	for _, f := range []struct {
		name     string
		value    time.Duration
		optional bool
	}{
		{"heartbeat", t.Heartbeat, false},
		{"reap", t.Reap, false},
		{"deadline", t.Deadline, false},
		{"broadcast", t.Broadcast, true},
		{"retry", t.Retry, true},
		{"refresh", t.Refresh, true},
	} {
		switch {
		case f.value < 0:
			return fmt.Errorf("%s interval %v is negative", f.name, f.value)
		case f.value == 0 && !f.optional:
			return fmt.Errorf("%s interval is 0, want more", f.name)
		}
	}
	return nil
}

// Observer hears what a machine does, on the goroutine that drives it. Every
// field may be nil and then costs one comparison. Slices are the machine's own
// and valid during the call only. An observer must not call the machine.
type Observer struct {
	// Sent: a datagram is handed out for sending. It was due at due; now minus
	// due is the driver's lateness.
	Sent func(now, due time.Time, out Outgoing)
	// Dropped: a datagram was refused, and why (one of the Err values).
	Dropped func(now time.Time, from netip.AddrPort, datagram []byte, why error)

	// At the server:
	Born     func(now time.Time, e Entry)
	Repeated func(now time.Time, e Entry)                        // an exactly repeated birth
	Conflict func(now time.Time, e Entry, holder Entry)          // a birth refused: holder has its name or port
	Replaced func(now time.Time, e, by Entry)                    // an entry never proven gave way to a birth
	Reaped   func(now time.Time, e Entry, silence time.Duration) // silence: since the last sign of life
	Unknown  func(now time.Time, from netip.AddrPort, n Name)    // a keep-alive of nobody

	// At a peer:
	Directory  func(now time.Time, all Entries)             // taken, itself included where named
	Message    func(now time.Time, from Entry, text []byte) // a vanilla message came
	Unanswered func(now time.Time, waited time.Duration)    // no directory has named this peer yet; said once a birth
}

// Traffic counts datagrams and their bytes (of UDP payload).
type Traffic struct {
	Datagrams uint64 `json:"datagrams"`
	Bytes     uint64 `json:"bytes"`
}

func (t *Traffic) add(datagrams, size int) {
	t.Datagrams += uint64(datagrams)
	t.Bytes += uint64(datagrams) * uint64(size)
}

// Plus is the sum of both.
func (t Traffic) Plus(u Traffic) Traffic {
	return Traffic{t.Datagrams + u.Datagrams, t.Bytes + u.Bytes}
}

// ByType is traffic by the type that the datagrams claim.
type ByType struct {
	Birth     Traffic `json:"birth"`
	Directory Traffic `json:"directory"`
	Vanilla   Traffic `json:"vanilla"`
	KeepAlive Traffic `json:"keep_alive"`
	Other     Traffic `json:"other"` // no type of the protocol's, or too short for one
}

func (b *ByType) of(t Type) *Traffic {
	switch t {
	case TypeBirth:
		return &b.Birth
	case TypeDirectory:
		return &b.Directory
	case TypeVanilla:
		return &b.Vanilla
	case TypeKeepAlive:
		return &b.KeepAlive
	}
	return &b.Other
}

// Total is the sum over the types.
func (b ByType) Total() Traffic {
	return b.Birth.Plus(b.Directory).Plus(b.Vanilla).Plus(b.KeepAlive).Plus(b.Other)
}

// Plus is the sum of both, type by type.
func (b ByType) Plus(c ByType) ByType {
	return ByType{b.Birth.Plus(c.Birth), b.Directory.Plus(c.Directory), b.Vanilla.Plus(c.Vanilla),
		b.KeepAlive.Plus(c.KeepAlive), b.Other.Plus(c.Other)}
}

// Counters say what became of every datagram. At the server
//
//	In = Dropped + Births + Repeats + Conflicts + KeepAlives + Unknown
//
// and at a peer
//
//	In = Dropped + Directories + Messages
//
// each in datagrams.
type Counters struct {
	In      ByType `json:"in"`
	Out     ByType `json:"out"` // one for each port that a datagram goes to
	Dropped struct {
		Malformed   uint64 `json:"malformed"`
		Rejected    uint64 `json:"rejected"`
		Misdirected uint64 `json:"misdirected"`
		Stranger    uint64 `json:"stranger"`
	} `json:"dropped"`

	// At the server:
	Births        uint64 `json:"births"`
	Repeats       uint64 `json:"repeats"`
	Conflicts     uint64 `json:"conflicts"`
	KeepAlives    uint64 `json:"keep_alives"` // of known names
	Unknown       uint64 `json:"unknown"`     // keep-alives of nobody
	Replaced      uint64 `json:"replaced"`    // entries never proven that gave way to a birth
	Reaps         uint64 `json:"reaps"`
	Announcements uint64 `json:"announcements"` // directories to everybody; one counts once
	Held          uint64 `json:"held"`          // announcements that pacing made wait

	// At a peer:
	Directories uint64 `json:"directories"`
	Messages    uint64 `json:"messages"`
	Broadcasts  uint64 `json:"broadcasts"` // ticks of the broadcast timer
	Skipped     uint64 `json:"skipped"`    // ticks given up after a suspension
}

// ledger is what both machines keep of their traffic.
type ledger struct {
	counters Counters
	observer Observer
}

// Counters is a copy of the counters so far.
func (l *ledger) Counters() Counters { return l.counters }

// open counts a datagram in and parses it into m; false where that dropped it.
func (l *ledger) open(m *Message, now time.Time, from netip.AddrPort, datagram []byte) bool {
	l.counters.In.of(typeOf(datagram)).add(1, len(datagram))
	if err := m.parse(datagram); err != nil {
		l.drop(&l.counters.Dropped.Malformed, now, from, datagram, err)
		return false
	}
	return true
}

func (l *ledger) drop(count *uint64, now time.Time, from netip.AddrPort, datagram []byte, why error) {
	*count++
	if l.observer.Dropped != nil {
		l.observer.Dropped(now, from, datagram, why)
	}
}

// send counts a datagram out.
func (l *ledger) send(now, due time.Time, datagram []byte, ports []uint16) Outgoing {
	out := Outgoing{datagram, ports}
	l.counters.Out.of(typeOf(datagram)).add(len(ports), len(datagram))
	if l.observer.Sent != nil {
		l.observer.Sent(now, due, out)
	}
	return out
}

// after is the first of due+interval, due+2*interval, … that lies after now.
func after(now, due time.Time, interval time.Duration) time.Time {
	due = due.Add(interval)
	if late := now.Sub(due); late >= 0 {
		due = due.Add(late/interval*interval + interval)
	}
	return due
}

// earliest is the earlier of two times, where the zero Time means never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// due reports that t, unless it is never, has come.
func due(now, t time.Time) bool { return !t.IsZero() && !now.Before(t) }
