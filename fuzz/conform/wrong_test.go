package conform

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
)

// The test binary is also the implementations that the cases are held against:
// with asWrong as its first argument it is a server or a peer, sound but for one wrong.
//
//	wrong ADDRESS WRONG              a server
//	wrong NAME PORT SERVER WRONG     a peer
const asWrong = "wrong"

// runWrong is the whole of such a process.
func runWrong(args []string) {
	err := fmt.Errorf("want ADDRESS WRONG or NAME PORT SERVER WRONG, not %q", args)
	switch len(args) {
	case 2:
		err = wrongServer(args[0], args[1])
	case 4:
		err = wrongPeer(args[0], args[1], args[2], args[3])
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// portNamed is the port that a name has, 0 where nobody has the name.
func portNamed(all wire.Entries, n wire.Name) uint16 {
	for e := range all.Each() {
		if e.Name == n {
			return e.Port
		}
	}
	return 0
}

func holds(all wire.Entries, port uint16) bool {
	for e := range all.Each() {
		if e.Port == port {
			return true
		}
	}
	return false
}

// wrongly is a machine on its socket whose owner may change what comes in and
// what goes out.
type wrongly struct {
	udp     *net.UDPConn
	second  *net.UDPConn // another socket to send from
	machine core.Machine
	take    func(datagram []byte, from netip.AddrPort) (then []byte) // nil: dropped
	send    func(out core.Outgoing)
	tick    func(now time.Time) // at least every 20 ms
	mu      sync.Mutex
}

func (w *wrongly) open(addr netip.AddrPort) (err error) {
	if w.udp, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(addr)); err == nil {
		w.second, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	}
	w.take = func(b []byte, _ netip.AddrPort) []byte { return b }
	w.send = w.sendAll
	w.tick = func(time.Time) {}
	return err
}

func (w *wrongly) to(port uint16, b []byte) {
	w.udp.WriteToUDPAddrPort(b, netip.AddrPortFrom(loopback, port))
}

func (w *wrongly) sendAll(out core.Outgoing) {
	for _, to := range out.To {
		w.to(to.Port(), out.Datagram)
	}
}

func (w *wrongly) serve() error {
	b := make([]byte, 1<<16)
	for {
		w.mu.Lock()
		var next time.Time
		for {
			var out core.Outgoing
			if out, next = w.machine.Poll(time.Now()); out.Empty() {
				break
			}
			w.send(out)
		}
		w.tick(time.Now())
		w.mu.Unlock()
		if soon := time.Now().Add(20 * time.Millisecond); next.IsZero() || next.After(soon) {
			next = soon
		}
		w.udp.SetReadDeadline(next)
		n, from, err := w.udp.ReadFromUDPAddrPort(b)
		if err != nil {
			continue
		}
		w.mu.Lock()
		if then := w.take(b[:n], from); then != nil {
			w.machine.Step(time.Now(), from, then)
		}
		w.mu.Unlock()
	}
}

// wrongDirectory is a server, wrong in one way.
type wrongDirectory struct {
	w     wrongly
	cfg   core.DirectoryConfig
	d     *core.Directory
	ports map[wire.Name]uint16

	// The machine must not be called from its observer: what is to be done is done after the step.
	conflict bool
	holder   wire.Entry
	born     func(wire.Entry)
}

func (s *wrongDirectory) entries() wire.Entries {
	return wire.EntriesOf(nil, s.d.Members())
}

func (s *wrongDirectory) all() []byte {
	return wire.Message{Type: core.TypeDirectory, Entries: s.entries()}.Append(nil)
}

func (s *wrongDirectory) observe(e *core.Event) {
	switch e.Kind {
	case core.Conflict:
		s.conflict, s.holder = true, wire.EntryOf(e.Other)
	case core.Born:
		s.born(wire.EntryOf(e.Peer))
	}
}

func (s *wrongDirectory) step(b []byte, from netip.AddrPort) {
	s.conflict = false
	s.d.Step(time.Now(), from, b)
}

// on has f handle the births (or keep-alives) and the machine all else.
func (s *wrongDirectory) on(t core.Type, f func(b []byte, from netip.AddrPort, e wire.Entry) []byte) {
	s.w.take = func(b []byte, from netip.AddrPort) []byte {
		if m, err := wire.Parse(b); err == nil && m.Type == t {
			return f(b, from, m.Entry)
		}
		return b
	}
}

func wrongServer(addr, wrong string) error {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return err
	}
	s := &wrongDirectory{cfg: core.DirectoryConfig{Addr: at, Timing: core.DefaultTiming()}, ports: map[wire.Name]uint16{}, born: func(wire.Entry) {}}
	s.cfg.Observe = s.observe
	if err := s.w.open(at); err != nil {
		return err
	}
	behave := serverWrongs[wrong]
	if behave == nil {
		return fmt.Errorf("no such wrong: %s", wrong)
	}
	behave(s)
	if s.d, err = core.NewDirectory(s.cfg, time.Now()); err != nil {
		return err
	}
	s.w.machine = s.d
	return s.w.serve()
}

