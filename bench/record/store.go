// Package record is where all that take part in a mesh write down what happens,
// and what is read from it: a store that processes share, recorders, histograms,
// a clock that all of the machine share, and who was alive when.
package record

import (
	"encoding/binary"
	"iter"
	"math"
	"math/bits"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"p2plocal/core"
)

// A Store is where all that take part in one mesh write down what happens:
// memory without pointers, so that processes can share it and a
// killed one leaves what it had recorded. Most fields have one writer; those
// that others read meanwhile are atomic.
type Store struct {
	*header
	Slots     []Slot          // those in use: of the peers, and the server's at ServerSlot
	addressed []atomic.Uint64 // datagrams sent to each slot, the server's last
	pairs     []pair          // by sender; none where there are more than PairedPeers
	links     []atomic.Uint64 // a Link from each slot to each, the server's last; as pairs
	lasts     []uint16        // then: by receiver, each sender's highest counter seen, plus 1
}

// header is the part of a Store that is as large for every mesh.
type header struct {
	Index [1 << 16]uint16 // port -> slot; nobody where there is none
	Peers int             // as many slots, from 0 on

	// Messages due in [from, to) count. All times are the clock's ns.
	From, To     atomic.Int64
	Width        atomic.Int64 // of one bucket
	Interval     atomic.Int64 // between one sender's messages
	ServerKnown  atomic.Bool  // the server is ours, and all that it gets is in the store
	Impairing    atomic.Bool  // the impairment is on
	Divisible    bool         // it may be divided
	divided      atomic.Bool  // nothing passes between half and the rest
	half         [(MostPeers + 7) / 8]byte
	Hostile      atomic.Uint64 // datagrams sent so far that mean no good
	AllAccounted atomic.Bool   // what is sent to nobody of the mesh's is in the accounts, too
	Wide, Keyed  bool          // the dialect is the wide one, and sealed
	External     atomic.Int64  // slots below are not ours: their sending is not on the store
	Alone        bool          // one goroutine records for all, as in virtual time

	Latency, Due, Timer Histogram
	Held                Histogram // by the impairment, of the measured messages
	Buckets             [bucketCount]bucket
}

const (
	// MostPeers is the largest mesh; one of up to PairedPeers, the exact dialect's most, knows
	// what happened between any two peers, a larger one only what each has sent and received,
	// so that its memory grows with the peers but for two bytes a pair.
	MostPeers   = 4000
	PairedPeers = core.MaxPeers

	ServerSlot  = MostPeers
	Nobody      = 0xFFFF
	bucketCount = 240     // time slices of the measured window
	ringSize    = 4096    // broadcasts of one sender that are remembered
	viewLogSize = 3 << 18 // bytes of the changes of one view that are remembered: 2^15 of 95 peers
)

// layout lays a store for so many peers over memory, or with nil only says how many bytes
// it takes. Each slot's first fields, its log of views and its ring stand together, because
// a page that is touched for the first time can cost more than a datagram.
func layout(memory []byte, peers int) (b *Store, size int) {
	m := &parts{memory: memory}
	b = &Store{header: unsafe.SliceData(part[header](m, 1)), addressed: part[atomic.Uint64](m, peers+1), Slots: make([]Slot, ServerSlot+1)}
	if peers <= PairedPeers {
		b.pairs = part[pair](m, peers*(peers|1))
		b.links = part[atomic.Uint64](m, (peers+1)*(peers+1))
	} else {
		b.lasts = part[uint16](m, peers*peers)
	}
	for i := range peers + 1 {
		s := Slot{slot: unsafe.SliceData(part[slot](m, 1)), log: part[byte](m, viewLogSize), set: (peers + 63) / 64 * 8, ring: part[tick](m, ringSize)}
		if i == peers {
			i = ServerSlot
		}
		b.Slots[i] = s
	}
	return b, m.used
}

