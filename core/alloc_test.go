//go:build !race

package core

import (
	"testing"
	"time"
)

// The race detector allocates of its own; without it, nothing on the way of a
// datagram does.
func TestNoAllocations(t *testing.T) {
	all := every(MaxPeers)
	full := directory(all...)
	space, ends := make([]byte, 0, MaxDatagram), []int(nil)
	now := start
	poll := func(m Machine) {
		for {
			out, _ := m.Poll(now)
			if out.Empty() {
				return
			}
		}
	}
	d, p := fullServer(t), newMember(t)
	hostile := [][]byte{nil, {0xC0}, {0xC0, 0, 0, 0, 1, 0}, {0xC0, 0, 'A', 0, 0, 0}, {0xEF, 0xBE, 1, 0},
		vanilla("hi"), full, birth(named('A', serverPort)), birth(named('A', 9)), keepAlive('A'), directory(all[0], all[0])}
	member, server := all[1].Addr, from(serverPort)
	text := vanilla("peer!_broadcast_0")
	births, alive := make([][]byte, MaxPeers), make([][]byte, MaxPeers)
	for i, e := range all {
		births[i], alive[i] = birth(e), keepAlive(e.Name)
	}
	for name, f := range map[string]func(){
		"Parse": func() {
			for _, b := range hostile {
				parse(b)
			}
		},
		"AppendDirectory": func() { space, ends = exact.AppendDirectory(space[:0], ends[:0], Version{}, all) },
		"AppendBroadcast": func() { space = AppendBroadcast(space[:0], "A", 0xffff, 1400) },
		"ParseBroadcast":  func() { ParseBroadcast(text[4 : len(text)-1]) },
		"the server, for refused input": func() {
			for _, b := range hostile {
				d.Step(now, member, b)
			}
			poll(d)
		},
		"the server, through births, repeats, keep-alives and reaps": func() {
			for i := range all {
				d.Step(now, member, births[i])
				d.Step(now, member, births[i])
				d.Step(now, member, alive[i])
				poll(d)
			}
			for range 5 {
				now = now.Add(500 * time.Millisecond)
				poll(d)
			}
		},
		"a peer, for refused input": func() {
			for _, b := range hostile {
				p.Step(now, member, b)
			}
			poll(p)
		},
		"a peer, through directories, messages and broadcasts": func() {
			p.Step(now, server, full)
			p.Step(now, member, text)
			now = now.Add(4 * time.Second)
			poll(p)
		},
	} {
		f() // scratch space grows once
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if d.Counters().Events[Removed] == 0 || p.Counters().Events[Broadcast] == 0 {
		t.Error("this test has not gone where it should")
	}
}
