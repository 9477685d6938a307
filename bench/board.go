package bench

import (
	"math"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"p2plocal/core"
)

// A board is where all that take part in one mesh write down what happens:
// a block of memory without pointers, so that processes can share it and a
// killed one leaves what it had recorded. Most fields have one writer; those
// that others read meanwhile are atomic.
type board struct {
	index [1 << 16]uint8 // port -> seat; nobody where there is none

	// Messages due in [from, to) count. All times are the clock's ns.
	from, to    atomic.Int64
	width       atomic.Int64 // of one bucket
	interval    atomic.Int64 // between one sender's messages
	serverKnown atomic.Bool  // the server is ours, and all that it gets is on the board
	impairing   atomic.Bool  // the impairment is on
	strangers   atomic.Bool  // what is sent to nobody of the mesh's is in the accounts, too
	external    atomic.Int64 // seats below are not ours: their sending is not on the board

	latency, due, timer histogram
	held                histogram // by the impairment, of the measured messages
	buckets             [bucketCount]bucket
	seats               [serverSeat + 1]seatBoard
	pairs               [core.MaxPeers][core.MaxPeers]pair // sender, receiver
}

const (
	serverSeat  = core.MaxPeers
	nobody      = 0xFF
	bucketCount = 240     // time slices of the measured window
	ringSize    = 4096    // broadcasts of one sender that are remembered
	viewLogSize = 1 << 15 // changes of one view that are remembered
)

// bucket is a slice of the window, by due time.
type bucket struct {
	sent, delivered atomic.Uint64
	max             atomic.Int64
	due             sketch
}

// seatBoard is one peer's part, or the server's.
type seatBoard struct {
	// As a sender:
	out        [5]traffic // by type, see typeIndex
	to         [serverSeat + 1]atomic.Uint64
	born       atomic.Int64 // first birth of this life
	alive      atomic.Int64 // last birth or keep-alive
	ticks      atomic.Uint64
	messages   atomic.Uint64 // sent in the window
	ring       [ringSize]tick
	unsent     atomic.Uint64
	injected   atomic.Uint64 // by the impairment, of all datagrams:
	doubled    atomic.Uint64
	vanished   atomic.Uint64 // held by the impairment when the sender died
	mInjected  atomic.Uint64 // of the measured messages:
	mDoubled   atomic.Uint64
	mReordered atomic.Uint64

	// As a receiver:
	taken, dropped, dead atomic.Uint64
	delivered            atomic.Uint64 // messages of the window
	admitted             atomic.Int64  // first directory of this life that names it
	directories          traffic
	foreign              atomic.Uint64 // entries that are nobody of this mesh's
	views                atomic.Uint32
	lost                 atomic.Uint32 // changes that found the log full
	log                  [viewLogSize]view
}

type traffic struct{ datagrams, bytes atomic.Uint64 }

func (t *traffic) add(n, size int) {
	t.datagrams.Add(uint64(n))
	t.bytes.Add(uint64(n) * uint64(size))
}

func (t *traffic) load() core.Traffic {
	return core.Traffic{Datagrams: t.datagrams.Load(), Bytes: t.bytes.Load()}
}

// typeIndex is 0 for a birth, 1 directory, 2 vanilla, 3 keep-alive.
func typeIndex(datagram []byte) int {
	if len(datagram) < 2 || datagram[0] < byte(core.TypeBirth) || datagram[0] > byte(core.TypeKeepAlive) || datagram[1] != 0 {
		return 4
	}
	return int(datagram[0] - byte(core.TypeBirth))
}

func (s *seatBoard) byType() core.ByType {
	return core.ByType{Birth: s.out[0].load(), Directory: s.out[1].load(), Vanilla: s.out[2].load(),
		KeepAlive: s.out[3].load(), Other: s.out[4].load()}
}

// tick is one broadcast: when it was due and when it was sent.
type tick struct {
	tag       atomic.Uint64 // counter + 1
	due, sent atomic.Int64
}

// view is what a peer saw from a time on.
type view struct {
	at  int64
	set set
}

// set is a set of seats.
type set [2]uint64

func (s set) has(i int) bool { return s[i/64]>>(i%64)&1 != 0 }
func (s *set) add(i int)     { s[i/64] |= 1 << (i % 64) }
func (s *set) remove(i int)  { s[i/64] &^= 1 << (i % 64) }

// pair is one sender's messages at one receiver, within the window. All but
// sent is the receiver's.
type pair struct {
	sent                                   atomic.Uint32
	arrived                                atomic.Uint32 // at any time, also again, also refused if from an external peer
	first                                  uint16        // counter of the first, of an external sender
	delivered, duplicated, reordered, late uint32
	order                                  sequence
	transit                                int64 // latency of the last one
	jitter                                 float64
	latency                                sketch
}

