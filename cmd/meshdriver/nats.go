package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"p2plocal/bench/driver"
)

// broker hosts clients of one NATS server. Who is there they tell each other, as NATS's users
// do: by heartbeats on a subject, or by what the server says of connections that come and go.
type broker struct {
	*lives[*client]
	server  *server.Server // nil: it runs elsewhere
	url     string
	closes  bool // the server's word counts, not heartbeats
	joining sync.WaitGroup
}

const (
	natsHeartbeat = 500 * time.Millisecond // as this project's peers have it
	natsDeadline  = 1500 * time.Millisecond
)

func newNATS(r *driver.Reporter) driver.Mesh { return &broker{lives: newLives[*client](r)} }

func (b *broker) Init(x driver.Command) (driver.Report, error) {
	left := maps.Clone(x.Options)
	presence, err := option(left, "presence", "heartbeat", "close")
	b.url, b.closes = left["url"], presence == "close"
	delete(left, "url")
	b.place(x.Members)
	if err = cmp.Or(err, none(left)); err == nil && b.closes && b.url != "" {
		err = errors.New("presence=close needs the server's system account, and goes without url")
	}
	if err != nil {
		return driver.Report{}, err
	}
	name := "nats, presence by " + presence
	if b.url != "" {
		return driver.Report{Name: name, Version: "client " + nats.Version}, nil
	}
	mesh, system, local := server.NewAccount("MESH"), server.NewAccount("SYS"), serverAt(x)
	b.server, err = server.NewServer(&server.Options{Host: local.Addr().String(), Port: cmp.Or(int(local.Port()), server.RANDOM_PORT), NoSigs: true, NoLog: true,
		Accounts: []*server.Account{mesh, system}, SystemAccount: "SYS",
		Users: []*server.User{{Username: "mesh", Password: "mesh", Account: mesh}, {Username: "system", Password: "system", Account: system}}})
	if err != nil {
		return driver.Report{}, err
	}
	b.server.Start()
	const most = 5 * time.Minute // it is the harness that knows how long a driver may take beside its waits for a processor
	if !b.server.ReadyForConnections(most) {
		return driver.Report{}, fmt.Errorf("the NATS server is not ready within %v", most)
	}
	if b.url = b.server.ClientURL(); x.Server != nil {
		b.url = "nats://" + x.Server.Addr.String()
	}
	return driver.Report{Name: name, Version: server.VERSION}, nil
}

// client is one member's life.
type client struct {
	life
	mesh     *broker
	nc       atomic.Pointer[nats.Conn] // nil: it has not joined yet
	stopped  chan struct{}
	watching sync.WaitGroup

	mutex sync.Mutex
	heard map[string]time.Time // who is up, and when it was heard
}

// Dial implements nats.CustomDialer: its streams can be paused, and cut.
func (c *client) Dial(_, address string) (net.Conn, error) {
	return c.dial(address, 5*time.Second, &c.mesh.bytes, &c.mesh.bytes)
}

func (c *client) connect(user string) (*nats.Conn, error) {
	wrong := func(_ *nats.Conn, _ *nats.Subscription, err error) {
		c.report(driver.Report{Type: "log", Text: err.Error()})
	}
	return nats.Connect(c.mesh.url, nats.Name(c.name), nats.NoEcho(), nats.NoReconnect(), nats.Timeout(20*time.Second), nats.UserInfo(user, user), nats.SetCustomDialer(c), nats.ErrorHandler(wrong))
}

func (b *broker) Join(member string) error {
	return b.begin(member, func([]string) (*client, error) {
		c := &client{life: b.life(member), mesh: b, stopped: make(chan struct{}), heard: map[string]time.Time{}}
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
	inbox := fmt.Sprintf("presence.%x", c.name) // a name may be no subject
	for subject, handler := range map[string]nats.MsgHandler{"message": func(m *nats.Msg) { c.message(m.Data, driver.Now()) }, "left": func(m *nats.Msg) { c.drop(string(m.Data)) }, "presence": c.present, inbox: c.present} {
		if _, err := nc.Subscribe(subject, handler); err != nil {
			return err
		}
	}
	if err := nc.Flush(); err != nil {
		return err
	}
	c.nc.Store(nc)
	c.report(driver.Report{Type: "joined"})
	if err := nc.PublishRequest("presence", inbox, []byte(c.name)); err != nil || c.mesh.closes {
		return err
	}
	c.watching.Go(func() { c.watch(nc) })
	return nil
}

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
	var event struct{ Client struct{ Name string } }
	if json.Unmarshal(m.Data, &event) == nil {
		c.drop(event.Client.Name)
	}
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

func (b *broker) Broadcast(member string, id uint64, size int) error {
	return b.with(member, func(c *client) error {
		nc := c.nc.Load()
		if nc == nil {
			return errors.New("it has not joined yet")
		}
		c.report(driver.Report{Type: "sent", ID: id})
		return nc.Publish("message", pack(id, c.name, size))
	})
}

func (b *broker) Kill(member string) error {
	return b.end(member, "kill", func(c *client) error { c.cut(); return nil })
}

// cut ends its connections without a word, after which its clients have none and end.
func (c *client) cut() {
	c.finish()
	close(c.stopped)
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

func (b *broker) Stats() driver.Stats {
	s := b.lives.Stats()
	s.Datagrams = nil // it sends none
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
