package record

import (
	"math"
	"net/netip"
	"time"

	"p2plocal/core"
)

// Recorder writes one slot's part of the store. It observes that slot's
// machine.
type Recorder struct {
	*Store
	Clock    Clock
	Self     int
	Slot     *Slot
	Codec    core.Codec // the dialect's
	Journal  *Journal   // what takes more than this host's store is told here; nil: the store is all there is
	Measured bool       // the message that was last sent counts,
	Counter  uint16     // and has this counter
	view     core.Message
	last     Set                       // the last view
	listed   [(MostPeers + 7) / 8]byte // scratch,
	to       []uint16                  // and more of it
}

func NewRecorder(b *Store, c Clock, slot int) *Recorder {
	mine := &b.Slots[slot]
	mine.provide()
	return &Recorder{Store: b, Clock: c, Self: slot, Slot: mine, last: mine.View(), Codec: new(core.Exact)} // of a former process, maybe
}

func (r *Recorder) Observe(e *core.Event) {
	switch e.Kind {
	case core.Sent:
		r.sent(e)
	case core.Listed:
		r.directory(e)
	case core.Heard:
		r.message(e)
	case core.Retried:
		add(&r.Slot.Taken, 1)
	case core.Paged:
		add(&r.Slot.Taken, 1)
		r.Slot.Directories.Add(1, len(e.Data))
	default:
		if e.Kind.Dropped() {
			r.refused(e)
		}
	}
}

// Reset forgets what the slot's former holder saw.
func (r *Recorder) Reset(now time.Time) {
	r.Slot.Born.Store(0)
	r.Slot.Admitted.Store(0)
	r.See(r.Clock.At(now), "")
}

func (r *Recorder) sent(e *core.Event) {
	kind := core.Type(e.Data[0])
	r.Slot.out[kind-core.TypeBirth].Add(len(e.To), len(e.Data))
	for _, to := range e.To {
		if i := r.Index[to.Port()]; i != Nobody {
			share(r.Addressed(int(i)), 1, r.Alone)
		}
	}
	switch kind {
	case core.TypeBirth:
		at := r.Clock.At(e.At)
		r.Slot.Born.CompareAndSwap(0, at)
		r.Slot.Alive.Store(at)
	case core.TypeKeepAlive:
		r.Slot.Alive.Store(r.Clock.At(e.At))
	case core.TypeVanilla:
		if _, counter, ok := core.ParseBroadcast(r.text(e.Data)); ok {
			at := r.Clock.At(e.At)
			r.Broadcast(at, at-int64(e.Elapsed), counter, e.To)
		}
	}
}

// text is that of a vanilla message.
func (r *Recorder) text(datagram []byte) []byte {
	r.view.Text = nil
	r.Codec.Parse(&r.view, datagram)
	return r.view.Text
}

// Broadcast records one that was due, and is sent now.
func (r *Recorder) Broadcast(now, due int64, counter uint16, to []netip.AddrPort) {
	if r.Journal != nil {
		r.Measured, r.Counter = r.inWindow(due), counter
		r.Journal.broadcast(r, now, due, counter, to)
		return
	}
	slots := r.to[:0]
	for _, a := range to {
		slots = append(slots, r.Index[a.Port()])
	}
	r.to = slots
	r.broadcast(now, due, counter, slots)
}

func (r *Recorder) broadcast(now, due int64, counter uint16, to []uint16) {
	t := &r.Slot.ring[counter%ringSize]
	r.Measured, r.Counter = r.inWindow(due), counter
	tag := uint64(counter) + 1
	if r.Measured {
		tag |= measured
	}
	t.tag.Store(0)
	t.due.Store(due)
	t.sent.Store(now)
	t.tag.Store(tag)
	if !r.Measured {
		return
	}
	add(&r.Slot.Ticks, 1)
	sent := uint64(0) // to those of the mesh of whom we know what they get
	for _, i := range to {
		if i < ServerSlot {
			if p := r.Pair(r.Self, int(i)); p != nil {
				increment(&p.Sent)
			}
			if int64(i) >= r.External.Load() {
				sent++
			}
		}
	}
	add(&r.Slot.Messages, sent)
	r.Timer.record(now-due, r.Alone)
	share(&r.bucketOf(due).Sent, sent, r.Alone)
}

func (r *Recorder) refused(e *core.Event) {
	add(&r.Slot.Dropped, 1)
	slot := int(r.Index[e.Peer.Addr.Port()])
	if r.Self == ServerSlot || slot >= ServerSlot {
		return
	}
	counts := r.inWindow(r.Clock.At(e.At))
	if int64(slot) < r.External.Load() {
		r.Pair(slot, r.Self).Arrived.Add(1)
	} else if _, counter, ok := core.ParseBroadcast(r.text(e.Data)); ok {
		if r.Journal != nil {
			if e.Kind == core.Stranger {
				r.Journal.put(entryStranger, r.Self, r.Clock.At(e.At), uint64(slot), uint64(counter))
			}
			return
		}
		_, _, counts = r.when(slot, counter)
	}
	if e.Kind == core.Stranger && len(e.Data) > 0 && core.Type(e.Data[0]) == core.TypeVanilla && counts {
		add(&r.Slot.Strangers, 1)
	}
}

