package simnet

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
)

// clockwork is a machine that notes when it is polled and told of losses, and sends to nobody
// in particular as often as it is to.
type clockwork struct {
	next   time.Time
	sends  int
	to     []netip.AddrPort
	polled []time.Duration
	lost   int
	clock  func() time.Duration // to be read whenever it is polled; may be nil
	read   []time.Duration
}

func (c *clockwork) Lost(time.Time) { c.lost++ }

func (c *clockwork) Step(time.Time, netip.AddrPort, []byte) bool { return false }
func (c *clockwork) Poll(now time.Time) (core.Outgoing, time.Time) {
	if c.polled = append(c.polled, now.Sub(Start)); c.clock != nil {
		c.read = append(c.read, c.clock())
	}
	if c.sends > 0 {
		c.sends--
		return core.Outgoing{Datagram: []byte("x"), To: c.to}, now
	}
	return core.Outgoing{}, c.next
}

// What a turn has computed by then is on the clock that the machine is shown, and on that of
// whoever asks meanwhile.
func TestLagShows(t *testing.T) {
	const us = time.Microsecond
	n := New(Config{Host: Host{Cores: 1, Wake: 5 * us, Take: us, Send: 2 * us}})
	c := &clockwork{}
	x := n.Add(1, func(time.Time) core.Machine { return c })
	x.Launch()
	n.Run(10 * us)
	c.clock, c.polled, c.sends, c.to = n.Clock, nil, 2, []netip.AddrPort{Addr(2), Addr(3)}
	for range 3 {
		n.Inject(9, 1, []byte("y"))
	}
	n.Run(100 * us)
	// Its turn begins at 15; three datagrams taken are 3 µs, each of the two sent to two ports 4.
	if want := []time.Duration{18 * us, 22 * us, 26 * us}; !slices.Equal(c.polled, want) || !slices.Equal(c.read, want) {
		t.Errorf("polled at %v, when the clock showed %v, want %v", c.polled, c.read, want)
	}
	if x.Time().Sub(Start) != 100*us {
		t.Errorf("the node's clock shows %v at %v", x.Time().Sub(Start), n.Now())
	}
}

// Who gets something to do during its turn has another one; who is stopped takes no core from
// anybody.
func TestTurns(t *testing.T) {
	const us = time.Microsecond
	n := New(Config{Host: Host{Cores: 1, Wake: 5 * us, Send: 2 * us}})
	c := &clockwork{sends: 1, to: []netip.AddrPort{Addr(2), Addr(3)}}
	var heard []string
	x := n.Add(1, func(time.Time) core.Machine { return c })
	stopped := n.Add(2, func(time.Time) core.Machine { return &listener{"a", &heard} })
	n.Add(3, func(time.Time) core.Machine { return &listener{"b", &heard} }).Launch()
	stopped.Launch()
	n.Run(50 * us)
	stopped.Pause()
	x.Launch()
	n.At(56*us, func() { x.Do(func(time.Time) { c.sends = 1 }) }) // its turn is from 55 to 59
	n.Run(200 * us)
	// The sender has another turn from 59 to 68, and then b one that begins at 73.
	if want := []string{"b<1@73µs", "b<1@73µs"}; !slices.Equal(heard, want) {
		t.Errorf("heard %v, want %v", heard, want)
	}
	n.Inject(1, 3, []byte("x"))
	n.At(202*us, n.Node(3).Kill) // while it waits for its turn, as the other one is stopped
	n.Inject(1, 2, []byte("x"))
	stopped.Resume()
	n.At(202*us, stopped.Pause)
	if n.Run(300 * us); len(heard) != 2 || n.working != 0 {
		t.Errorf("heard %v in turns that are nobody's; %d cores are busy", heard[2:], n.working)
	}
	if got, want := Addr(7), netip.MustParseAddrPort("127.0.0.1:7"); got != want {
		t.Errorf("port 7 is at %v, want %v", got, want)
	}
	for _, d := range []time.Duration{0, 1 << 10, time.Second, 5 * time.Second, time.Hour} {
		if got := scale(d, 1<<31); got != d/2 {
			t.Errorf("half of %v is %v", d, got)
		}
	}
}

