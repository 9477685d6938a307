package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"p2plocal/bench/driver"
)

// gossip hosts members of a memberlist. Who joins is told of all that live, as a
// service is that has their addresses from its configuration.
type gossip struct {
	*lives[*gossiper]
	local, reliable bool
	pushPull        time.Duration // 0: the profile's
}

func newMemberlist(r *driver.Reporter) driver.Mesh {
	return &gossip{lives: newLives[*gossiper](r)}
}

func (g *gossip) Init(c driver.Command) (driver.Report, error) {
	left := maps.Clone(c.Options)
	profile, err := option(left, "profile", "lan", "local")
	if err != nil {
		return driver.Report{}, err
	}
	send, err := option(left, "send", "udp", "tcp")
	if err != nil {
		return driver.Report{}, err
	}
	if text, ok := left["pushpull"]; ok {
		delete(left, "pushpull")
		if g.pushPull, err = time.ParseDuration(text); err != nil || g.pushPull <= 0 {
			return driver.Report{}, fmt.Errorf("option pushpull=%s, want a time such as 5s", text)
		}
		profile += ", push/pull " + text
	}
	g.local, g.reliable = strings.HasPrefix(profile, "local"), send == "tcp"
	g.place(c.Members)
	return driver.Report{Name: "memberlist " + profile, Version: moduleVersion("github.com/hashicorp/memberlist")}, none(left)
}

// gossiper is one member's life.
type gossiper struct {
	life
	list *memberlist.Memberlist
	link *link

	mu    sync.Mutex
	known map[string]memberlist.Node // copies: those of Members change while one reads them
}

func (g *gossip) Join(member string) error {
	return g.begin(member, func(others []string) (*gossiper, error) {
		m, err := g.create(member)
		if err != nil {
			return nil, err
		}
		var seeds []string
		for _, name := range others[:min(len(others), 3)] {
			seeds = append(seeds, g.at[name].Addr.String())
		}
		go func() {
			if _, err := m.list.Join(seeds); err != nil && len(seeds) > 0 {
				g.failed(member, err)
				return
			}
			m.report(driver.Report{Type: "joined"})
		}()
		return m, nil
	})
}

func (g *gossip) create(member string) (*gossiper, error) {
	at := g.at[member]
	host, port := at.Local().Addr().String(), int(at.Local().Port())
	quiet := log.New(io.Discard, "", 0)
	network, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{BindAddrs: []string{host}, BindPort: port, Logger: quiet})
	if err != nil {
		return nil, err
	}
	m := &gossiper{life: g.life(member), known: map[string]memberlist.Node{}}
	m.link = newLink(network, &m.life, &g.datagrams, &g.bytes)
	c := memberlist.DefaultLANConfig()
	if g.local {
		c = memberlist.DefaultLocalConfig()
	}
	c.Name, c.BindAddr, c.BindPort, c.AdvertiseAddr, c.AdvertisePort = member, host, port, at.Addr.Addr().String(), int(at.Addr.Port())
	c.Transport, c.Logger, c.Events, c.Delegate = m.link, quiet, m, m
	c.PushPullInterval = cmp.Or(g.pushPull, c.PushPullInterval)
	c.DeadNodeReclaimTime = time.Nanosecond // a member that was killed comes back at its address under its name
	if m.list, err = memberlist.Create(c); err != nil {
		m.link.Shutdown()
		return nil, err
	}
	return m, nil
}

func (m *gossiper) NotifyJoin(n *memberlist.Node) {
	m.NotifyUpdate(n)
	m.report(driver.Report{Type: "view", Up: []string{n.Name}})
}
func (m *gossiper) NotifyLeave(n *memberlist.Node) {
	m.mu.Lock()
	delete(m.known, n.Name)
	m.mu.Unlock()
	m.report(driver.Report{Type: "view", Down: []string{n.Name}})
}
func (m *gossiper) NotifyUpdate(n *memberlist.Node) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known[n.Name] = *n
}
func (m *gossiper) NodeMeta(int) []byte             { return nil }
func (m *gossiper) GetBroadcasts(int, int) [][]byte { return nil }
func (m *gossiper) LocalState(bool) []byte          { return nil }
func (m *gossiper) MergeRemoteState([]byte, bool)   {}
func (m *gossiper) NotifyMsg(b []byte)              { m.message(b, driver.Now()) }