// when is when a broadcast of a slot's was due and was sent, and whether it counts: its sender
// has counted it in the present window, however short that has become since.
func (r *Recorder) when(slot int, counter uint16) (due, sent int64, counts bool) {
	t := &r.Slots[slot].ring[counter%ringSize]
	due, sent = t.due.Load(), t.sent.Load()
	return due, sent, t.tag.Load() == measured|uint64(counter)+1 && due >= r.From.Load()
}

func (r *Recorder) directory(e *core.Event) {
	add(&r.Slot.Taken, 1)
	r.Slot.Directories.Add(1, len(e.Data))
	s := r.list(e.All, r.listed[:])
	at := r.Clock.At(e.At)
	if s.Has(r.Self) {
		r.Slot.Admitted.CompareAndSwap(0, at)
	}
	r.See(at, s)
}

// Listed are those of the mesh whom a directory lists.
func (b *Store) Listed(all core.Members) Set { return b.list(all, make([]byte, MostPeers/8)) }

// list is Listed in bits that are somebody's.
func (b *Store) list(all core.Members, bits []byte) Set {
	bits = bits[:(b.Peers+7)/8]
	clear(bits)
	for m := range all.Each() {
		slot := int(b.Index[m.Addr.Port()])
		if slot < ServerSlot && b.NameOf(slot) == m.Name {
			bits[slot/8] |= 1 << (slot % 8)
		}
	}
	return SetOf(bits)
}

// See records the view from a time on.
func (r *Recorder) See(at int64, s Set) {
	if s != r.last || r.Slot.views.Load() == 0 {
		r.last = r.Slot.note(at, s)
		if r.Journal != nil {
			r.Journal.view(r.Self, at, s)
		}
	}
}

// message records a broadcast that arrived.
func (r *Recorder) message(e *core.Event) {
	add(&r.Slot.Taken, 1)
	name, counter, ok := core.ParseBroadcast(e.Data)
	slot := int(r.Index[e.Peer.Addr.Port()])
	if !ok || slot >= ServerSlot || string(name) != string(e.Peer.Name) {
		return
	}
	if at := r.Clock.At(e.At); int64(slot) < r.External.Load() {
		r.unknown(r.Pair(slot, r.Self), at, counter)
	} else {
		r.Arrive(at, slot, counter)
	}
}

// Arrive records that a slot's broadcast has arrived. It counts where it is the first of its
// kind in the window.
func (r *Recorder) Arrive(at int64, slot int, counter uint16) (transit int64, counts bool) {
	if r.Journal != nil {
		r.Journal.put(entryArrival, r.Self, at, uint64(slot), uint64(counter))
		return 0, false
	}
	p := r.Pair(slot, r.Self)
	due, sent, counts := r.when(slot, counter)
	if !counts {
		return 0, false
	}
	switch r.place(p, slot, counter) {
	case Again:
		r.Slot.Repeats++
		return 0, false
	case Behind:
		r.Slot.Reordered++
	}
	add(&r.Slot.Delivered, 1)
	if at-due > r.Interval.Load() {
		add(&r.Slot.Late, 1)
	}
	transit = at - sent
	r.Latency.record(transit, r.Alone)
	r.Due.record(at-due, r.Alone)
	if p != nil {
		p.Delivered++
		p.Max = max(p.Max, uint32(min(max(transit/1000, 0), math.MaxUint32)))
		if p.Delivered > 1 { // RFC 3550, section 6.4.1, in ns instead of media units
			p.Jitter += (math.Abs(float64(transit-p.transit)) - p.Jitter) / 16
		}
		p.transit = transit
	}
	b := r.bucketOf(due)
	b.Due.record(at - due)
	raise(&b.Max, at-due)
	return transit, true
}

// Released records how long the impairment has held a measured message.
func (r *Recorder) Released(held int64) {
	if r.Journal != nil {
		r.Journal.put(entryReleased, r.Self, held)
		return
	}
	r.Held.Record(held)
}

// place says where a message stands among its sender's. Where pairs are not kept, one that
// is not the last but comes again counts as reordered, and as delivered.
func (r *Recorder) place(p *pair, slot int, counter uint16) placing {
	if p != nil {
		return p.Order.Place(counter)
	}
	last := &r.lasts[r.Self*r.Peers+slot]
	switch ahead := int16(counter + 1 - *last); {
	case *last == 0 || ahead > 0:
		*last = counter + 1
		return inOrder
	case ahead == 0:
		return Again
	}
	return Behind
}

// unknown records a message of which only the arrival is known.
func (r *Recorder) unknown(p *pair, at int64, counter uint16) {
	p.Arrived.Add(1)
	if !r.inWindow(at) {
		return
	}
	if !p.Order.Started {
		p.First = counter
	}
	if p.Order.Place(counter) != Again {
		p.Delivered++
	}
}
