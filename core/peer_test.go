package core

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// PROTOCOL.md, "Peer", and the additions "join retry" and "refresh", line by line.
func TestPeer(t *testing.T) {
	abc := directory(peer('A'), peer('B'), peer('C'))
	unanswered := func(c *PeerConfig) { c.Timing.Broadcast = 0; c.Timing.Heartbeat = time.Hour }
	for _, x := range []struct {
		name   string
		change func(*PeerConfig)
		play   func(*rig, *Peer)
		want   []string
	}{
		{"birth once, then a keep-alive every 500 ms", nil, func(r *rig, _ *Peer) {
			r.until(2 * time.Second)
		}, []string{
			"0s sent birth A:3101 to [3000]",
			"500ms sent keep-alive A to [3000]", "1s sent keep-alive A to [3000]",
			"1.5s sent keep-alive A to [3000]", "2s sent keep-alive A to [3000]",
		}},
		{"leaves itself out of a directory", nil, func(r *rig, p *Peer) {
			r.hear(0, serverPort, abc)
			r.say("%s", showMembers(p.Others()))
			r.hear(0, serverPort, directory(peer('C')))
			r.say("%s", showMembers(p.Others()))
			r.hear(0, serverPort, directory(named('Z', 3101), named('A', 3109))) // by its port, not by its name
			r.say("%s", showMembers(p.Others()))
			r.hear(0, serverPort, directory())
			r.say("%s", showMembers(p.Others()))
		}, []string{
			"0s sent birth A:3101 to [3000]",
			"0s directory [A:3101 B:3102 C:3103]", "0s [B:3102 C:3103]",
			"0s directory [C:3103]", "0s [C:3103]",
			"0s directory [A:3109 Z:3101]", "0s [A:3109]",
			"0s directory []", "0s []",
		}},
		{"broadcasts every 4 s, the first after 4 s", func(c *PeerConfig) { c.Timing.Heartbeat = time.Hour }, func(r *rig, _ *Peer) {
			r.hear(0, serverPort, abc)
			r.forget()
			r.until(8 * time.Second)
		}, []string{
			`4s sent vanilla "peerA_broadcast_0" to [3102 3103]`,
			`8s sent vanilla "peerA_broadcast_1" to [3102 3103]`,
		}},
		{"the counter goes up also when nobody is there", func(c *PeerConfig) { c.Timing.Heartbeat = time.Hour }, func(r *rig, _ *Peer) {
			r.hear(0, serverPort, directory(peer('A')))
			r.forget()
			r.hear(9*time.Second, serverPort, abc)
			r.until(12 * time.Second)
		}, []string{
			"9s directory [A:3101 B:3102 C:3103]",
			`12s sent vanilla "peerA_broadcast_2" to [3102 3103]`,
		}},
		{"a message is handed on with its sender", nil, func(r *rig, _ *Peer) {
			r.hear(0, serverPort, abc)
			r.forget()
			r.hear(1*ms, 3102, vanilla("peerB_broadcast_0"))
			r.hear(2*ms, 3103, vanilla(""))
		}, []string{`1ms message from B:3102: "peerB_broadcast_0"`, `2ms message from C:3103: ""`}},
		{"one that has left is a stranger", func(c *PeerConfig) { c.Timing.Heartbeat = time.Hour }, func(r *rig, _ *Peer) {
			r.hear(0, serverPort, abc)
			r.hear(0, serverPort, directory(peer('A'), peer('C')))
			r.forget()
			r.hear(1*ms, 3102, vanilla("hi"))
		}, []string{"1ms dropped from 3102: " + ErrStranger.Error()}},
		{"no goodbye", nil, func(r *rig, p *Peer) {
			r.hear(0, serverPort, abc)
			r.forget()
			p.Disconnect()
			r.poll()
			r.until(time.Hour)
		}, nil},

		{"join retry: after 3 s it says so once, and repeats the birth every 3 s", unanswered, func(r *rig, p *Peer) {
			r.until(9 * time.Second)
			r.hear(9500*ms, serverPort, directory(peer('B'))) // does not name it
			r.say("joined: %v", p.Joined())
			r.until(12 * time.Second)
			r.hear(12500*ms, serverPort, abc)
			r.say("joined: %v", p.Joined())
			r.until(time.Minute)
		}, []string{
			"0s sent birth A:3101 to [3000]",
			"3s unanswered for 3s", "3s sent birth A:3101 to [3000]",
			"6s sent birth A:3101 to [3000]", "9s sent birth A:3101 to [3000]",
			"9.5s directory [B:3102]", "9.5s joined: false",
			"12s sent birth A:3101 to [3000]",
			"12.5s directory [A:3101 B:3102 C:3103]", "12.5s joined: true",
		}},
		{"join retry: an answer in time needs none", unanswered, func(r *rig, _ *Peer) {
			r.hear(3*time.Second-1, serverPort, abc)
			r.forget()
			r.until(time.Minute)
		}, nil},
		{"join retry: another's entry with its name or its port is no answer", unanswered, func(r *rig, p *Peer) {
			r.hear(0, serverPort, directory(named('A', 3109), named('Z', 3101)))
			r.forget()
			r.until(3 * time.Second)
		}, []string{"3s unanswered for 3s", "3s sent birth A:3101 to [3000]"}},
		{"join retry: once a member, it does not come back by itself", unanswered, func(r *rig, _ *Peer) {
			r.hear(0, serverPort, abc)
			r.hear(time.Second, serverPort, directory(peer('B')))
			r.forget()
			r.until(time.Minute)
		}, nil},
		{"join retry: off", func(c *PeerConfig) { unanswered(c); c.Timing.Retry = 0 }, func(r *rig, _ *Peer) {
			r.until(time.Minute)
		}, []string{"0s sent birth A:3101 to [3000]"}},
		{"join retry: late, it stays with its rhythm", unanswered, func(r *rig, _ *Peer) {
			r.now = start.Add(7 * time.Second)
			r.poll()
			r.until(9 * time.Second)
		}, []string{
			"0s sent birth A:3101 to [3000]",
			"7s unanswered for 7s", "7s sent birth A:3101 to [3000] due 3s",
			"9s sent birth A:3101 to [3000]",
		}},
		{"refresh: a member repeats its birth", func(c *PeerConfig) { unanswered(c); c.Timing.Refresh = 10 * time.Second }, func(r *rig, _ *Peer) {
			r.hear(time.Second, serverPort, abc)
			r.until(21 * time.Second)
			r.hear(22*time.Second, serverPort, abc) // the answer changes no rhythm
			r.until(31 * time.Second)
		}, []string{
			"0s sent birth A:3101 to [3000]",
			"1s directory [A:3101 B:3102 C:3103]",
			"11s sent birth A:3101 to [3000]", "21s sent birth A:3101 to [3000]",
			"22s directory [A:3101 B:3102 C:3103]",
			"31s sent birth A:3101 to [3000]",
		}},
		{"refresh: not before it is a member", func(c *PeerConfig) { unanswered(c); c.Timing.Refresh = time.Second; c.Timing.Retry = 0 }, func(r *rig, _ *Peer) {
			r.until(time.Minute)
		}, []string{"0s sent birth A:3101 to [3000]"}},

		{"connect: born again, timers anew, the counter goes on", nil, func(r *rig, p *Peer) {
			r.hear(0, serverPort, abc)
			r.until(4 * time.Second)
			p.Disconnect()
			r.say("online %v, joined %v", p.Online(), p.Joined())
			r.poll()
			r.until(10 * time.Second)
			r.forget()
			r.hear(10*time.Second, 3102, vanilla("still hearing"))
			p.Connect(r.now)
			r.say("online %v, joined %v", p.Online(), p.Joined())
			r.poll()
			r.hear(10*time.Second, serverPort, abc)
			r.until(14 * time.Second)
			r.log = slices.DeleteFunc(r.log, func(s string) bool { return strings.Contains(s, "keep-alive") && !strings.HasPrefix(s, "10.5s") })
		}, []string{
			`10s message from B:3102: "still hearing"`,
			"10s online true, joined false",
			"10s sent birth A:3101 to [3000]",
			"10s directory [A:3101 B:3102 C:3103]",
			"10.5s sent keep-alive A to [3000]",
			`14s sent vanilla "peerA_broadcast_1" to [3102 3103]`,
		}},
		{"connect: unanswered is said again", unanswered, func(r *rig, p *Peer) {
			r.until(3 * time.Second)
			p.Disconnect()
			r.hear(4*time.Second, serverPort, abc)
			r.forget()
			r.say("joined %v", p.Joined()) // disconnected, it joins nothing
			p.Connect(r.now)
			r.poll()
			r.until(7 * time.Second)
		}, []string{
			"4s joined false",
			"4s sent birth A:3101 to [3000]",
			"7s unanswered for 3s", "7s sent birth A:3101 to [3000]",
		}},
		{"broadcasting is set going and stopped", func(c *PeerConfig) { unanswered(c) }, func(r *rig, p *Peer) {
			r.hear(0, serverPort, abc)
			r.forget()
			p.Broadcast(Schedule{First: start.Add(50 * ms), Interval: 100 * ms, Size: 19})
			r.poll()
			r.until(200 * ms)
			p.Broadcast(Schedule{})
			r.poll()
			r.until(time.Second)
		}, []string{
			`50ms sent vanilla "peerA_broadcast_0.." to [3102 3103]`,
			`150ms sent vanilla "peerA_broadcast_1.." to [3102 3103]`,
		}},
		{"sends what it is asked to", unanswered, func(r *rig, p *Peer) {
			r.hear(0, serverPort, abc)
			r.forget()
			for _, err := range []error{p.Send(r.now, "", []byte("to all")), p.Send(r.now, "C", []byte("to C")), p.Send(r.now, "B", nil)} {
				if err != nil {
					r.say("%v", err)
				}
			}
			r.poll()
		}, []string{
			`0s sent vanilla "to all" to [3102 3103]`, `0s sent vanilla "to C" to [3103]`, `0s sent vanilla "" to [3102]`,
		}},
		{"what it was asked to send before a disconnection is gone after", unanswered, func(r *rig, p *Peer) {
			r.hear(0, serverPort, abc)
			r.forget()
			p.Send(r.now, "", []byte("too late"))
			p.Disconnect()
			r.poll()
			p.Connect(r.now)
			r.poll()
		}, []string{"0s sent birth A:3101 to [3000]"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			if x.change == nil {
				x.change = func(*PeerConfig) {}
			}
			r, p := member(t, x.change)
			x.play(r, p)
			r.want(x.want...)
		})
	}
}

