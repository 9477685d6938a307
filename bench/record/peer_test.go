package record

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"p2plocal/core"
)

// observed is peer B in slot 1, whose machine a recorder observes, in virtual time.
type observed struct {
	*Recorder
	t    *testing.T
	peer *core.Peer
	now  time.Duration
}

var (
	serverAddr = netip.MustParseAddrPort("127.0.0.1:3000")
	addrA      = netip.MustParseAddrPort("127.0.0.1:3001")
	addrB      = netip.MustParseAddrPort("127.0.0.1:3002")
	exact      = &core.Exact{Host: addrA.Addr()}
)

func observe(t *testing.T) *observed {
	s := twoPeers()
	s.Index[serverAddr.Port()] = ServerSlot
	o := &observed{t: t}
	o.Recorder = NewRecorder(s, VirtualClock(func() time.Duration { return o.now }, 100), 1)
	var err error
	o.peer, err = core.NewPeer(core.PeerConfig{Self: core.Member{Name: "B", Addr: addrB}, Server: serverAddr, Timing: core.DefaultTiming(), Observe: o.Observe}, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// at polls the machine at a time, and steps it with a datagram, if there is one.
func (o *observed) at(now time.Duration, from netip.AddrPort, datagram []byte) {
	o.now = now
	if datagram != nil {
		o.peer.Step(time.Unix(0, 0).Add(now), from, datagram)
	}
	for {
		if out, _ := o.peer.Poll(time.Unix(0, 0).Add(now)); out.Empty() {
			return
		}
	}
}

func list(members ...core.Member) []byte {
	b, _ := exact.AppendDirectory(nil, nil, core.Version{}, members)
	return b
}

func vanillaText(text []byte) []byte {
	return exact.Append(nil, &core.Message{Type: core.TypeVanilla, Text: text})
}

// A peer's births, keep-alives and directories stand in its slot, each with its time.
func TestRecordedPeer(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	a, b := core.Member{Name: "A", Addr: addrA}, core.Member{Name: "B", Addr: addrB}
	o := observe(t)
	o.at(1*ms, netip.AddrPort{}, nil)
	o.at(2*ms, serverAddr, list(a))
	if born, admitted := o.Slot.Born.Load(), o.Slot.Admitted.Load(); born != int64(1*ms)+100 || admitted != 0 {
		t.Errorf("born at %d, admitted at %d", born, admitted)
	}
	o.at(2*ms+1, serverAddr, list(a))
	o.at(3*ms, serverAddr, list(a, b, core.Member{Name: "C", Addr: netip.MustParseAddrPort("127.0.0.1:3009")}))
	o.at(4*ms, serverAddr, list(a, b))                                   // the same for us
	o.at(5*ms, serverAddr, list(core.Member{Name: "Z", Addr: addrA}, b)) // on A's port, but not A
	o.at(501*ms, netip.AddrPort{}, nil)
	if n := o.Slot.Admitted.Load(); n != int64(3*ms)+100 {
		t.Errorf("admitted at %d, want the first directory that names it", n)
	}
	if n := o.Slot.Alive.Load(); n != int64(501*ms)+100 {
		t.Errorf("alive at %d, want the last keep-alive", n)
	}
	sent := o.Slot.ByType()
	if sent.Birth != (core.Traffic{Datagrams: 1, Bytes: 6}) || sent.KeepAlive != (core.Traffic{Datagrams: 1, Bytes: 4}) || sent.Total().Datagrams != 2 || o.Addressed(ServerSlot).Load() != 2 {
		t.Errorf("sent %+v, %d to the server", sent, o.Addressed(ServerSlot).Load())
	}
	if got := o.Slot.Directories.Load(); got != (core.Traffic{Datagrams: 5, Bytes: 8 + 8 + 16 + 12 + 12}) || o.Slot.Taken.Load() != 5 {
		t.Errorf("directories %+v, %d taken", got, o.Slot.Taken.Load())
	}
	var onlyA, both, onlyB Set
	onlyA.Add(0)
	onlyB.Add(1)
	both.Add(0)
	both.Add(1)
	want := []View{{int64(2*ms) + 100, onlyA}, {int64(3*ms) + 100, both}, {int64(5*ms) + 100, onlyB}}
	if got := o.Slot.Changes(); !slices.Equal(got, want) || o.Slot.View() != onlyB || o.Slots[0].View() != "" {
		t.Errorf("views %v, want %v", got, want)
	}
	for since, at := range map[time.Duration]time.Duration{0: 3 * ms, 3 * ms: 3 * ms, 4 * ms: 3 * ms, 5 * ms: 0} {
		got, ok := o.Slot.When(int64(since)+100, func(s Set) bool { return s.Len() == 2 })
		if ok != (at > 0) || ok && got != int64(at)+100 {
			t.Errorf("since %v both are in view from %d on, %v; want %v", since, got, ok, at)
		}
	}
	o.now = 600 * ms
	o.Reset(time.Unix(0, 0))
	if o.Slot.Born.Load() != 0 || o.Slot.Admitted.Load() != 0 || o.Slot.View() != "" || o.Slot.Changes()[3].At != int64(600*ms)+100 {
		t.Errorf("after a reset: %+v", o.Slot.Changes())
	}
}

// A view is kept where it changes, by whichever process has the slot, and as long as there is room.
func TestRecordedViews(t *testing.T) {
	t.Parallel()
	o := observe(t)
	var onlyA, both Set
	onlyA.Add(0)
	both.Add(0)
	both.Add(1)
	first := NewRecorder(o.Store, o.Clock, 1)
	first.See(1, both)
	first.See(2, "")
	again := NewRecorder(o.Store, o.Clock, 1) // of the next process: it goes on with the last view
	again.See(3, "")
	if n := len(o.Slot.Changes()); n != 2 {
		t.Errorf("%d views, want none that changes nothing", n)
	}
	fresh := NewRecorder(o.Store, o.Clock, 0)
	fresh.See(1, "")
	if n := len(fresh.Slot.Changes()); n != 1 {
		t.Errorf("%d views, want the first one, though it is empty", n)
	}
	fresh.Slot.views.Store(viewLogSize/(8+8) - 1) // a time and 64 slots each
	fresh.See(2, both)
	fresh.See(3, onlyA)
	if fresh.Slot.Lost.Load() != 1 || fresh.Slot.View() != both {
		t.Errorf("%d changes lost, want the one that found the log full", fresh.Slot.Lost.Load())
	}
}

// What a peer refuses as a stranger's counts where it was due in the window; of an external
// sender only its arrival is known.
func TestRecordedStrangers(t *testing.T) {
	t.Parallel()
	broadcast := func(counter uint16) []byte { return vanillaText(core.AppendBroadcast(nil, "A", counter, 0)) }
	o := observe(t)
	o.OpenWindow(int64(time.Second), int64(2*time.Second), time.Second)
	sender := NewRecorder(o.Store, o.Clock, 0)
	for counter, at := range []time.Duration{500 * time.Millisecond, 1500 * time.Millisecond} {
		o.now = at - 100
		sender.Observe(&core.Event{Kind: core.Sent, Data: broadcast(uint16(counter)), To: []netip.AddrPort{addrB}})
	}
	for _, x := range []struct {
		at        time.Duration
		datagram  []byte
		strangers uint64
	}{
		{1600 * time.Millisecond, broadcast(0), 0}, // was due before the window
		{2500 * time.Millisecond, broadcast(1), 1}, // was due in it
		{1700 * time.Millisecond, vanillaText([]byte("hello")), 2},
		{2600 * time.Millisecond, vanillaText([]byte("hello")), 2},
		{1800 * time.Millisecond, exact.Append(nil, &core.Message{Type: core.TypeKeepAlive, Member: core.Member{Name: "A"}}), 2},
		{1800 * time.Millisecond, []byte("\xC2\x00\xFF\xFF"), 2},
		{1800 * time.Millisecond, []byte{}, 2},
	} {
		before := o.Slot.Dropped.Load()
		o.now = x.at
		o.peer.Step(time.Unix(9, 0), addrA, x.datagram)
		if got := o.Slot.Strangers.Load(); got != x.strangers || o.Slot.Dropped.Load() != before+1 {
			t.Errorf("%q at %v: %d strangers' messages, want %d; %d dropped", x.datagram, x.at, got, x.strangers, o.Slot.Dropped.Load())
		}
	}
	if n := o.Pair(0, 1).Arrived.Load(); n != 0 {
		t.Errorf("%d arrived", n)
	}
	o.now = 1900 * time.Millisecond
	o.peer.Step(time.Unix(9, 0), netip.MustParseAddrPort("127.0.0.1:9"), broadcast(1)) // of nobody in the mesh
	if got := o.Slot.Strangers.Load(); got != 2 {
		t.Errorf("%d strangers' messages", got)
	}

	o.External.Store(1) // A is not ours
	o.peer.Step(time.Unix(9, 0), addrA, broadcast(7))
	if arrived, strangers := o.Pair(0, 1).Arrived.Load(), o.Slot.Strangers.Load(); arrived != 1 || strangers != 3 {
		t.Errorf("%d arrived, %d strangers' messages, want 1 and 3", arrived, strangers)
	}
	o.peer.Step(time.Unix(9, 0), serverAddr, list(core.Member{Name: "A", Addr: addrA}, core.Member{Name: "B", Addr: addrB}))
	for _, x := range []struct {
		at      time.Duration
		counter uint16
	}{{999 * time.Millisecond, 7}, {1100 * time.Millisecond, 8}, {1200 * time.Millisecond, 8}, {1300 * time.Millisecond, 9}, {2100 * time.Millisecond, 10}} {
		o.now = x.at
		o.peer.Step(time.Unix(9, 0), addrA, broadcast(x.counter))
	}
	if p := o.Pair(0, 1); p.First != 8 || p.Delivered != 2 || p.Arrived.Load() != 6 || p.Order.High != 9 {
		t.Errorf("of an external sender: first %d, %d delivered, %d arrived", p.First, p.Delivered, p.Arrived.Load())
	}
}

// A server takes and refuses, and nothing of it is in a pair.
func TestRecordedServer(t *testing.T) {
	t.Parallel()
	s := twoPeers()
	r := NewRecorder(s, VirtualClock(func() time.Duration { return 0 }, 0), ServerSlot)
	r.OpenWindow(0, 10, 1)
	r.External.Store(1)
	r.Observe(&core.Event{Kind: core.Stranger, Peer: core.Member{Addr: addrA}, Data: vanillaText([]byte("hello"))})
	r.Observe(&core.Event{Kind: core.Retried})
	r.Observe(&core.Event{Kind: core.Paged, Data: make([]byte, 9)})
	r.Observe(&core.Event{Kind: core.Born})
	if r.Slot.Dropped.Load() != 1 || r.Slot.Strangers.Load() != 0 || r.Slot.Taken.Load() != 2 || r.Slot.Directories.Load() != (core.Traffic{Datagrams: 1, Bytes: 9}) {
		t.Errorf("%d dropped, %d strangers', %d taken, directories %+v", r.Slot.Dropped.Load(), r.Slot.Strangers.Load(), r.Slot.Taken.Load(), r.Slot.Directories.Load())
	}
}

// Whose datagrams are in the accounts.
func TestAccounted(t *testing.T) {
	t.Parallel()
	s := twoPeers()
	s.Index[serverAddr.Port()] = ServerSlot
	check := func(when string, a, b, server, nobody bool) {
		t.Helper()
		for port, want := range map[uint16]bool{3001: a, 3002: b, 3000: server, 9: nobody} {
			if s.Accounted(port) != want {
				t.Errorf("%s: port %d accounted: %v", when, port, !want)
			}
			if got := s.IsOurs(port); got != (want && (port == 3001 || port == 3002)) {
				t.Errorf("%s: port %d is ours: %v", when, port, got)
			}
		}
	}
	check("by default", true, true, false, false)
	s.ServerKnown.Store(true)
	check("the server is ours", true, true, true, false)
	s.AllAccounted.Store(true)
	check("all are", true, true, true, true)
	s.External.Store(1)
	s.AllAccounted.Store(false)
	check("A is external", false, true, true, false)
}

func TestSet(t *testing.T) {
	t.Parallel()
	var s Set
	want := []int{0, 1, 62, 63, 64, 65, 94, 127}
	for n, i := range want {
		if s.Has(i) || s.Len() != n {
			t.Errorf("%d is in a set of %d, of %d members", i, n, s.Len())
		}
		s.Add(i)
		if !s.Has(i) {
			t.Errorf("%d is not in the set", i)
		}
	}
	if got := slices.Collect(s.All()); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	for i := range s.All() {
		if i != 0 {
			t.Errorf("after a break comes %d", i)
		}
		break
	}
	s.Remove(63)
	s.Remove(2)
	if s.Has(63) || !s.Has(62) || !s.Has(64) || s.Len() != 7 {
		t.Errorf("%v without 63", slices.Collect(s.All()))
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	var all string
	for slot := range int(core.MaxPeers) {
		name := string(SlotName(slot))
		plain := strings.Contains("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", name)
		if plain != (slot < 62) || (QuoteName(slot) == name) != plain || strings.Contains(all, name) {
			t.Errorf("slot %d is %q, %s in a sentence", slot, name, QuoteName(slot))
		}
		all += name
	}
	if !strings.HasPrefix(all, "ABC") || len(all) != core.MaxPeers || QuoteName(62) != `" "` {
		t.Errorf("%q, %s", all, QuoteName(62))
	}
	if s := storeOf(1); s.NameOf(94) != SlotName(94) {
		t.Errorf("%q", s.NameOf(94))
	}
	s := storeOf(1)
	if s.Wide = true; s.NameOf(0) != "peer-0001" || s.NameOf(94) != "peer-0095" {
		t.Errorf("%q to %q", s.NameOf(0), s.NameOf(94))
	}
}

// What one process writes another that maps the store reads.
func TestSharedStore(t *testing.T) {
	t.Parallel()
	s, f, free, err := NewStore(80)
	if err != nil {
		t.Fatal(err)
	}
	if f != nil {
		other, unmap, err := MapStore(f, 80)
		if err != nil {
			t.Fatal(err)
		}
		s.Slots[ServerSlot].Taken.Store(7)
		if got := other.Slots[ServerSlot].Taken.Load(); got != 7 || s.Peers != 80 {
			t.Errorf("of %d peers, the other mapping shows %d, want 80 and 7", s.Peers, got)
		}
		unmap()
	}
	s.Slots[3].Held.Store(5)
	s.Slots[3].MeasuredHeld.Store(2)
	s.Slots[3].Vanish()
	if x := &s.Slots[3]; x.Vanished.Load() != 5 || x.Held.Load() != 0 || x.MeasuredHeld.Load() != 0 {
		t.Errorf("%d vanished, %d and %d held", x.Vanished.Load(), x.Held.Load(), x.MeasuredHeld.Load())
	}
	if free(); f != nil {
		if _, err := f.Stat(); err == nil {
			t.Error("the file is open still")
		}
		if _, _, err := MapStore(f, 80); err == nil {
			t.Error("a closed file can be mapped")
		}
	}
}
func TestIncludes(t *testing.T) {
	for _, c := range []struct {
		view, all string
		want      bool
	}{{"\x07", "\x05", true}, {"\x05", "\x07", false}, {"\x01", "\x01\x01", false}, {"\x01\x01", "\x01", true}, {"", "", true}} {
		if got := Set(c.view).Includes(Set(c.all)); got != c.want {
			t.Errorf("%q includes %q: %v", c.view, c.all, got)
		}
	}
}
