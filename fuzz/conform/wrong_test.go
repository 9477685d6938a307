package conform

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

// wrongs are what the cases are held against: servers and peers on a virtual host, sound but
// for one wrong each. fails are the ids of the cases that tell, as a pattern: no
// other may fail.
type wrong[T any] struct {
	name, fails string
	behave      func(T)
}

// run is the program of a wrong server or peer: WRONG ADDRESS or WRONG NAME PORT SERVER.
func runWrong(p *virtual.Program) string {
	words := strings.Fields(p.Line)
	w := wrongly{program: p}
	if p.Name == "" {
		i := slices.IndexFunc(serverWrongs, func(x wrong[*wrongDirectory]) bool { return x.name == words[0] })
		return w.server(serverWrongs[i].behave)
	}
	i := slices.IndexFunc(peerWrongs, func(x wrong[*wrongMember]) bool { return x.name == words[0] })
	return w.peer(peerWrongs[i].behave)
}

// wrongly is a machine on its socket whose owner may change what comes in and
// what goes out.
type wrongly struct {
	program *virtual.Program
	socket  *virtual.Socket
	second  *virtual.Socket // another to send from
	machine core.Machine
	take    func(datagram []byte, from netip.AddrPort) (then []byte) // nil: dropped
	send    func(out core.Outgoing)
	tick    func(now time.Time) // every 20 ms; nil: never
	goodbye func()
}

func (w *wrongly) open(addr netip.AddrPort) (err error) {
	if w.socket, err = w.program.Listen(addr); err == nil {
		w.second, err = w.program.Listen(netip.AddrPortFrom(loopback, 0))
	}
	w.take = func(b []byte, _ netip.AddrPort) []byte { return b }
	w.send = w.sendAll
	w.goodbye = func() {}
	return err
}

func (w *wrongly) to(port uint16, b []byte) { w.socket.Send(netip.AddrPortFrom(loopback, port), b) }

func (w *wrongly) sendAll(out core.Outgoing) {
	for _, to := range out.To {
		w.to(to.Port(), out.Datagram)
	}
}

// hang does nothing any more.
func (w *wrongly) hang() { <-w.program.Killed }

// exit is what a program panics with that ends by itself.
type exit string

