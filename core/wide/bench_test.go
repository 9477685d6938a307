package wide

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"p2plocal/core"
)

var (
	begin  = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	server = addr("192.0.2.9:3000")
)

// pair is a server that knows n peers, and the first of them, a member. seal is nil or
// the sealer of the last other one.
func pair(t testing.TB, n int, keys Keys) (d *Directory, p *Peer, last *Peer) {
	d, err := NewDirectory(core.DirectoryConfig{Addr: server, Timing: DefaultTiming()}, Identity{Seed: [32]byte{1}, Keys: keys}, begin)
	if err != nil {
		t.Fatal(err)
	}
	var peers []*Peer
	for i := range n {
		self := core.Member{Name: core.Name(fmt.Sprintf("peer-%04d", i)), Addr: peerAddr(i)}
		timing := DefaultTiming()
		timing.Broadcast = time.Nanosecond
		p, err := NewPeer(core.PeerConfig{Self: self, Server: server, Timing: timing}, Identity{Seed: [32]byte{2, byte(i), byte(i >> 8)}, Keys: keys}, begin)
		if err != nil {
			t.Fatal(err)
		}
		peers = append(peers, p)
		d.Step(begin, self.Addr, next(p, begin).Datagram)
		p.Step(begin, server, next(d, begin).Datagram)
		d.Step(begin, self.Addr, next(p, begin).Datagram)
	}
	for out := next(d, begin.Add(time.Second)); !out.Empty(); out = next(d, begin.Add(time.Second)) {
		for _, to := range out.To {
			peers[int(to.Port())-4000].Step(begin, server, out.Datagram)
		}
	}
	for i, p := range peers {
		if !p.Joined() || len(p.Others()) != n-1 {
			t.Fatalf("peer %d has not joined", i)
		}
	}
	return d, peers[0], peers[n-1]
}

func peerAddr(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), uint16(4000+i))
}

func next(m core.Machine, now time.Time) core.Outgoing {
	out, _ := m.Poll(now)
	return out
}

// A keep-alive through machine and codec: of the sender, of the receiver, and of both.
func BenchmarkKeepAlive(b *testing.B) {
	for _, c := range []struct {
		name string
		keys Keys
	}{{"plain", nil}, {"sealed", someKey}} {
		d, p, _ := pair(b, 95, c.keys)
		p.Broadcast(core.Schedule{})
		now := begin
		send := func() []byte {
			now = now.Add(500 * time.Millisecond)
			return next(p, now).Datagram
		}
		b.Run(c.name+"/send", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if send() == nil {
					b.Fatal("nothing to send")
				}
			}
		})
		b.Run(c.name+"/receive", func(b *testing.B) {
			b.ReportAllocs()
			var sent [1024][aliveSize + overhead]byte // no sealed one is taken twice
			for i, n := 0, 0; b.Loop(); i++ {
				if i%len(sent) == 0 {
					b.StopTimer()
					for j := range sent {
						n = copy(sent[j][:], send())
					}
					b.StartTimer()
				}
				d.Step(now, peerAddr(0), sent[i%len(sent)][:n])
			}
		})
		b.Run(c.name+"/both", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				d.Step(now, peerAddr(0), send())
			}
		})
		if n := d.Counters(); n.Events.Dropped() > 0 || n.Events[core.Alive] != n.In.KeepAlive.Datagrams {
			b.Fatalf("%+v", n)
		}
	}
}

func BenchmarkStep(b *testing.B) {
	d, p, _ := pair(b, 95, nil)
	vanilla := encode(core.Message{Type: core.TypeVanilla, Version: core.Version{Incarnation: 1 << 63, Number: 1}, Text: []byte("peer-0000_broadcast_0")})
	for _, c := range []struct {
		name     string
		m        core.Machine
		from     netip.AddrPort
		datagram []byte
	}{{"stale-vanilla", p, peerAddr(94), vanilla}, {"malformed", d, peerAddr(0), vanilla[:9]}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.m.Step(begin, c.from, c.datagram)
			}
		})
	}
}

// What a forged datagram costs a receiver with a key.
func BenchmarkForged(b *testing.B) {
	s, other := NewSealer(someKey, session(1), nil), NewSealer(someKey, session(2), nil)
	d := append([]byte(nil), other.Seal(make([]byte, aliveSize))...)
	s.open(begin, server, d)
	b.Run("known-session", func(b *testing.B) {
		b.ReportAllocs()
		for d[len(d)-1] ^= 1; b.Loop(); d[18]++ {
			s.open(begin, server, d)
		}
	})
	b.Run("made-up-session", func(b *testing.B) {
		b.ReportAllocs()
		for d[2]++; b.Loop(); {
			s.open(begin, server, d)
		}
	})
}
