package record

import (
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"p2plocal/core"
)

// A link loses and delays what its own settings say, whichever two peers, or peer and server, it joins.
func TestLinks(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		loss  float64
		delay time.Duration
		want  time.Duration
	}{{0, 0, 0}, {1, 3 * time.Millisecond, 3 * time.Millisecond}, {0.25, time.Second, time.Second}, {0.5, time.Hour, 1<<40 - 1}, {0, 1<<40 - 1, 1<<40 - 1}} {
		if l := NewLink(x.loss, x.delay); math.Abs(l.Loss()-x.loss) > 1.0/(1<<24) || l.Delay() != x.want || x.loss == 1 && l.Loss() != 1 {
			t.Errorf("a loss of %v and %v become %v and %v", x.loss, x.delay, l.Loss(), l.Delay())
		}
	}
	const n = 3
	s := storeOf(n)
	ports := []uint16{3001, 3002, 3003, 3000}
	for i, port := range ports {
		s.Index[port] = uint16(i)
	}
	s.Index[3000] = ServerSlot
	delay := func(from, to int) time.Duration { return time.Duration(1 + 10*from + to) }
	for from := range n + 1 {
		for to := range n + 1 {
			s.SetLink(from, to, NewLink(0, delay(from, to)))
		}
	}
	for from, slot := range []int{0, 1, 2, ServerSlot} {
		for to, port := range ports {
			if got := s.Link(slot, port).Delay(); got != delay(from, to) {
				t.Errorf("the link from slot %d to port %d delays by %d, want %d", slot, port, got, delay(from, to))
			}
		}
		if l := s.Link(slot, 9); l != 0 {
			t.Errorf("the link to nobody's port is %v", l)
		}
	}
	large := storeOf(PairedPeers + 1)
	if large.Index[3001] = 1; large.Link(0, 3001) != 0 {
		t.Error("a mesh whose pairs are not kept has a link of its own")
	}
	if at := storeOf(PairedPeers); at.Pair(1, 2) == nil || large.Pair(1, 2) != nil {
		t.Errorf("pairs are kept of %d peers: %v, and of one more: %v", PairedPeers, at.Pair(1, 2) != nil, large.Pair(1, 2) != nil)
	}
}

// What is lost on a link comes through what all lose, what its sender loses and what its receiver loses.
func TestLossOn(t *testing.T) {
	t.Parallel()
	s := storeOf(3)
	s.Lose(0, 0.5, 0.25)
	s.Lose(1, 0, 0.5)
	for _, x := range []struct {
		all      float64
		from, to int
		want     float64
	}{
		{0.2, 2, 2, 0.2}, {0, 0, 2, 0.5}, {0.2, 0, 2, 0.6}, {0, 2, 0, 0.25}, {0.2, 2, 1, 0.6}, {0, 0, 1, 0.75}, {0.2, 0, 1, 0.8}, {0.1, 1, 2, 0.1},
		{0, 0, Nobody, 0.5}, {0, 0, ServerSlot, 0.5}, {0.1, 1, Nobody, 0.1}, {0.1, 1, 3, 0.1}, // nobody's slot
		{0, 0, ServerSlot + 1, 0.5},
	} {
		if got := s.LossOn(x.all, x.from, x.to); math.Abs(got-x.want) > 1e-12 {
			t.Errorf("of %v that all lose, %v are lost from %d to %d, want %v", x.all, got, x.from, x.to, x.want)
		}
	}
	if s.Lose(0, 0, 0); s.LossOn(0, 0, 2) != 0 {
		t.Error("what is lost no longer is")
	}
}

