package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"p2plocal/bench/driver"
)

// broker hosts clients of one NATS server. Who is there they tell each other, as
// NATS's users do: by heartbeats on a subject, or by what the server says of
// connections that come and go.
type broker struct {
	*lives[*client]
	server  *server.Server // nil: it runs elsewhere
	at      map[string]driver.Place
	url     string
	closes  bool         // the server's word counts, not heartbeats
	bytes   atomic.Int64 // sent by clients and by the server to them
	joining sync.WaitGroup
}

const (
	natsHeartbeat = 500 * time.Millisecond // as this project's peers have it
	natsDeadline  = 1500 * time.Millisecond
)

func newNATS(r *driver.Reporter) driver.Mesh {
	return &broker{lives: newLives[*client](r), at: map[string]driver.Place{}}
}

func (b *broker) Init(x driver.Command) (driver.Report, error) {
	left := maps.Clone(x.Options)
	presence, err := option(left, "presence", "heartbeat", "close")
	b.url = left["url"]
	delete(left, "url")
	for _, m := range x.Members {
		b.at[m.Name] = m.Place
	}
	b.closes = presence == "close"
	if err == nil {
		err = none(left)
	}
	if err == nil && b.closes && b.url != "" {
		err = errors.New("presence=close needs the server's system account, and goes without url")
	}
	if err != nil {
		return driver.Report{}, err
	}
	version := server.VERSION
	if b.url == "" {
		mesh, system := server.NewAccount("MESH"), server.NewAccount("SYS")
		local := netip.AddrPortFrom(x.Members[0].Addr.Addr(), 0)
		if x.Server != nil {
			local = x.Server.Local()
		}
		b.server, err = server.NewServer(&server.Options{Host: local.Addr().String(), Port: cmp.Or(int(local.Port()), server.RANDOM_PORT), NoSigs: true, NoLog: true,
			Accounts: []*server.Account{mesh, system}, SystemAccount: "SYS",
			Users: []*server.User{{Username: "mesh", Password: "mesh", Account: mesh}, {Username: "system", Password: "system", Account: system}}})
		if err != nil {
			return driver.Report{}, err
		}
		b.server.Start()
		if !b.server.ReadyForConnections(10 * time.Second) {
			return driver.Report{}, errors.New("the NATS server is not ready within 10 s")
		}
		if b.url = b.server.ClientURL(); x.Server != nil {
			b.url = "nats://" + x.Server.Addr.String()
		}
	} else {
		version = "client " + nats.Version
	}
	return driver.Report{Name: "nats, presence by " + presence, Version: version}, nil
}

// client is one member's life.
type client struct {
	life
	mesh     *broker
	nc       atomic.Pointer[nats.Conn] // nil: it has not joined yet
	stopped  chan struct{}
	watching sync.WaitGroup

	mutex sync.Mutex
	conns []net.Conn
	heard map[string]time.Time // who is up, and when it was heard
}

// Dial implements nats.CustomDialer: its streams can be paused, and cut.
func (c *client) Dial(_, address string) (net.Conn, error) {
	raw, err := dial(c.mesh.at[c.name], address, 5*time.Second)
	if err != nil {
		return nil, err
	}
	c.mutex.Lock()
	c.conns = append(c.conns, raw)
	c.mutex.Unlock()
	return &gated{Conn: raw, gate: &c.gate, sent: &c.mesh.bytes, received: &c.mesh.bytes}, nil
}

func (c *client) connect(user string) (*nats.Conn, error) {
	return nats.Connect(c.mesh.url, nats.Name(c.name), nats.NoEcho(), nats.NoReconnect(), nats.Timeout(20*time.Second), nats.UserInfo(user, user), nats.SetCustomDialer(c))
}

func (b *broker) Join(member string) error {
	return b.begin(member, func([]string) (*client, error) {
		c := &client{life: life{to: b.Reporter, name: member}, mesh: b, stopped: make(chan struct{}), heard: map[string]time.Time{}}
		b.joining.Go(func() {
			if err := c.start(); err != nil {
				c.cut()
				b.failed(member, err)
			}
		})
		return c, nil
	})
}