// Who sends from a member's port on another host is no member.
func TestHostsOfARoster(t *testing.T) {
	var r roster
	all := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:4001"), netip.MustParseAddrPort("192.0.2.2:4002"), netip.MustParseAddrPort("192.0.2.1:4003")}
	for n, a := range all {
		r.add(a)
		for i, known := range all[:n+1] {
			if r.find(known) != i {
				t.Errorf("of %d, %v is found at %d, want %d", n+1, known, r.find(known), i)
			}
		}
		for _, stranger := range []string{"192.0.2.2:4001", "192.0.2.1:4002", "192.0.2.2:4003", "192.0.2.3:4001", "192.0.2.1:4004"} {
			if at := r.find(netip.MustParseAddrPort(stranger)); at >= 0 {
				t.Errorf("of %d, %s is found at %d", n+1, stranger, at)
			}
		}
	}
}

// Where somebody is found stays true while members come and go, however many there are.
func TestChangesOfARoster(t *testing.T) {
	hosts := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")}
	for _, mixed := range []bool{false, true} {
		var r roster
		check := func(when string) {
			t.Helper()
			for range 2 { // the second time by what the first has learned
				for i, addr := range r.addrs {
					if got := r.find(addr); got != i {
						t.Errorf("%s: member %d of %d is found at %d", when, i, len(r.addrs), got)
					}
				}
				for _, gone := range []netip.AddrPort{from(9), netip.AddrPortFrom(hosts[1], 1000)} {
					if got := r.find(gone); got >= 0 {
						t.Errorf("%s: %v, who is no member, is found at %d", when, gone, got)
					}
				}
			}
		}
		check("nobody")
		for i := range 600 {
			host := hosts[0]
			if mixed {
				host = hosts[i%2]
			}
			r.add(netip.AddrPortFrom(host, uint16(1000+i)))
		}
		check("600")
		for range 500 {
			r.remove(len(r.addrs) / 3)
		}
		check("100")
		r.remove(len(r.addrs) - 1)
		check("99")
		r.clear()
		check("none")
		r.add(netip.AddrPortFrom(hosts[0], 1300))
		check("one")
	}
}