func (w *wrongly) serve() (ended string) {
	defer func() {
		if x := recover(); x != nil {
			ended = string(x.(exit))
		}
	}()
	for {
		var next time.Time
		for {
			var out core.Outgoing
			if out, next = w.machine.Poll(time.Now()); out.Empty() {
				break
			}
			w.send(out)
		}
		if w.tick != nil {
			w.tick(time.Now())
			if soon := time.Now().Add(20 * time.Millisecond); next.IsZero() || next.After(soon) {
				next = soon
			}
		}
		_, from, b, err := w.socket.ReceiveUntil(next)
		if errors.Is(err, virtual.ErrInterrupted) {
			w.goodbye()
			return "signal: interrupt"
		} else if err != nil {
			return "signal: killed"
		}
		if from.IsValid() {
			if then := w.take(b, from); then != nil {
				w.machine.Step(time.Now(), from, then)
			}
		}
	}
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

func (w wrongly) server(behave func(*wrongDirectory)) string {
	s := &wrongDirectory{w: w, cfg: core.DirectoryConfig{Addr: w.program.Command.Listen, Timing: core.DefaultTiming()}, ports: map[wire.Name]uint16{}, born: func(wire.Entry) {}}
	s.cfg.Observe = s.observe
	if err := s.w.open(s.cfg.Addr); err != nil {
		return err.Error()
	}
	behave(s)
	var err error
	if s.d, err = core.NewDirectory(s.cfg, time.Now()); err != nil {
		return err.Error()
	}
	s.w.machine = s.d
	return s.w.serve()
}

var serverWrongs = []wrong[*wrongDirectory]{
	{"none", ``, func(*wrongDirectory) {}},
	{"deadline-1s", `conflict/5|repeat/4|keep-alive/4|reaper/[12]|addition/5`, func(s *wrongDirectory) {
		s.cfg.Timing.Deadline = time.Second
	}},
	{"never-reaps", `conflict/[5-7]|repeat/4|keep-alive/[78]|reaper/.*|silence/3|robust/time/(reaped|filled-and-reaped|flap|ghost-in-the-buffer)`, func(s *wrongDirectory) {
		s.cfg.Timing.Reap = time.Hour
	}},
	{"own-port-only", `birth/3|repeat/[25]|keep-alive/[23]|silence/3|addition/[6-8]|robust/birth/(port-1|port-1023|port-65535|spare)|robust/sequence/(repeat-burst|keep-alive-first|steal-name|steal-port|crossed|short-after-birth|name-walk|port-walk|fill)|robust/time/(back-from-the-dead|name-freed|births-only)`, func(s *wrongDirectory) {
		s.cfg.SourceCheck = true
	}},
	{"to-source", `birth/3|repeat/5|silence/3|robust/birth/(server-port|port-1|port-1023|port-65535|spare)|robust/sequence/(repeat-burst|keep-alive-first|steal-name|steal-port|crossed|short-after-birth|name-walk|port-walk|fill)|robust/time/.*`, func(s *wrongDirectory) {
		s.on(core.TypeBirth, func(b []byte, from netip.AddrPort, e wire.Entry) []byte {
			if s.step(b, from); !s.conflict && from.Port() != e.Port {
				s.w.to(from.Port(), s.all())
			}
			return nil
		})
	}},
	{"answers-loser", `conflict/[1-4]|full/2|addition/[578]|robust/birth/held-.*|robust/sequence/(conflict-burst|steal-name|steal-port|crossed|name-walk|port-walk|fill)`, func(s *wrongDirectory) {
		s.on(core.TypeBirth, func(b []byte, from netip.AddrPort, e wire.Entry) []byte {
			if s.step(b, from); s.conflict {
				s.w.to(from.Port(), s.all())
			}
			return nil
		})
	}},
	{"renews-on-conflict", `conflict/5`, func(s *wrongDirectory) {
		s.on(core.TypeBirth, func(b []byte, from netip.AddrPort, e wire.Entry) []byte {
			if s.step(b, from); s.conflict {
				s.d.Step(time.Now(), netip.AddrPortFrom(loopback, 1), hostile.KeepAlive(uint16(s.holder.Name)))
			}
			return nil
		})
	}},
	{"no-proof", `addition/([3469]|10|11)`, func(s *wrongDirectory) {
		s.on(core.TypeBirth, func(b []byte, from netip.AddrPort, e wire.Entry) []byte {
			if s.step(b, from); !s.conflict {
				s.d.Step(time.Now(), netip.AddrPortFrom(loopback, e.Port), hostile.KeepAlive(uint16(e.Name)))
			}
			return nil
		})
	}},
	{"no-home", `addition/6`, func(s *wrongDirectory) { // a birth from its own port is like any other
		s.on(core.TypeBirth, func(b []byte, from netip.AddrPort, e wire.Entry) []byte {
			if from.Port() == e.Port {
				from = netip.AddrPortFrom(loopback, 1)
			}
			s.step(b, from)
			return nil
		})
	}},
	{"deaf-to-repeats", `repeat/.*`, func(s *wrongDirectory) {
		s.on(core.TypeBirth, func(b []byte, from netip.AddrPort, e wire.Entry) []byte {
			if s.entries().Contains(e) {
				return nil
			}
			return b
		})
	}},
	{"answers-asker", `repeat/[25]|robust/sequence/repeat-burst|robust/time/births-only`, func(s *wrongDirectory) { // a repeated birth's source
		s.on(core.TypeBirth, func(b []byte, from netip.AddrPort, e wire.Entry) []byte {
			if s.entries().Contains(e) && from.Port() != e.Port {
				s.w.to(from.Port(), s.all())
				return nil
			}
			return b
		})
	}},
	{"answers-once", `repeat/[36]|robust/time/births-only`, func(s *wrongDirectory) { // each peer's repeated birth
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
	}},
	{"home-proof", `addition/7`, func(s *wrongDirectory) { // only what comes from an entry's own port proves it
		s.on(core.TypeKeepAlive, func(b []byte, from netip.AddrPort, e wire.Entry) []byte {
			if !s.entries().Contains(wire.Entry{Name: e.Name, Port: from.Port()}) {
				from = netip.AddrPortFrom(loopback, 1)
			}
			s.step(b, from)
			return nil
		})
	}},
	{"source-proof", `addition/8`, func(s *wrongDirectory) { // only what comes from where its birth came from
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
	}},
	{"any-proof", `addition/9`, func(s *wrongDirectory) { // what comes from anywhere
		s.on(core.TypeKeepAlive, func(b []byte, from netip.AddrPort, e wire.Entry) []byte {
			s.step(b, netip.AddrPortFrom(loopback, portNamed(s.entries(), e.Name)))
			return nil
		})
	}},
	{"port-stays", `addition/10`, func(s *wrongDirectory) { // with whoever has it, if the name is free
		s.on(core.TypeBirth, func(b []byte, _ netip.AddrPort, e wire.Entry) []byte {
			if portNamed(s.entries(), e.Name) == 0 && holds(s.entries(), e.Port) {
				return nil
			}
			return b
		})
	}},
	{"one-rival", `addition/11`, func(s *wrongDirectory) { // who has two is refused
		s.on(core.TypeBirth, func(b []byte, _ netip.AddrPort, e wire.Entry) []byte {
			if port := portNamed(s.entries(), e.Name); port != 0 && port != e.Port && holds(s.entries(), e.Port) {
				return nil
			}
			return b
		})
	}},
	{"resurrects", `keep-alive/7`, func(s *wrongDirectory) {
		s.born = func(e wire.Entry) { s.ports[e.Name] = e.Port }
		s.on(core.TypeKeepAlive, func(b []byte, from netip.AddrPort, e wire.Entry) []byte {
			if e.Port = s.ports[e.Name]; e.Port != 0 && !s.entries().Contains(e) {
				return hostile.BirthOf(e)
			}
			return b
		})
	}},
	{"second-socket", `birth/4`, func(s *wrongDirectory) {
		s.w.send = func(out core.Outgoing) {
			for _, to := range out.To {
				s.w.second.Send(to, out.Datagram)
			}
		}
	}},
	{"chatty", `birth/5|keep-alive/[5-7]|reaper/[37]|silence/1|addition/2|robust/any/.*|robust/birth/(big-endian|cut-to-4|cut-to-5|one-byte-more|two-in-one|max|port-zero|name-.*|server-port)|robust/keep-alive/.*|robust/directory/.*|robust/vanilla/.*|robust/sequence/(empty-burst|unknown-burst|type-walk|length-walk)`, func(s *wrongDirectory) {
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
	}},
	{"mute-reaper", `conflict/[5-7]|repeat/4|keep-alive/[78]|reaper/[1-6]|silence/3|addition/11|robust/time/(reaped|filled-and-reaped|flap|ghost-in-the-buffer)`, func(s *wrongDirectory) {
		most := 0
		s.w.send = func(out core.Outgoing) {
			if len(out.Datagram) >= most {
				s.w.sendAll(out)
			}
			most = len(out.Datagram)
		}
	}},
	{"letters-only", `birth/7|full/[12]|robust/sequence/fill`, func(s *wrongDirectory) {
		s.on(core.TypeBirth, func(b []byte, _ netip.AddrPort, e wire.Entry) []byte {
			if low := e.Name | 0x20; low < 'a' || low > 'z' {
				return nil
			}
			return b
		})
	}},
	{"32-peers", `full/[12]|addition/1|robust/sequence/fill`, func(s *wrongDirectory) {
		s.on(core.TypeBirth, func(b []byte, _ netip.AddrPort, e wire.Entry) []byte {
			if s.d.Len() >= 32 && !s.entries().Contains(e) {
				return nil
			}
			return b
		})
	}},
	{"15-bit-port", `birth/8|robust/birth/port-65535`, func(s *wrongDirectory) {
		s.on(core.TypeBirth, func(b []byte, _ netip.AddrPort, e wire.Entry) []byte {
			if e.Port > 32767 {
				return nil
			}
			return b
		})
	}},
	{"twelve-times", `birth/5|reaper/[37]|addition/[12]`, func(s *wrongDirectory) {
		s.w.send = func(out core.Outgoing) {
			for range 12 {
				s.w.sendAll(out)
				if len(out.Datagram) > 50*4 { // a crowd would be too much for a busy machine
					return
				}
			}
		}
	}},
	{"hangs-on-empty", `robust/any/empty|robust/sequence/(empty-burst|length-walk)`, func(s *wrongDirectory) {
		s.w.take = func(b []byte, _ netip.AddrPort) []byte {
			if len(b) == 0 {
				s.w.hang()
			}
			return b
		}
	}},
	{"dies-on-header", `robust/any/header-.*|robust/sequence/(short-after-birth|length-walk)|robust/time/ghost-in-the-buffer`, func(s *wrongDirectory) {
		s.w.take = func(b []byte, _ netip.AddrPort) []byte {
			if len(b) == 2 {
				panic(exit("exit status 134"))
			}
			return b
		}
	}},
	{"takes-longer-births", `robust/birth/(one-byte-more|two-in-one|max)|robust/sequence/length-walk`, func(s *wrongDirectory) {
		s.w.take = func(b []byte, _ netip.AddrPort) []byte {
			if len(b) > 6 && b[0] == 0xC0 && b[1] == 0 {
				return b[:6]
			}
			return b
		}
	}},
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

func (s *wrongMember) show(text []byte) { s.w.program.Print(fmt.Sprintf("heard %q\n", text)) }

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

func (w wrongly) peer(behave func(*wrongMember)) string {
	c := w.program.Command
	s := &wrongMember{w: w, self: wire.Entry{Name: wire.Name(c.Name[0]), Port: c.Listen.Port()}, listed: func(core.Members) {}, after: func() {}}
	s.heard = s.show
	if err := s.w.open(c.Listen); err != nil {
		return err.Error()
	}
	s.cfg = core.PeerConfig{Self: s.self.Member(loopback), Server: c.Server, Timing: core.DefaultTiming(), Observe: s.observe}
	behave(s)
	var err error
	if s.p, err = core.NewPeer(s.cfg, time.Now()); err != nil {
		return err.Error()
	}
	s.w.machine = s.p
	s.after()
	return s.w.serve()
}

var peerWrongs = []wrong[*wrongMember]{
	{"none", ``, func(*wrongMember) {}},
	{"beats-every-800ms", `keep-alive/[23]`, func(s *wrongMember) {
		s.cfg.Timing.Heartbeat = 800 * time.Millisecond
	}},
	{"first-after-700ms", `broadcast/[267]|silence/[1-3]`, func(s *wrongMember) {
		s.after = func() {
			s.p.Broadcast(core.Schedule{First: time.Now().Add(700 * time.Millisecond), Interval: broadcast})
		}
	}},
	{"every-3500ms", `broadcast/[23]|silence/1`, func(s *wrongMember) {
		s.cfg.Timing.Broadcast = 3500 * time.Millisecond
	}},
	{"no-retry", `addition/.*`, func(s *wrongMember) {
		s.cfg.Timing.Retry = 0
	}},
	{"prints-nothing", `message/.*|robust/vanilla/(format|another's-name|counter-out-of-range|replayed|reordered|burst)`, func(s *wrongMember) {
		s.heard = func([]byte) {}
	}},
	{"upper-case", `broadcast/5`, func(s *wrongMember) {
		s.message(func(n uint16, out core.Outgoing) { s.say(fmt.Sprintf("peer%s_broadcast_%X", s.name(), n), out.To) })
	}},
	{"counts-from-1", `broadcast/[14-7]|robust/.*`, func(s *wrongMember) {
		s.message(func(n uint16, out core.Outgoing) { s.say(fmt.Sprintf("peer%s_broadcast_%x", s.name(), n+1), out.To) })
	}},
	{"counts-when-heard", `broadcast/[67]`, func(s *wrongMember) {
		sent := 0
		s.message(func(_ uint16, out core.Outgoing) {
			s.say(fmt.Sprintf("peer%s_broadcast_%x", s.name(), sent), out.To)
			sent++
		})
	}},
	{"no-zero", `directory/.*|broadcast/.*|silence/1|robust/.*`, func(s *wrongMember) {
		s.message(func(_ uint16, out core.Outgoing) {
			out.Datagram = out.Datagram[:len(out.Datagram)-1]
			s.w.sendAll(out)
		})
	}},
	{"second-socket", `broadcast/8`, func(s *wrongMember) {
		s.message(func(_ uint16, out core.Outgoing) {
			for _, to := range out.To {
				s.w.second.Send(to, out.Datagram)
			}
		})
	}},
	{"hears-itself", `directory/5`, func(s *wrongMember) {
		named := false
		s.listed = func(all core.Members) { named = all.Contains(s.self.Member(loopback)) }
		s.message(func(_ uint16, out core.Outgoing) {
			s.w.sendAll(out)
			if m, _ := wire.Parse(out.Datagram); named {
				s.show(m.Payload)
			}
		})
	}},
	{"merges", `directory/[238]|robust/directory/(self-elsewhere|replayed|burst)`, func(s *wrongMember) {
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
				s.w.to(port, hostile.Vanilla(string(core.AppendBroadcast(nil, core.Name(s.name()), n, 0))))
			}
			n++
		}
	}},
	{"born-twice", `birth/3|addition/1`, func(s *wrongMember) {
		s.first(core.TypeBirth, s.w.sendAll)
	}},
	{"beats-first", `birth/2|keep-alive/2`, func(s *wrongMember) {
		s.first(core.TypeBirth, func(core.Outgoing) { s.w.to(s.cfg.Server.Port(), hostile.KeepAlive(uint16(s.self.Name))) })
	}},
	{"long-beats", `keep-alive/1|silence/3`, func(s *wrongMember) {
		s.w.send = func(out core.Outgoing) {
			if out.Datagram[0] == byte(core.TypeKeepAlive) {
				out.Datagram = append(out.Datagram, 0, 0)
			}
			s.w.sendAll(out)
		}
	}},
	{"answers", `silence/2|robust/.*`, func(s *wrongMember) {
		s.w.take = func(b []byte, from netip.AddrPort) []byte {
			if m, err := wire.Parse(b); err == nil && m.Type == core.TypeVanilla {
				s.w.to(from.Port(), hostile.Vanilla("heard"))
			}
			return b
		}
	}},
	{"says-goodbye", `silence/4`, func(s *wrongMember) {
		s.w.goodbye = func() {
			for _, m := range s.p.Others() {
				s.w.to(m.Addr.Port(), hostile.Vanilla("goodbye"))
			}
		}
	}},
	{"dies-on-duplicate", `robust/directory/(duplicate-.*|96-entries|max)`, func(s *wrongMember) {
		s.w.take = func(b []byte, _ netip.AddrPort) []byte {
			if _, err := wire.Parse(b); errors.Is(err, core.ErrDuplicate) {
				panic(exit("signal: aborted"))
			}
			return b
		}
	}},
	{"believes-strangers", `robust/vanilla/from-.*`, func(s *wrongMember) {
		s.w.take = func(b []byte, from netip.AddrPort) []byte {
			if m, err := wire.Parse(b); err == nil && m.Type == core.TypeVanilla {
				s.show(m.Payload)
				return nil
			}
			return b
		}
	}},
}
