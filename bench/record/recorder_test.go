package record

import (
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"p2plocal/core"
)

// A counter is in order, behind or there again, also where it begins anew at 0; of
// those more than 63 behind nobody can tell.
func TestSequence(t *testing.T) {
	t.Parallel()
	var s Sequence
	for i, step := range []struct {
		counter uint16
		want    placing
	}{
		{65500, inOrder}, {65501, inOrder}, {65501, Again}, {65500, Again}, {65503, inOrder}, {65502, Behind}, {65502, Again},
		{65499, Behind}, {65499, Again}, {65535, inOrder}, {1, inOrder}, {0, Behind}, {0, Again}, {1, Again}, {65535, Again},
		{64, inOrder}, {1, Again}, {0, Behind}, {0, Behind}, {2, Behind}, {2, Again}, {127, inOrder}, {64, Again}, {63, Behind}, {63, Behind},
		{191, inOrder}, {127, Behind}, {128, Behind}, {128, Again}, {190, Behind}, {190, Again}, {1000, inOrder}, {999, Behind},
		{1000 + 32767, inOrder}, {1000, Behind},
	} {
		if got := s.Place(step.counter); got != step.want {
			t.Errorf("step %d, counter %d: %d, want %d", i, step.counter, got, step.want)
		}
	}
}

// A window begins at its first instant and ends before its last, and its slices cover it.
func TestWindow(t *testing.T) {
	t.Parallel()
	s := storeOf(80)
	s.OpenWindow(1000, 1000+10*bucketCount, time.Second)
	for at, in := range map[int64]bool{999: false, 1000: true, 999 + 10*bucketCount: true, 1000 + 10*bucketCount: false} {
		if s.inWindow(at) != in {
			t.Errorf("%d is in the window: %t", at, !in)
		}
	}
	for at, want := range map[int64]int{0: 0, 1000: 0, 1009: 0, 1010: 1, 999 + 10*bucketCount: bucketCount - 1, 1000 + 10*bucketCount: bucketCount - 1, 1 << 60: bucketCount - 1} {
		if s.bucketOf(at) != &s.Buckets[want] {
			t.Errorf("%d is not in slice %d", at, want)
		}
	}
	if s.Width.Load() != 10 || s.Interval.Load() != int64(time.Second) {
		t.Errorf("slices of %d, interval %d", s.Width.Load(), s.Interval.Load())
	}
	s.OpenWindow(0, 10*bucketCount+1, 1)
	if s.Width.Load() != 11 {
		t.Errorf("slices of %d, want the whole window covered", s.Width.Load())
	}
	if s.OpenWindow(0, 3, 1); s.Width.Load() != 1 {
		t.Errorf("slices of %d", s.Width.Load())
	}
}

// A link is cut between the halves, and within none.
func TestDivide(t *testing.T) {
	t.Parallel()
	s := twoPeers()
	var half Set
	half.Add(0)
	if s.Apart(0, 3002) {
		t.Error("cut before anything is divided")
	}
	s.Divide(half)
	for _, test := range []struct {
		from int
		to   uint16
		want bool
	}{{0, 3002, true}, {1, 3001, true}, {0, 3001, false}, {1, 3002, false}, {0, 9, false}, {1, 9, false}} {
		if s.Apart(test.from, test.to) != test.want {
			t.Errorf("%+v", test)
		}
	}
	if s.Unite(); s.Apart(0, 3002) {
		t.Error("cut after all are united")
	}
}

// twoPeers are in slots 0 and 1, on ports 3001 and 3002.
func twoPeers() *Store {
	s := storeOf(2)
	s.Index[3001], s.Index[3002] = 0, 1
	return s
}

// storeOf is a store for so many peers, none of whom has a port.
func storeOf(peers int) *Store {
	_, size := layout(nil, peers)
	s, _ := layout(make([]byte, size), peers)
	s.Peers = peers
	for i := range s.Index {
		s.Index[i] = Nobody
	}
	return s
}

