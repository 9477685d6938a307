package campaign

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/target/virtual"
)

// A wrong is a target on a virtual host, sound but for one fault, and what it must be found by.
type wrong struct {
	name   string
	kind   Kind
	count  int           // different hostile datagrams that it is narrowed down to
	within time.Duration // of the campaign's start, until it is seen
	server func(*wrongServer)
	peer   func(*wrongPeer)
}

const (
	single   = 5 * time.Second
	sequence = 20 * time.Second
	atRest   = 10 * time.Second // what a directory does shows at the next broadcast
	narrowed = 5 * time.Second  // two effects, seen on several targets at once
)

const slowStart = 3 * time.Second

// wrongly is a machine on its socket whose owner may change what comes in.
type wrongly struct {
	program *virtual.Program
	socket  *virtual.Socket
	machine core.Machine
	before  func(b []byte, from netip.AddrPort) ([]byte, netip.AddrPort) // nil: dropped
	after   func(b []byte, from netip.AddrPort)
	out     func(core.Outgoing) // nil: nothing beside
}

func (w *wrongly) to(port uint16, b []byte) {
	w.socket.Send(netip.AddrPortFrom(w.socket.Addr().Addr(), port), b)
}

func (w *wrongly) serve() (ended string) {
	send := func(out core.Outgoing) {
		if w.out != nil {
			w.out(out)
		}
		for _, to := range out.To {
			w.socket.Send(to, out.Datagram)
		}
	}
	w.socket.Serve(virtual.Loop{Machine: w.machine, Send: send, Take: func(b []byte, from netip.AddrPort) {
		if then, as := w.before(b, from); then != nil {
			w.machine.Step(time.Now(), as, then)
		}
		w.after(b, from)
	}})
	return "signal: killed"
}

type wrongServer struct {
	wrongly
	d   *core.Directory
	cfg core.DirectoryConfig
}

type wrongPeer struct {
	wrongly
	p      *core.Peer
	timing core.Timing
	mute   bool // it prints nothing
	doomed bool // it dies at its next broadcast
}

func (s *wrongServer) all() []byte {
	return wire.Message{Type: core.TypeDirectory, Entries: wire.EntriesOf(nil, s.d.Members())}.Append(nil)
}

func (s *wrongServer) step(b []byte) {
	s.machine.Step(time.Now(), netip.AddrPortFrom(s.cfg.Addr.Addr(), 9), b)
}

// on has a fault come about by each datagram of a kind.
func (w *wrongly) on(is func(b []byte) bool, wrong func(b []byte, from netip.AddrPort)) {
	w.after = func(b []byte, from netip.AddrPort) {
		if is(b) {
			wrong(b, from)
		}
	}
}

// as has one datagram taken for another.
func (w *wrongly) as(f func(b []byte) []byte) {
	w.before = func(b []byte, from netip.AddrPort) ([]byte, netip.AddrPort) {
		if then := f(b); then != nil {
			return then, from
		}
		return b, from
	}
}

func size(n int) func([]byte) bool { return func(b []byte) bool { return len(b) == n } }

func header(b []byte, t core.Type) bool { return len(b) >= 2 && b[0] == byte(t) && b[1] == 0 }

func invalid(b []byte) bool { _, err := wire.Parse(b); return err != nil }

// lockOut has a server deaf to who came first, after a while.
func lockOut(s *wrongServer) {
	began := time.Now()
	first := map[uint16]bool{}
	s.before = func(b []byte, from netip.AddrPort) ([]byte, netip.AddrPort) {
		young := time.Since(began) < time.Second
		if young && len(first) < mostMembers {
			first[from.Port()] = true
		}
		if !young && first[from.Port()] {
			return nil, from
		}
		return b, from
	}
}

// dieAfterDeafness has a server take nobody new in after a datagram of one byte, and die a
// second later.
func dieAfterDeafness(s *wrongServer) {
	var deaf time.Time
	s.before = func(b []byte, from netip.AddrPort) ([]byte, netip.AddrPort) {
		switch {
		case deaf.IsZero() && len(b) == 1:
			deaf = time.Now()
		case deaf.IsZero():
		case time.Since(deaf) > time.Second:
			panic(virtual.Exit("signal: aborted"))
		case header(b, core.TypeBirth) && !slices.ContainsFunc(s.d.Members(), func(m core.Member) bool { return m.Addr == from }):
			return nil, from
		}
		return b, from
	}
}