func (g *gossip) Broadcast(member string, id uint64, size int) error {
	return g.with(member, func(m *gossiper) (err error) {
		b := pack(id, member, size)
		m.report(driver.Report{Type: "sent", ID: id})
		send := m.list.SendBestEffort
		if g.reliable {
			send = m.list.SendReliable
		}
		m.mu.Lock()
		others := slices.Collect(maps.Values(m.known))
		m.mu.Unlock()
		for i := range others {
			if others[i].Name != member {
				err = errors.Join(err, send(&others[i], b))
			}
		}
		return err
	})
}

func (g *gossip) Kill(member string) error { return g.end(member, "kill", (*gossiper).shutdown) }

// Leave takes until others have been told, which holds up nobody else.
func (g *gossip) Leave(member string) error {
	go func() {
		err := g.end(member, "leave", func(m *gossiper) error { return errors.Join(m.list.Leave(5*time.Second), m.shutdown()) })
		if err != nil {
			g.Report(driver.Report{Type: "failed", Do: "leave", Member: member, Text: err.Error()})
		}
	}()
	return nil
}

// shutdown ends it without a word. Its sockets are closed at once; for what memberlist waits after
// that, such as a push to somebody who does not answer, nobody else has to.
func (m *gossiper) shutdown() error {
	m.finish()
	ended := make(chan error, 1)
	go func() { ended <- m.list.Shutdown() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(time.Second):
		return nil
	}
}

func (g *gossip) Stop() {
	var wg sync.WaitGroup
	for _, m := range g.take() {
		wg.Go(func() { m.shutdown() })
	}
	wg.Wait() // a join under way goes on until its timeout, with nobody to tell
}

// link is a member's network: it counts what is sent, and while it is held
// nothing goes out or in. What comes meanwhile waits, as in a stopped process's
// socket.
type link struct {
	*memberlist.NetTransport
	life             *life
	datagrams, bytes *atomic.Int64
	packets          chan *memberlist.Packet
	streams          chan net.Conn
	done, gone       chan struct{} // it is to end, and has
	once             sync.Once
}

func newLink(t *memberlist.NetTransport, of *life, datagrams, bytes *atomic.Int64) *link {
	l := &link{NetTransport: t, life: of, datagrams: datagrams, bytes: bytes, done: make(chan struct{}), gone: make(chan struct{}),
		packets: make(chan *memberlist.Packet), streams: make(chan net.Conn)}
	go forward(l, t.PacketCh(), l.packets, func(p *memberlist.Packet) *memberlist.Packet { return p })
	go forward(l, t.StreamCh(), l.streams, func(c net.Conn) net.Conn { return &gated{Conn: c, gate: &of.gate, sent: bytes} })
	return l
}

// forward passes on what comes. Until the transport has ended it waits for whoever takes that: what
// nobody wants any more is dropped.
func forward[T any](l *link, from <-chan T, to chan<- T, as func(T) T) {
	for {
		select {
		case x := <-from:
			l.life.gate.pass()
			select {
			case to <- as(x):
			case <-l.done:
			}
		case <-l.gone:
			return
		}
	}
}

func (l *link) PacketCh() <-chan *memberlist.Packet { return l.packets }
func (l *link) StreamCh() <-chan net.Conn           { return l.streams }

func (l *link) WriteTo(b []byte, addr string) (time.Time, error) {
	return l.WriteToAddress(b, memberlist.Address{Addr: addr})
}

func (l *link) WriteToAddress(b []byte, addr memberlist.Address) (time.Time, error) {
	l.life.gate.pass()
	l.datagrams.Add(1)
	l.bytes.Add(int64(len(b)))
	return l.NetTransport.WriteToAddress(b, addr)
}

func (l *link) DialTimeout(addr string, d time.Duration) (net.Conn, error) {
	return l.DialAddressTimeout(memberlist.Address{Addr: addr}, d)
}

func (l *link) DialAddressTimeout(addr memberlist.Address, d time.Duration) (net.Conn, error) {
	return l.life.dial(addr.Addr, d, l.bytes, nil) // the other end counts what it sends
}

func (l *link) Shutdown() error {
	var err error
	l.once.Do(func() {
		close(l.done)
		err = l.NetTransport.Shutdown()
		close(l.gone)
	})
	return err
}