// What is sent and what arrives is counted for the pair, the slots and the slice, if it
// was due in the window; also what comes twice, late or out of order.
func TestRecorder(t *testing.T) {
	t.Parallel()
	s := twoPeers()
	var now time.Duration
	clock := VirtualClock(func() time.Duration { return now }, 0)
	a, b := NewRecorder(s, clock, 0), NewRecorder(s, clock, 1)
	addrs := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:3001"), netip.MustParseAddrPort("127.0.0.1:3002")}
	s.OpenWindow(int64(time.Second), int64(2*time.Second), 100*time.Millisecond)
	text := func(counter uint16) []byte { return core.AppendBroadcast(nil, SlotName(0), counter, 0) }
	send := func(counter uint16, late time.Duration) {
		data := new(core.Exact).Append(nil, &core.Message{Type: core.TypeVanilla, Text: text(counter)})
		a.Observe(&core.Event{Kind: core.Sent, Elapsed: late, Data: data, To: addrs[1:]})
	}
	hear := func(from int, name core.Name, counter uint16) {
		b.Observe(&core.Event{Kind: core.Heard, Peer: core.Member{Name: name, Addr: addrs[from]}, Data: text(counter)})
	}
	at := func(t time.Duration) { now = t }
	at(time.Second - 1) // due before the window
	send(0, 0)
	hear(0, "A", 0)
	at(time.Second)
	send(1, 0)
	at(time.Second + time.Millisecond)
	hear(0, "A", 1) // 1 ms
	hear(0, "A", 1) // again
	at(1200 * time.Millisecond)
	send(2, 50*time.Millisecond) // was due at 1.15 s
	send(3, 0)
	at(1201 * time.Millisecond)
	hear(0, "A", 3)
	at(1251 * time.Millisecond)
	hear(0, "A", 2) // out of order, and 101 ms after it was due
	hear(1, "A", 2) // of somebody else
	at(2 * time.Second)
	send(4, 0)
	hear(0, "A", 4)
	b.Observe(&core.Event{Kind: core.Stranger, Peer: core.Member{Addr: addrs[0]}, Data: []byte{byte(core.TypeKeepAlive), 0}})

	p := s.Pair(0, 1)
	for what, got := range map[string][2]uint64{
		"sent by the pair":      {uint64(p.Sent.Load()), 3},
		"delivered":             {uint64(p.Delivered), 3},
		"duplicated":            {b.Slot.Repeats, 1},
		"reordered":             {b.Slot.Reordered, 1},
		"late":                  {b.Slot.Late.Load(), 1},
		"ticks":                 {a.Slot.Ticks.Load(), 3},
		"messages":              {a.Slot.Messages.Load(), 3},
		"sent to the slot":      {s.Addressed(1).Load(), 5},
		"sent as vanilla":       {a.Slot.ByType().Vanilla.Datagrams, 5},
		"taken":                 {b.Slot.Taken.Load(), 7},
		"delivered to the slot": {b.Slot.Delivered.Load(), 3},
		"dropped":               {b.Slot.Dropped.Load(), 1},
		"latencies":             {uint64(s.Latency.HDR().TotalCount()), 3},
		"of 1 ms":               {uint64(s.Latency.HDR().Min()+100) / 1000, 1000},
		"of 51 ms":              {uint64(s.Latency.HDR().Max()+50_000) / 1e6, 51},
		"latencies from due":    {uint64(s.Due.HDR().Max()+50_000) / 1e6, 101},
		"timer errors":          {uint64(s.Timer.HDR().TotalCount()), 3},
		"the largest of them":   {uint64(s.Timer.HDR().Max()+50_000) / 1e6, 50},
		"slowest, in us":        {uint64(p.Max), 51_000},
		"sent in a slice":       {s.bucketOf(int64(1150 * time.Millisecond)).Sent.Load(), 1},
		"delivered of a slice":  {s.bucketOf(int64(1150 * time.Millisecond)).Due.Count(), 1},
		"longest of a slice":    {uint64(s.bucketOf(int64(1150 * time.Millisecond)).Max.Load()), uint64(101 * time.Millisecond)},
		"jitter in ns":          {uint64(p.Jitter), 50_000_000 / 16}, // from 1 ms to 1 ms, then to 51 ms
	} {
		if got[0] != got[1] {
			t.Errorf("%s: %d, want %d", what, got[0], got[1])
		}
	}
	if sent, delivered := s.Messages(); sent != 3 || delivered != 3 {
		t.Errorf("%d messages sent, %d delivered", sent, delivered)
	}
}