// start is a virtual host's program: NAME of a wrong, of a server or a peer.
func start(p *virtual.Program) string {
	i := slices.IndexFunc(wrongs, func(w wrong) bool { return w.name == strings.Fields(p.Line)[0] })
	socket, err := p.Listen(p.Command.Listen)
	if err != nil {
		return err.Error()
	}
	w := wrongly{program: p, socket: socket,
		before: func(b []byte, from netip.AddrPort) ([]byte, netip.AddrPort) { return b, from },
		after:  func([]byte, netip.AddrPort) {}}
	if p.Name == "" {
		s := &wrongServer{wrongly: w, cfg: core.DirectoryConfig{Addr: socket.Addr(), Timing: core.DefaultTiming()}}
		if i >= 0 && wrongs[i].server != nil {
			wrongs[i].server(s)
		} else if p.Line == "lock-out" {
			lockOut(s)
		} else if p.Line == "die-after-deafness" {
			dieAfterDeafness(s)
		} else if p.Line == "twice-in-directory" {
			s.on(func(b []byte) bool { return header(b, core.TypeBirth) && len(b) == 6 && b[3] != 0 }, func([]byte, netip.AddrPort) {
				m := wire.EntryOf(s.d.Members()[0])
				for _, to := range s.d.Members() {
					if wire.EntryOf(to).Name <= '~'-mostMembers-probers { // none that the campaign itself is
						s.to(to.Addr.Port(), hostile.Directory(m, m))
					}
				}
			})
		} else if p.Line == "slow" {
			s.before = func(b []byte, from netip.AddrPort) ([]byte, netip.AddrPort) {
				time.Sleep(time.Millisecond)
				return b, from
			}
		}
		if s.d, err = core.NewDirectory(s.cfg, time.Now()); err != nil {
			return err.Error()
		}
		s.machine = s.d
		return s.serve()
	}
	q := &wrongPeer{wrongly: w, timing: core.DefaultTiming()}
	q.timing.Broadcast = 200 * time.Millisecond
	if strings.HasPrefix(p.Line, "rare") {
		q.timing.Broadcast, q.mute = 4*time.Second, true
	}
	if i >= 0 && wrongs[i].peer != nil {
		wrongs[i].peer(q)
	}
	observe := func(e *core.Event) {
		if e.Kind == core.Heard && !q.mute {
			p.Print(fmt.Sprintf("%s: %q\n", e.Peer.Name, e.Data))
		}
	}
	if q.p, err = core.NewPeer(core.PeerConfig{Self: core.Member{Name: core.Name(p.Name), Addr: socket.Addr()}, Server: p.Server, Timing: q.timing, Observe: observe}, time.Now()); err != nil {
		return err.Error()
	}
	q.machine = q.p
	return q.serve()
}

func die([]byte, netip.AddrPort) { panic(virtual.Exit("signal: aborted")) }