// A peer that listens on all addresses is not among the others of a mesh of one host.
func TestOwnAddress(t *testing.T) {
	r, p := member(t, func(c *PeerConfig) { c.Self.Addr = netip.MustParseAddrPort("0.0.0.0:3101") })
	r.hear(0, serverPort, directory(peer('A'), peer('B')))
	if got := showMembers(p.Others()); got != "[B:3102]" || !p.Joined() {
		t.Errorf("the others are %s, joined %v; want [B:3102], true", got, p.Joined())
	}
}

// PROTOCOL.md, "Peer": the counter is lower-case hexadecimal, 16 bits wide, and wraps to 0.
func TestCounter(t *testing.T) {
	texts := make(map[int]string)
	n := 0
	p, err := NewPeer(PeerConfig{Self: peer('A'), Server: from(serverPort),
		Timing: Timing{Heartbeat: time.Hour * 1e4, Reap: 1, Deadline: time.Hour, Broadcast: time.Second},
		Observe: func(e *Event) {
			if e.Kind != Sent {
				return
			}
			if Type(e.Data[0]) == TypeVanilla {
				texts[n] = string(e.Data[4 : len(e.Data)-1])
				n++
			}
		}}, start)
	if err != nil {
		t.Fatal(err)
	}
	p.Step(start, from(serverPort), directory(peer('A'), peer('B')))
	for now := start; n < 65538; {
		out, next := p.Poll(now)
		if out.Empty() {
			now = next
		}
	}
	for i, want := range map[int]string{0: "0", 9: "9", 10: "a", 15: "f", 16: "10", 255: "ff", 4096: "1000", 65535: "ffff", 65536: "0", 65537: "1"} {
		if want := "peerA_broadcast_" + want; texts[i] != want {
			t.Errorf("broadcast %d is %q, want %q", i, texts[i], want)
		}
	}
	if c := p.Counters(); c.Events[Broadcast] != 65538 {
		t.Errorf("%d broadcasts counted, want 65538", c.Events[Broadcast])
	}
}

