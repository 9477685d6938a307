package coretest

import "time"

// kind says what an event is.
type kind uint8

const (
	arriving  kind = iota // flight number reaches its ports lo to hi
	alarm                 // node number wants to be polled
	calling               // call number is due
	computing             // node number has its turn on a core of the host
	finished              // node number has computed
)

// event is something that will happen. It holds no pointer, so that the
// garbage collector need not look at the heap.
type event struct {
	at     time.Duration
	seq    uint64 // orders what falls on one instant
	number int32
	lo, hi int32
	kind   kind
}

func (e *event) before(f *event) bool {
	return e.at < f.at || e.at == f.at && e.seq < f.seq
}

// eventHeap is a binary heap, the earliest event first.
type eventHeap []event

func (h *eventHeap) push(e event) {
	*h = append(*h, e)
	h.rise(len(*h)-1, e)
}

// pop lets the hole at the top sink to a leaf and the last event rise from
// there (Floyd): it is a late one and will not rise far.
func (h *eventHeap) pop() event {
	s := *h
	first, last := s[0], s[len(s)-1]
	s = s[:len(s)-1]
	*h = s
	if len(s) == 0 {
		return first
	}
	i := 0
	for child := 1; child < len(s); child = 2*i + 1 {
		if child+1 < len(s) && s[child+1].before(&s[child]) {
			child++
		}
		s[i] = s[child]
		i = child
	}
	h.rise(i, last)
	return first
}

// rise puts e into the hole at i, or above it.
func (h *eventHeap) rise(i int, e event) {
	s := *h
	for i > 0 {
		parent := (i - 1) / 2
		if !e.before(&s[parent]) {
			break
		}
		s[i] = s[parent]
		i = parent
	}
	s[i] = e
}

// queue is a ring of the flights that wait at a node. It keeps its space.
type queue struct {
	ring []int32 // its length is a power of two
	head int
	n    int
}

func (q *queue) push(number int32) {
	if q.n == len(q.ring) {
		ring := make([]int32, max(16, 2*len(q.ring)))
		for i := range q.n {
			ring[i] = q.ring[(q.head+i)&(len(q.ring)-1)]
		}
		q.ring, q.head = ring, 0
	}
	q.ring[(q.head+q.n)&(len(q.ring)-1)] = number
	q.n++
}

func (q *queue) pop() int32 {
	number := q.ring[q.head]
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.n--
	return number
}