// An alarm that was moved rings at its new time alone.
func TestMovedAlarm(t *testing.T) {
	const ms = time.Millisecond
	n, c := New(Config{}), &clockwork{next: Start.Add(10 * ms)}
	x := n.Add(1, func(time.Time) core.Machine { return c })
	x.Launch()
	n.At(2*ms, func() { x.Do(func(time.Time) { c.next = Start.Add(20 * ms) }) })
	n.At(20*ms, func() { c.next = time.Time{} })
	n.Run(30 * ms)
	if want := []time.Duration{0, 2 * ms, 20 * ms}; !slices.Equal(c.polled, want) {
		t.Errorf("polled at %v, want %v", c.polled, want)
	}
}

// A clock that is changed has the alarm ring when it shows that time, though the machine asks for
// no other.
func TestAlarmOfAChangedClock(t *testing.T) {
	const ms = time.Millisecond
	for want, change := range map[time.Duration]func(*Node){
		60 * ms:    func(x *Node) { x.JumpClock(40 * ms) },
		140 * ms:   func(x *Node) { x.JumpClock(-40 * ms) },
		70 * ms:    func(x *Node) { x.DriftClock(500_000) },
		190*ms - 1: func(x *Node) { x.DriftClock(-500_000) }, // it is rounded up
	} {
		n, c := New(Config{}), &clockwork{next: Start.Add(100 * ms)}
		x := n.Add(1, func(time.Time) core.Machine { return c })
		x.Launch()
		n.At(10*ms, func() { change(x) })
		for len(c.polled) < 3 && n.RunInstant(time.Second) {
		}
		if len(c.polled) < 3 || c.polled[2] < 100*ms || n.Now() != want {
			t.Errorf("rings at %v, when the node's clock shows %v, want %v", n.Now(), c.polled, want)
		}
	}
}

// A link works when all of its cuts have healed, and no further healing does it harm.
func TestCutsOverlap(t *testing.T) {
	n := New(Config{})
	var heard []string
	n.Add(1, func(time.Time) core.Machine { return &clockwork{} }).Launch()
	n.Add(2, func(time.Time) core.Machine { return &listener{"a", &heard} }).Launch()
	arrives := func(what string, want bool) {
		t.Helper()
		before := len(heard)
		n.Inject(1, 2, []byte("x"))
		n.Run(n.Now() + time.Millisecond)
		if got := len(heard) > before; got != want {
			t.Errorf("%s: it arrives: %v", what, got)
		}
	}
	arrives("no cut", true)
	n.Cut(1, 2)
	n.Cut(0, 2)
	arrives("two cuts", false)
	n.Heal(1, 2)
	arrives("one has healed", false)
	n.Heal(0, 2)
	arrives("both have healed", true)
	n.Heal(1, 2)
	n.Cut(1, 2)
	arrives("healed too often, then cut", false)
}

// A link without bursts is not in one, though it was when the network had them.
func TestBurstEndsWithItsFault(t *testing.T) {
	n := New(Config{Fault: Fault{Worsen: 1, Bad: 1}})
	n.Add(1, func(time.Time) core.Machine { return &clockwork{} }).Launch()
	n.Add(2, func(time.Time) core.Machine { return &clockwork{} }).Launch()
	for _, f := range []Fault{{Worsen: 1, Bad: 1}, {Bad: 1, Recover: 1}, {Bad: 1}} {
		n.SetDefault(f)
		before := n.Stats().Lost
		n.Inject(1, 2, []byte("x"))
		n.Run(n.Now() + time.Millisecond)
		if got, want := n.Stats().Lost-before, uint64(f.Worsen); got != want {
			t.Errorf("%v: %d of 1 lost, want %d", f, got, want)
		}
	}
}