// A window that becomes shorter has what was sent in it arrive, though that was due after its
// new end; one that is opened anew has not.
func TestWindowMoves(t *testing.T) {
	t.Parallel()
	s, now := twoPeers(), 5*time.Millisecond
	clock := VirtualClock(func() time.Duration { return now }, 0)
	a, b := NewRecorder(s, clock, 0), NewRecorder(s, clock, 1)
	send := func(counter uint16) []byte {
		data := vanillaText(core.AppendBroadcast(nil, "A", counter, 0))
		a.Observe(&core.Event{Kind: core.Sent, Data: data, To: []netip.AddrPort{addrB}})
		return core.AppendBroadcast(nil, "A", counter, 0)
	}
	hear := func(text []byte) {
		b.Observe(&core.Event{Kind: core.Heard, Peer: core.Member{Name: "A", Addr: addrA}, Data: text})
	}
	s.OpenWindow(0, int64(time.Second), 1)
	first, second, third := send(1), send(2), send(3)
	hear(first)
	s.To.Store(int64(now))
	hear(second)
	b.Observe(&core.Event{Kind: core.Stranger, Peer: core.Member{Addr: addrA}, Data: vanillaText(third)})
	hear(send(4)) // is due at the end
	if sent, delivered := s.Messages(); sent != 3 || delivered != 2 || b.Slot.Strangers.Load() != 1 {
		t.Errorf("%d messages sent, %d delivered, %d refused; want 3, 2 and 1", sent, delivered, b.Slot.Strangers.Load())
	}
	s.OpenWindow(int64(now)+1, int64(time.Second), 1)
	hear(third)
	if sent, delivered := s.Messages(); sent != 3 || delivered != 2 {
		t.Errorf("%d messages sent, %d delivered of another window", sent, delivered)
	}
}

// What a slot's first events write, up to many changes of its view, is provided with a
// recorder: no page of it is new to the system in the middle of a measurement.
func TestProvided(t *testing.T) {
	var s Slot
	const page = 4096
	if first := unsafe.Offsetof(s.log) + 64*unsafe.Sizeof(s.log[0]); first > page {
		t.Errorf("a slot's first events write to %d bytes, want no more than a page's %d", first, page)
	}
}

// Where pairs are not kept, a message that comes again at once is told from the others, and
// one that was overtaken counts as delivered.
func TestRecorderOfALargeMesh(t *testing.T) {
	t.Parallel()
	s := storeOf(PairedPeers + 1)
	r := NewRecorder(s, VirtualClock(func() time.Duration { return 0 }, 0), 7)
	for i, x := range []struct {
		sender  int
		counter uint16
		want    placing
	}{{3, 9, inOrder}, {3, 9, Again}, {4, 9, inOrder}, {3, 10, inOrder}, {3, 9, Behind}, {3, 65535, Behind}, {4, 32768, inOrder}, {5, 65534, inOrder}, {5, 65535, inOrder}} {
		if got := r.place(s.Pair(x.sender, r.Self), x.sender, x.counter); got != x.want {
			t.Errorf("arrival %d: %d, want %d", i, got, x.want)
		}
	}
	if s.Pair(0, 1) != nil {
		t.Error("pairs are kept")
	}
}
