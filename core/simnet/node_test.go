package simnet

import (
	"strings"
	"testing"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
)

// A fault is written as it is read, and a word that is none is refused.
func TestFaultText(t *testing.T) {
	all := Fault{Loss: 0.1, Delay: 2 * time.Millisecond, Jitter: time.Second, Tail: true, Duplicate: 0.2, Reorder: 0.3, Hold: time.Minute, Worsen: 0.4, Recover: 0.5, Bad: 1}
	for text, want := range map[string]Fault{
		"":                {},
		"loss=0.25":       {Loss: 0.25},
		"delay=20µs tail": {Delay: 20 * time.Microsecond, Tail: true},
		"loss=0.1 delay=2ms jitter=1s tail duplicate=0.2 reorder=0.3 hold=1m0s worsen=0.4 recover=0.5 bad=1": all,
	} {
		if got, err := ParseFault(strings.Fields(text)); err != nil || got != want || want.String() != text {
			t.Errorf("%q: %+v, %v; it is written as %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"fog=1":          `"fog=1" is not a property of a link`,
		"loss=1 loss=0":  `"loss=0": a second loss`,
		"loss=x":         `"loss=x": want a number or a duration such as 2ms`,
		"delay=5":        `"delay=5": want a number or a duration such as 2ms`,
		"tail=1":         `"tail=1": want`,
		"loss=1.5":       "loss probability 1.5, want 0 to 1",
		"bad=-0.1":       "bad probability -0.1",
		"hold=2h":        "hold 2h0m0s, want 0 to 1h",
		"jitter=-1ns":    "jitter -1ns",
		"delay=1h0m0.1s": "delay 1h0m0.1s",
	} {
		if f, err := ParseFault(strings.Fields(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v, want %q", text, f, err, want)
		}
	}
	if err := (Fault{Loss: 1, Delay: time.Hour}).Validate(); err != nil {
		t.Error(err)
	}
}

// What waits for a node that is killed is lost, and a node that falls on the instant at which
// it would run does not run; a network's faults can be replaced as a whole.
func TestNodeEnds(t *testing.T) {
	if want := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC); !Start.Equal(want) {
		t.Errorf("it starts at %v", Start)
	}
	hello := wire.Message{Type: core.TypeVanilla, Payload: []byte("hello")}.Append(nil)
	m := newMesh(t, Config{}, core.DefaultTiming())
	a := m.peer(0)
	a.Launch()
	m.Run(time.Millisecond)
	taken := func() uint64 { return m.Stats().Taken }
	before := taken()
	m.At(2*time.Millisecond, a.Pause)
	m.At(3*time.Millisecond, func() { m.Inject(9, a.Port(), hello) })
	m.At(4*time.Millisecond, a.Kill)
	m.Run(5 * time.Millisecond)
	lost := m.Stats().Unreachable
	if taken() != before || lost != 2 || a.Running() || a.Paused() { // its birth, and what waited
		t.Errorf("%d taken, %d unreachable", taken()-before, lost)
	}
	a.Launch()
	m.Run(6 * time.Millisecond)
	lost, before = m.Stats().Unreachable, taken()
	m.At(7*time.Millisecond, func() { m.Inject(9, a.Port(), hello) })
	m.At(7*time.Millisecond, func() { m.At(7*time.Millisecond, a.Pause) }) // after it has arrived
	m.Run(8 * time.Millisecond)
	if taken() != before {
		t.Error("a node that is stopped takes something at that instant")
	}
	m.At(9*time.Millisecond, a.Resume)
	m.At(9*time.Millisecond, a.Kill)
	m.Run(10 * time.Millisecond)
	if taken() != before || m.Stats().Unreachable != lost+1 {
		t.Errorf("%d taken, %d unreachable", taken()-before, m.Stats().Unreachable-lost)
	}
	a.Launch()
	m.Run(11 * time.Millisecond)
	events := m.Stats().Events
	m.At(12*time.Millisecond, func() {})
	m.At(13*time.Millisecond, func() {})
	m.Run(14 * time.Millisecond)
	if got := m.Stats().Events - events; got != 2 {
		t.Errorf("%d events, want the two calls", got)
	}
	m.SetDefault(Fault{Loss: 1})
	before = m.Stats().Lost
	m.At(15*time.Millisecond, func() { m.Inject(9, a.Port(), hello) })
	m.Run(16 * time.Millisecond)
	if got := m.Stats().Lost - before; got != 1 {
		t.Errorf("%d lost of one where all are", got)
	}
}

// A net has room for so many nodes and for no more, one on each port.
func TestRoom(t *testing.T) {
	n := New(Config{})
	launch := func(time.Time) core.Machine { return nil }
	panics := func(port uint16) (does bool) {
		defer func() { does = recover() != nil }()
		n.Add(port, launch)
		return false
	}
	if !panics(0) || n.Node(1) != nil {
		t.Error("a node on port 0")
	}
	for port := range uint16(maxNodes) {
		if panics(port + 1) {
			t.Fatalf("node %d does not fit", port+1)
		}
	}
	if len(n.Nodes()) != maxNodes || !panics(maxNodes+1) || !panics(1) || n.Node(maxNodes).Port() != maxNodes {
		t.Errorf("%d nodes", len(n.Nodes()))
	}
}

// A clock may run half as fast or half as fast again, and no further off.
func TestDriftRange(t *testing.T) {
	n := New(Config{})
	x := n.Add(1, nil)
	for ppm, want := range map[int]bool{-500_001: true, -500_000: false, 500_000: false, 500_001: true} {
		func() {
			defer func() {
				if got := recover() != nil; got != want {
					t.Errorf("a drift of %d ppm panics: %v", ppm, got)
				}
			}()
			x.DriftClock(ppm)
		}()
	}
}
