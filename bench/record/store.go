// Package record is where all that take part in a mesh write down what happens,
// and what is read from it: a store that processes share, recorders, histograms,
// a clock that all of the machine share, and who was alive when.
package record

import (
	"iter"
	"math/bits"
	"sync/atomic"
	"time"

	"p2plocal/core"
)

// A Store is where all that take part in one mesh write down what happens:
// a block of memory without pointers, so that processes can share it and a
// killed one leaves what it had recorded. Most fields have one writer; those
// that others read meanwhile are atomic.
type Store struct {
	Index [1 << 16]uint8                     // port -> slot; nobody where there is none
	Pairs [core.MaxPeers][core.MaxPeers]pair // sender, receiver; where each fills one cache line

	// Messages due in [from, to) count. All times are the clock's ns.
	From, To     atomic.Int64
	Width        atomic.Int64 // of one bucket
	Interval     atomic.Int64 // between one sender's messages
	ServerKnown  atomic.Bool  // the server is ours, and all that it gets is in the store
	Impairing    atomic.Bool  // the impairment is on
	Peers        int          // the slots that are in use, beside the server's
	Divisible    bool         // it may be divided
	divided      atomic.Bool  // nothing passes between half and the rest
	half         Set
	AllAccounted atomic.Bool  // what is sent to nobody of the mesh's is in the accounts, too
	Wide, Keyed  bool         // the dialect is the wide one, and sealed
	External     atomic.Int64 // slots below are not ours: their sending is not on the store

	Latency, Due, Timer Histogram
	Held                Histogram // by the impairment, of the measured messages
	Buckets             [bucketCount]bucket
	Slots               [ServerSlot + 1]Slot
}

const (
	ServerSlot  = core.MaxPeers
	Nobody      = 0xFF
	bucketCount = 240     // time slices of the measured window
	ringSize    = 4096    // broadcasts of one sender that are remembered
	viewLogSize = 1 << 15 // changes of one view that are remembered
)

// bucket is a slice of the window, by due time.
type bucket struct {
	Sent atomic.Uint64
	Max  atomic.Int64
	Due  sketch // of those delivered
}

// Slot is one peer's part, or the server's. What is written from its first event on
// stands together, before what grows.
type Slot struct {
	// As a sender:
	out                [5]traffic // by type, from birth on
	To                 [ServerSlot + 1]atomic.Uint64
	Born               atomic.Int64 // first birth of this life
	Alive              atomic.Int64 // last birth or keep-alive
	Ticks              atomic.Uint64
	Messages           atomic.Uint64 // sent in the window
	Unsent             atomic.Uint64
	Injected           atomic.Uint64 // by the impairment, of all datagrams:
	Duplicated         atomic.Uint64
	Vanished           atomic.Uint64 // held by the impairment when the sender died
	Held               atomic.Uint64 // by the impairment, at present
	MeasuredHeld       atomic.Uint64 // of the measured messages
	MeasuredInjected   atomic.Uint64 // of the measured messages:
	MeasuredDuplicated atomic.Uint64
	MeasuredReordered  atomic.Uint64

	// As a receiver:
	Taken, Dropped, Dead atomic.Uint64
	Delivered            atomic.Uint64 // messages of the window
	Strangers            atomic.Uint64 // messages of the window refused as those of one whom the view does not have
	Admitted             atomic.Int64  // first directory of this life that names it
	Directories          traffic
	views                atomic.Uint32
	Lost                 atomic.Uint32 // changes that found the log full
	log                  [viewLogSize]View

	ring [ringSize]tick // what it has sent
}

// provide has the system provide the memory of a slot's first events before they happen:
// a page of it can cost more time than a datagram.
func (s *Slot) provide() {
	s.out[0].Add(0, 0)
	s.views.Add(0)
}

type traffic struct{ Datagrams, bytes atomic.Uint64 }

func (t *traffic) Add(n, size int) {
	t.Datagrams.Add(uint64(n))
	t.bytes.Add(uint64(n) * uint64(size))
}

func (t *traffic) Load() core.Traffic {
	return core.Traffic{Datagrams: t.Datagrams.Load(), Bytes: t.bytes.Load()}
}

// ByType is what the slot has sent: machines of ours send nothing of other types.
func (s *Slot) ByType() core.ByType {
	return core.ByType{Birth: s.out[0].Load(), Directory: s.out[1].Load(), Vanilla: s.out[2].Load(), KeepAlive: s.out[3].Load(), Retry: s.out[4].Load()}
}

// Vanish has what the impairment holds go with its sender.
func (s *Slot) Vanish() {
	s.Vanished.Add(s.Held.Swap(0))
	s.MeasuredHeld.Store(0)
}

