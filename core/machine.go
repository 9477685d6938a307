// Package core is the p2plocal protocol: a directory server and its peers as pure
// state machines. PROTOCOL.md sections are named where a rule comes from.
//
// Every field on the wire is an unsigned 16-bit integer, little-endian. The
// first is the message type:
//
//	birth       peer -> server   00C0  name  port
//	directory   server -> peer   00C1  count { name port } * count
//	vanilla     peer -> peer     00C2  length  length bytes  one zero byte
//	keep-alive  peer -> server   00C3  name
//
// A name is one printable ASCII character (0x20 to 0x7E) in the low byte of
// its field, zero in the high byte. A port is 1 to 65535.
//
// # Running a machine
//
// [NewDirectory] and [NewPeer] make a [Machine]. Whoever owns it gives it each
// datagram that comes, by Step, sends what Poll gives out, and calls Poll again at
// the time that it names:
//
//	socket -> one buffer -> machine.Step(now, from, buf[:n]) -> parse (in place, no copy) -> state
//	       <- one batch of writes <- machine.Poll(now), until empty
//
// Package core/udp does so over a UDP socket, core/simnet over a virtual network
// with a virtual clock. Neither Step nor Poll allocates memory.
//
// # Hearing and counting
//
// What a machine does it counts ([Counters]), kind by kind, and tells as an [Event]
// to one optional function.
//
// # Names, addresses and dialects
//
// To the machines a [Name] is opaque and an address is a netip.AddrPort. How both
// stand on the wire only a [Codec] knows. The one above, [Exact], is the default.
// Package core/wire has its datagrams field by field, for tools that craft them.
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
	// Step takes one datagram in. It keeps nothing of the datagram. It reports whether
	// Poll has something new to say: a datagram to send, or another next.
	Step(now time.Time, from netip.AddrPort, datagram []byte) (poll bool)

	// Poll returns one datagram that is due. An empty Outgoing means that there is nothing to
	// send before next or, if next is the zero Time, before a Step that reports true. Call
	// Poll until it is empty, after such a Step (several may share one round) and at next.
	Poll(now time.Time) (out Outgoing, next time.Time)
}

// Outgoing is one datagram and the addresses that get it.
// It is valid until the machine is called again.
type Outgoing struct {
	Datagram []byte
	To       []netip.AddrPort
}

// Empty reports that there was nothing to send.
func (o Outgoing) Empty() bool { return len(o.To) == 0 }

// Bounds of one round of a driver.
const (
	// MostTaken bounds the datagrams stepped before the machine is polled, so that a flood
	// does not starve its timers. It is more than a full default buffer holds: whatever
	// arrived before a timer was due is stepped first, so that a server that resumes after
	// a suspension reads the waiting keep-alives before it removes silent peers.
	MostTaken = 4096

	// MostSent bounds the datagrams sent before the socket is read again, so that an
	// interval shorter than a system call does not starve the reader.
	MostSent = 1024
)

// Timing holds the protocol's intervals. The server uses Reap and Deadline,
// the peer the others, and Deadline to tell a suspension from mere lateness.
type Timing struct {
	Heartbeat time.Duration `json:"heartbeat"` // between a peer's keep-alives; 500ms
	Reap      time.Duration `json:"reap"`      // between the server's looks for silent peers; 500ms
	Deadline  time.Duration `json:"deadline"`  // a peer silent for longer is removed; 1.5s
	Broadcast time.Duration `json:"broadcast"` // between a peer's broadcasts, 0: none; 4s
	Retry     time.Duration `json:"retry"`     // between the births of a peer that hears no answer, 0: one birth only; 3s
	Refresh   time.Duration `json:"refresh"`   // between the births of a member, 0: no more; 0
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

// after is the first of due+interval, due+2*interval, … that lies after now, when due has come.
func after(now, due time.Time, interval time.Duration) time.Time {
	if next := due.Add(interval); now.Before(next) { // as a rule
		return next
	}
	return due.Add(now.Sub(due)/interval*interval + interval)
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
