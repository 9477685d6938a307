package core

import (
	"encoding/json"
	"net/netip"
	"time"
)

// Kind says what an Event is about. Every kind is also counted.
type Kind uint8

const (
	// What becomes of a datagram: it is refused, for Err;
	Malformed Kind = iota
	Rejected
	Misdirected
	Stranger
	// at the server it is
	Born        // a birth of Peer, which has joined
	Repeated    // an exactly repeated birth of Peer
	Conflict    // a birth of Peer refused: Other has its name or port
	Alive       // a keep-alive; counted, not told
	Unknown     // a keep-alive, from Peer.Addr, of Peer.Name, which nobody has
	Unvalidated // a birth from Peer.Addr without a token: a retry is the answer
	// and at a peer
	Retried // a retry: this peer is to be born with the token in it
	Paged   // a page of a directory that is not complete yet, or no newer than what it has
	Listed  // a directory, All: this peer is in it where it is named
	Heard   // Peer's vanilla message, with the text Data

	// What else happens at the server:
	Replaced  // Peer, never proven, gave way to Other's birth
	Removed   // Peer, silent for Elapsed
	Announced // a directory to everybody, which counts once; counted, not told
	Held      // an announcement that pacing made wait; counted, not told

	// What else happens at a peer:
	Broadcast  // a tick of the broadcast timer; counted, not told
	Skipped    // a tick given up after a suspension; counted, not told
	Unanswered // no directory has named this peer for Elapsed since its birth; once a birth

	// At both, Data is handed out for sending to To, Elapsed after it was due: that is the
	// driver's lateness.
	Sent

	kinds
)

// The names of the kinds in JSON.
var kindNames = [kinds]string{"malformed", "rejected", "misdirected", "stranger",
	"births", "repeats", "conflicts", "keep_alives", "unknown", "unvalidated", "retries", "pages", "directories", "messages",
	"replaced", "removals", "announcements", "held", "broadcasts", "skipped", "unanswered", "sent"}

func (k Kind) String() string { return kindNames[k] }

// Dropped reports that the kind is a refused datagram.
func (k Kind) Dropped() bool { return k <= Stranger }

// Event is one thing that a machine does. Its Kind says which fields count; the others
// are of earlier events. It is the machine's own, as is what it refers to, and valid during
// the call only.
type Event struct {
	Kind    Kind
	At      time.Time
	Peer    Member // of a refused datagram or one of nobody, Addr is where it came from
	Data    []byte // the datagram: refused, sent or a directory's; or a message's text
	To      []netip.AddrPort
	Elapsed time.Duration // how late a datagram is sent, or how long silence or waiting has lasted
	Other   Member
	All     Members
	Err     error // one of the Err values
}

// Counters say what becomes of every datagram: In = Events.Dropped() + Events.Taken().
type Counters struct {
	In     ByType `json:"in"`
	Out    ByType `json:"out"` // one for each address that a datagram goes to
	Events Counts `json:"events"`
}

// Plus is the sum of both.
func (c Counters) Plus(d Counters) Counters {
	c.In, c.Out = c.In.Plus(d.In), c.Out.Plus(d.Out)
	for k, n := range d.Events {
		c.Events[k] += n
	}
	return c
}

// Counts are how many events of each kind there have been.
type Counts [kinds]uint64

// Dropped is how many datagrams were refused, Taken how many were not.
func (c Counts) Dropped() uint64 { return sum(c[:Born]) }
func (c Counts) Taken() uint64   { return sum(c[Born:Replaced]) }

func sum(counts []uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// MarshalJSON writes an object with a member for each kind.
func (c Counts) MarshalJSON() ([]byte, error) {
	byName := make(map[string]uint64, kinds)
	for k, n := range c {
		byName[kindNames[k]] = n
	}
	return json.Marshal(byName)
}

// UnmarshalJSON reads what MarshalJSON writes. Kinds that it does not know are left out.
func (c *Counts) UnmarshalJSON(b []byte) error {
	var byName map[string]uint64
	err := json.Unmarshal(b, &byName)
	for k, name := range kindNames {
		c[k] = byName[name]
	}
	return err
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
	Retry     Traffic `json:"retry,omitzero"`
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
	case TypeRetry:
		return &b.Retry
	}
	return &b.Other
}

// Total is the sum over the types.
func (b ByType) Total() Traffic {
	return b.Birth.Plus(b.Directory).Plus(b.Vanilla).Plus(b.KeepAlive).Plus(b.Retry).Plus(b.Other)
}

// Plus is the sum of both, type by type.
func (b ByType) Plus(c ByType) ByType {
	return ByType{b.Birth.Plus(c.Birth), b.Directory.Plus(c.Directory), b.Vanilla.Plus(c.Vanilla),
		b.KeepAlive.Plus(c.KeepAlive), b.Retry.Plus(c.Retry), b.Other.Plus(c.Other)}
}

// account is what both machines keep of their traffic. Where many machines take turns, cache
// misses are most of a step's time: the fields that a vanilla message touches stand together,
// here and in Peer.
type account struct {
	counters Counters
	codec    Codec
	rules    *Rules       // nil: the exact protocol's
	observe  func(*Event) // nil: nobody listens
	incoming Message      // of the datagram being stepped: here, so that it costs no allocation
	event    Event        // the last one told: here, so that none is copied
	outgoing Message      // of the datagram being made, likewise
}

// Counters is a copy of the counters so far.
func (a *account) Counters() Counters { return a.counters }

// count counts an event, and reports that there is an observer. It then fills in the event, which
// tell completes.
func (a *account) count(k Kind, now time.Time) bool {
	a.counters.Events[k]++
	a.event.Kind, a.event.At = k, now
	return a.observe != nil
}

// tell hands the observer the event that count began. It keeps nothing of a datagram.
func (a *account) tell() {
	a.observe(&a.event)
	a.event.Data = nil
}

// open counts a datagram in and parses it into incoming.
func (a *account) open(datagram []byte) error {
	err := a.codec.Parse(&a.incoming, datagram)
	a.counters.In.of(a.incoming.Type).add(1, len(datagram))
	if err != nil {
		a.incoming.List, a.incoming.Text = nil, nil // nothing is kept of the datagram
	}
	return err
}

func (a *account) drop(k Kind, now time.Time, from netip.AddrPort, datagram []byte, why error) {
	if a.count(k, now) {
		a.event.Peer, a.event.Data, a.event.Err = Member{Addr: from}, datagram, why
		a.tell()
	}
}

// send counts a datagram out.
func (a *account) send(now, due time.Time, t Type, datagram []byte, to []netip.AddrPort) Outgoing {
	a.counters.Out.of(t).add(len(to), len(datagram))
	if a.count(Sent, now) {
		a.event.Elapsed, a.event.Data, a.event.To = now.Sub(due), datagram, to
		a.tell()
	}
	return Outgoing{datagram, to}
}