// A sender that comes late sends every broadcast it has missed, each with the
// time it was due; later than the deadline, it gives up all but the last.
func TestLateBroadcasts(t *testing.T) {
	for _, c := range []struct {
		name    string
		late    time.Duration // after the first tick, 100 ms
		due     []string
		skipped uint64
	}{
		{"on time", 0, []string{"100ms"}, 0},
		{"late", 250 * ms, []string{"100ms", "200ms", "300ms"}, 0},
		{"late by exactly two intervals", 200 * ms, []string{"100ms", "200ms", "300ms"}, 0},
		{"late by the deadline", 1500 * ms, []string{"100ms", "200ms", "300ms", "400ms", "500ms", "600ms", "700ms", "800ms",
			"900ms", "1s", "1.1s", "1.2s", "1.3s", "1.4s", "1.5s", "1.6s"}, 0},
		{"later than the deadline", 1500*ms + 1, []string{"1.6s"}, 15},
		{"an hour", time.Hour, []string{"1h0m0.1s"}, 36000},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, p := member(t, func(c *PeerConfig) {
				c.Timing.Heartbeat = 24 * time.Hour
				c.Timing.Broadcast = 100 * ms
			})
			r.hear(0, serverPort, directory(peer('A'), peer('B')))
			r.forget()
			r.now = start.Add(100*ms + c.late)
			r.poll()
			var want []string
			for i, due := range c.due {
				line := fmt.Sprintf(`%v sent vanilla "peerA_broadcast_%x" to [3102]`, 100*ms+c.late, i)
				if due != (100*ms + c.late).String() {
					line += " due " + due
				}
				want = append(want, line)
			}
			r.want(want...)
			if n := p.Counters(); n.Events[Skipped] != c.skipped || n.Events[Broadcast] != uint64(len(c.due)) {
				t.Errorf("%d skipped, %d sent; want %d and %d", n.Events[Skipped], n.Events[Broadcast], c.skipped, len(c.due))
			}
			if next := start.Add((100*ms + c.late).Truncate(100*ms) + 100*ms); !r.next.Equal(next) {
				t.Errorf("next at %v, want %v", r.next.Sub(start), next.Sub(start))
			}
		})
	}
}