var serverWrongs = map[string]func(*wrongDirectory){
	"none": func(*wrongDirectory) {},
	"deadline-1s": func(s *wrongDirectory) {
		s.cfg.Timing.Deadline = time.Second
	},
	"never-reaps": func(s *wrongDirectory) {
		s.cfg.Timing.Reap = time.Hour
	},
	"own-port-only": func(s *wrongDirectory) {
		s.cfg.SourceCheck = true
	},
	"to-source": func(s *wrongDirectory) {
		s.on(core.TypeBirth, func(b []byte, from netip.AddrPort, e wire.Entry) []byte {
			if s.step(b, from); !s.conflict && from.Port() != e.Port {
				s.w.to(from.Port(), s.all())
			}
			return nil
		})
	},
	"answers-loser": func(s *wrongDirectory) {
		s.on(core.TypeBirth, func(b []byte, from netip.AddrPort, e wire.Entry) []byte {
			if s.step(b, from); s.conflict {
				s.w.to(from.Port(), s.all())
			}
			return nil
		})
	},
	"renews-on-conflict": func(s *wrongDirectory) {
		s.on(core.TypeBirth, func(b []byte, from netip.AddrPort, e wire.Entry) []byte {
			if s.step(b, from); s.conflict {
				s.d.Step(time.Now(), netip.AddrPortFrom(loopback, 1), hostile.KeepAlive(uint16(s.holder.Name)))
			}
			return nil
		})
	},
	"no-proof": func(s *wrongDirectory) {
		s.on(core.TypeBirth, func(b []byte, from netip.AddrPort, e wire.Entry) []byte {
			if s.step(b, from); !s.conflict {
				s.d.Step(time.Now(), netip.AddrPortFrom(loopback, e.Port), hostile.KeepAlive(uint16(e.Name)))
			}
			return nil
		})
	},
	"no-home": func(s *wrongDirectory) { // a birth from its own port is like any other
		s.on(core.TypeBirth, func(b []byte, from netip.AddrPort, e wire.Entry) []byte {
			if from.Port() == e.Port {
				from = netip.AddrPortFrom(loopback, 1)
			}
			s.step(b, from)
			return nil
		})
	},
	"deaf-to-repeats": func(s *wrongDirectory) {
		s.on(core.TypeBirth, func(b []byte, from netip.AddrPort, e wire.Entry) []byte {
			if s.entries().Contains(e) {
				return nil
			}
			return b
		})
	},
	"answers-asker": func(s *wrongDirectory) { // a repeated birth's source
		s.on(core.TypeBirth, func(b []byte, from netip.AddrPort, e wire.Entry) []byte {
			if s.entries().Contains(e) && from.Port() != e.Port {
				s.w.to(from.Port(), s.all())
				return nil
			}
			return b
		})
	},
	"answers-once": func(s *wrongDirectory) { // each peer's repeated birth
		answered := map[wire.Entry]bool{}
		s.on(core.TypeBirth, func(b []byte, _ netip.AddrPort, e wire.Entry) []byte {
			if s.entries().Contains(e) {
				if answered[e] {
					return nil
				}
				answered[e] = true
			}
			return b
		})
	},
	"home-proof": func(s *wrongDirectory) { // only what comes from an entry's own port proves it
		s.on(core.TypeKeepAlive, func(b []byte, from netip.AddrPort, e wire.Entry) []byte {
			if !s.entries().Contains(wire.Entry{Name: e.Name, Port: from.Port()}) {
				from = netip.AddrPortFrom(loopback, 1)
			}
			s.step(b, from)
			return nil
		})
	},
	"source-proof": func(s *wrongDirectory) { // only what comes from where its birth came from
		sources := map[wire.Name]netip.AddrPort{}
		s.w.take = func(b []byte, from netip.AddrPort) []byte {
			m, err := wire.Parse(b)
			switch {
			case err == nil && m.Type == core.TypeBirth && portNamed(s.entries(), m.Entry.Name) == 0:
				sources[m.Entry.Name] = from
			case err == nil && m.Type == core.TypeKeepAlive && from != sources[m.Entry.Name]:
				from = netip.AddrPortFrom(loopback, 1)
			}
			s.step(b, from)
			return nil
		}
	},
	"any-proof": func(s *wrongDirectory) { // what comes from anywhere
		s.on(core.TypeKeepAlive, func(b []byte, from netip.AddrPort, e wire.Entry) []byte {
			s.step(b, netip.AddrPortFrom(loopback, portNamed(s.entries(), e.Name)))
			return nil
		})
	},
	"port-stays": func(s *wrongDirectory) { // with whoever has it, if the name is free
		s.on(core.TypeBirth, func(b []byte, _ netip.AddrPort, e wire.Entry) []byte {
			if portNamed(s.entries(), e.Name) == 0 && holds(s.entries(), e.Port) {
				return nil
			}
			return b
		})
	},
	"one-rival": func(s *wrongDirectory) { // who has two is refused
		s.on(core.TypeBirth, func(b []byte, _ netip.AddrPort, e wire.Entry) []byte {
			if port := portNamed(s.entries(), e.Name); port != 0 && port != e.Port && holds(s.entries(), e.Port) {
				return nil
			}
			return b
		})
	},
	"resurrects": func(s *wrongDirectory) {
		s.born = func(e wire.Entry) { s.ports[e.Name] = e.Port }
		s.on(core.TypeKeepAlive, func(b []byte, from netip.AddrPort, e wire.Entry) []byte {
			if e.Port = s.ports[e.Name]; e.Port != 0 && !s.entries().Contains(e) {
				return hostile.BirthOf(e)
			}
			return b
		})
	},
	"second-socket": func(s *wrongDirectory) {
		s.w.send = func(out core.Outgoing) {
			for _, to := range out.To {
				s.w.second.WriteToUDPAddrPort(out.Datagram, to)
			}
		}
	},
	"chatty": func(s *wrongDirectory) {
		last := time.Now()
		s.w.tick = func(now time.Time) {
			if now.Sub(last) < 50*time.Millisecond {
				return
			}
			last = now
			for _, m := range s.d.Members() {
				s.w.to(m.Addr.Port(), s.all())
			}
		}
	},
	"mute-reaper": func(s *wrongDirectory) {
		most := 0
		s.w.send = func(out core.Outgoing) {
			if len(out.Datagram) >= most {
				s.w.sendAll(out)
			}
			most = len(out.Datagram)
		}
	},
	"letters-only": func(s *wrongDirectory) {
		s.on(core.TypeBirth, func(b []byte, _ netip.AddrPort, e wire.Entry) []byte {
			if low := e.Name | 0x20; low < 'a' || low > 'z' {
				return nil
			}
			return b
		})
	},
	"32-peers": func(s *wrongDirectory) {
		s.on(core.TypeBirth, func(b []byte, _ netip.AddrPort, e wire.Entry) []byte {
			if s.d.Len() >= 32 && !s.entries().Contains(e) {
				return nil
			}
			return b
		})
	},
	"15-bit-port": func(s *wrongDirectory) {
		s.on(core.TypeBirth, func(b []byte, _ netip.AddrPort, e wire.Entry) []byte {
			if e.Port > 32767 {
				return nil
			}
			return b
		})
	},
	"twelve-times": func(s *wrongDirectory) {
		s.w.send = func(out core.Outgoing) {
			for range 12 {
				s.w.sendAll(out)
				if len(out.Datagram) > 50*4 { // a crowd would be too much for a busy machine
					return
				}
			}
		}
	},
	"hangs-on-empty": func(s *wrongDirectory) {
		s.w.take = func(b []byte, _ netip.AddrPort) []byte {
			if len(b) == 0 {
				select {}
			}
			return b
		}
	},
	"dies-on-header": func(s *wrongDirectory) {
		s.w.take = func(b []byte, _ netip.AddrPort) []byte {
			if len(b) == 2 {
				os.Exit(134)
			}
			return b
		}
	},
	"takes-longer-births": func(s *wrongDirectory) {
		s.w.take = func(b []byte, _ netip.AddrPort) []byte {
			if len(b) > 6 && b[0] == 0xC0 && b[1] == 0 {
				return b[:6]
			}
			return b
		}
	},
}