var wrongs = []wrong{
	{"none", "", 0, 0, func(*wrongServer) {}, func(*wrongPeer) {}},

	{"hang-on-empty", Hung, 1, single, func(s *wrongServer) { s.on(size(0), func([]byte, netip.AddrPort) { s.program.Hang() }) }, nil},
	{"die-on-byte", Died, 1, single, func(s *wrongServer) { s.on(size(1), die) }, nil},
	{"die-on-header", Died, 1, single, func(s *wrongServer) { s.on(size(2), die) }, nil},
	{"die-on-max", Died, 1, single, func(s *wrongServer) { s.on(size(core.MaxDatagram), die) }, nil},
	{"die-on-port-0", Died, 1, single, func(s *wrongServer) {
		s.on(func(b []byte) bool { return header(b, core.TypeBirth) && len(b) == 6 && b[4] == 0 && b[5] == 0 }, die)
	}, nil},
	{"die-on-new-port-0", Died, 1, single, func(s *wrongServer) { // unless somebody has its name
		s.on(func(b []byte) bool {
			if !header(b, core.TypeBirth) || len(b) != 6 || b[4] != 0 || b[5] != 0 {
				return false
			}
			for _, m := range s.d.Members() {
				if m.Name == core.Name(rune(b[2])) {
					return false
				}
			}
			return true
		}, die)
	}, nil},
	{"poison", Poisoned, 1, single, func(s *wrongServer) {
		s.on(func(b []byte) bool { return header(b, core.TypeBirth) && len(b) == 6 && b[3] != 0 }, func(b []byte, _ netip.AddrPort) {
			for _, m := range s.d.Members() {
				s.to(m.Addr.Port(), append([]byte{0xC1, 0, 1, 0}, b[2:]...))
			}
		})
	}, nil},
	{"amplify-conflict", Amplified, 1, single, func(s *wrongServer) {
		s.onConflict(func([]byte) {
			for _, m := range s.d.Members() {
				s.to(m.Addr.Port(), s.all())
			}
		})
	}, nil},
	{"answer-loser", Strayed, 1, single, func(s *wrongServer) {
		s.onConflict(func(b []byte) {
			m, _ := wire.Parse(b)
			if !slices.ContainsFunc(s.d.Members(), func(x core.Member) bool { return x.Addr.Port() == m.Entry.Port }) {
				s.to(m.Entry.Port, s.all())
			}
		})
	}, nil},
	{"answer-source", Strayed, 1, single, func(s *wrongServer) {
		s.on(func(b []byte) bool { return header(b, core.TypeDirectory) }, func(_ []byte, from netip.AddrPort) { s.socket.Send(from, s.all()) })
	}, nil},
	{"longer-keep-alive", Ghost, 1, single, func(s *wrongServer) {
		s.as(func(b []byte) []byte {
			if header(b, core.TypeKeepAlive) && len(b) > 4 {
				return b[:4]
			}
			return nil
		})
	}, nil},
	{"big-endian", Ghost, 1, single, func(s *wrongServer) {
		s.as(func(b []byte) []byte {
			if len(b) == 4 && b[0] == 0 && b[1] == byte(core.TypeKeepAlive) {
				return []byte{b[1], b[0], b[3], b[2]}
			}
			return nil
		})
	}, nil},
	{"header-of-the-last-speaker", Ghost, 1, single, func(s *wrongServer) {
		var last []byte
		s.as(func(b []byte) []byte {
			if m, err := wire.Parse(b); err == nil && (m.Type == core.TypeKeepAlive || m.Type == core.TypeBirth) {
				last = hostile.KeepAliveOf(m.Entry)
			} else if header(b, core.TypeKeepAlive) && len(b) == 2 {
				return last
			}
			return nil
		})
	}, nil},
	{"stale-buffer", Ghost, 0, sequence, func(s *wrongServer) {
		var buffer [1 << 16]byte
		s.as(func(b []byte) []byte {
			if copy(buffer[:], b); header(b, core.TypeKeepAlive) && len(b) < 4 {
				return buffer[:4]
			}
			return nil
		})
	}, nil},
	{"renew-on-conflict", Ghost, 0, sequence, func(s *wrongServer) {
		s.onConflict(func(b []byte) { s.step(hostile.KeepAlive(uint16(b[2]))) })
	}, nil},
	{"renew-on-directory", Ghost, 0, sequence, func(s *wrongServer) {
		s.on(func(b []byte) bool { return header(b, core.TypeDirectory) && len(b) >= 8 }, func(b []byte, _ netip.AddrPort) {
			s.step(hostile.KeepAlive(uint16(b[4])))
		})
	}, nil},
	{"longer-birth", Ghost, 1, single, func(s *wrongServer) {
		s.as(func(b []byte) []byte {
			if header(b, core.TypeBirth) && len(b) > 6 {
				return b[:6]
			}
			return nil
		})
	}, nil},
	{"high-byte-name", Ghost, 1, single, func(s *wrongServer) {
		s.as(func(b []byte) []byte {
			if header(b, core.TypeBirth) && len(b) == 6 {
				return append(hostile.Birth(uint16(b[2]), 0)[:4], b[4:]...)
			}
			return nil
		})
	}, nil},
	{"own-port", Ghost, 1, single, func(s *wrongServer) {
		s.cfg.Addr = netip.AddrPortFrom(s.cfg.Addr.Addr(), 1)
	}, nil},
	{"believe-directory", Ghost, 1, single, func(s *wrongServer) {
		s.on(func(b []byte) bool { m, err := wire.Parse(b); return err == nil && m.Entries.Len() > 0 }, func(b []byte, _ netip.AddrPort) {
			m, _ := wire.Parse(b)
			for e := range m.Entries.Each() {
				s.step(hostile.BirthOf(e))
			}
		})
	}, nil},
	{"deaf-after-conflict", Removed, 1, single, func(s *wrongServer) { // to whoever held the name
		deaf := map[byte]bool{}
		s.onConflict(func(b []byte) { deaf[b[2]] = true })
		s.before = func(b []byte, from netip.AddrPort) ([]byte, netip.AddrPort) {
			if header(b, core.TypeKeepAlive) && len(b) == 4 && deaf[b[2]] || header(b, core.TypeBirth) && len(b) == 6 && deaf[b[2]] && from.Port() == uint16(b[4])|uint16(b[5])<<8 {
				return nil, from
			}
			return b, from
		}
	}, nil},
	{"resurrect", Ghost, 0, sequence, func(s *wrongServer) {
		last := map[byte][]byte{}
		s.as(func(b []byte) []byte {
			m, err := wire.Parse(b)
			if err != nil {
				return nil
			}
			if m.Type == core.TypeBirth {
				last[b[2]] = b
			}
			if m.Type == core.TypeKeepAlive && last[b[2]] != nil && !slices.ContainsFunc(s.d.Members(), func(x core.Member) bool { return x.Name == core.Name(rune(b[2])) }) {
				return last[b[2]]
			}
			return nil
		})
	}, nil},
	{"die-when-full", Died, 0, sequence, func(s *wrongServer) {
		s.on(func([]byte) bool { return s.d.Len() > 75 }, die)
	}, nil},
	{"die-on-10-empty", Died, 10, sequence, func(s *wrongServer) {
		n := 0
		s.after = func(b []byte, _ netip.AddrPort) {
			if n++; len(b) > 0 {
				n = 0
			} else if n == 10 {
				die(nil, netip.AddrPort{})
			}
		}
	}, nil},
	{"die-on-young-conflict", Died, 0, sequence, func(s *wrongServer) {
		var young [128]time.Time
		s.after = func(b []byte, _ netip.AddrPort) {
			if m, err := wire.Parse(b); err == nil && m.Type == core.TypeBirth {
				if held := slices.ContainsFunc(s.d.Members(), func(x core.Member) bool { return x.Name == core.Name(rune(b[2])) && x.Addr.Port() != m.Entry.Port }); held && time.Since(young[b[2]]) < time.Second {
					die(nil, netip.AddrPort{})
				}
				young[b[2]] = time.Now()
			}
		}
	}, nil},
	{"removes-live", Removed, 0, sequence, func(s *wrongServer) { // as the original: it sleeps after each datagram
		s.before = func(b []byte, from netip.AddrPort) ([]byte, netip.AddrPort) {
			time.Sleep(10 * time.Millisecond)
			return b, from
		}
	}, nil},
	{"shut-door", Hung, 1, single, func(s *wrongServer) { // it answers its members, but lets nobody in any more
		shut := false
		s.before = func(b []byte, from netip.AddrPort) ([]byte, netip.AddrPort) {
			shut = shut || header(b, core.TypeVanilla)
			if m, err := wire.Parse(b); shut && err == nil && m.Type == core.TypeBirth && !slices.ContainsFunc(s.d.Members(), func(x core.Member) bool { return wire.EntryOf(x) == m.Entry }) {
				return nil, from
			}
			return b, from
		}
	}, nil},

	{"peer-hang-on-empty", Hung, 1, single, nil, func(p *wrongPeer) { p.on(size(0), func([]byte, netip.AddrPort) { p.program.Hang() }) }},
	{"peer-die-on-duplicate", Died, 1, single, nil, func(p *wrongPeer) {
		p.after = func(b []byte, _ netip.AddrPort) {
			if _, err := wire.Parse(b); errors.Is(err, core.ErrDuplicate) {
				die(nil, netip.AddrPort{})
			}
		}
	}},
	{"peer-slow-to-start", Died, 1, single, nil, func(p *wrongPeer) {
		time.Sleep(slowStart) // it has not broadcast for long, but it could not
		p.on(func(b []byte) bool { return len(b) == 1 }, die)
	}},
	{"peer-die-at-broadcast", Died, 1, atRest, nil, func(p *wrongPeer) { // to port 0
		p.out = func(o core.Outgoing) {
			if p.doomed && header(o.Datagram, core.TypeVanilla) {
				die(nil, netip.AddrPort{})
			}
		}
		p.after = func(b []byte, from netip.AddrPort) {
			if !header(b, core.TypeDirectory) || from != p.program.Server {
				return
			}
			p.doomed = invalid(b) && len(b) >= 8 && len(b)%4 == 0 && b[len(b)-1] == 0 && b[len(b)-2] == 0
		}
	}},
	{"peer-believe-stranger", Strayed, 1, single, nil, func(p *wrongPeer) { p.believe(func(from netip.AddrPort) bool { return true }) }},
	{"peer-believe-member", Strayed, 1, atRest, nil, func(p *wrongPeer) {
		p.believe(func(from netip.AddrPort) bool {
			return slices.ContainsFunc(p.p.Others(), func(m core.Member) bool { return m.Addr == from })
		})
	}},
	{"peer-believe-elsewhere", Strayed, 1, atRest, nil, func(p *wrongPeer) {
		p.believe(func(from netip.AddrPort) bool { return from.Port() == p.program.Server.Port() })
	}},
	{"peer-mute-believer", Strayed, 1, single, nil, func(p *wrongPeer) {
		p.mute = true
		p.believe(func(from netip.AddrPort) bool { return true })
	}},
	{"peer-count-one-less", Strayed, 1, single, nil, func(p *wrongPeer) {
		p.as(func(b []byte) []byte {
			if header(b, core.TypeDirectory) && len(b) > 4 && len(b)%4 == 0 {
				return append([]byte{b[0], b[1], byte((len(b) - 4) / 4), 0}, b[4:]...)
			}
			return nil
		})
	}},
	{"peer-print-stranger", Spilled, 1, single, nil, func(p *wrongPeer) {
		p.on(func(b []byte) bool { return !invalid(b) && header(b, core.TypeVanilla) }, func(b []byte, from netip.AddrPort) {
			if !slices.ContainsFunc(p.p.Others(), func(m core.Member) bool { return m.Addr == from }) {
				p.program.Print(fmt.Sprintf("? %q\n", b[4:]))
			}
		})
	}},
	{"peer-print-heap", Spilled, 1, single, nil, func(p *wrongPeer) {
		var buffer [1 << 16]byte
		p.after = func(b []byte, _ netip.AddrPort) {
			if copy(buffer[:], b); len(b) > 4 && header(b, core.TypeVanilla) && invalid(b) && b[3] > 0 {
				p.program.Print(fmt.Sprintf("%q\n", buffer[4:400]))
			}
		}
	}},
	{"peer-deaf", Deaf, 1, single, nil, func(p *wrongPeer) {
		p.mute = true
		deaf := false
		p.before = func(b []byte, from netip.AddrPort) ([]byte, netip.AddrPort) {
			if deaf = deaf || len(b) == core.MaxDatagram; deaf && header(b, core.TypeDirectory) {
				return nil, from
			}
			return b, from
		}
	}},
	{"peer-silent-after-birth", Hung, 1, single, nil, func(p *wrongPeer) {
		p.on(func(b []byte) bool { return header(b, core.TypeBirth) && !invalid(b) }, func([]byte, netip.AddrPort) { p.p.Broadcast(core.Schedule{}) })
	}},
	{"peer-stops-keep-alives", Hung, 1, single, nil, func(p *wrongPeer) {
		p.on(size(1), func([]byte, netip.AddrPort) { p.p.Disconnect() })
	}},
}

// onConflict has something come about by each birth that is refused.
func (s *wrongServer) onConflict(wrong func(b []byte)) {
	conflict := false
	s.cfg.Observe = func(e *core.Event) { conflict = conflict || e.Kind == core.Conflict }
	s.after = func(b []byte, _ netip.AddrPort) {
		if conflict {
			conflict = false
			wrong(b)
		}
	}
}

// believe has directories believed that come from some.
func (p *wrongPeer) believe(from func(netip.AddrPort) bool) {
	p.before = func(b []byte, at netip.AddrPort) ([]byte, netip.AddrPort) {
		if header(b, core.TypeDirectory) && from(at) {
			at = p.program.Server
		}
		return b, at
	}
}
