package fuzz_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"p2plocal/core"
	"p2plocal/fuzz/hostile"
)

// A schedule is what FuzzDirectory and FuzzPeer make of their bytes: datagrams
// in the order of time. An operation is
//
//	wait    1 byte   times 20 ms before it
//	origin  1 byte   modulo the six Origins
//	length  1 byte   of the datagram; 255: a little-endian uint16 follows and counts
//	datagram
//
// and what is cut off at the end stays cut off.
type operation struct {
	wait     time.Duration
	from     hostile.Origin
	datagram []byte
}

var epoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

const waitUnit = 20 * time.Millisecond

// nextOperation takes the first operation off b; ok is false at the end.
func nextOperation(b []byte) (op operation, rest []byte, ok bool) {
	if len(b) < 3 {
		return op, nil, false
	}
	op.wait, op.from = time.Duration(b[0])*waitUnit, hostile.Origin(b[1])%(hostile.FromDouble+1)
	n, b := int(b[2]), b[3:]
	if n == 255 && len(b) >= 2 {
		n, b = int(binary.LittleEndian.Uint16(b)), b[2:]
	}
	n = min(n, len(b), core.MaxDatagram)
	op.datagram = b[:n]
	return op, b[n:], true
}

func (op operation) append(b []byte) []byte {
	b = append(b, byte(min(op.wait/waitUnit, 255)), byte(op.from))
	if len(op.datagram) < 255 {
		b = append(b, byte(len(op.datagram)))
	} else {
		b = binary.LittleEndian.AppendUint16(append(b, 255), uint16(len(op.datagram)))
	}
	return append(b, op.datagram...)
}

// appendCase writes a case's steps as operations.
func appendCase(b []byte, c hostile.Case) []byte {
	at := time.Duration(0)
	for _, s := range c.Steps {
		wait := min((s.At-at)/waitUnit, 255)
		b = operation{wait * waitUnit, s.From, s.Datagram}.append(b)
		at += wait * waitUnit
	}
	return b
}

// drive gives a machine the schedule, polling it whenever it is due as the
// machine's contract asks, then lets time go on for tail. step and polled see
// each datagram given and each Outgoing that comes, idle every time that there is
// nothing more. It panics where a Step said that there is no need to poll, and there was.
func drive(m core.Machine, schedule []byte, address func(hostile.Origin) netip.AddrPort, tail time.Duration,
	step func(now time.Time, from netip.AddrPort, datagram []byte), polled func(now time.Time, out core.Outgoing), idle func(now, next time.Time)) {
	now := epoch
	var next time.Time
	sent := 0
	poll := func() {
		for {
			out, n := m.Poll(now)
			if out.Empty() {
				next = n
				idle(now, next)
				return
			}
			sent++
			polled(now, out)
		}
	}
	until := func(t time.Time) {
		for !next.IsZero() && !next.After(t) {
			if next.After(now) {
				now = next
			}
			poll()
		}
		now = t
	}
	poll()
	for {
		op, rest, ok := nextOperation(schedule)
		if !ok {
			break
		}
		schedule = rest
		until(now.Add(op.wait))
		from := address(op.from)
		was, before, ask := next, sent, m.Step(now, from, op.datagram)
		step(now, from, op.datagram)
		if poll(); !ask && (sent != before || !next.Equal(was)) {
			panic(fmt.Sprintf("after %x, which needs no poll, %d datagrams go out and the next poll is at %v, was at %v", op.datagram, sent-before, next, was))
		}
	}
	until(now.Add(tail))
}
