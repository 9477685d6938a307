package core

import (
	"testing"
	"time"
)

// What stays the same for all iterations is made before; time is a variable
// that moves on, as a driver's would.

func BenchmarkParse(b *testing.B) {
	for _, c := range []struct {
		name     string
		datagram []byte
	}{
		{"birth", birth(peer('A'))},
		{"keep-alive", keepAlive('A')},
		{"directory95", directory(every(MaxPeers)...)},
		{"vanilla", vanilla("peerA_broadcast_0")},
		{"malformed", []byte{0xC0, 0, 'A', 0}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			var v Message
			var codec Codec = exact
			for b.Loop() {
				codec.Parse(&v, c.datagram)
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	all, text := every(MaxPeers), []byte("peerA_broadcast_0")
	space, ends := make([]byte, 0, MaxDatagram), []int(nil)
	for _, c := range []struct {
		name string
		make func()
	}{
		{"keep-alive", func() { space = exact.Append(space[:0], &Message{Type: TypeKeepAlive, Member: peer('A')}) }},
		{"directory95", func() { space, ends = exact.AppendDirectory(space[:0], ends[:0], Version{}, all) }},
		{"vanilla", func() { space = exact.Append(space[:0], &Message{Type: TypeVanilla, Text: text}) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.make()
			}
		})
	}
}

// fullServer knows 95 peers, and has announced them.
func fullServer(b testing.TB) *Directory {
	d, err := NewDirectory(DirectoryConfig{Addr: from(serverPort), Timing: DefaultTiming()}, start)
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range every(MaxPeers) {
		d.Step(start, e.Addr, birth(e))
	}
	d.Poll(start)
	return d
}

func newMember(b testing.TB) *Peer {
	p, err := NewPeer(PeerConfig{Self: every(1)[0], Server: from(serverPort), Timing: DefaultTiming()}, start)
	if err != nil {
		b.Fatal(err)
	}
	p.Poll(start)
	p.Step(start, from(serverPort), directory(every(MaxPeers)...))
	return p
}

func BenchmarkStep(b *testing.B) {
	all := every(MaxPeers)
	last := all[MaxPeers-1]
	server, member := fullServer(b), newMember(b)
	for _, c := range []struct {
		name     string
		m        Machine
		port     uint16
		datagram []byte
	}{
		{"keep-alive", server, last.Addr.Port(), keepAlive(last.Name)},
		{"conflict", server, 9999, birth(Member{last.Name, from(9999)})},
		{"malformed", server, 9999, []byte{0xC0, 0, 'A', 0}},
		{"directory95", member, serverPort, directory(all...)},
		{"vanilla", member, last.Addr.Port(), vanilla("peer~_broadcast_0")},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			source := from(c.port)
			for b.Loop() {
				c.m.Step(start, source, c.datagram)
			}
		})
	}
}

func BenchmarkPoll(b *testing.B) {
	b.Run("server-idle", func(b *testing.B) {
		d := fullServer(b)
		b.ReportAllocs()
		for b.Loop() {
			d.Poll(start)
		}
	})
	b.Run("server-reap", func(b *testing.B) { // looks at 95 entries, reaps none
		d := fullServer(b)
		d.cfg.Timing.Deadline = 1 << 62
		now := start
		b.ReportAllocs()
		for b.Loop() {
			now = now.Add(500 * time.Millisecond)
			d.Poll(now)
		}
	})
	b.Run("peer-broadcast", func(b *testing.B) {
		p := newMember(b)
		p.Broadcast(Schedule{First: start, Interval: time.Nanosecond})
		p.cfg.Timing.Heartbeat = 1 << 62
		p.alive = start.Add(1 << 62)
		now := start
		b.ReportAllocs()
		for b.Loop() {
			now = now.Add(1)
			p.Poll(now)
		}
	})
}