// A store that is set as another one is says the same, also of a division.
func TestControl(t *testing.T) {
	t.Parallel()
	from, to := storeOf(20), storeOf(20)
	from.Prepare()
	if c := from.Control(); c.From != 1<<62 || c.To != 1<<62 || from.inWindow(0) || from.inWindow(1<<61) || from.Index[0] != Nobody || from.Index[65535] != Nobody {
		t.Errorf("a store that nobody is in: %+v", c)
	}
	var half Set
	half.Add(3)
	half.Add(17)
	for i, change := range []func(){
		func() { from.OpenWindow(5000, 2_405_000, 70*time.Millisecond) },
		func() { from.Divide(half) },
		func() { from.Impairing.Store(true) },
		func() { half.Remove(17); from.Divide(half) },
		func() { from.Unite() },
		func() { from.Impairing.Store(false) },
	} {
		change()
		to.SetControl(from.Control())
		if a, b := from.Control(), to.Control(); !reflect.DeepEqual(a, b) {
			t.Errorf("change %d: %+v, want %+v", i, b, a)
		}
	}
	if to.Width.Load() != 10_000 || to.Interval.Load() != int64(70*time.Millisecond) {
		t.Errorf("slices of %d, interval %d", to.Width.Load(), to.Interval.Load())
	}
}

// Views are kept in order: the present one, since when, and since when something has held.
func TestViews(t *testing.T) {
	t.Parallel()
	s := storeOf(20)
	x := &s.Slots[1]
	if at, n := x.Latest(); at != 0 || n != 0 || x.View() != "" {
		t.Errorf("before any view: %d since %d", n, at)
	}
	sets := make([]Set, 3)
	sets[0].Add(1)
	sets[1].Add(1)
	sets[1].Add(19)
	sets[2].Add(19)
	for i, set := range sets {
		x.note(int64(100+100*i), set)
		if at, n := x.Latest(); at != int64(100+100*i) || n != uint32(i+1) || x.View() != set {
			t.Errorf("view %d since %d: %v", n, at, slices.Collect(x.View().All()))
		}
	}
	for _, y := range []struct {
		since, at int64
		slot      int
		found     bool
	}{{0, 200, 19, true}, {150, 200, 19, true}, {200, 200, 19, true}, {300, 300, 19, true}, {1000, 300, 19, true}, {0, 100, 1, true}, {299, 200, 1, true}, {300, 0, 1, false}, {0, 0, 5, false}} {
		if at, found := x.When(y.since, func(s Set) bool { return s.Has(y.slot) }); at != y.at || found != y.found {
			t.Errorf("since %d slot %d is in view from %d, %v; want %d, %v", y.since, y.slot, at, found, y.at, y.found)
		}
	}
	if !sets[1].Includes(sets[0]) || sets[0].Includes(sets[1]) || !sets[2].Includes("") || sets[2].Includes(sets[0]) {
		t.Error("which sets include which")
	}
}

// The time at which a broadcast was sent is corrected if that is still remembered.
func TestSentAt(t *testing.T) {
	t.Parallel()
	s := twoPeers()
	s.OpenWindow(0, 1000, time.Second)
	r := NewRecorder(s, VirtualClock(func() time.Duration { return 0 }, 0), 0)
	r.Broadcast(20, 10, 7, nil)
	r.Slot.SentAt(7, 25)
	r.Slot.SentAt(7+ringSize, 30) // another one's place
	r.Slot.SentAt(8, 35)
	if due, sent, counts := r.when(0, 7); due != 10 || sent != 25 || !counts {
		t.Errorf("due at %d, sent at %d, counts: %v", due, sent, counts)
	}
}

// All slots in use are counted, the server's too, and by type what each has sent.
func TestSums(t *testing.T) {
	t.Parallel()
	s := storeOf(3)
	for i, x := range s.Used() {
		x.Messages.Store(uint64(1 + i%7))
		x.Delivered.Store(1)
		for k := range x.out {
			x.out[k].Add(k+1, 10)
		}
	}
	if sent, delivered := s.Messages(); sent != 1+2+3+1+ServerSlot%7 || delivered != 4 {
		t.Errorf("%d sent, %d delivered", sent, delivered)
	}
	want := core.ByType{Birth: core.Traffic{Datagrams: 1, Bytes: 10}, Directory: core.Traffic{Datagrams: 2, Bytes: 20},
		Vanilla: core.Traffic{Datagrams: 3, Bytes: 30}, KeepAlive: core.Traffic{Datagrams: 4, Bytes: 40}, Retry: core.Traffic{Datagrams: 5, Bytes: 50}}
	if got := s.Slots[ServerSlot].ByType(); got != want {
		t.Errorf("sent %+v, want %+v", got, want)
	}
}