// tick is one broadcast: when it was due and when it was sent.
type tick struct {
	tag       atomic.Uint64 // counter + 1, and measured where the broadcast counts
	due, sent atomic.Int64
}

const measured = 1 << 32

// View is what a peer saw from a time on.
type View struct {
	At  int64
	Set Set
}

// Set is a set of slots.
type Set [2]uint64

func (s Set) Has(i int) bool { return s[i/64]>>(i%64)&1 != 0 }
func (s *Set) Add(i int)     { s[i/64] |= 1 << (i % 64) }
func (s *Set) Remove(i int)  { s[i/64] &^= 1 << (i % 64) }
func (s Set) Len() int       { return bits.OnesCount64(s[0]) + bits.OnesCount64(s[1]) }

// All yields the slots in order.
func (s Set) All() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range 64 * len(s) {
			if s.Has(i) && !yield(i) {
				return
			}
		}
	}
}

// pair is one sender's messages at one receiver, within the window. All but
// sent is the receiver's.
type pair struct {
	Sent                                   atomic.Uint32
	Arrived                                atomic.Uint32 // at any time, also again, also refused if from an external peer
	First                                  uint16        // counter of the first, of an external sender
	Delivered, Duplicated, Reordered, Late uint32
	Max                                    uint32 // of transit, in µs
	Order                                  Sequence
	transit                                int64 // latency of the last one
	Jitter                                 float64
}

func (b *Store) inWindow(due int64) bool { return due >= b.From.Load() && due < b.To.Load() }

// Accounted reports that what is sent to a port is in the accounts.
func (b *Store) Accounted(port uint16) bool {
	i := b.Index[port]
	return i == ServerSlot && b.ServerKnown.Load() || i < ServerSlot && int64(i) >= b.External.Load() ||
		i == Nobody && b.AllAccounted.Load()
}

// IsOurs reports that a port is that of a peer of ours: what it gets is known.
func (b *Store) IsOurs(port uint16) bool {
	i := b.Index[port]
	return i < ServerSlot && int64(i) >= b.External.Load()
}

// Divide cuts all links between a set of slots and the rest; Unite heals them.
func (b *Store) Divide(half Set) {
	b.half = half
	b.divided.Store(true)
}

func (b *Store) Unite() { b.divided.Store(false) }

// Apart reports that a link from a slot to a port is cut.
func (b *Store) Apart(from int, port uint16) bool {
	to := b.Index[port]
	return b.divided.Load() && to != Nobody && b.half.Has(from) != b.half.Has(int(to))
}

// OpenWindow sets the window. Nothing due in it must have been sent yet.
func (b *Store) OpenWindow(from, to int64, interval time.Duration) {
	b.Width.Store(max((to-from+bucketCount-1)/bucketCount, 1))
	b.Interval.Store(int64(interval))
	b.From.Store(from)
	b.To.Store(to)
}

func (b *Store) bucketOf(due int64) *bucket {
	return &b.Buckets[min(max((due-b.From.Load())/max(b.Width.Load(), 1), 0), bucketCount-1)]
}

// Changes is a slot's view changes so far, oldest first.
func (s *Slot) Changes() []View { return s.log[:s.views.Load()] }

// View is what the slot sees at present.
func (s *Slot) View() Set {
	if n := s.views.Load(); n > 0 {
		return s.log[n-1].Set
	}
	return Set{}
}

// When is the first time, at or after since, that ok held for the slot's view; a
// time before since is one from which on it has held all along.
func (s *Slot) When(since int64, ok func(Set) bool) (int64, bool) {
	log := s.Changes()
	for i, v := range log {
		if until := i + 1; until < len(log) && log[until].At <= since {
			continue // gone before since
		}
		if ok(v.Set) {
			return v.At, true
		}
	}
	return 0, false
}

// Used yields the slots in use: the rest would cost a page each to be looked at.
func (b *Store) Used() iter.Seq2[int, *Slot] {
	return func(yield func(int, *Slot) bool) {
		for i := range b.Peers {
			if !yield(i, &b.Slots[i]) {
				return
			}
		}
		yield(ServerSlot, &b.Slots[ServerSlot])
	}
}

// Sum adds up a counter of all slots.
func (b *Store) Sum(of func(*Slot) *atomic.Uint64) (n uint64) {
	for _, s := range b.Used() {
		n += of(s).Load()
	}
	return n
}

// Messages are the measured messages sent so far, and delivered so far.
func (b *Store) Messages() (sent, delivered uint64) {
	return b.Sum(func(s *Slot) *atomic.Uint64 { return &s.Messages }), b.Sum(func(s *Slot) *atomic.Uint64 { return &s.Delivered })
}