// parts is memory that is handed out in whole cache lines, which two writers must not share.
type parts struct {
	memory []byte // nil: it is only counted
	used   int
}

func part[T any](m *parts, n int) (p []T) {
	const line = 64
	size := n * int(unsafe.Sizeof(*new(T)))
	if m.memory != nil && n > 0 {
		p = unsafe.Slice((*T)(unsafe.Pointer(&m.memory[m.used])), n)
	}
	m.used += (size + line - 1) / line * line
	return p
}

// Pair is what one sender's messages came to at one receiver; nil: that is not kept.
func (b *Store) Pair(from, to int) *pair {
	if len(b.pairs) == 0 {
		return nil
	}
	return &b.pairs[from*(b.Peers|1)+to] // an odd distance: a receiver's pairs fall into different cache sets
}

// Addressed is how many datagrams were sent to a slot.
func (b *Store) Addressed(slot int) *atomic.Uint64 { return &b.addressed[min(slot, b.Peers)] }

// Prepare makes a store ready that nobody is in yet, and that has no window.
func (b *Store) Prepare() {
	for i := range b.Index {
		b.Index[i] = Nobody
	}
	b.From.Store(1 << 62)
	b.To.Store(1 << 62)
}

// Control is what a store tells recorders and impairments: the window, and what the impairment does.
type Control struct {
	From, To, Width, Interval int64
	Impairing, Divided        bool
	Half                      []byte // one side of the division, as a set
}

func (b *Store) Control() Control {
	return Control{b.From.Load(), b.To.Load(), b.Width.Load(), b.Interval.Load(), b.Impairing.Load(), b.divided.Load(), []byte(SetOf(b.half[:]))}
}

// SetControl sets it as it is in another host's store.
func (b *Store) SetControl(c Control) {
	b.Width.Store(c.Width)
	b.Interval.Store(c.Interval)
	b.From.Store(c.From)
	b.To.Store(c.To)
	if c.Divided {
		b.Divide(Set(c.Half))
	} else {
		b.Unite()
	}
	b.Impairing.Store(c.Impairing)
}

// bucket is a slice of the window, by due time.
type bucket struct {
	Sent atomic.Uint64
	Max  atomic.Int64
	Due  sketch // of those delivered
}

// Slot is one peer's part, or the server's.
type Slot struct {
	*slot
	log  []byte // of the view: times and sets
	set  int    // bytes of a set in it
	ring []tick // what it has sent
}

// slot is the part that is as large in every mesh.
type slot struct {
	own
	Ticks    atomic.Uint64
	Messages atomic.Uint64 // sent in the window to peers of ours

	// As a receiver:
	Delivered atomic.Uint64 // messages of the window
	Repeats   uint64        // of those: that came again,
	Reordered uint64        // after a later one of its sender's
	Late      atomic.Uint64 // later than an interval
	Strangers atomic.Uint64 // messages of the window refused as those of one whom the view does not have
	views     atomic.Uint32
	Lost      atomic.Uint32 // changes that found the log full
}

// own is what a slot knows by itself, without what others have sent: words that a journal takes as they are.
type own struct {
	// As a sender:
	out                [5]traffic   // by type, from birth on
	Born               atomic.Int64 // first birth of this life
	Alive              atomic.Int64 // last birth or keep-alive
	Unsent             atomic.Uint64
	Injected           atomic.Uint64 // by the impairment, of all datagrams:
	Duplicated         atomic.Uint64
	Vanished           atomic.Uint64 // held by the impairment when the sender died
	Held               atomic.Uint64 // by the impairment, at present
	MeasuredHeld       atomic.Uint64 // of the measured messages
	MeasuredInjected   atomic.Uint64 // of the measured messages:
	MeasuredDuplicated atomic.Uint64
	MeasuredReordered  atomic.Uint64
	lossOut, lossIn    atomic.Uint64 // part of what it sends, or is sent to it, that the impairment loses beside its own, as bits of a float64

	// As a receiver:
	Taken, Dropped, Dead atomic.Uint64
	Admitted             atomic.Int64 // first directory of this life that names it
	Directories          traffic
}

