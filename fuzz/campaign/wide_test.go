package campaign

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"p2plocal/core"
	"p2plocal/core/wide"
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/target/virtual"
)

var wideKeys = wide.Keys{{5}}

// wideWrong is a target that speaks the wide dialect, sound but for one fault.
type wideWrong struct {
	name   string
	keyed  bool
	kind   Kind // "": it is sound
	take   func(s *wideTarget, b []byte, from netip.AddrPort) ([]byte, netip.AddrPort)
	opened func(s *wideTarget, b []byte) ([]byte, bool) // keyed; nil: as it should be
}

type wideTarget struct {
	wrongly
	machine wide.Machine
	sealer  *wide.Sealer
	server  netip.AddrPort
	members map[string]netip.AddrPort
	last    []byte // directory
}

func (s *wideTarget) send(b []byte, to ...netip.AddrPort) {
	if s.sealer != nil {
		b = s.sealer.Seal(b)
	}
	for _, a := range to {
		s.socket.Send(a, b)
	}
}

// startWide is the program of one: WRONG, and as a peer's command.
func startWide(p *virtual.Program) string {
	name, _, _ := strings.Cut(p.Line, " ")
	var w wideWrong
	for _, x := range append(wideServers, widePeers...) {
		if x.name == name {
			w = x
		}
	}
	seed := [32]byte{1, byte(time.Now().UnixNano()), byte(time.Now().UnixNano() >> 8), byte(time.Now().UnixNano() >> 16), byte(p.Command.Listen.Port())}
	s := &wideTarget{server: p.Server, members: map[string]netip.AddrPort{}}
	var err error
	if s.socket, err = p.Listen(p.Command.Listen); err != nil {
		return err.Error()
	}
	id := wide.Identity{Seed: seed}
	if p.Name == "" {
		s.machine, err = wide.NewDirectory(core.DirectoryConfig{Addr: p.Command.Listen, Timing: wide.DefaultTiming()}, id, time.Now())
	} else {
		timing := wide.DefaultTiming()
		timing.Broadcast = 200 * time.Millisecond
		s.machine, err = wide.NewPeer(core.PeerConfig{Self: core.Member{Name: core.Name(p.Name)}, Server: p.Server, Timing: timing, Observe: func(e *core.Event) {
			if e.Kind == core.Heard {
				p.Print(fmt.Sprintf("heard %q\n", e.Data))
			}
		}}, id, time.Now())
	}
	if err != nil {
		return err.Error()
	}
	if w.keyed {
		s.sealer = wide.NewSealer(wideKeys, [16]byte(seed[:16]), nil)
	}
	s.socket.Serve(virtual.Loop{Machine: s.machine, Send: func(out core.Outgoing) {
		var v core.Message
		if (wide.Codec{}).Parse(&v, out.Datagram) == nil && v.Type == core.TypeDirectory {
			s.last = bytes.Clone(out.Datagram)
			var m core.Member
			for list := v.List; len(list) > 0; {
				m, list = (wide.Codec{}).Next(list, m)
				s.members[string(m.Name)] = m.Addr
			}
		}
		s.send(out.Datagram, out.To...)
	}, Take: func(b []byte, from netip.AddrPort) {
		if s.sealer != nil {
			open := func(_ *wideTarget, b []byte) ([]byte, bool) { return s.sealer.Unseal(b) }
			if w.opened != nil {
				open = w.opened
			}
			plain, ok := open(s, b)
			if !ok {
				return
			}
			b = bytes.Clone(plain)
		}
		if w.take != nil {
			b, from = w.take(s, b, from)
		}
		if b != nil {
			s.machine.Step(time.Now(), from, b)
		}
	}})
	return "signal: killed"
}

func malformedWide(b []byte) bool {
	var v core.Message
	return (wide.Codec{}).Parse(&v, b) != nil
}

func deadly(is func(b []byte) bool) func(*wideTarget, []byte, netip.AddrPort) ([]byte, netip.AddrPort) {
	return func(_ *wideTarget, b []byte, from netip.AddrPort) ([]byte, netip.AddrPort) {
		if is(b) {
			panic(virtual.Exit("signal: aborted"))
		}
		return b, from
	}
}