// recorder writes one seat's part of the board. It observes that seat's
// machine.
type recorder struct {
	*board
	clock    clock
	self     int
	mine     *seatBoard
	measured bool // the message that was last sent counts
	last     set  // the last view
}

func newRecorder(b *board, c clock, seat int) *recorder {
	mine := &b.seats[seat]
	return &recorder{board: b, clock: c, self: seat, mine: mine, last: mine.view()} // of a former process, maybe
}

func (r *recorder) observe(e core.Event) {
	switch e.Kind {
	case core.Sent:
		r.sent(e)
	case core.Listed:
		r.directory(e.At, e.All)
	case core.Heard:
		r.message(e.At, e.Peer, e.Data)
	default:
		if e.Kind.Dropped() {
			r.refused(e.From)
		}
	}
}

// newLife forgets what the seat's former holder saw.
func (r *recorder) newLife(now time.Time) {
	r.mine.born.Store(0)
	r.mine.admitted.Store(0)
	r.see(r.clock.at(now), set{})
}

func (r *recorder) sent(e core.Event) {
	kind := typeIndex(e.Data)
	r.mine.out[kind].add(len(e.To), len(e.Data))
	for _, port := range e.To {
		if i := r.index[port]; i != nobody {
			r.mine.to[i].Add(1)
		}
	}
	switch core.Type(e.Data[0]) {
	case core.TypeBirth:
		at := r.clock.at(e.At)
		r.mine.born.CompareAndSwap(0, at)
		r.mine.alive.Store(at)
	case core.TypeKeepAlive:
		r.mine.alive.Store(r.clock.at(e.At))
	case core.TypeVanilla:
		_, counter, ok := core.ParseBroadcast(e.Data[4 : len(e.Data)-1])
		if ok {
			at := r.clock.at(e.At)
			r.broadcast(at, at-int64(e.At.Sub(e.Since)), counter, e.To)
		}
	}
}

func (r *recorder) broadcast(now, due int64, counter uint16, ports []uint16) {
	t := &r.mine.ring[counter%ringSize]
	t.tag.Store(0)
	t.due.Store(due)
	t.sent.Store(now)
	t.tag.Store(uint64(counter) + 1)
	if r.measured = r.inWindow(due); !r.measured {
		return
	}
	r.mine.ticks.Add(1)
	r.mine.messages.Add(uint64(len(ports)))
	r.timer.record(now - due)
	r.bucketOf(due).sent.Add(uint64(len(ports)))
	for _, port := range ports {
		if i := r.index[port]; i < serverSeat {
			r.pairs[r.self][i].sent.Add(1)
		}
	}
}

func (b *board) inWindow(due int64) bool { return due >= b.from.Load() && due < b.to.Load() }

// booked reports that what is sent to a port is in the accounts.
func (b *board) booked(port uint16) bool {
	i := b.index[port]
	return i == serverSeat && b.serverKnown.Load() || i < serverSeat && int64(i) >= b.external.Load() ||
		i == nobody && b.strangers.Load()
}

// hears reports that a port is that of a peer of ours: what it gets is known.
func (b *board) hears(port uint16) bool {
	i := b.index[port]
	return i < serverSeat && int64(i) >= b.external.Load()
}

// open sets the window. Nothing due in it must have been sent yet.
func (b *board) open(from, to int64, interval time.Duration) {
	b.width.Store(max((to-from+bucketCount-1)/bucketCount, 1))
	b.interval.Store(int64(interval))
	b.from.Store(from)
	b.to.Store(to)
}

func (b *board) bucketOf(due int64) *bucket {
	return &b.buckets[min(max((due-b.from.Load())/max(b.width.Load(), 1), 0), bucketCount-1)]
}

func (r *recorder) refused(from netip.AddrPort) {
	r.mine.dropped.Add(1)
	if seat := int(r.index[from.Port()]); r.self != serverSeat && int64(seat) < r.external.Load() {
		r.pairs[seat][r.self].arrived.Add(1)
	}
}

func (r *recorder) directory(now time.Time, all core.Entries) {
	r.mine.taken.Add(1)
	r.mine.directories.add(1, 4+len(all))
	var s set
	for e := range all.Each() {
		seat := int(r.index[e.Port])
		if seat >= serverSeat || seatName(seat) != e.Name {
			r.mine.foreign.Add(1)
			continue
		}
		s.add(seat)
	}
	at := r.clock.at(now)
	if s.has(r.self) {
		r.mine.admitted.CompareAndSwap(0, at)
	}
	r.see(at, s)
}