// The clock stops at what happens, and at nothing else: one datagram to two ports is one event
// where it gets there at once, and one for each port where it does not.
func TestEventsAreCounted(t *testing.T) {
	for _, x := range []struct {
		fault Fault
		host  Host
		want  uint64
	}{
		{Fault{}, Host{}, 1},
		{Fault{Delay: time.Millisecond}, Host{}, 1},
		{Fault{Delay: time.Millisecond, Duplicate: 1}, Host{}, 1},
		{Fault{Jitter: time.Millisecond}, Host{}, 2},
		{Fault{Loss: 1}, Host{}, 0},
		{Fault{}, Host{Cores: 1, Send: time.Microsecond}, 2 + 2}, // and the turn, from its begin to its end
	} {
		n, c := New(Config{Seed: 1, Fault: x.fault, Host: x.host}), &clockwork{to: []netip.AddrPort{Addr(2), Addr(3)}}
		node := n.Add(1, func(time.Time) core.Machine { return c })
		node.Launch()
		n.Run(time.Second)
		before := n.Stats().Events
		c.sends = 1
		node.Do(func(time.Time) {})
		for last := n.Now(); n.RunInstant(2 * time.Second); last = n.Now() {
			if n.Now() < last {
				t.Fatalf("the clock goes back from %v to %v", last, n.Now())
			}
		}
		if got := n.Stats().Events - before; got != x.want || n.Stats().Sent != 2 {
			t.Errorf("%v, %+v: %d events, want %d", x.fault, x.host, got, x.want)
		}
	}
}

// A network that cannot be is refused when it is made, and what a sender has sent is counted
// in 31 bits: the last one tells its datagrams from injected ones.
func TestNetBounds(t *testing.T) {
	n := New(Config{})
	for want, f := range map[string]func(){
		"simnet: take 1ns without cores that it could keep busy": func() { New(Config{Host: Host{Take: 1}}) },
		"simnet: loss probability 2, want 0 to 1":                func() { New(Config{Fault: Fault{Loss: 2}}) },
		"simnet: cannot add node 1 on port 0":                    func() { n.Add(0, nil) },
		core.ErrFull.Error():                                     func() { Must(n, core.ErrFull) },
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); got != want {
					t.Errorf("the panic is %q, want %q", got, want)
				}
			}()
			f()
		}()
	}
	for cores, want := range map[int]bool{-1: false, 0: true, 1024: true, 1025: false} {
		if err := (Host{Cores: cores}).Validate(); (err == nil) != want {
			t.Errorf("%d cores: %v", cores, err)
		}
	}
	c := &clockwork{sends: 1, to: []netip.AddrPort{Addr(2)}}
	x := n.Add(1, func(time.Time) core.Machine { return c })
	x.nth = 1<<31 - 1
	x.Launch()
	if n.Run(1); x.nth != 0 {
		t.Errorf("after datagram 2^31-1 comes %d", x.nth)
	}
}

// A machine is told of what found its queue full, once, and the node counts it.
func TestLossIsTold(t *testing.T) {
	n, c := New(Config{Queue: 2}), &clockwork{}
	x := n.Add(1, func(time.Time) core.Machine { return c })
	x.Launch()
	for i, sent := range []int{2, 5, 1, 3} {
		for range sent {
			n.Inject(9, 1, []byte("x"))
		}
		n.Run(n.Now() + time.Millisecond)
		x.Do(func(time.Time) {})
		n.Run(n.Now() + time.Millisecond)
		if told, lost := [...]int{0, 1, 1, 2}[i], [...]uint64{0, 3, 3, 4}[i]; c.lost != told || x.Overflowed() != lost {
			t.Errorf("after %d at once: told %d times, %d lost; want %d and %d", sent, c.lost, x.Overflowed(), told, lost)
		}
	}
}

// A long text is cut in the log.
func TestLogOfLongText(t *testing.T) {
	line := func(text string) string {
		e := Event{What: Taken, From: 1, To: 2, Datagram: wire.Message{Type: core.TypeVanilla, Payload: []byte(text)}.Append(nil)}
		return string(e.Append(nil))
	}
	begins, most := "0.000000000 taken 1>2 vanilla ", strings.Repeat("x", 64)
	for text, want := range map[string]string{most[1:]: most[1:], most: most, most + "y": most} {
		if got := line(text); got != begins+`"`+want+`"` {
			t.Errorf("%d bytes: %s", len(text), got)
		}
	}
}
