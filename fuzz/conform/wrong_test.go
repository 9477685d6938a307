package conform

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
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
	if exit, wide := runWideWrong(w, words[0]); wide {
		return exit
	}
	if words[0] == mute {
		if _, again := reached.LoadOrStore(p.Host, true); again {
			p.Listen(p.Command.Listen)
			p.Hang()
			return "signal: killed"
		}
		words[0] = "none"
	}
	if p.Name == "" && words[0] == slow.name {
		return w.server(slow.behave)
	} else if p.Name == "" {
		i := slices.IndexFunc(serverWrongs, func(x wrong[*wrongDirectory]) bool { return x.name == words[0] })
		return w.server(serverWrongs[i].behave)
	}
	i := slices.IndexFunc(peerWrongs, func(x wrong[*wrongMember]) bool { return x.name == words[0] })
	return w.peer(peerWrongs[i].behave)
}

// mute does nothing, but for the first of a host's, which shows that there is a target.
const mute = "mute"

var reached sync.Map

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

	catchesUp bool // it does not notice that it has stood still
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

// filled is what a placeholder stands for.
func (w *wrongly) filled(placeholder string) string {
	return w.program.Fill[slices.Index(w.program.Fill, placeholder)+1]
}

func (w *wrongly) to(port uint16, b []byte) { w.socket.Send(netip.AddrPortFrom(loopback, port), b) }

func (w *wrongly) sendAll(out core.Outgoing) {
	for _, to := range out.To {
		w.to(to.Port(), out.Datagram)
	}
}

func (w *wrongly) serve() (ended string) {
	err := w.socket.Serve(virtual.Loop{Machine: w.machine, Send: w.send, Tick: w.tick, Take: func(b []byte, from netip.AddrPort) {
		if then := w.take(b, from); then != nil {
			w.machine.Step(time.Now(), from, then)
		}
	}})
	if errors.Is(err, virtual.ErrInterrupted) {
		w.goodbye()
		return "signal: interrupt"
	}
	return "signal: killed"
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

	losses              losses
	impatient, unfilter bool
}

// losses is what a server knows of what it has lost, and whether it has garbage kept from it.
type losses struct {
	seen, drops uint64
	since       time.Time
}

// look is what core/udp does about losses.
func (s *wrongDirectory) look() {
	_, total, _ := s.w.program.Host.Backlog(s.cfg.Addr)
	o, now := &s.losses, time.Now()
	if total > o.seen && !s.impatient {
		s.d.Lost(now)
	}
	o.drops += total - o.seen
	o.seen = total
	if much := o.drops > 1000; much || now.Sub(o.since) >= time.Second {
		var passes func([]byte) bool
		if much && !s.unfilter {
			passes = func(b []byte) bool { return len(b) == 4 || len(b) == 6 }
		}
		s.w.socket.Filter(passes)
		*o = losses{seen: total, since: now}
	}
}

// catchUp is a machine that does not notice that it has stood still.
type catchUp struct {
	core.Machine
	at time.Time
}

func (c *catchUp) Poll(now time.Time) (core.Outgoing, time.Time) {
	for c.at = c.at.Add(100 * time.Millisecond); c.at.Before(now); c.at = c.at.Add(100 * time.Millisecond) {
		if out, next := c.Machine.Poll(c.at); !out.Empty() {
			return out, next
		}
	}
	c.at = now
	return c.Machine.Poll(now)
}

func (s *wrongDirectory) entries() wire.Entries {
	return wire.EntriesOf(nil, s.d.Members())
}

func (s *wrongDirectory) all() []byte {
	return wire.Message{Type: core.TypeDirectory, Entries: s.entries()}.Append(nil)
}

func (s *wrongDirectory) toAll() {
	for _, m := range s.d.Members() {
		s.w.to(m.Addr.Port(), s.all())
	}
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
	s.cfg.SourceCheck = w.filled("{source-check}") == "true"
	if err := s.w.open(s.cfg.Addr); err != nil {
		return err.Error()
	}
	behave(s)
	var err error
	if s.d, err = core.NewDirectory(s.cfg, time.Now()); err != nil {
		return err.Error()
	}
	if s.w.machine = s.d; s.w.catchesUp {
		s.w.machine = &catchUp{s.d, time.Now()}
	}
	take := s.w.take
	s.w.take = func(b []byte, from netip.AddrPort) []byte {
		s.look()
		return take(b, from)
	}
	return s.w.serve()
}