// provide has the system provide the memory of a slot's first events before they happen:
// a page of it can cost more time than a datagram.
func (s *Slot) provide() {
	s.out[0].Add(0, 0)
	s.log[0] = 0
}

type traffic struct{ Datagrams, bytes atomic.Uint64 }

func (t *traffic) Add(n, size int) {
	add(&t.Datagrams, uint64(n))
	add(&t.bytes, uint64(n)*uint64(size))
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

// SentAt corrects when a broadcast was sent.
func (s *Slot) SentAt(counter uint16, at int64) {
	if t := &s.ring[counter%ringSize]; uint16(t.tag.Load()-1) == counter {
		t.sent.Store(at)
	}
}

// View is what a peer saw from a time on.
type View struct {
	At  int64
	Set Set
}

// Set is a set of slots: bit i%8 of byte i/8 for each, as far as there is any, so that equal
// sets are equal strings.
type Set string

// SetOf is what is in bits, without a copy.
func SetOf(bits []byte) Set {
	n := len(bits)
	for n > 0 && bits[n-1] == 0 {
		n--
	}
	return Set(unsafe.String(unsafe.SliceData(bits), n))
}

func (s Set) Has(i int) bool { return i/8 < len(s) && s[i/8]>>(i%8)&1 != 0 }
func (s *Set) Add(i int)     { s.change(i, func(b *byte) { *b |= 1 << (i % 8) }) }
func (s *Set) Remove(i int)  { s.change(i, func(b *byte) { *b &^= 1 << (i % 8) }) }

// Includes reports that all of another are in it.
func (s Set) Includes(all Set) bool {
	for i := range len(all) {
		if i >= len(s) && all[i] != 0 || i < len(s) && all[i]&^s[i] != 0 {
			return false
		}
	}
	return true
}

func (s *Set) change(i int, of func(*byte)) {
	bits := make([]byte, max(len(*s), i/8+1))
	copy(bits, *s)
	of(&bits[i/8])
	*s = SetOf(bits)
}

func (s Set) Len() (n int) {
	for i := range len(s) {
		n += bits.OnesCount8(s[i])
	}
	return n
}

// All yields the slots in order.
func (s Set) All() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range 8 * len(s) {
			if s.Has(i) && !yield(i) {
				return
			}
		}
	}
}

// pair is one sender's messages at one receiver, within the window. All but
// sent is the receiver's. It fills one cache line.
type pair struct {
	Sent      atomic.Uint32
	Arrived   atomic.Uint32 // from an external peer, at any time, also again, also refused
	First     uint16        // counter of the first, of an external sender
	Delivered uint32
	Max       uint32 // of transit, in µs
	Order     Sequence
	transit   int64 // latency of the last one
	Jitter    float64
	_         [8]byte
}

// add adds to a counter of which the caller is the only writer. That needs no lock on the cache
// line, which takes longer than the rest of what recording a message does.
func add(a *atomic.Uint64, n uint64) { *(*uint64)(unsafe.Pointer(a)) += n }

// increment is add of 1.
func increment(a *atomic.Uint32) { *(*uint32)(unsafe.Pointer(a))++ }

// share adds to a counter that all recorders write, unless the caller does so alone.
func share(a *atomic.Uint64, n uint64, alone bool) {
	if alone {
		add(a, n)
	} else {
		a.Add(n)
	}
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
	clear(b.half[copy(b.half[:], half):])
	b.divided.Store(true)
}

func (b *Store) Unite() { b.divided.Store(false) }

// Apart reports that a link from a slot to a port is cut.
func (b *Store) Apart(from int, port uint16) bool {
	to := b.Index[port]
	half := SetOf(b.half[:])
	return b.divided.Load() && to != Nobody && half.Has(from) != half.Has(int(to))
}

