package simnet

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

// pop sinks the hole at the top to a leaf and lets the last event rise from there (Floyd): it is
// a late one, and does not rise far.
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

// calendar is all that will happen: a heap, and two queues, one for arrivals and one for all
// else, of what is scheduled in the order in which it is due. That is most of it: delays and the
// machines' intervals are usually constant.
type calendar struct {
	seq   uint64
	heap  eventHeap
	lanes [2]lane
}

type lane struct {
	ring[event]
	last time.Duration // of the latest event
}

func (c *calendar) push(e event) {
	c.seq++
	e.seq = c.seq
	l := &c.lanes[min(e.kind, 1)]
	if e.at >= l.last || l.n == 0 {
		l.last = e.at
		l.push(e)
		return
	}
	c.heap.push(e)
}

// pop takes the next event out, if it is due by a time.
func (c *calendar) pop(by time.Duration) (e event, ok bool) {
	var first *event
	var from *lane // nil: the heap
	if len(c.heap) > 0 {
		first = &c.heap[0]
	}
	for i := range c.lanes {
		if l := &c.lanes[i]; l.n > 0 && (first == nil || l.front().before(first)) {
			first, from = l.front(), l
		}
	}
	switch {
	case first == nil || first.at > by:
		return e, false
	case from != nil:
		return from.pop(), true
	}
	return c.heap.pop(), true
}

// ring is a queue. It keeps its space.
type ring[T any] struct {
	slots []T // as many as a power of two
	head  int
	n     int
}

func (q *ring[T]) push(x T) {
	if q.n == len(q.slots) {
		slots := make([]T, max(16, 2*len(q.slots)))
		for i := range q.n {
			slots[i] = q.slots[(q.head+i)&(len(q.slots)-1)]
		}
		q.slots, q.head = slots, 0
	}
	q.slots[(q.head+q.n)&(len(q.slots)-1)] = x
	q.n++
}

func (q *ring[T]) front() *T { return &q.slots[q.head] }

func (q *ring[T]) pop() T {
	x := q.slots[q.head]
	q.head = (q.head + 1) & (len(q.slots) - 1)
	q.n--
	return x
}

// queue holds the flights that wait at a node, or the nodes that wait for a core.
type queue = ring[int32]
