package simnet

import (
	"testing"
	"time"

	"p2plocal/core"
)

// BenchmarkNet lets a mesh of 95 run and reports how many times faster than
// real time ("x-real-time"; "x-cpu-time": for the CPU time spent, which other
// work on the machine hardly changes) and how long a datagram takes from Poll to Step. One
// operation is one virtual second. The peers' phases are spread evenly, so
// that hardly anything falls on one instant.
func BenchmarkNet(b *testing.B) {
	loopback := Fault{Delay: 20 * time.Microsecond}
	rough := Fault{Delay: 20 * time.Microsecond, Jitter: 2 * time.Millisecond, Loss: 0.01, Duplicate: 0.01}
	for _, bb := range []struct {
		name      string
		broadcast time.Duration
		fault     Fault
		trace     func(*Event)
	}{
		{"keepalives", 0, loopback, nil},
		{"broadcasts", 4 * time.Second, loopback, nil},
		{"broadcasts-traced", 4 * time.Second, loopback, func(*Event) {}},
		{"broadcasts-faults", 4 * time.Second, rough, nil},
	} {
		b.Run(bb.name, func(b *testing.B) {
			timing := core.DefaultTiming()
			timing.Broadcast = bb.broadcast
			n := New(Config{Seed: 1, Fault: bb.fault, Trace: bb.trace})
			n.AddServer(core.DirectoryConfig{Timing: timing}).Launch()
			for i := range core.MaxPeers {
				x := n.AddPeer(core.PeerConfig{Self: core.Member{Name: core.Name(rune(' ' + i)), Addr: Addr(uint16(3001 + i))}, Timing: timing})
				n.At(time.Duration(i)*500*time.Millisecond/core.MaxPeers, x.Launch)
			}
			n.Run(20 * time.Second)
			taken := n.Stats().Taken
			b.ReportAllocs()
			cpu := cpuTime()
			for b.Loop() {
				n.Run(n.Now() + time.Second)
			}
			virtual := time.Duration(b.N) * time.Second
			b.ReportMetric(virtual.Seconds()/b.Elapsed().Seconds(), "x-real-time")
			if cpu = cpuTime() - cpu; cpu > 0 {
				b.ReportMetric(virtual.Seconds()/cpu.Seconds(), "x-cpu-time")
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n.Stats().Taken-taken), "ns/datagram")
		})
	}
}
