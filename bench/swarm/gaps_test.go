package swarm

import (
	"testing"
	"time"

	"p2plocal/bench/faults"
	"p2plocal/core"
	"p2plocal/core/simnet"
	"p2plocal/core/wire"
)

// A peer's silence is explained by what has happened to it, and by nothing else.
func TestSilence(t *testing.T) {
	timing := core.DefaultTiming()
	f := newFollower(timing, 1)
	n := simnet.New(simnet.Config{Trace: f.trace})
	f.net = n
	p := &f.peers[0]
	n.AddServer(core.DirectoryConfig{Timing: timing}).Launch()
	self := faults.PeerEntry(0)
	x := n.Add(self.Port, func(now time.Time) core.Machine {
		return p.launch(&f.judge, newPeer(core.PeerConfig{Self: self.Member(serverAddr.Addr()), Server: serverAddr, Timing: timing}, now), self, now)
	})
	x.Launch()
	want := func(heard time.Duration, gap Gap, when string) {
		t.Helper()
		if got := p.silence(heard); got != gap {
			t.Errorf("%s: %q, want %q", when, got, gap)
		}
	}
	n.Run(3 * time.Second)
	want(time.Second, "", "everything it sent arrived")
	want(n.Now(), GapStopped, "nothing is due yet")
	n.Cut(self.Port, simnet.ServerPort)
	n.Run(4 * time.Second)
	want(3*time.Second, GapUnheard, "it was cut off")
	n.Heal(self.Port, simnet.ServerPort)
	n.Run(5 * time.Second)
	want(4*time.Second, "", "what was cut was before")
	n.SetDefault(simnet.Fault{Delay: time.Minute})
	n.Run(6 * time.Second)
	want(5*time.Second, GapUnheard, "what it sent is on its way")
	n.SetDefault(simnet.Fault{})
	x.JumpClock(-time.Minute)
	n.Run(10 * time.Second)
	want(7*time.Second, GapStopped, "its clock stands still")
	x.Pause()
	want(9*time.Second, GapStopped, "it is paused")
	x.Resume()
	want(9*time.Second, GapStopped, "it was paused")
	x.Kill()
	want(n.Now()+1, GapStopped, "it is dead")
	if f.gone(wire.Entry{Name: 'x', Port: self.Port}, 0, ""); p.absence != (absence{}) {
		t.Errorf("a ghost's removal counts as the peer's: %v", p.absence)
	}
	if f.found != nil {
		t.Error(f.found)
	}
}