// Missed keep-alives are worth no more than one, and the rhythm stays.
// A schedule's end is where its last broadcast would be one too many.
func TestScheduleEnd(t *testing.T) {
	for end, want := range map[time.Duration]int{0: 9, 1: 0, 100 * ms: 0, 100*ms + 1: 1, 200 * ms: 1, 350 * ms: 3, 400 * ms: 3, 400*ms + 1: 4} {
		r, p := member(t)
		r.hear(0, serverPort, directory(peer('A'), peer('B')))
		r.forget()
		s := Schedule{First: start.Add(100 * ms), Interval: 100 * ms, End: start.Add(end)}
		if end == 0 {
			s.End = time.Time{}
		}
		p.Broadcast(s)
		r.poll()
		r.until(999 * ms)
		if got := strings.Count(strings.Join(r.log, " "), "broadcast"); got != want {
			t.Errorf("%d broadcasts before %v, want %d", got, end, want)
		}
	}
}

func TestLateKeepAlives(t *testing.T) {
	r, _ := member(t, func(c *PeerConfig) { c.Timing.Broadcast, c.Timing.Retry = 0, 0 })
	r.forget()
	r.now = start.Add(2200 * ms)
	r.poll()
	r.until(2500 * ms)
	r.want("2.2s sent keep-alive A to [3000] due 500ms", "2.5s sent keep-alive A to [3000]")
}

func TestSendErrors(t *testing.T) {
	r, p := member(t)
	if err := p.Send(r.now, "", []byte("hi")); err != nil {
		t.Errorf("to all, who are nobody: %v", err)
	}
	r.forget()
	r.poll()
	r.want()
	r.hear(0, serverPort, directory(peer('A'), peer('B')))
	for _, c := range []struct {
		to   Name
		text string
		want string
	}{
		{"Z", "hi", `no peer "Z" in the directory`},
		{"A", "hi", `no peer "A" in the directory`},
		{"\x1b", "hi", `no peer "\x1b" in the directory`},
		{"", "a\x00b", `text "a\x00b" has a zero byte in it`},
		{"", strings.Repeat("x", MaxPayload+1), "text of 65503 bytes, want at most 65502"},
		{"", strings.Repeat("x", MaxPayload), "<nil>"},
	} {
		if err := p.Send(r.now, c.to, []byte(c.text)); fmt.Sprint(err) != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
	r.poll()
	if n := p.Counters().Out.Vanilla; n != (Traffic{1, MaxDatagram}) {
		t.Errorf("%+v sent, want one of the largest size", n)
	}
	p.Disconnect()
	if err := p.Send(r.now, "", []byte("hi")); fmt.Sprint(err) != "peer A is disconnected" {
		t.Errorf("disconnected: %v", err)
	}
}

func TestPeerConfig(t *testing.T) {
	for _, c := range []struct {
		change func(*PeerConfig)
		want   string
	}{
		{func(c *PeerConfig) { c.Self.Name = "\x00" }, `name "\x00" is not one printable ASCII character`},
		{func(c *PeerConfig) { c.Self.Name = "\x7f" }, `name "\x7f" is not one printable ASCII character`},
		{func(c *PeerConfig) { c.Self.Addr = from(0) }, "port 0 of peer A, want 1 to 65535"},
		{func(c *PeerConfig) { c.Self.Addr = from(serverPort) }, "port 3000 of peer A is the server's own"},
		{func(c *PeerConfig) { c.Server = netip.AddrPort{} }, "server address invalid AddrPort, want an IPv4 address and a port"},
		{func(c *PeerConfig) { c.Server = from(0) }, "server address 127.0.0.1:0, want an IPv4 address and a port"},
		{func(c *PeerConfig) { c.Server = netip.MustParseAddrPort("[::1]:3000") }, "server address [::1]:3000, want an IPv4 address and a port"},
		{func(c *PeerConfig) { c.Size = -1 }, "text of -1 bytes, want 0 to 65502"},
		{func(c *PeerConfig) { c.Size = 65503 }, "text of 65503 bytes, want 0 to 65502"},
		{func(c *PeerConfig) { c.Timing.Heartbeat = 0 }, "heartbeat interval is 0, want more"},
		{func(c *PeerConfig) { c.Size, c.Timing.Broadcast, c.Timing.Retry = 65502, 0, 0 }, "<nil>"},
	} {
		cfg := PeerConfig{Self: peer('A'), Server: from(serverPort), Timing: DefaultTiming()}
		c.change(&cfg)
		if _, err := NewPeer(cfg, start); fmt.Sprint(err) != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}