// wrongMember is a peer, wrong in one way.
type wrongMember struct {
	w      wrongly
	self   wire.Entry
	cfg    core.PeerConfig
	p      *core.Peer
	heard  func(text []byte)
	listed func(core.Members)
	after  func() // is called when the machine is there
}

func show(text []byte) { fmt.Printf("heard %q\n", text) }

func (s *wrongMember) name() string { return string(rune(s.self.Name)) }

// message has f send the broadcasts, taken apart, and the machine all else.
func (s *wrongMember) message(f func(counter uint16, out core.Outgoing)) {
	s.w.send = func(out core.Outgoing) {
		if m, err := wire.Parse(out.Datagram); err == nil && m.Type == core.TypeVanilla {
			_, counter, _ := core.ParseBroadcast(m.Payload)
			f(counter, out)
			return
		}
		s.w.sendAll(out)
	}
}

func (s *wrongMember) say(text string, to []netip.AddrPort) {
	s.w.sendAll(core.Outgoing{Datagram: hostile.Vanilla(text), To: to})
}

// first has f see the first datagram of a type before it is sent.
func (s *wrongMember) first(t core.Type, f func(out core.Outgoing)) {
	done := false
	s.w.send = func(out core.Outgoing) {
		if out.Datagram[0] == byte(t) && !done {
			done = true
			f(out)
		}
		s.w.sendAll(out)
	}
}