func (r *recorder) see(at int64, s set) {
	n := r.mine.views.Load()
	if s == r.last && n > 0 {
		return
	}
	r.last = s
	if n == viewLogSize {
		r.mine.lost.Add(1)
		return
	}
	r.mine.log[n] = view{at, s}
	r.mine.views.Store(n + 1)
}

// message records a broadcast that arrived.
func (r *recorder) message(now time.Time, from core.Entry, text []byte) {
	r.mine.taken.Add(1)
	name, counter, ok := core.ParseBroadcast(text)
	seat := int(r.index[from.Port])
	if !ok || seat >= serverSeat || name != from.Name {
		return
	}
	p := &r.pairs[seat][r.self]
	p.arrived.Add(1)
	at := r.clock.at(now)
	if int64(seat) < r.external.Load() {
		r.unknown(p, at, counter)
		return
	}
	t := &r.seats[seat].ring[counter%ringSize]
	due, sent := t.due.Load(), t.sent.Load()
	if t.tag.Load() != uint64(counter)+1 || !r.inWindow(due) {
		return
	}
	if !p.take(counter) {
		return
	}
	r.mine.delivered.Add(1)
	if at-due > r.interval.Load() {
		p.late++
	}
	transit := at - sent
	r.latency.record(transit)
	r.due.record(at - due)
	p.latency.record(transit)
	if p.delivered > 1 { // RFC 3550, section 6.4.1, in ns instead of media units
		p.jitter += (math.Abs(float64(transit-p.transit)) - p.jitter) / 16
	}
	p.transit = transit
	b := r.bucketOf(due)
	b.delivered.Add(1)
	b.due.record(at - due)
	for old := b.max.Load(); at-due > old && !b.max.CompareAndSwap(old, at-due); old = b.max.Load() {
	}
}

// take counts an arrival, and reports that it is not one again.
func (p *pair) take(counter uint16) bool {
	switch p.order.place(counter) {
	case again:
		p.duplicated++
		return false
	case behind:
		p.reordered++
	}
	p.delivered++
	return true
}

// unknown records a message of which only the arrival is known.
func (r *recorder) unknown(p *pair, at int64, counter uint16) {
	if !r.inWindow(at) {
		return
	}
	if !p.order.started {
		p.first = counter
	}
	p.take(counter)
}

// sequence follows the counters of one sender's messages as they come.
type sequence struct {
	started bool
	high    uint16 // highest counter seen
	seen    uint64 // bit i: counter high-i
}

type placing int

const (
	inOrder placing = iota
	behind          // a later one has been seen
	again           // it has been seen
)

// place says where a counter stands among those seen, and adds it to them. One
// that is more than 63 behind cannot be told from a repeated one, and counts
// as new.
func (s *sequence) place(counter uint16) placing {
	ahead := int16(counter - s.high)
	switch {
	case !s.started:
		s.started, s.high, s.seen = true, counter, 1
		return inOrder
	case ahead > 0:
		s.high, s.seen = counter, s.seen<<ahead|1 // a shift by 64 or more gives 0
		return inOrder
	case ahead > -64 && s.seen>>-ahead&1 != 0:
		return again
	case ahead > -64:
		s.seen |= 1 << -ahead
	}
	return behind
}

// seatName is the name of the peer in a seat: letters first, then digits, then
// the rest of printable ASCII.
func seatName(seat int) core.Name { return names[seat] }

var names = func() (n [core.MaxPeers]core.Name) {
	const first = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	i := copyNames(n[:], first)
	for c := core.Name(' '); c <= '~'; c++ {
		if !plainName(c.String()) {
			n[i] = c
			i++
		}
	}
	return n
}()

// spelt is a seat's name in a sentence: quoted unless it is a letter or a digit.
func spelt(seat int) string {
	name := seatName(seat).String()
	if plainName(name) {
		return name
	}
	return strconv.Quote(name)
}

func plainName(name string) bool {
	c := name[0]
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

func copyNames(to []core.Name, from string) int {
	for i := range from {
		to[i] = core.Name(from[i])
	}
	return len(from)
}

// changes is a seat's view changes so far, oldest first.
func (s *seatBoard) changes() []view { return s.log[:s.views.Load()] }

// view is what the seat sees at present.
func (s *seatBoard) view() set {
	if n := s.views.Load(); n > 0 {
		return s.log[n-1].set
	}
	return set{}
}

// when is the first time, at or after since, that ok held for the seat's view.
func (s *seatBoard) when(since int64, ok func(set) bool) (int64, bool) {
	log := s.changes()
	for i, v := range log {
		if until := i + 1; until < len(log) && log[until].at <= since {
			continue // gone before since
		}
		if ok(v.set) {
			return max(v.at, since), true
		}
	}
	return 0, false
}
