package mesh

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/core"
)

// impaired stands between a machine and its socket and applies an Impairment to every datagram that
// goes out, link by link. Its log, in the store, is the truth that a measurement is held against.
type impaired struct {
	inner core.Machine
	what  result.Impairment
	rng   *rand.Rand
	rec   *record.Recorder

	held []parcel                            // the first due first
	sent map[netip.AddrPort]*record.Sequence // messages released, by address
	to   [1]netip.AddrPort
}

// parcel is one datagram on its way to one address.
type parcel struct {
	sent     time.Time // when it would have been sent
	at       time.Time // when it is due to be released
	to       netip.AddrPort
	datagram []byte
	measured bool   // a message of the window,
	counter  uint16 // and its sender's number of it
}

func newImpaired(inner core.Machine, what result.Impairment, seed uint64, rec *record.Recorder) *impaired {
	return &impaired{inner: inner, what: what, rec: rec, sent: make(map[netip.AddrPort]*record.Sequence),
		rng: rand.New(rand.NewPCG(seed, stream(rec.Self)))}
}

func (m *impaired) Step(now time.Time, from netip.AddrPort, datagram []byte) bool {
	return m.inner.Step(now, from, datagram)
}

func (m *impaired) Poll(now time.Time) (core.Outgoing, time.Time) {
	var next time.Time
	for {
		var out core.Outgoing
		m.rec.Measured = false
		if out, next = m.inner.Poll(now); out.Empty() {
			break
		}
		if !m.rec.Impairing.Load() && len(m.held) == 0 {
			return out, next
		}
		datagram := bytes.Clone(out.Datagram)
		for _, to := range out.To {
			m.hold(now, parcel{to: to, datagram: datagram, measured: m.rec.Measured, counter: m.rec.Counter})
		}
	}
	if len(m.held) == 0 {
		return core.Outgoing{}, next
	}
	if first := m.held[0].at; now.Before(first) {
		if next.IsZero() || first.Before(next) {
			next = first
		}
		return core.Outgoing{}, next
	}
	return m.release(now), now
}

// hold decides a datagram's fate.
func (m *impaired) hold(now time.Time, p parcel) {
	p.sent = now
	p.measured = p.measured && m.rec.IsOurs(p.to.Port())
	if !m.rec.Impairing.Load() {
		p.at = now
		m.insert(p)
		return
	}
	link := m.rec.Link(m.rec.Self, p.to.Port())
	if m.rec.Apart(m.rec.Self, p.to.Port()) || m.rng.Float64() < m.rec.LossOn(m.what.Loss, m.rec.Self, int(m.rec.Index[p.to.Port()])) ||
		link != 0 && m.rng.Float64() < link.Loss() {
		if m.rec.Accounted(p.to.Port()) {
			m.rec.Slot.Injected.Add(1)
		}
		if p.measured {
			m.rec.Slot.MeasuredInjected.Add(1)
		}
		return
	}
	copies := 1
	if m.rng.Float64() < m.what.Duplicate {
		copies = 2
		if m.rec.Accounted(p.to.Port()) {
			m.rec.Slot.Duplicated.Add(1)
		}
	}
	for range copies {
		p.at = now.Add(m.what.Delay + link.Delay())
		if m.what.Jitter > 0 {
			p.at = p.at.Add(time.Duration(m.rng.Int64N(int64(m.what.Jitter) + 1)))
		}
		if m.rng.Float64() < m.what.Reorder {
			p.at = p.at.Add(m.what.Delay + m.what.Jitter)
		}
		m.insert(p)
	}
}

// insert puts a parcel behind those that are due no later.
func (m *impaired) insert(p parcel) {
	at, _ := slices.BinarySearchFunc(m.held, p, func(q, p parcel) int {
		if q.at.After(p.at) {
			return 1
		}
		return -1
	})
	m.held = slices.Insert(m.held, at, p)
	m.count(p, 1)
}

// count adds n to the parcels that are held.
func (m *impaired) count(p parcel, n int) {
	if m.rec.Accounted(p.to.Port()) {
		m.rec.Slot.Held.Add(uint64(n))
	}
	if p.measured {
		m.rec.Slot.MeasuredHeld.Add(uint64(n))
	}
}

func (m *impaired) release(now time.Time) core.Outgoing {
	p := m.held[0]
	m.held = slices.Delete(m.held, 0, 1)
	m.count(p, -1)
	if p.measured {
		m.note(now, p)
	}
	m.to[0] = p.to
	return core.Outgoing{Datagram: p.datagram, To: m.to[:]}
}

// note logs what became of a measured message.
func (m *impaired) note(now time.Time, p parcel) {
	s := m.sent[p.to]
	if s == nil {
		s = new(record.Sequence)
		m.sent[p.to] = s
	}
	switch s.Place(p.counter) {
	case record.Again:
		m.rec.Slot.MeasuredDuplicated.Add(1)
		return
	case record.Behind:
		m.rec.Slot.MeasuredReordered.Add(1)
	}
	m.rec.Released(int64(now.Sub(p.sent)))
}

// drop ends the life of the machine inside; what it holds is lost.
func (m *impaired) drop() {
	m.held = nil
	m.rec.Slot.Vanish()
}