func (s *wrongMember) observe(e *core.Event) {
	switch e.Kind {
	case core.Heard:
		s.heard(e.Data)
	case core.Listed:
		s.listed(e.All)
	}
}

func wrongPeer(name, port, server, wrong string) error {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return err
	}
	home, err := netip.ParseAddrPort(server)
	if err != nil {
		return err
	}
	s := &wrongMember{self: wire.Entry{Name: wire.Name(name[0]), Port: uint16(n)}, heard: show, listed: func(core.Members) {}, after: func() {}}
	if err := s.w.open(netip.AddrPortFrom(loopback, s.self.Port)); err != nil {
		return err
	}
	s.cfg = core.PeerConfig{Self: s.self.Member(loopback), Server: home, Timing: core.DefaultTiming(), Observe: s.observe}
	behave := peerWrongs[wrong]
	if behave == nil {
		return fmt.Errorf("no such wrong: %s", wrong)
	}
	behave(s)
	if s.p, err = core.NewPeer(s.cfg, time.Now()); err != nil {
		return err
	}
	s.w.machine = s.p
	s.after()
	return s.w.serve()
}

var peerWrongs = map[string]func(*wrongMember){
	"none": func(*wrongMember) {},
	"beats-every-800ms": func(s *wrongMember) {
		s.cfg.Timing.Heartbeat = 800 * time.Millisecond
	},
	"first-after-700ms": func(s *wrongMember) {
		s.after = func() {
			s.p.Broadcast(core.Schedule{First: time.Now().Add(700 * time.Millisecond), Interval: broadcast})
		}
	},
	"every-3500ms": func(s *wrongMember) {
		s.cfg.Timing.Broadcast = 3500 * time.Millisecond
	},
	"no-retry": func(s *wrongMember) {
		s.cfg.Timing.Retry = 0
	},
	"prints-nothing": func(s *wrongMember) {
		s.heard = func([]byte) {}
	},
	"upper-case": func(s *wrongMember) {
		s.message(func(n uint16, out core.Outgoing) { s.say(fmt.Sprintf("peer%s_broadcast_%X", s.name(), n), out.To) })
	},
	"counts-from-1": func(s *wrongMember) {
		s.message(func(n uint16, out core.Outgoing) { s.say(fmt.Sprintf("peer%s_broadcast_%x", s.name(), n+1), out.To) })
	},
	"counts-when-heard": func(s *wrongMember) {
		sent := 0
		s.message(func(_ uint16, out core.Outgoing) {
			s.say(fmt.Sprintf("peer%s_broadcast_%x", s.name(), sent), out.To)
			sent++
		})
	},
	"no-zero": func(s *wrongMember) {
		s.message(func(_ uint16, out core.Outgoing) {
			out.Datagram = out.Datagram[:len(out.Datagram)-1]
			s.w.sendAll(out)
		})
	},
	"second-socket": func(s *wrongMember) {
		s.message(func(_ uint16, out core.Outgoing) {
			for _, to := range out.To {
				s.w.second.WriteToUDPAddrPort(out.Datagram, to)
			}
		})
	},
	"hears-itself": func(s *wrongMember) {
		named := false
		s.listed = func(all core.Members) { named = all.Contains(s.self.Member(loopback)) }
		s.message(func(_ uint16, out core.Outgoing) {
			s.w.sendAll(out)
			if m, _ := wire.Parse(out.Datagram); named {
				show(m.Payload)
			}
		})
	},
	"merges": func(s *wrongMember) {
		known := map[uint16]bool{}
		s.listed = func(all core.Members) {
			for m := range all.Each() {
				if port := m.Addr.Port(); port != s.self.Port {
					known[port] = true
				}
			}
		}
		var n uint16
		s.after = func() { s.p.Broadcast(core.Schedule{}) }
		next := time.Now().Add(broadcast)
		s.w.tick = func(now time.Time) {
			if now.Before(next) {
				return
			}
			next = next.Add(broadcast)
			for port := range known {
				s.w.to(port, hostile.Vanilla(string(core.AppendBroadcast(nil, core.Name(s.self.Name.String()), n, 0))))
			}
			n++
		}
	},
	"born-twice": func(s *wrongMember) {
		s.first(core.TypeBirth, s.w.sendAll)
	},
	"beats-first": func(s *wrongMember) {
		s.first(core.TypeBirth, func(core.Outgoing) { s.w.to(s.cfg.Server.Port(), hostile.KeepAlive(uint16(s.self.Name))) })
	},
	"long-beats": func(s *wrongMember) {
		s.w.send = func(out core.Outgoing) {
			if out.Datagram[0] == byte(core.TypeKeepAlive) {
				out.Datagram = append(out.Datagram, 0, 0)
			}
			s.w.sendAll(out)
		}
	},
	"answers": func(s *wrongMember) {
		s.w.take = func(b []byte, from netip.AddrPort) []byte {
			if m, err := wire.Parse(b); err == nil && m.Type == core.TypeVanilla {
				s.w.to(from.Port(), hostile.Vanilla("heard"))
			}
			return b
		}
	},
	"says-goodbye": func(s *wrongMember) {
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, os.Interrupt)
		go func() {
			<-stop
			s.w.mu.Lock()
			for _, m := range s.p.Others() {
				s.w.to(m.Addr.Port(), hostile.Vanilla("goodbye"))
			}
			os.Exit(0)
		}()
	},
	"dies-on-duplicate": func(s *wrongMember) {
		s.w.take = func(b []byte, _ netip.AddrPort) []byte {
			if _, err := wire.Parse(b); errors.Is(err, core.ErrDuplicate) {
				panic("assertion failed: the name is new")
			}
			return b
		}
	},
	"believes-strangers": func(s *wrongMember) {
		s.w.take = func(b []byte, from netip.AddrPort) []byte {
			if m, err := wire.Parse(b); err == nil && m.Type == core.TypeVanilla {
				show(m.Payload)
				return nil
			}
			return b
		}
	},
}
