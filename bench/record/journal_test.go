package record

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"p2plocal/core"
)

// happens is what two recorders see of a mesh of A and B, one of whom is on each of two hosts.
func happens(now *time.Duration, a, b *Recorder) {
	at := func(ms int) { *now = time.Duration(ms) * time.Millisecond }
	text := func(counter uint16) []byte { return core.AppendBroadcast(nil, "A", counter, 0) }
	send := func(counter uint16, late time.Duration) {
		a.Observe(&core.Event{Kind: core.Sent, Elapsed: late, Data: vanillaText(text(counter)), To: []netip.AddrPort{addrB}})
	}
	hear := func(counter uint16) {
		b.Observe(&core.Event{Kind: core.Heard, Peer: core.Member{Name: "A", Addr: addrA}, Data: text(counter)})
	}
	refuse := func(k core.Kind, counter uint16) {
		b.Observe(&core.Event{Kind: k, Peer: core.Member{Addr: addrA}, Data: vanillaText(text(counter))})
	}
	var both, alone Set
	alone.Add(1)
	both.Add(0)
	both.Add(1)
	at(900)
	b.See(b.Clock.Now(), both)
	send(0, 0) // before the window
	at(1001)
	send(1, 0)
	at(1003)
	send(2, 0)
	hear(2)
	at(1050)
	send(3, 40*time.Millisecond)
	hear(1)
	hear(1)
	refuse(core.Stranger, 3)
	refuse(core.Malformed, 3)
	a.Released(int64(5 * time.Millisecond))
	at(1200)
	hear(3) // late
	hear(0)
	b.See(b.Clock.Now(), alone)
	b.See(b.Clock.Now(), alone)
}

// What journals of two hosts tell, played into a third's store, is what one store for both
// would have.
func TestJournal(t *testing.T) {
	t.Parallel()
	var now time.Duration
	clock := VirtualClock(func() time.Duration { return now }, 0)
	window := func(s *Store) { s.OpenWindow(int64(time.Second), int64(2*time.Second), 100*time.Millisecond) }
	want := twoPeers()
	window(want)
	happens(&now, NewRecorder(want, clock, 0), NewRecorder(want, clock, 1))

	hosts := [2]*Store{twoPeers(), twoPeers()}
	var journals [2]Journal
	var recorders [2]*Recorder
	for i, s := range hosts {
		window(s)
		recorders[i] = NewRecorder(s, clock, i)
		recorders[i].Journal = &journals[i]
	}
	happens(&now, recorders[0], recorders[1])
	journals[1].Change(7, 1, true)
	journals[1].Change(8, 0, false)
	var whole []byte
	for round := range 2 { // the second time nothing has changed
		for host, s := range hosts {
			for slot := range 2 {
				journals[host].Count(s, slot, slot == host)
			}
			for more := true; more; {
				var chunk []byte
				chunk, more = journals[host].Take()
				if round == 1 && len(chunk) > 0 {
					t.Errorf("host %d has still to tell %x", host, chunk)
				}
				whole = append(whole, chunk...)
			}
		}
	}

	got := twoPeers()
	window(got)
	var told []string
	mine := [2]*Recorder{NewRecorder(got, clock, 0), NewRecorder(got, clock, 1)}
	p := Player{Store: got, Recorders: func(slot int) *Recorder {
		if slot >= len(mine) {
			return nil
		}
		return mine[slot]
	},
		Changed: func(at int64, who uint16, in bool) {
			told = append(told, fmt.Sprintf("%d at %d: %v", who, at, in))
		},
		Arrived: func(from, to int, transit int64) {
			told = append(told, fmt.Sprintf("from %d to %d in %v", from, to, time.Duration(transit)))
		},
		Sent: func(from, to int) { told = append(told, fmt.Sprintf("from %d to %d", from, to)) },
	}
	for _, arrivals := range []bool{false, true} {
		if err := p.Play(whole, arrivals); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"from 0 to 1", "from 0 to 1", "from 0 to 1", "1 at 7: true", "0 at 8: false", "from 0 to 1 in 0s", "from 0 to 1 in 49ms", "from 0 to 1 in 150ms"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	for name, of := range map[string]func(*Store) any{
		"the pair":       func(s *Store) any { return fmt.Sprintf("%+v", s.Pair(0, 1)) },
		"latency":        func(s *Store) any { return raw(&s.Latency) + raw(&s.Due) + raw(&s.Timer) },
		"the impairment": func(s *Store) any { return raw(&s.Held) },
		"the slice": func(s *Store) any {
			b := s.bucketOf(int64(1010 * time.Millisecond))
			return fmt.Sprint(b.Sent.Load(), b.Due.Count(), b.Max.Load())
		},
		"messages":        func(s *Store) any { a, b := s.Messages(); return [2]uint64{a, b} },
		"sent to A and B": func(s *Store) any { return [2]uint64{s.Addressed(0).Load(), s.Addressed(1).Load()} },
		"A's slot":        func(s *Store) any { return inFull(&s.Slots[0]) },
		"B's slot":        func(s *Store) any { return inFull(&s.Slots[1]) },
	} {
		if g, w := of(got), of(want); g != w {
			t.Errorf("%s: %v\nwant %v", name, g, w)
		}
	}
	for n := range whole {
		if err := p.Play(whole[:n:n], false); err != nil && err.Error() != fmt.Sprintf("a journal that cannot be read, of %d bytes", n) {
			t.Errorf("of %d bytes: %v", n, err)
		}
	}
	if err := p.Play([]byte("x\x00\x00"), false); err == nil || !strings.Contains(err.Error(), "an entry of kind 'x'") {
		t.Errorf("an unknown entry: %v", err)
	}
	if err := p.Play([]byte("r\x05\x00"), false); err == nil {
		t.Error("a slot that is not there is taken")
	}
}

func raw(h *Histogram) string {
	_, raw := h.DistributionAndRaw()
	return raw
}

// inFull is all that a slot holds.
func inFull(s *Slot) string {
	var b strings.Builder
	for i := range s.words() {
		fmt.Fprint(&b, s.words()[i].Load(), " ")
	}
	return b.String() + fmt.Sprint(s.Ticks.Load(), s.Messages.Load(), s.Delivered.Load(), s.Repeats, s.Reordered, s.Late.Load(), s.Strangers.Load(), s.Changes())
}

// A chunk is cut where it is long enough, between two entries.
func TestChunks(t *testing.T) {
	t.Parallel()
	var j Journal
	if chunk, more := j.Take(); chunk != nil || more {
		t.Errorf("%x of an empty journal", chunk)
	}
	j.view(0, 0, Set(strings.Repeat("x", chunkSize-8)))
	j.put(entryReleased, 0, 0) // there is still room
	j.put(entryReleased, 0, 0)
	j.put(entryReleased, 0, 0)
	first, more := j.Take()
	if len(first) < chunkSize || len(first) > chunkSize+3 || !more {
		t.Errorf("%d bytes, more %v", len(first), more)
	}
	if rest, more := j.Take(); len(rest)%3 != 0 || len(rest) == 0 || more {
		t.Errorf("%d bytes in the end, more %v", len(rest), more)
	}
}