var wideServers = []wideWrong{
	{name: "sound"},
	{name: "sound-keyed", keyed: true},
	{name: "dies-of-a-long-name", kind: Died, take: deadly(func(b []byte) bool { return len(b) > 15 && b[0] == 0xC0 && b[14] > 32 })},
	{name: "dies-of-a-cut-keep-alive", kind: Died, take: deadly(func(b []byte) bool { return len(b) == 58 })},
	{name: "dies-of-a-forged-page", kind: Died, take: deadly(func(b []byte) bool { return len(b) > 20 && b[0] == 0xC1 && b[1] == 0x57 })},
	{name: "kept-by-cut-keep-alives", kind: Ghost, take: func(s *wideTarget, b []byte, from netip.AddrPort) ([]byte, netip.AddrPort) {
		if len(b) >= 47 && len(b) < 59 && b[0] == 0xC3 {
			b = append(b, make([]byte, 59-len(b))...)
		}
		return b, from
	}},
	{name: "answers-malformed-at-length", kind: Amplified, take: func(s *wideTarget, b []byte, from netip.AddrPort) ([]byte, netip.AddrPort) {
		if malformedWide(b) && s.last != nil {
			for _, to := range s.members {
				s.send(s.last, to)
			}
		}
		return b, from
	}},
	{name: "sends-strangers-the-directory", kind: Strayed, take: func(s *wideTarget, b []byte, from netip.AddrPort) ([]byte, netip.AddrPort) {
		if malformedWide(b) && s.last != nil {
			s.send(s.last, from)
		}
		return b, from
	}},
	{name: "kept-by-replays", keyed: true, kind: Ghost, opened: func(s *wideTarget, b []byte) ([]byte, bool) {
		return wide.NewSealer(wideKeys, [16]byte{3}, nil).Unseal(b)
	}},
	{name: "kept-by-what-is-not-sealed", keyed: true, kind: Ghost, opened: func(s *wideTarget, b []byte) ([]byte, bool) {
		if len(b) > 2 && b[0] != 0xC5 {
			return b, true
		}
		return s.sealer.Unseal(b)
	}},
	{name: "dies-of-a-cut-tag", keyed: true, kind: Died, opened: func(s *wideTarget, b []byte) ([]byte, bool) {
		if len(b) > 2 && len(b) < 42 && b[0] == 0xC5 {
			panic(virtual.Exit("signal: aborted"))
		}
		return s.sealer.Unseal(b)
	}},
}

var widePeers = []wideWrong{
	{name: "sound"},
	{name: "sound-keyed", keyed: true},
	{name: "peer-dies-of-no-pages", kind: Died, take: deadly(func(b []byte) bool { return len(b) > 18 && b[0] == 0xC1 && b[16] == 0 && b[17] == 0 })},
	{name: "peer-believes-anybody", kind: Strayed, take: func(s *wideTarget, b []byte, from netip.AddrPort) ([]byte, netip.AddrPort) {
		if len(b) > 18 && b[0] == 0xC1 {
			from = s.server
		}
		return b, from
	}},
	{name: "peer-prints-what-is-for-others", kind: Spilled, take: func(s *wideTarget, b []byte, from netip.AddrPort) ([]byte, netip.AddrPort) {
		if n := 0; len(b) > 15 && b[0] == 0xC2 && len(b) > 15+int(b[14]) {
			n = 15 + int(b[14])
			b = append(append(bytes.Clone(b[:14]), 0), b[n:]...)
		}
		return b, from
	}},
	{name: "peer-takes-what-is-not-sealed", keyed: true, kind: Spilled, opened: func(s *wideTarget, b []byte) ([]byte, bool) {
		if len(b) > 2 && b[0] != 0xC5 {
			return b, true
		}
		return s.sealer.Unseal(b)
	}},
}

// What speaks the wide dialect survives if it is sound, and is found to be wrong if it is not.
func TestWide(t *testing.T) {
	for role, all := range map[hostile.Role][]wideWrong{hostile.Server: wideServers, hostile.Peer: widePeers} {
		for _, w := range all {
			t.Run(role.String()+"/"+w.name, func(t *testing.T) {
				t.Parallel()
				c := Config{Role: role, Wide: true, Exec: w.name, Host: virtual.New(startWide), Modes: []string{"catalogue", "mutate", "generate", "random"}, Duration: 4 * time.Second}
				if role == hostile.Peer {
					c.Exec, c.PeerExec = "", w.name+" {name} {port} {server}"
				}
				if w.keyed {
					c.Keys = wideKeys
				}
				if w.kind != "" {
					c.Modes, c.Duration, c.Most = []string{"catalogue"}, 0, 1
				}
				r := attack(t, c)
				switch {
				case w.kind == "" && (len(r.Findings) > 0 || r.Restarts > 0):
					t.Error("want no finding, and no restart")
				case w.kind != "" && (len(r.Findings) == 0 || r.Findings[0].Kind != w.kind):
					t.Errorf("want it found to be %s", w.kind)
				}
			})
		}
	}
}

// What a stranger who was born hears of is no fault that a late machine would have to excuse.
// (TestLongLateMachine goes on for longer.)
func TestLateMachineLeavesNoWideBatchUnjudged(t *testing.T) { lateMachine(t, 8*time.Second) }

func lateMachine(t *testing.T, lasts time.Duration) {
	r := attack(t, Config{Wide: true, Exec: "sound", Host: lateHost{virtual.New(startWide), 0}, Modes: []string{"catalogue", "generate"}, Duration: lasts})
	for _, y := range r.Tallies {
		if y.Unjudged > 0 {
			t.Errorf("%d of %d batches of %s are not judged", y.Unjudged, y.Batches, y.What)
		}
	}
}
