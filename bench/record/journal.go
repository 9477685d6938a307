package record

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"unsafe"
)

// A Journal is what the recorders of one host have to tell the store of a mesh that has several:
// what a broadcast or a view was, and what has arrived, which only the mesh's store can set against
// what was sent. It is written in entries and read in chunks of whole ones.
type Journal struct {
	mu     sync.Mutex
	chunks [][]byte // full, but for the last

	counted   map[int]string // what was noted of a slot by Count, which one goroutine calls
	addressed map[int]uint64
}

// The kinds of entries. Each is its kind, a slot, a time and what the kind has besides.
const (
	entryBroadcast = 'b' // due, counter, to whom: slots, their number first
	entryArrival   = 'a' // from, counter
	entryStranger  = 's' // the same, of a message that was refused as a stranger's
	entryReleased  = 'r' // by the impairment; the time is how long it was held
	entryView      = 'v' // a set: bytes, their number first
	entryOwn       = 'o' // the slot's own words
	entryAddressed = 'd' // datagrams that the host has sent to the slot since the last such entry
	entryChange    = 'c' // of the server's directory: who, and whether he comes
)

// chunkSize is what a chunk has at least, but for the last.
const chunkSize = 256 << 10

// begin begins an entry, and end ends it.
func (j *Journal) begin(kind byte, slot int, at int64) []byte {
	j.mu.Lock()
	if n := len(j.chunks); n == 0 || len(j.chunks[n-1]) >= chunkSize {
		j.chunks = append(j.chunks, nil)
	}
	b := append(j.chunks[len(j.chunks)-1], kind)
	return binary.AppendVarint(binary.AppendUvarint(b, uint64(slot)), at)
}

func (j *Journal) end(b []byte) {
	j.chunks[len(j.chunks)-1] = b
	j.mu.Unlock()
}

func (j *Journal) put(kind byte, slot int, at int64, more ...uint64) {
	b := j.begin(kind, slot, at)
	for _, n := range more {
		b = binary.AppendUvarint(b, n)
	}
	j.end(b)
}

func (j *Journal) broadcast(r *Recorder, now, due int64, counter uint16, to []netip.AddrPort) {
	b := j.begin(entryBroadcast, r.Self, now)
	b = binary.AppendUvarint(binary.AppendVarint(b, due), uint64(counter))
	b = binary.AppendUvarint(b, uint64(len(to)))
	for _, a := range to {
		b = binary.AppendUvarint(b, uint64(r.Index[a.Port()]))
	}
	j.end(b)
}

func (j *Journal) view(slot int, at int64, s Set) {
	b := j.begin(entryView, slot, at)
	j.end(append(binary.AppendUvarint(b, uint64(len(s))), s...))
}

// Change notes that somebody comes into the server's directory, or leaves it.
func (j *Journal) Change(at int64, who uint16, in bool) {
	come := uint64(0)
	if in {
		come = 1
	}
	j.put(entryChange, ServerSlot, at, uint64(who), come)
}

// words are those of a slot.
func (o *own) words() []atomic.Uint64 {
	return unsafe.Slice((*atomic.Uint64)(unsafe.Pointer(o)), unsafe.Sizeof(*o)/8)
}

// Count notes what a slot has come to since it was counted last: what it knows by itself where it is
// one of this host's, and how many datagrams this host has sent to it.
func (j *Journal) Count(b *Store, slot int, mine bool) {
	if j.counted == nil {
		j.counted, j.addressed = map[int]string{}, map[int]uint64{}
	}
	if n := b.Addressed(slot).Load(); n > j.addressed[slot] {
		j.put(entryAddressed, slot, 0, n-j.addressed[slot])
		j.addressed[slot] = n
	}
	if !mine {
		return
	}
	var words []byte
	for i := range b.Slots[slot].words() {
		words = binary.AppendUvarint(words, b.Slots[slot].words()[i].Load())
	}
	if j.counted[slot] != string(words) {
		j.counted[slot] = string(words)
		j.end(append(j.begin(entryOwn, slot, 0), words...))
	}
}

// Take gives the oldest chunk, and whether there are more.
func (j *Journal) Take() (chunk []byte, more bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.chunks) == 0 {
		return nil, false
	}
	chunk, j.chunks = j.chunks[0], j.chunks[1:]
	return chunk, len(j.chunks) > 0
}

// A Player enters what journals say into the store of the whole mesh.
type Player struct {
	*Store
	Recorders func(slot int) *Recorder // nil: it has no such slot
	Changed   func(at int64, who uint16, in bool)
	Arrived   func(from, to int, transit int64) // a message that counts
	Sent      func(from, to int)                // one that counts
}

// Play enters a chunk: all but what has arrived, or that alone, which is to be entered once all is
// that had been sent by then.
func (p *Player) Play(chunk []byte, arrivals bool) (err error) {
	whole := len(chunk)
	defer func() {
		if recover() != nil { // it ends too early, or names what is not there
			err = fmt.Errorf("a journal that cannot be read, of %d bytes", whole)
		}
	}()
	past := func(size int) {
		if size <= 0 {
			panic("the number is cut off")
		}
		chunk = chunk[size:]
	}
	number := func() uint64 {
		n, size := binary.Uvarint(chunk)
		past(size)
		return n
	}
	signed := func() int64 {
		n, size := binary.Varint(chunk)
		past(size)
		return n
	}
	for len(chunk) > 0 {
		kind := chunk[0]
		chunk = chunk[1:]
		slot, at := int(number()), signed()
		r := p.Recorders(slot)
		switch kind {
		case entryBroadcast:
			due, counter := signed(), uint16(number())
			to := make([]uint16, number())
			for i := range to {
				to[i] = uint16(number())
			}
			if !arrivals {
				r.broadcast(at, due, counter, to)
				if r.Measured {
					for _, i := range to {
						p.Sent(slot, int(i))
					}
				}
			}
		case entryArrival, entryStranger:
			from, counter := int(number()), uint16(number())
			switch {
			case !arrivals:
			case kind == entryArrival:
				if transit, counts := r.Arrive(at, from, counter); counts {
					p.Arrived(from, slot, transit)
				}
			default:
				if _, _, counts := r.when(from, counter); counts {
					r.Slot.Strangers.Add(1)
				}
			}
		case entryReleased:
			if !arrivals {
				r.Released(at)
			}
		case entryView:
			n := number()
			if !arrivals {
				r.See(at, Set(chunk[:n]))
			}
			chunk = chunk[n:]
		case entryOwn:
			words := p.Slots[slot].words()
			for i := range words {
				if n := number(); !arrivals {
					words[i].Store(n)
				}
			}
		case entryAddressed:
			if n := number(); !arrivals {
				p.Addressed(slot).Add(n)
			}
		case entryChange:
			if who, in := uint16(number()), number() == 1; !arrivals {
				p.Changed(at, who, in)
			}
		default:
			return fmt.Errorf("a journal with an entry of kind %q", kind)
		}
	}
	return nil
}