func (c *client) start() error {
	nc, err := c.connect("mesh")
	if err != nil {
		return err
	}
	if c.mesh.closes {
		system, err := c.connect("system")
		if err != nil {
			return err
		}
		if _, err := system.Subscribe("$SYS.ACCOUNT.MESH.DISCONNECT", c.disconnected); err != nil {
			return err
		}
		if err := system.Flush(); err != nil {
			return err
		}
	}
	for subject, handler := range map[string]nats.MsgHandler{"message": c.take, "left": func(m *nats.Msg) { c.drop(string(m.Data)) }, "presence": c.present, "presence." + subjectOf(c.name): c.present} {
		if _, err := nc.Subscribe(subject, handler); err != nil {
			return err
		}
	}
	if err := nc.Flush(); err != nil {
		return err
	}
	c.nc.Store(nc)
	c.report(driver.Report{Type: "joined"})
	hello := nats.NewMsg("presence")
	hello.Reply, hello.Data = "presence."+subjectOf(c.name), []byte(c.name)
	if err := nc.PublishMsg(hello); err != nil || c.mesh.closes {
		return err
	}
	c.watching.Go(func() { c.watch(nc) })
	return nil
}

// subjectOf is a name as one token of a subject.
func subjectOf(name string) string { return fmt.Sprintf("%x", name) }

// present takes a sign of life, and answers that of a newcomer. Without data it is the
// server's word that nobody is there to answer.
func (c *client) present(m *nats.Msg) {
	if len(m.Data) == 0 {
		return
	}
	who := string(m.Data)
	c.mutex.Lock()
	_, known := c.heard[who]
	c.heard[who] = time.Now()
	c.mutex.Unlock()
	if !known && who != c.name {
		c.report(driver.Report{Type: "view", Up: []string{who}})
	}
	if m.Reply != "" {
		m.Respond([]byte(c.name))
	}
}

// watch sends heartbeats and misses those of others.
func (c *client) watch(nc *nats.Conn) {
	tick := time.NewTicker(natsHeartbeat)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-c.stopped:
			return
		}
		c.gate.pass()
		nc.Publish("presence", []byte(c.name))
		c.mutex.Lock()
		for who, at := range c.heard {
			if time.Since(at) > natsDeadline {
				delete(c.heard, who)
				c.report(driver.Report{Type: "view", Down: []string{who}})
			}
		}
		c.mutex.Unlock()
	}
}

// disconnected takes the server's word.
func (c *client) disconnected(m *nats.Msg) {
	var event struct {
		Client struct {
			Name string `json:"name"`
		} `json:"client"`
	}
	if json.Unmarshal(m.Data, &event) != nil {
		return
	}
	c.drop(event.Client.Name)
}

func (c *client) drop(who string) {
	c.mutex.Lock()
	_, known := c.heard[who]
	delete(c.heard, who)
	c.mutex.Unlock()
	if known {
		c.report(driver.Report{Type: "view", Down: []string{who}})
	}
}

// take takes a message: its id, its sender's name, a line feed.
func (c *client) take(m *nats.Msg) {
	at := driver.Now()
	line, _, _ := bytes.Cut(m.Data, []byte{'\n'})
	number, from, _ := bytes.Cut(line, []byte{' '})
	if id, err := strconv.ParseUint(string(number), 10, 64); err == nil {
		c.message(string(from), id, at)
	}
}

func (b *broker) Broadcast(member string, id uint64, size int) error {
	return b.with(member, func(c *client) error {
		text := fmt.Appendf(nil, "%d %s\n", id, c.name)
		text = append(text, bytes.Repeat([]byte{'.'}, max(0, size-len(text)))...)
		nc := c.nc.Load()
		if nc == nil {
			return errors.New("it has not joined yet")
		}
		c.report(driver.Report{Type: "sent", ID: id})
		return nc.Publish("message", text)
	})
}

func (b *broker) Kill(member string) error {
	return b.end(member, "kill", func(c *client) error { c.cut(); return nil })
}

// cut ends its connections without a word, after which its clients have none and end.
func (c *client) cut() {
	c.finish()
	close(c.stopped)
	c.mutex.Lock()
	for _, conn := range c.conns {
		conn.Close()
	}
	c.mutex.Unlock()
	c.watching.Wait()
}

// Leave says so on a subject, as applications do: NATS itself has no such thing.
func (b *broker) Leave(member string) error {
	return b.end(member, "leave", func(c *client) (err error) {
		if nc := c.nc.Load(); nc != nil {
			err = errors.Join(nc.Publish("left", []byte(member)), nc.Flush())
		}
		c.cut()
		return err
	})
}

func (b *broker) Pause(member string) error {
	return b.with(member, func(c *client) error { return c.hold("pause", true) })
}

func (b *broker) Resume(member string) error {
	return b.with(member, func(c *client) error { return c.hold("resume", false) })
}

func (b *broker) Stats() driver.Stats {
	s := used()
	n := b.bytes.Load()
	s.Bytes = &n
	return s
}

func (b *broker) Stop() {
	b.joining.Wait()
	for _, c := range b.take() {
		c.cut()
	}
	if b.server != nil {
		b.server.Shutdown()
		b.server.WaitForShutdown()
	}
}
