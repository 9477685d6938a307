package simnet

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"p2plocal/core"
)

// crier sends one datagram to its ports whenever it is told to; listener notes
// when it hears something.
type crier struct {
	at time.Time
	to []netip.AddrPort
}

func (c *crier) Step(time.Time, netip.AddrPort, []byte) bool { return false }
func (c *crier) Poll(now time.Time) (core.Outgoing, time.Time) {
	if now.Before(c.at) || c.at.IsZero() {
		return core.Outgoing{}, c.at
	}
	c.at = time.Time{}
	return core.Outgoing{Datagram: []byte("x"), To: c.to}, now
}

type listener struct {
	name  string
	heard *[]string
}

func (l *listener) Step(now time.Time, from netip.AddrPort, _ []byte) bool {
	*l.heard = append(*l.heard, fmt.Sprintf("%s<%d@%v", l.name, from.Port(), now.Sub(Start)))
	return false
}
func (l *listener) Poll(time.Time) (core.Outgoing, time.Time) {
	return core.Outgoing{}, time.Time{}
}

// What a host's turns cost, worked out by hand: a turn is 5 µs, each datagram
// taken 1 µs and each sent 2 µs.
func TestHost(t *testing.T) {
	for _, test := range []struct {
		cores int
		fault Fault
		want  []string
	}{
		// The sender wakes at 100, has its turn from 105 and sends at 107, 109, 111 µs.
		// One core: it is the sender's until 111, then each has 5 and 1 in turn.
		{1, Fault{}, []string{"a<1@116µs", "b<1@122µs", "c<1@128µs"}},
		// Two: the other has a from 107 on and c from 113; the sender's has b from 111.
		{2, Fault{}, []string{"a<1@112µs", "b<1@116µs", "c<1@118µs"}},
		// Enough for all, on links of 100 µs: nobody waits.
		{4, Fault{Delay: 100 * time.Microsecond}, []string{"a<1@212µs", "b<1@214µs", "c<1@216µs"}},
		// The same where each datagram goes its own way through the faults.
		{4, Fault{Delay: 100 * time.Microsecond, Duplicate: 1}, []string{"a<1@212µs", "a<1@212µs", "b<1@214µs", "b<1@214µs", "c<1@216µs", "c<1@216µs"}},
	} {
		n := New(Config{Fault: test.fault, Host: Host{Cores: test.cores, Wake: 5 * time.Microsecond, Take: time.Microsecond, Send: 2 * time.Microsecond}})
		var heard []string
		n.Add(1, func(now time.Time) core.Machine {
			return &crier{now.Add(100 * time.Microsecond), []netip.AddrPort{Addr(2), Addr(3), Addr(4)}}
		}).Launch()
		for i, name := range []string{"a", "b", "c"} {
			n.Add(uint16(2+i), func(time.Time) core.Machine { return &listener{name, &heard} }).Launch()
		}
		n.Run(time.Millisecond)
		if !slices.Equal(heard, test.want) {
			t.Errorf("%d cores: heard %v, want %v", test.cores, heard, test.want)
		}
	}
}

// A host changes when things happen, and nothing else: the accounts add up, time
// goes on and a mesh comes together.
func TestHostedMesh(t *testing.T) {
	timing := core.DefaultTiming()
	n := New(Config{Seed: 1, Queue: 2520, Fault: Fault{Delay: 2 * time.Microsecond, Loss: 0.01, Jitter: time.Millisecond},
		Host: Host{Cores: 2, Wake: 5 * time.Microsecond, Take: time.Microsecond, Send: 2 * time.Microsecond}})
	timing.Refresh = time.Second
	n.AddServer(core.DirectoryConfig{Timing: timing}).Launch()
	for i := range core.MaxPeers {
		n.AddPeer(core.PeerConfig{Self: core.Member{Name: core.Name(rune(' ' + i)), Addr: Addr(uint16(3001 + i))}, Timing: timing}).Launch()
	}
	n.Node(3005).Pause()
	n.Run(10 * time.Second)
	n.Node(3005).Resume()
	n.Inject(3001, 3005, []byte("x")) // which costs nobody anything
	if n.Clock() != n.Now() {
		t.Errorf("the clock shows %v at %v, when nobody computes", n.Clock(), n.Now())
	}
	n.Run(20 * time.Second)
	for _, x := range n.Nodes()[1:] {
		if others := len(x.Machine().(*core.Peer).Others()); others != core.MaxPeers-1 {
			t.Errorf("the peer on %d knows %d others", x.Port(), others)
		}
		x.Machine().(*core.Peer).Disconnect()
	}
	n.Run(21234 * time.Millisecond)
	if s := n.Stats(); s.Sent+s.Duplicated != s.Taken+s.Lost+s.Cut+s.Overflowed+s.Unreachable || s.Lost == 0 {
		t.Errorf("the accounts do not add up: %+v", s)
	}
	if n.working != 0 {
		t.Errorf("%d cores are never given back", n.working)
	}
}