var serverWrongs = []wrong[*wrongDirectory]{
	{"none", ``, func(*wrongDirectory) {}},
	{"deadline-1s", `conflict/5|repeat/4|keep-alive/4|reaper/[12]|addition/(5|14)`, func(s *wrongDirectory) {
		s.cfg.Timing.Deadline = time.Second
	}},
	{"never-reaps", `conflict/[5-7]|repeat/4|keep-alive/[78]|reaper/.*|silence/3|robust/keep-alive/spoofed|robust/time/(reaped|filled-and-reaped|flap|ghost-in-the-buffer)|addition/1[45]`, func(s *wrongDirectory) {
		s.cfg.Timing.Reap = time.Hour
	}},
	{"own-port-only", `birth/3|repeat/[25]|keep-alive/[23]|silence/3|addition/[6-8]|robust/birth/(port-1|port-1023|port-65535|spare)|robust/keep-alive/spoofed|robust/sequence/(repeat-burst|keep-alive-first|steal-name|steal-port|crossed|short-after-birth|name-walk|port-walk|fill)|robust/time/(back-from-the-dead|name-freed|births-only)`, func(s *wrongDirectory) {
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
	{"chatty", `birth/5|keep-alive/[5-7]|reaper/[37]|silence/1|addition/2|robust/.*`, func(s *wrongDirectory) {
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
	{"mute-reaper", `conflict/[5-7]|repeat/4|keep-alive/[78]|reaper/[1-6]|silence/3|addition/11|robust/keep-alive/spoofed|robust/time/(reaped|filled-and-reaped|back-from-the-dead|flap|ghost-in-the-buffer)|addition/1[45]`, func(s *wrongDirectory) {
		most := 0
		s.w.send = func(out core.Outgoing) {
			if len(out.Datagram) >= most {
				s.w.sendAll(out)
			}
			most = len(out.Datagram)
		}
	}},
	{"letters-only", `birth/7|full/[12]|addition/1|robust/sequence/(unknown-burst|name-walk|fill)|robust/time/filled-and-reaped`, func(s *wrongDirectory) {
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
	{"twelve-times", `birth/5|reaper/[37]|addition/[12]|robust/.*`, func(s *wrongDirectory) {
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
				s.w.program.Hang()
			}
			return b
		}
	}},
	{"dies-on-header", `robust/any/header-.*|robust/sequence/(short-after-birth|length-walk)|robust/time/ghost-in-the-buffer`, func(s *wrongDirectory) {
		s.w.take = func(b []byte, _ netip.AddrPort) []byte {
			if len(b) == 2 {
				panic(virtual.Exit("exit status 134"))
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
	{"deadline-2s", `conflict/5|repeat/4|reaper/[127]|addition/([349]|10|11|14)`, func(s *wrongDirectory) {
		s.cfg.Timing.Deadline = 2 * time.Second
	}},
	{"reaps-every-2s", `repeat/4|reaper/[12]|addition/14`, func(s *wrongDirectory) {
		s.cfg.Timing.Reap = 2 * time.Second
	}},
	{"announces-conflicts", `robust/birth/held-.*|robust/sequence/(conflict-burst|steal-name|steal-port|crossed|name-walk|port-walk|fill)`, func(s *wrongDirectory) { // to all, as the original
		s.on(core.TypeBirth, func(b []byte, from netip.AddrPort, e wire.Entry) []byte {
			if s.step(b, from); s.conflict {
				s.toAll()
			}
			return nil
		})
	}},
	{"announces-repeats", `addition/2|robust/sequence/repeat-burst|robust/time/births-only`, func(s *wrongDirectory) { // to all, as the original
		s.on(core.TypeBirth, func(b []byte, from netip.AddrPort, e wire.Entry) []byte {
			if s.entries().Contains(e) {
				s.toAll()
			}
			return b
		})
	}},
	{"repeats-renew-nothing", `repeat/[34]|addition/2|robust/sequence/repeat-burst`, func(s *wrongDirectory) { // as with the original
		s.on(core.TypeBirth, func(b []byte, from netip.AddrPort, e wire.Entry) []byte {
			if s.entries().Contains(e) {
				s.w.to(e.Port, s.all())
				return nil
			}
			return b
		})
	}},
	{"answers-all-repeats", `addition/2|robust/sequence/repeat-burst`, func(s *wrongDirectory) { // however fast they come
		s.on(core.TypeBirth, func(b []byte, from netip.AddrPort, e wire.Entry) []byte {
			if s.entries().Contains(e) {
				s.w.to(e.Port, s.all())
			}
			return b
		})
	}},
	{"announces-each-birth", `addition/1`, func(s *wrongDirectory) { // however fast they come
		var told []byte
		s.w.send = func(out core.Outgoing) {
			if !bytes.Equal(out.Datagram, told) {
				s.w.sendAll(out)
			}
			told = nil
		}
		s.on(core.TypeBirth, func(b []byte, from netip.AddrPort, e wire.Entry) []byte {
			n := s.d.Len()
			if s.step(b, from); s.d.Len() != n {
				told = s.all()
				s.toAll()
			}
			return nil
		})
	}},
	{"announces-departures-twice", `reaper/3|robust/any/.*|robust/birth/(big-endian|cut-to-4|cut-to-5|one-byte-more|two-in-one|max|port-zero|name-.*|server-port)|robust/keep-alive/.*|robust/directory/.*|robust/vanilla/.*|robust/sequence/(empty-burst|unknown-burst|type-walk|length-walk)|robust/time/(reaped|filled-and-reaped|back-from-the-dead|name-freed|flap|ghost-in-the-buffer)`, func(s *wrongDirectory) {
		most := 0
		s.w.send = func(out core.Outgoing) {
			if s.w.sendAll(out); len(out.Datagram) < most {
				s.w.sendAll(out)
			}
			most = len(out.Datagram)
		}
	}},
	{"long-keep-alives", `robust/keep-alive/(one-byte-more|two-in-one|max)`, func(s *wrongDirectory) {
		s.w.take = func(b []byte, _ netip.AddrPort) []byte {
			if len(b) > 4 && core.Type(b[0]) == core.TypeKeepAlive && b[1] == 0 {
				return b[:4]
			}
			return b
		}
	}},
	{"short-keep-alives", `robust/any/(header-keep-alive|half-field-keep-alive)|robust/time/ghost-in-the-buffer`, func(s *wrongDirectory) { // are whoever's was born last
		var last wire.Entry
		s.born = func(e wire.Entry) { last = e }
		s.w.take = func(b []byte, _ netip.AddrPort) []byte {
			if (len(b) == 2 || len(b) == 3) && core.Type(b[0]) == core.TypeKeepAlive && b[1] == 0 {
				return hostile.KeepAliveOf(last)
			}
			return b
		}
	}},
	{"low-bytes", `robust/birth/(name-high-byte-one|name-two-characters)|robust/keep-alive/(name-high-byte-one|name-two-characters)`, func(s *wrongDirectory) { // are names
		s.w.take = func(b []byte, _ netip.AddrPort) []byte {
			if len(b) >= 4 && (core.Type(b[0]) == core.TypeKeepAlive || core.Type(b[0]) == core.TypeBirth) {
				b[3] = 0
			}
			return b
		}
	}},
	{"any-low-byte", `robust/keep-alive/name-high-byte-only`, func(s *wrongDirectory) { // may be a name's: it keeps alive who has the name's other byte
		s.w.take = func(b []byte, _ netip.AddrPort) []byte {
			if len(b) == 4 && core.Type(b[0]) == core.TypeKeepAlive && b[2] == 0 {
				b[2], b[3] = b[3], 0
			}
			return b
		}
	}},
	{"any-name", `robust/birth/name-.*`, func(s *wrongDirectory) { // is announced
		s.w.take = func(b []byte, _ netip.AddrPort) []byte {
			if len(b) == 6 && core.Type(b[0]) == core.TypeBirth && b[1] == 0 && !(b[3] == 0 && wire.Name(b[2]).Valid()) {
				all := append(s.all(), b[2:6]...)
				all[2]++
				for _, m := range s.d.Members() {
					s.w.to(m.Addr.Port(), all)
				}
			}
			return b
		}
	}},
	{"port-zero", `robust/birth/port-zero`, func(s *wrongDirectory) { // is announced
		s.w.take = func(b []byte, _ netip.AddrPort) []byte {
			if len(b) == 6 && core.Type(b[0]) == core.TypeBirth && b[4] == 0 && b[5] == 0 {
				all := append(s.all(), b[2:6]...)
				all[2]++
				for _, m := range s.d.Members() {
					s.w.to(m.Addr.Port(), all)
				}
			}
			return b
		}
	}},
	{"dies-on-port-zero", `robust/birth/port-zero`, func(s *wrongDirectory) {
		s.w.take = func(b []byte, _ netip.AddrPort) []byte {
			if len(b) == 6 && core.Type(b[0]) == core.TypeBirth && b[4] == 0 && b[5] == 0 {
				panic(virtual.Exit("signal: aborted"))
			}
			return b
		}
	}},
	{"dies-on-its-own-port", `robust/birth/server-port`, func(s *wrongDirectory) {
		s.on(core.TypeBirth, func(b []byte, _ netip.AddrPort, e wire.Entry) []byte {
			if e.Port == s.cfg.Addr.Port() {
				panic(virtual.Exit("signal: aborted"))
			}
			return b
		})
	}},
	{"dies-on-unknown-types", `robust/any/(type-.*|max-zeros|max-ones)|robust/birth/big-endian|robust/keep-alive/big-endian|robust/sequence/type-walk|robust/time/ghost-in-the-buffer|addition/16`, func(s *wrongDirectory) {
		s.w.take = func(b []byte, _ netip.AddrPort) []byte {
			if len(b) > 1 && (b[1] != 0 || b[0]&^3 != 0xC0) {
				panic(virtual.Exit("exit status 1"))
			}
			return b
		}
	}},
	{"dies-on-the-largest", `robust/any/(max-zeros|max-ones)|robust/birth/max|robust/keep-alive/max|robust/vanilla/max`, func(s *wrongDirectory) {
		s.w.take = func(b []byte, _ netip.AddrPort) []byte {
			if len(b) > 1<<15 {
				panic(virtual.Exit("signal: segmentation fault"))
			}
			return b
		}
	}},
	{"dies-on-one-byte", `robust/any/one-byte|robust/sequence/length-walk`, func(s *wrongDirectory) {
		s.w.take = func(b []byte, _ netip.AddrPort) []byte {
			if len(b) == 1 {
				panic(virtual.Exit("signal: aborted"))
			}
			return b
		}
	}},
	{"any-datagram-is-life", `robust/any/.*|robust/birth/(big-endian|cut-to-4|cut-to-5|one-byte-more|two-in-one|max|port-zero|name-.*)|robust/keep-alive/(big-endian|one-byte-more|two-in-one|max|name-.*)|robust/directory/.*|robust/vanilla/.*|robust/time/ghost-in-the-buffer`, func(s *wrongDirectory) { // of all
		s.w.take = func(b []byte, _ netip.AddrPort) []byte {
			if m, err := wire.Parse(b); err != nil || m.Type == core.TypeDirectory || m.Type == core.TypeVanilla {
				for _, m := range s.d.Members() {
					s.d.Step(time.Now(), netip.AddrPortFrom(loopback, 1), hostile.KeepAliveOf(wire.EntryOf(m)))
				}
			}
			return b
		}
	}},
	{"believes-directories", `robust/directory/forged`, func(s *wrongDirectory) {
		s.w.take = func(b []byte, from netip.AddrPort) []byte {
			if m, err := wire.Parse(b); err == nil && m.Type == core.TypeDirectory {
				for e := range m.Entries.Each() {
					s.step(hostile.BirthOf(e), from)
				}
			}
			return b
		}
	}},
	{"relays-messages", `robust/vanilla/.*`, func(s *wrongDirectory) {
		s.w.take = func(b []byte, _ netip.AddrPort) []byte {
			if len(b) >= 5 && core.Type(b[0]) == core.TypeVanilla && b[1] == 0 {
				for _, m := range s.d.Members() {
					s.w.to(m.Addr.Port(), b)
				}
			}
			return b
		}
	}},
	{"either-endian", `robust/birth/big-endian|robust/keep-alive/big-endian`, func(s *wrongDirectory) {
		s.w.take = func(b []byte, _ netip.AddrPort) []byte {
			if len(b) < 4 || b[0] != 0 {
				return b
			}
			for i := 0; i+1 < len(b); i += 2 {
				b[i], b[i+1] = b[i+1], b[i]
			}
			return b
		}
	}},
	{"cut-births", `robust/birth/(cut-to-4|cut-to-5)|robust/sequence/(short-after-birth|length-walk)`, func(s *wrongDirectory) { // have a port from the buffer
		s.w.take = func(b []byte, from netip.AddrPort) []byte {
			if (len(b) == 4 || len(b) == 5) && core.Type(b[0]) == core.TypeBirth && b[1] == 0 {
				return append(b[:4:4], 0x34, 0x12)
			}
			return b
		}
	}},
	{"answers-keep-alives", `keep-alive/5|reaper/3|silence/1|robust/any/.*|robust/birth/(big-endian|cut-to-4|cut-to-5|one-byte-more|two-in-one|max|port-zero|name-.*|server-port|spare)|robust/keep-alive/.*|robust/directory/.*|robust/vanilla/.*|robust/sequence/(empty-burst|repeat-burst|unknown-burst|type-walk|length-walk|fill)|robust/time/.*`, func(s *wrongDirectory) {
		s.on(core.TypeKeepAlive, func(b []byte, _ netip.AddrPort, e wire.Entry) []byte {
			if port := portNamed(s.entries(), e.Name); port != 0 {
				s.w.to(port, s.all())
			}
			return b
		})
	}},
	{"answers-strangers", `keep-alive/6|robust/keep-alive/unknown|robust/sequence/(unknown-burst|keep-alive-first|steal-port)|robust/time/back-from-the-dead`, func(s *wrongDirectory) { // whose keep-alive is of nobody
		s.on(core.TypeKeepAlive, func(b []byte, from netip.AddrPort, e wire.Entry) []byte {
			if portNamed(s.entries(), e.Name) == 0 {
				s.w.to(from.Port(), s.all())
			}
			return b
		})
	}},
	{"names-are-never-free-again", `conflict/6|addition/([3469]|11)|robust/time/name-freed`, func(s *wrongDirectory) {
		s.on(core.TypeBirth, func(b []byte, _ netip.AddrPort, e wire.Entry) []byte {
			if s.ports[e.Name] == 0 {
				s.ports[e.Name] = e.Port
			}
			if s.ports[e.Name] != e.Port {
				return nil
			}
			return b
		})
	}},
	{"last-wins", `conflict/[134]|addition/[578]|robust/birth/(held-name|held-both)|robust/sequence/(conflict-burst|steal-name|crossed|port-walk|fill)`, func(s *wrongDirectory) { // a name
		s.on(core.TypeBirth, func(b []byte, _ netip.AddrPort, e wire.Entry) []byte {
			s.ports[e.Name] = e.Port
			return b
		})
		s.w.send = func(out core.Outgoing) {
			for i := 4; i+3 < len(out.Datagram); i += 4 {
				port := s.ports[wire.Name(out.Datagram[i])]
				out.Datagram[i+2], out.Datagram[i+3] = byte(port), byte(port>>8)
			}
			s.w.sendAll(out)
		}
	}},
	{"each-its-own-order", `layout/3`, func(s *wrongDirectory) {
		s.w.send = func(out core.Outgoing) {
			for i, to := range out.To {
				b := slices.Clone(out.Datagram)
				for ; i > 0; i-- {
					b = append(append(b[:4:4], b[8:]...), b[4:8]...)
				}
				s.w.to(to.Port(), b)
			}
		}
	}},
	{"leaves-out-whom-it-tells", `birth/.*|layout/.*|conflict/.*|repeat/.*|keep-alive/.*|reaper/.*|silence/.*|full/[12]|addition/([1-9]|10|11|14|15|16)|robust/.*`, func(s *wrongDirectory) {
		s.w.send = func(out core.Outgoing) {
			for _, to := range out.To {
				b := slices.Clone(out.Datagram)
				for i := 4; i < len(b); i += 4 {
					if uint16(b[i+2])|uint16(b[i+3])<<8 == to.Port() {
						b = append(b[:i], b[i+4:]...)
						b[2]--
					}
				}
				s.w.to(to.Port(), b)
			}
		}
	}},
	{"one-birth-a-millisecond", `birth/[2467]|layout/.*|conflict/3|repeat/[1256]|keep-alive/[45]|reaper/[356]|silence/[12]|full/[12]|addition/([146]|11)|robust/.*`, func(s *wrongDirectory) {
		var last time.Time
		s.on(core.TypeBirth, func(b []byte, _ netip.AddrPort, e wire.Entry) []byte {
			if now := time.Now(); now.Sub(last) > time.Millisecond {
				last = now
				return b
			}
			return nil
		})
	}},
	{"deaf-to-options", ``, func(s *wrongDirectory) {
		s.cfg.SourceCheck = false
	}},
	{"stands-still-unawares", `addition/14`, func(s *wrongDirectory) {
		s.w.catchesUp = true
	}},
	{"impatient", `addition/15`, func(s *wrongDirectory) {
		s.impatient = true
	}},
	{"takes-all", `addition/16`, func(s *wrongDirectory) { // no filter
		s.unfilter = true
	}},
	{"10-ms-a-datagram", ``, func(s *wrongDirectory) { // as the original: slow, but not wrong
		s.w.take = func(b []byte, _ netip.AddrPort) []byte {
			time.Sleep(10 * time.Millisecond)
			return b
		}
	}},
	{"shuts-out-y", `full/1`, func(s *wrongDirectory) { // whose keep-alives it does not take
		s.on(core.TypeKeepAlive, func(b []byte, _ netip.AddrPort, e wire.Entry) []byte {
			if e.Name == 'y' {
				return nil
			}
			return b
		})
	}},
	{"original", `repeat/[34]|addition/2|robust/any/(empty|one-byte|header-.*|half-.*)|robust/birth/(cut-to-4|cut-to-5|one-byte-more|two-in-one|max|port-zero|name-high-byte-one|name-two-characters|held-.*)|robust/keep-alive/(one-byte-more|two-in-one|max)|robust/sequence/(empty-burst|conflict-burst|repeat-burst|steal-name|steal-port|crossed|short-after-birth|name-walk|port-walk|length-walk|fill)|robust/time/(ghost-in-the-buffer|births-only)`, func(s *wrongDirectory) {
		s.w.take = func(b []byte, from netip.AddrPort) []byte {
			time.Sleep(10 * time.Millisecond)
			if len(b) == 0 {
				s.w.program.Hang()
			}
			if len(b) < 4 {
				panic(virtual.Exit("signal: aborted"))
			}
			switch core.Type(uint16(b[0]) | uint16(b[1])<<8) {
			case core.TypeKeepAlive:
				return b[:4]
			case core.TypeBirth:
				if len(b) < 6 || b[4]|b[5] == 0 {
					panic(virtual.Exit("signal: aborted"))
				}
				b[3] = 0
				m, err := wire.Parse(b[:6])
				known := err == nil && s.entries().Contains(m.Entry)
				if !known {
					s.step(b[:6], from)
				}
				if known || s.conflict {
					s.toAll()
				}
			}
			return nil
		}
	}},
}

// slow is no wrong of one kind: most cases fail.
var slow = wrong[*wrongDirectory]{"2800-ms-a-birth", ``, func(s *wrongDirectory) {
	s.on(core.TypeBirth, func(b []byte, _ netip.AddrPort, _ wire.Entry) []byte {
		time.Sleep(2800 * time.Millisecond)
		return b
	})
}}

// wrongMember is a peer, wrong in one way.
type wrongMember struct {
	w      wrongly
	self   wire.Entry
	cfg    core.PeerConfig
	p      *core.Peer
	heard  func(text []byte)
	hears  func(from core.Name, text []byte)
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

// rawEntries are the whole entries of any directory.
func rawEntries(b []byte) (all []wire.Entry) {
	for i := 4; i+3 < len(b); i += 4 {
		all = append(all, wire.Entry{Name: wire.Name(b[i]), Port: uint16(b[i+2]) | uint16(b[i+3])<<8})
	}
	return all
}

// teach has the machine believe the whole entries of any directory.
func (s *wrongMember) teach(b []byte) {
	s.p.Step(time.Now(), s.cfg.Server, hostile.Directory(rawEntries(b)...))
}

func (s *wrongMember) teachNow(all []wire.Entry) []byte {
	s.p.Step(time.Now(), s.cfg.Server, hostile.Directory(all...))
	return nil
}

// directory has f take the directories that are of a kind, and the machine all else.
func (s *wrongMember) directory(kind func(b []byte, from netip.AddrPort) bool, f func(b []byte)) {
	s.w.take = func(b []byte, from netip.AddrPort) []byte {
		if len(b) >= 4 && core.Type(b[0]) == core.TypeDirectory && b[1] == 0 && kind(b, from) {
			f(b)
			return nil
		}
		return b
	}
}

// lies has f see the messages that promise n bytes and bring others.
func (s *wrongMember) lies(f func(n int, text []byte)) {
	s.w.take = func(b []byte, _ netip.AddrPort) []byte {
		if n := 0; len(b) >= 5 && core.Type(b[0]) == core.TypeVanilla && b[1] == 0 {
			if n = int(b[2]) | int(b[3])<<8; n != len(b)-5 {
				f(n, slices.Clone(b[4:len(b)-1]))
			}
		}
		return b
	}
}

// beats has keep-alives sent only while a condition holds.
func (s *wrongMember) beats(while func() bool) {
	s.w.send = func(out core.Outgoing) {
		if core.Type(out.Datagram[0]) != core.TypeKeepAlive || while() {
			s.w.sendAll(out)
		}
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
		s.hears(e.Peer.Name, e.Data)
	case core.Listed:
		s.listed(e.All)
	}
}

func (w wrongly) peer(behave func(*wrongMember)) string {
	c := w.program.Command
	s := &wrongMember{w: w, self: wire.Entry{Name: wire.Name(c.Name[0]), Port: c.Listen.Port()}, listed: func(core.Members) {}, after: func() {}}
	s.heard = s.show
	s.hears = func(_ core.Name, text []byte) { s.heard(text) }
	if err := s.w.open(c.Listen); err != nil {
		return err.Error()
	}
	s.cfg = core.PeerConfig{Self: s.self.Member(loopback), Server: c.Server, Timing: core.DefaultTiming(), Observe: s.observe}
	s.cfg.Timing.Broadcast, _ = time.ParseDuration(w.filled("{broadcast}"))
	s.cfg.Timing.Refresh, _ = time.ParseDuration(w.filled("{refresh}"))
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
	{"no-retry", `addition/[1-3]`, func(s *wrongMember) {
		s.cfg.Timing.Retry = 0
	}},
	{"prints-nothing", `message/.*|robust/vanilla/(format|another's-name|counter-out-of-range|replayed|reordered|burst)`, func(s *wrongMember) {
		s.heard = func([]byte) {}
	}},
	{"upper-case", `broadcast/5`, func(s *wrongMember) {
		s.message(func(n uint16, out core.Outgoing) { s.say(fmt.Sprintf("peer%s_broadcast_%X", s.name(), n), out.To) })
	}},
	{"counts-from-1", `broadcast/[14-7]|robust/any/.*|robust/birth/.*|robust/keep-alive/.*|robust/directory/(count-.*|cut-.*|one-byte-more|duplicate-.*|96-entries|max|name-.*|port-zero|without-self|self-renamed|self-elsewhere|names-the-server|from-.*|replayed|burst)|robust/vanilla/.*`, func(s *wrongMember) {
		s.message(func(n uint16, out core.Outgoing) { s.say(fmt.Sprintf("peer%s_broadcast_%x", s.name(), n+1), out.To) })
	}},
	{"counts-when-heard", `broadcast/[67]`, func(s *wrongMember) {
		sent := 0
		s.message(func(_ uint16, out core.Outgoing) {
			s.say(fmt.Sprintf("peer%s_broadcast_%x", s.name(), sent), out.To)
			sent++
		})
	}},
	{"no-zero", `directory/.*|broadcast/([1-9]|10)|silence/1|robust/any/.*|robust/birth/.*|robust/keep-alive/.*|robust/directory/(count-.*|cut-.*|one-byte-more|duplicate-.*|96-entries|max|name-.*|port-zero|without-self|self-renamed|self-elsewhere|names-the-server|from-.*|replayed|burst)|robust/vanilla/.*`, func(s *wrongMember) {
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
	{"merges", `directory/[238]|robust/directory/(95-entries|empty|without-self|self-renamed|self-elsewhere|names-the-server|strange-ports|replayed|burst)`, func(s *wrongMember) {
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
				panic(virtual.Exit("signal: aborted"))
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
	{"believes-any-directory", `robust/directory/from-.*`, func(s *wrongMember) {
		s.directory(func(b []byte, from netip.AddrPort) bool { return from != s.cfg.Server }, s.teach)
	}},
	{"believes-the-servers-port", `robust/directory/from-elsewhere`, func(s *wrongMember) { // on whatever host
		s.directory(func(b []byte, from netip.AddrPort) bool {
			return from != s.cfg.Server && from.Port() == s.cfg.Server.Port()
		}, s.teach)
	}},
	{"counts-lie", `robust/directory/(count-.*|cut-to-12)`, func(s *wrongMember) { // it takes what comes
		s.directory(func(b []byte, from netip.AddrPort) bool { return len(b)%4 == 0 && len(b) != 4+4*int(b[2]) }, s.teach)
	}},
	{"count-counts", `robust/directory/(count-one-less|count-zero|one-byte-more)`, func(s *wrongMember) { // it takes what is promised, if it is there
		s.directory(func(b []byte, from netip.AddrPort) bool { return len(b) > 4+4*(int(b[2])+int(b[3])<<8) }, func(b []byte) { s.teach(b[:4+4*int(b[2])]) })
	}},
	{"cut-directories", `robust/directory/(cut-to-15|cut-to-9|cut-to-6|one-byte-more)`, func(s *wrongMember) { // it takes the whole entries
		s.directory(func(b []byte, from netip.AddrPort) bool { return len(b)%4 != 0 }, s.teach)
	}},
	{"duplicates", `robust/directory/(duplicate-.*|96-entries|max)`, func(s *wrongMember) { // it takes the first
		s.directory(func(b []byte, from netip.AddrPort) bool {
			_, err := wire.Parse(b)
			return errors.Is(err, core.ErrDuplicate)
		}, func(b []byte) {
			var first []wire.Entry
			for _, e := range rawEntries(b) {
				if !slices.ContainsFunc(first, func(f wire.Entry) bool { return f.Name == e.Name || f.Port == e.Port }) {
					first = append(first, e)
				}
			}
			s.p.Step(time.Now(), s.cfg.Server, hostile.Directory(first...))
		})
	}},
	{"any-name", `robust/directory/(cut-to-12|name-.*)`, func(s *wrongMember) {
		s.directory(func(b []byte, from netip.AddrPort) bool {
			_, err := wire.Parse(b)
			return err != nil && len(b) == 12
		}, func(b []byte) {
			for i := 4; i < len(b); i += 4 {
				if b[i+1] != 0 || !wire.Name(b[i]).Valid() {
					b[i], b[i+1] = '~', 0
				}
			}
			s.teach(b)
		})
	}},
	{"dies-on-port-zero", `robust/directory/port-zero`, func(s *wrongMember) { // at its next broadcast
		dies := false
		s.directory(func(b []byte, from netip.AddrPort) bool {
			return len(b)%4 == 0 && slices.ContainsFunc(rawEntries(b), func(e wire.Entry) bool { return e.Port == 0 })
		}, func([]byte) { dies = true })
		s.message(func(_ uint16, out core.Outgoing) {
			if dies {
				panic(virtual.Exit("signal: aborted"))
			}
			s.w.sendAll(out)
		})
	}},
	{"hangs-on-empty", `robust/any/(empty|empty-from-server)`, func(s *wrongMember) {
		s.w.take = func(b []byte, _ netip.AddrPort) []byte {
			if len(b) == 0 {
				s.w.program.Hang()
			}
			return b
		}
	}},
	{"prints-memory", `robust/vanilla/(length-one-more|length-400|length-max|no-zero-at-all)`, func(s *wrongMember) { // as much as a length promises
		s.lies(func(n int, text []byte) {
			if n > len(text) {
				s.show(append(text, make([]byte, min(n, 400)-min(len(text), 400))...))
			}
		})
	}},
	{"prints-what-comes", `robust/vanilla/(length-one-less|length-zero|one-byte-more)`, func(s *wrongMember) { // whatever a length promises
		s.lies(func(n int, text []byte) {
			if n < len(text) {
				s.show(text)
			}
		})
	}},
	{"prints-without-zero", `robust/vanilla/(no-zero|no-zero-at-all)`, func(s *wrongMember) {
		s.w.take = func(b []byte, _ netip.AddrPort) []byte {
			if len(b) > 4 && core.Type(b[0]) == core.TypeVanilla && b[1] == 0 && b[len(b)-1] != 0 {
				s.show(b[4:])
			}
			return b
		}
	}},
	{"takes-births", `robust/birth/(from-stranger|from-server)`, func(s *wrongMember) { // as members
		s.w.take = func(b []byte, _ netip.AddrPort) []byte {
			if m, err := wire.Parse(b); err == nil && m.Type == core.TypeBirth {
				all := []wire.Entry{m.Entry}
				for _, x := range s.p.Others() {
					all = append(all, wire.EntryOf(x))
				}
				return s.teachNow(all)
			}
			return b
		}
	}},
	{"long-births", `robust/birth/(one-byte-more|two-in-one|max)`, func(s *wrongMember) { // it answers them
		s.w.take = func(b []byte, from netip.AddrPort) []byte {
			if len(b) > 6 && core.Type(b[0]) == core.TypeBirth && b[1] == 0 {
				s.w.to(from.Port(), hostile.Directory(s.self))
			}
			return b
		}
	}},
	{"complains", `robust/any/.*|robust/birth/(big-endian|cut-to-4|cut-to-5|one-byte-more|two-in-one|max|port-zero|name-.*)|robust/keep-alive/(big-endian|one-byte-more|two-in-one|max|name-.*)|robust/directory/(count-.*|cut-.*|one-byte-more|duplicate-.*|96-entries|max|name-.*|port-zero)|robust/vanilla/(length-.*|no-zero|no-zero-at-all|zero-inside|zero-first|one-byte-more)`, func(s *wrongMember) { // to whoever sends what is malformed
		s.w.take = func(b []byte, from netip.AddrPort) []byte {
			if _, err := wire.Parse(b); err != nil {
				s.w.to(from.Port(), hostile.Vanilla("what?"))
			}
			return b
		}
	}},
	{"answers-keep-alives", `robust/keep-alive/(from-stranger|from-server)`, func(s *wrongMember) {
		s.w.take = func(b []byte, from netip.AddrPort) []byte {
			if m, err := wire.Parse(b); err == nil && m.Type == core.TypeKeepAlive {
				s.w.to(from.Port(), hostile.Vanilla("I live, too"))
			}
			return b
		}
	}},
	{"dies-on-unknown-types", `robust/any/(type-.*|max-zeros|max-ones)|robust/birth/big-endian|robust/keep-alive/big-endian`, func(s *wrongMember) {
		s.w.take = func(b []byte, _ netip.AddrPort) []byte {
			if len(b) > 1 && (b[1] != 0 || b[0]&^3 != 0xC0) {
				panic(virtual.Exit("exit status 1"))
			}
			return b
		}
	}},
	{"dies-on-short", `robust/any/(one-byte|header-.*|half-.*)`, func(s *wrongMember) {
		s.w.take = func(b []byte, _ netip.AddrPort) []byte {
			if len(b) > 0 && len(b) < 4 {
				panic(virtual.Exit("signal: aborted"))
			}
			return b
		}
	}},
	{"hears-the-server", `robust/vanilla/from-server`, func(s *wrongMember) {
		s.w.take = func(b []byte, from netip.AddrPort) []byte {
			if m, err := wire.Parse(b); err == nil && m.Type == core.TypeVanilla && from == s.cfg.Server {
				s.show(m.Payload)
			}
			return b
		}
	}},
	{"keep-alives-wait", `birth/[124-6]|keep-alive/4|directory/[67]|addition/[12]`, func(s *wrongMember) { // for a directory that names it
		s.beats(func() bool { return s.p.Joined() })
	}},
	{"keep-alives-stop", `keep-alive/5|directory/[6-8]|addition/2|differs/1|robust/directory/(95-entries|empty|without-self|self-renamed|self-elsewhere|names-the-server|strange-ports)`, func(s *wrongMember) { // while the directory does not name it
		in := true
		s.listed = func(all core.Members) { in = all.Contains(s.self.Member(loopback)) }
		s.beats(func() bool { return in })
	}},
	{"says-all-twice", `directory/[28]|broadcast/([3-5]|10)|silence/1|robust/any/.*|robust/birth/.*|robust/keep-alive/.*|robust/directory/(count-.*|cut-.*|one-byte-more|duplicate-.*|96-entries|max|name-.*|port-zero|without-self|self-renamed|self-elsewhere|names-the-server|from-.*|replayed|burst)|robust/vanilla/.*`, func(s *wrongMember) {
		s.message(func(_ uint16, out core.Outgoing) { s.w.sendAll(out); s.w.sendAll(out) })
	}},
	{"retries-after-1s", `addition/1`, func(s *wrongMember) {
		s.cfg.Timing.Retry = time.Second
	}},
	{"is-born-every-3s", `birth/3|addition/3`, func(s *wrongMember) {
		s.cfg.Timing.Refresh = retry
	}},
	{"decimal", `broadcast/5`, func(s *wrongMember) {
		s.message(func(n uint16, out core.Outgoing) { s.say(fmt.Sprintf("peer%s_broadcast_%d", s.name(), n), out.To) })
	}},
	{"padded", `broadcast/[14-7]|robust/any/.*|robust/birth/.*|robust/keep-alive/.*|robust/directory/(count-.*|cut-.*|one-byte-more|duplicate-.*|96-entries|max|name-.*|port-zero|without-self|self-renamed|self-elsewhere|names-the-server|from-.*|replayed|burst)|robust/vanilla/.*`, func(s *wrongMember) {
		s.message(func(n uint16, out core.Outgoing) { s.say(fmt.Sprintf("peer%s_broadcast_%04x", s.name(), n), out.To) })
	}},
	{"four-others", `directory/[19]`, func(s *wrongMember) { // at most
		s.message(func(_ uint16, out core.Outgoing) {
			out.To = out.To[:min(4, len(out.To))]
			s.w.sendAll(out)
		})
	}},
	{"needs-itself", `directory/[5-8]|robust/directory/(95-entries|empty|without-self|self-renamed|self-elsewhere|names-the-server|strange-ports)`, func(s *wrongMember) { // in a directory
		s.w.take = func(b []byte, _ netip.AddrPort) []byte {
			if m, err := wire.Parse(b); err == nil && m.Type == core.TypeDirectory && !m.Entries.Contains(s.self) {
				return nil
			}
			return b
		}
	}},
	{"own-name-is-itself", `directory/6|robust/directory/self-elsewhere`, func(s *wrongMember) { // on whatever port
		s.message(func(_ uint16, out core.Outgoing) {
			for _, m := range s.p.Others() {
				if m.Name != core.Name(s.name()) {
					s.w.to(m.Addr.Port(), out.Datagram)
				}
			}
		})
	}},
	{"nobody-is-no-directory", `directory/8|robust/directory/empty`, func(s *wrongMember) {
		s.w.take = func(b []byte, _ netip.AddrPort) []byte {
			if bytes.Equal(b, hostile.Directory()) {
				return nil
			}
			return b
		}
	}},
	{"prints-250-bytes", `message/5`, func(s *wrongMember) {
		s.heard = func(text []byte) { s.show(text[:min(250, len(text))]) }
	}},
	{"prints-late", `message/3`, func(s *wrongMember) { // what came first comes last
		var last []byte
		s.heard = func(text []byte) {
			if bytes.HasPrefix(text, []byte("in turn 000")) {
				last = slices.Clone(text)
				return
			}
			if s.show(text); last != nil && bytes.HasPrefix(text, []byte("in turn 009")) {
				s.show(last)
			}
		}
	}},
	{"one-voice", `message/2`, func(s *wrongMember) { // it hears only who spoke first
		first := core.Name("")
		s.hears = func(from core.Name, text []byte) {
			if first == "" {
				first = from
			}
			if from == first {
				s.show(text)
			}
		}
	}},
	{"greets", `directory/3|broadcast/[124-7]|silence/.*|robust/.*`, func(s *wrongMember) { // whom a directory names
		s.listed = func(all core.Members) {
			for m := range all.Each() {
				if m.Addr.Port() != s.self.Port {
					s.w.to(m.Addr.Port(), hostile.Vanilla("hello"))
				}
			}
		}
	}},
	{"confirms-directories", `silence/3|robust/any/.*|robust/birth/.*|robust/keep-alive/.*|robust/directory/(count-.*|cut-.*|one-byte-more|duplicate-.*|96-entries|max|95-entries|name-.*|port-zero|empty|without-self|self-renamed|self-elsewhere|strange-ports|from-.*|replayed|burst)|robust/vanilla/.*`, func(s *wrongMember) {
		s.listed = func(core.Members) { s.w.to(s.cfg.Server.Port(), hostile.Vanilla("heard")) }
	}},
	{"letters-only", `birth/[4-6]`, func(s *wrongMember) {
		if low := s.self.Name | 0x20; low < 'a' || low > 'z' {
			panic(virtual.Exit("exit status 2"))
		}
	}},
	{"deaf-to-options", ``, func(s *wrongMember) {
		s.cfg.Timing.Broadcast, s.cfg.Timing.Refresh = broadcast, 0
	}},
	{"15-bit-counter", ``, func(s *wrongMember) {
		s.message(func(n uint16, out core.Outgoing) {
			s.say(fmt.Sprintf("peer%s_broadcast_%x", s.name(), n&0x7FFF), out.To)
		})
	}},
	{"deaf", `birth/3|directory/.*|broadcast/([1-9]|10)|message/.*|silence/1|addition/3|robust/any/.*|robust/birth/.*|robust/keep-alive/.*|robust/directory/(count-.*|cut-.*|one-byte-more|duplicate-.*|96-entries|max|name-.*|port-zero|without-self|self-renamed|self-elsewhere|names-the-server|from-.*|replayed|burst)|robust/vanilla/.*`, func(s *wrongMember) {
		s.w.take = func([]byte, netip.AddrPort) []byte { return nil }
	}},
	{"original", `addition/[1-3]|robust/any/(empty|one-byte|header-.*|half-.*|empty-from-server)|robust/directory/(count-.*|cut-.*|one-byte-more|duplicate-.*|96-entries|max|name-high-byte-one|name-two-characters|port-zero|from-.*)|robust/vanilla/(length-.*|no-zero|no-zero-at-all|zero-inside|zero-first|one-byte-more|from-.*)`, func(s *wrongMember) {
		s.cfg.Timing.Retry = 0
		dies := false
		s.message(func(_ uint16, out core.Outgoing) {
			if dies {
				panic(virtual.Exit("signal: aborted"))
			}
			s.w.sendAll(out)
		})
		s.w.take = func(b []byte, _ netip.AddrPort) []byte {
			switch {
			case len(b) == 0:
				s.w.program.Hang()
			case len(b) < 4:
				panic(virtual.Exit("signal: aborted"))
			case core.Type(b[0]) == core.TypeVanilla && b[1] == 0:
				n := int(b[2]) | int(b[3])<<8
				s.show(append(slices.Clone(b[4:]), make([]byte, 1<<16)...)[:n])
			case core.Type(b[0]) == core.TypeDirectory && b[1] == 0:
				all := rawEntries(b)
				for i, e := range all {
					dies = dies || e.Port == 0
					if slices.ContainsFunc(all[:i], func(f wire.Entry) bool { return f.Name == e.Name || f.Port == e.Port }) {
						panic(virtual.Exit("signal: aborted"))
					}
				}
				s.teach(b)
			}
			return nil
		}
	}},
}
