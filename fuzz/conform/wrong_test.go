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
func portNamed(all core.Entries, n core.Char) uint16 {
	for e := range all.Each() {
		if e.Name == n {
			return e.Port
		}
	}
	return 0
}

func holds(all core.Entries, port uint16) bool {
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

func wrongServer(addr, wrong string) error {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return err
	}
	var w wrongly
	if err := w.open(at); err != nil {
		return err
	}
	timing := core.DefaultTiming()
	cfg := core.DirectoryConfig{Addr: at}
	var d *core.Directory
	entries := func() core.Entries { return core.Entries(nil).AppendMembers(d.Members()) }
	all := func() []byte { return core.Message{Type: core.TypeDirectory, Entries: entries()}.Append(nil) }
	// The machine must not be called from its observer: what is to be done is done after the step.
	var conflict bool
	var holder core.Entry
	born := func(core.Entry) {}
	cfg.Observe = func(e core.Event) {
		switch e.Kind {
		case core.Conflict:
			conflict, holder = true, core.EntryOf(*e.Other)
		case core.Born:
			born(core.EntryOf(e.Peer))
		}
	}
	ports := map[core.Char]uint16{}
	step := func(b []byte, from netip.AddrPort) {
		conflict = false
		d.Step(time.Now(), from, b)
	}
	// on has f handle the births (or keep-alives) and the machine all else.
	on := func(t core.Type, f func(b []byte, from netip.AddrPort, e core.Entry) []byte) {
		w.take = func(b []byte, from netip.AddrPort) []byte {
			if m, err := core.Parse(b); err == nil && m.Type == t {
				return f(b, from, m.Entry)
			}
			return b
		}
	}
	switch wrong {
	case "none":
	case "deadline-1s":
		timing.Deadline = time.Second
	case "never-reaps":
		timing.Reap = time.Hour
	case "own-port-only":
		cfg.SourceCheck = true
	case "to-source":
		on(core.TypeBirth, func(b []byte, from netip.AddrPort, e core.Entry) []byte {
			if step(b, from); !conflict && from.Port() != e.Port {
				w.to(from.Port(), all())
			}
			return nil
		})
	case "answers-loser":
		on(core.TypeBirth, func(b []byte, from netip.AddrPort, e core.Entry) []byte {
			if step(b, from); conflict {
				w.to(from.Port(), all())
			}
			return nil
		})
	case "renews-on-conflict":
		on(core.TypeBirth, func(b []byte, from netip.AddrPort, e core.Entry) []byte {
			if step(b, from); conflict {
				d.Step(time.Now(), netip.AddrPortFrom(loopback, 1), hostile.KeepAlive(uint16(holder.Name)))
			}
			return nil
		})
	case "no-proof":
		on(core.TypeBirth, func(b []byte, from netip.AddrPort, e core.Entry) []byte {
			if step(b, from); !conflict {
				d.Step(time.Now(), netip.AddrPortFrom(loopback, e.Port), hostile.KeepAlive(uint16(e.Name)))
			}
			return nil
		})
	case "no-home": // a birth from its own port is like any other
		on(core.TypeBirth, func(b []byte, from netip.AddrPort, e core.Entry) []byte {
			if from.Port() == e.Port {
				from = netip.AddrPortFrom(loopback, 1)
			}
			step(b, from)
			return nil
		})
	case "deaf-to-repeats":
		on(core.TypeBirth, func(b []byte, from netip.AddrPort, e core.Entry) []byte {
			if entries().Contains(e) {
				return nil
			}
			return b
		})
	case "answers-asker": // a repeated birth's source
		on(core.TypeBirth, func(b []byte, from netip.AddrPort, e core.Entry) []byte {
			if entries().Contains(e) && from.Port() != e.Port {
				w.to(from.Port(), all())
				return nil
			}
			return b
		})
	case "answers-once": // each peer's repeated birth
		answered := map[core.Entry]bool{}
		on(core.TypeBirth, func(b []byte, _ netip.AddrPort, e core.Entry) []byte {
			if entries().Contains(e) {
				if answered[e] {
					return nil
				}
				answered[e] = true
			}
			return b
		})
	case "home-proof": // only what comes from an entry's own port proves it
		on(core.TypeKeepAlive, func(b []byte, from netip.AddrPort, e core.Entry) []byte {
			if !entries().Contains(core.Entry{Name: e.Name, Port: from.Port()}) {
				from = netip.AddrPortFrom(loopback, 1)
			}
			step(b, from)
			return nil
		})
	case "source-proof": // only what comes from where its birth came from
		sources := map[core.Char]netip.AddrPort{}
		w.take = func(b []byte, from netip.AddrPort) []byte {
			m, err := core.Parse(b)
			switch {
			case err == nil && m.Type == core.TypeBirth && portNamed(entries(), m.Entry.Name) == 0:
				sources[m.Entry.Name] = from
			case err == nil && m.Type == core.TypeKeepAlive && from != sources[m.Entry.Name]:
				from = netip.AddrPortFrom(loopback, 1)
			}
			step(b, from)
			return nil
		}
	case "any-proof": // what comes from anywhere
		on(core.TypeKeepAlive, func(b []byte, from netip.AddrPort, e core.Entry) []byte {
			step(b, netip.AddrPortFrom(loopback, portNamed(entries(), e.Name)))
			return nil
		})
	case "port-stays": // with whoever has it, if the name is free
		on(core.TypeBirth, func(b []byte, _ netip.AddrPort, e core.Entry) []byte {
			if portNamed(entries(), e.Name) == 0 && holds(entries(), e.Port) {
				return nil
			}
			return b
		})
	case "one-rival": // who has two is refused
		on(core.TypeBirth, func(b []byte, _ netip.AddrPort, e core.Entry) []byte {
			if port := portNamed(entries(), e.Name); port != 0 && port != e.Port && holds(entries(), e.Port) {
				return nil
			}
			return b
		})
	case "resurrects":
		born = func(e core.Entry) { ports[e.Name] = e.Port }
		on(core.TypeKeepAlive, func(b []byte, from netip.AddrPort, e core.Entry) []byte {
			if e.Port = ports[e.Name]; e.Port != 0 && !entries().Contains(e) {
				return hostile.BirthOf(e)
			}
			return b
		})
	case "second-socket":
		w.send = func(out core.Outgoing) {
			for _, to := range out.To {
				w.second.WriteToUDPAddrPort(out.Datagram, to)
			}
		}
	case "chatty":
		last := time.Now()
		w.tick = func(now time.Time) {
			if now.Sub(last) < 50*time.Millisecond {
				return
			}
			last = now
			for _, m := range d.Members() {
				w.to(m.Addr.Port(), all())
			}
		}
	case "mute-reaper":
		most := 0
		w.send = func(out core.Outgoing) {
			if len(out.Datagram) >= most {
				w.sendAll(out)
			}
			most = len(out.Datagram)
		}
	case "letters-only":
		on(core.TypeBirth, func(b []byte, _ netip.AddrPort, e core.Entry) []byte {
			if low := e.Name | 0x20; low < 'a' || low > 'z' {
				return nil
			}
			return b
		})
	case "32-peers":
		on(core.TypeBirth, func(b []byte, _ netip.AddrPort, e core.Entry) []byte {
			if d.Len() >= 32 && !entries().Contains(e) {
				return nil
			}
			return b
		})
	case "15-bit-port":
		on(core.TypeBirth, func(b []byte, _ netip.AddrPort, e core.Entry) []byte {
			if e.Port > 32767 {
				return nil
			}
			return b
		})
	case "twelve-times":
		w.send = func(out core.Outgoing) {
			for range 12 {
				w.sendAll(out)
				if len(out.Datagram) > 50*4 { // a crowd would be too much for a busy machine
					return
				}
			}
		}
	case "hangs-on-empty":
		w.take = func(b []byte, _ netip.AddrPort) []byte {
			if len(b) == 0 {
				select {}
			}
			return b
		}
	case "dies-on-header":
		w.take = func(b []byte, _ netip.AddrPort) []byte {
			if len(b) == 2 {
				os.Exit(134)
			}
			return b
		}
	case "takes-longer-births":
		w.take = func(b []byte, _ netip.AddrPort) []byte {
			if len(b) > 6 && b[0] == 0xC0 && b[1] == 0 {
				return b[:6]
			}
			return b
		}
	default:
		return fmt.Errorf("no such wrong: %s", wrong)
	}
	cfg.Timing = timing
	if d, err = core.NewDirectory(cfg, time.Now()); err != nil {
		return err
	}
	w.machine = d
	return w.serve()
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
	self := core.Entry{Name: core.Char(name[0]), Port: uint16(n)}
	var w wrongly
	if err := w.open(netip.AddrPortFrom(loopback, self.Port)); err != nil {
		return err
	}
	cfg := core.PeerConfig{Self: self.At(loopback), Server: home, Timing: core.DefaultTiming()}
	show := func(text []byte) { fmt.Printf("heard %q\n", text) }
	var p *core.Peer
	heard, listed := show, func(core.Members) {}
	cfg.Observe = func(e core.Event) {
		switch e.Kind {
		case core.Heard:
			heard(e.Data)
		case core.Listed:
			listed(*e.All)
		}
	}
	// message has f send the broadcasts, taken apart, and the machine all else.
	message := func(f func(counter uint16, out core.Outgoing)) {
		w.send = func(out core.Outgoing) {
			if m, err := core.Parse(out.Datagram); err == nil && m.Type == core.TypeVanilla {
				_, counter, _ := core.ParseBroadcast(m.Payload)
				f(counter, out)
				return
			}
			w.sendAll(out)
		}
	}
	say := func(text string, to []netip.AddrPort) {
		w.sendAll(core.Outgoing{Datagram: hostile.Vanilla(text), To: to})
	}
	first := func(t core.Type, f func(out core.Outgoing)) { // likewise of the first datagram of a type
		done := false
		w.send = func(out core.Outgoing) {
			if out.Datagram[0] == byte(t) && !done {
				done = true
				f(out)
			}
			w.sendAll(out)
		}
	}
	after := func() {}
	switch wrong {
	case "none":
	case "beats-every-800ms":
		cfg.Timing.Heartbeat = 800 * time.Millisecond
	case "first-after-700ms":
		after = func() { p.Broadcast(core.Schedule{First: time.Now().Add(700 * time.Millisecond), Interval: broadcast}) }
	case "every-3500ms":
		cfg.Timing.Broadcast = 3500 * time.Millisecond
	case "no-retry":
		cfg.Timing.Retry = 0
	case "prints-nothing":
		heard = func([]byte) {}
	case "upper-case":
		message(func(n uint16, out core.Outgoing) { say(fmt.Sprintf("peer%s_broadcast_%X", name, n), out.To) })
	case "counts-from-1":
		message(func(n uint16, out core.Outgoing) { say(fmt.Sprintf("peer%s_broadcast_%x", name, n+1), out.To) })
	case "counts-when-heard":
		sent := 0
		message(func(_ uint16, out core.Outgoing) {
			say(fmt.Sprintf("peer%s_broadcast_%x", name, sent), out.To)
			sent++
		})
	case "no-zero":
		message(func(_ uint16, out core.Outgoing) {
			out.Datagram = out.Datagram[:len(out.Datagram)-1]
			w.sendAll(out)
		})
	case "second-socket":
		message(func(_ uint16, out core.Outgoing) {
			for _, to := range out.To {
				w.second.WriteToUDPAddrPort(out.Datagram, to)
			}
		})
	case "hears-itself":
		named := false
		listed = func(all core.Members) { named = all.Contains(self.At(loopback)) }
		message(func(_ uint16, out core.Outgoing) {
			w.sendAll(out)
			if m, _ := core.Parse(out.Datagram); named {
				show(m.Payload)
			}
		})
	case "merges":
		known := map[uint16]bool{}
		listed = func(all core.Members) {
			for m := range all.Each() {
				if port := m.Addr.Port(); port != self.Port {
					known[port] = true
				}
			}
		}
		var n uint16
		after = func() { p.Broadcast(core.Schedule{}) }
		next := time.Now().Add(broadcast)
		w.tick = func(now time.Time) {
			if now.Before(next) {
				return
			}
			next = next.Add(broadcast)
			for port := range known {
				w.to(port, hostile.Vanilla(string(core.AppendBroadcast(nil, self.Name.Name(), n, 0))))
			}
			n++
		}
	case "born-twice":
		first(core.TypeBirth, w.sendAll)
	case "beats-first":
		first(core.TypeBirth, func(core.Outgoing) { w.to(home.Port(), hostile.KeepAlive(uint16(self.Name))) })
	case "long-beats":
		w.send = func(out core.Outgoing) {
			if out.Datagram[0] == byte(core.TypeKeepAlive) {
				out.Datagram = append(out.Datagram, 0, 0)
			}
			w.sendAll(out)
		}
	case "answers":
		w.take = func(b []byte, from netip.AddrPort) []byte {
			if m, err := core.Parse(b); err == nil && m.Type == core.TypeVanilla {
				w.to(from.Port(), hostile.Vanilla("heard"))
			}
			return b
		}
	case "says-goodbye":
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, os.Interrupt)
		go func() {
			<-stop
			w.mu.Lock()
			for _, m := range p.Others() {
				w.to(m.Addr.Port(), hostile.Vanilla("goodbye"))
			}
			os.Exit(0)
		}()
	case "dies-on-duplicate":
		w.take = func(b []byte, _ netip.AddrPort) []byte {
			if _, err := core.Parse(b); errors.Is(err, core.ErrDuplicate) {
				panic("assertion failed: the name is new")
			}
			return b
		}
	case "believes-strangers":
		w.take = func(b []byte, from netip.AddrPort) []byte {
			if m, err := core.Parse(b); err == nil && m.Type == core.TypeVanilla {
				show(m.Payload)
				return nil
			}
			return b
		}
	default:
		return fmt.Errorf("no such wrong: %s", wrong)
	}
	if p, err = core.NewPeer(cfg, time.Now()); err != nil {
		return err
	}
	w.machine = p
	after()
	return w.serve()
}