// Lose has the impairment lose a part of what a slot sends, and of what is sent to it, beside
// what it loses on all links. All of it is a cut in one direction.
func (b *Store) Lose(slot int, out, in float64) {
	b.Slots[slot].lossOut.Store(math.Float64bits(out))
	b.Slots[slot].lossIn.Store(math.Float64bits(in))
}

// LossOn is the part that is lost on a link between two slots, of which all lose a part.
func (b *Store) LossOn(all float64, from, to int) float64 {
	out, in := b.Slots[from].lossOut.Load(), uint64(0)
	if to < len(b.Slots) && b.Slots[to].slot != nil {
		in = b.Slots[to].lossIn.Load()
	}
	if out|in == 0 {
		return all
	}
	return 1 - (1-all)*(1-math.Float64frombits(out))*(1-math.Float64frombits(in))
}

// A Link is what is done to datagrams from one slot to another, beside what the impairment
// does to all: in 24 bits how likely each is lost, in 40 how many nanoseconds it takes longer.
type Link uint64

// NewLink rounds.
func NewLink(loss float64, delay time.Duration) Link {
	const most = 1<<24 - 1
	return Link(loss*most)<<40 | Link(min(delay, 1<<40-1))
}

// Loss and Delay are what the link does.
func (l Link) Loss() float64        { return float64(l>>40) / (1<<24 - 1) }
func (l Link) Delay() time.Duration { return time.Duration(l & (1<<40 - 1)) }

// SetLink sets what one does, of up to PairedPeers peers; the server is the one after the last.
func (b *Store) SetLink(from, to int, l Link) { b.links[from*(b.Peers+1)+to].Store(uint64(l)) }

// Link is what the one from a slot to a port does.
func (b *Store) Link(from int, port uint16) Link {
	to := b.Index[port]
	if to == Nobody || len(b.links) == 0 {
		return 0
	}
	return Link(b.links[min(from, b.Peers)*(b.Peers+1)+min(int(to), b.Peers)].Load())
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

// change is the n-th change of a slot's view.
func (s *Slot) change(n int) View {
	at := s.log[n*(8+s.set):]
	return View{int64(binary.NativeEndian.Uint64(at)), SetOf(at[8:][:s.set])}
}

// Changes is a slot's view changes so far, oldest first. Their sets last as long as the store.
func (s *Slot) Changes() []View {
	all := make([]View, s.views.Load())
	for n := range all {
		all[n] = s.change(n)
	}
	return all
}

// View is what the slot sees at present. It lasts as long as the store.
func (s *Slot) View() Set {
	if n := s.views.Load(); n > 0 {
		return s.change(int(n) - 1).Set
	}
	return ""
}

// Latest is when the present view began, 0 if there has been none, and how many there were.
func (s *Slot) Latest() (at int64, n uint32) {
	if n = s.views.Load(); n > 0 {
		at = s.change(int(n) - 1).At
	}
	return at, n
}

// note adds a change, and gives the set that lasts as long as the store.
func (s *Slot) note(at int64, set Set) Set {
	n := int(s.views.Load())
	entry := 8 + s.set
	if (n+1)*entry > len(s.log) {
		s.Lost.Add(1)
		return Set(strings.Clone(string(set)))
	}
	e := s.log[n*entry:][:entry]
	binary.NativeEndian.PutUint64(e, uint64(at))
	copy(e[8:], set)
	s.views.Store(uint32(n + 1))
	return s.change(n).Set
}

// When is the first time, at or after since, that ok held for the slot's view; a
// time before since is one from which on it has held all along.
func (s *Slot) When(since int64, ok func(Set) bool) (int64, bool) {
	n := int(s.views.Load())
	for i := range n {
		if i+1 < n && s.change(i+1).At <= since {
			continue // gone before since
		}
		if v := s.change(i); ok(v.Set) {
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
