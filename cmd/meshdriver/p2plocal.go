package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"sync"
	"time"

	"p2plocal/bench/driver"
	"p2plocal/bench/machine"
	"p2plocal/bench/record"
	"p2plocal/core"
	"p2plocal/core/udp"
	"p2plocal/core/wide"
)

// directory hosts a mesh of this project: a server, and peers that are born at it.
type directory struct {
	*lives[*resident]
	wide    bool
	server  *udp.Socket
	reached netip.AddrPort // where the server is
	members map[string]driver.Member
	names   map[core.Name]string // the exact dialect's are one character
	as      map[string]core.Name

	serving sync.WaitGroup
}

func newP2plocal(r *driver.Reporter) driver.Mesh {
	return &directory{lives: newLives[*resident](r), members: map[string]driver.Member{}, names: map[core.Name]string{}, as: map[string]core.Name{}}
}

func (d *directory) Init(x driver.Command) (driver.Report, error) {
	left := maps.Clone(x.Options)
	dialect, err := option(left, "dialect", "exact", "wide")
	if err == nil {
		err = none(left)
	}
	if d.wide = dialect == "wide"; err == nil && !d.wide && len(x.Members) > core.MaxPeers {
		err = fmt.Errorf("%d members, want at most %d of the exact dialect, or dialect=wide", len(x.Members), core.MaxPeers)
	}
	if err != nil {
		return driver.Report{}, err
	}
	for i, m := range x.Members {
		name := core.Name(m.Name)
		if !d.wide {
			name = record.SlotName(i)
		} else if err := wide.CheckName(m.Name); err != nil {
			return driver.Report{}, fmt.Errorf("member %q: %w", m.Name, err)
		}
		d.members[m.Name], d.names[name], d.as[m.Name] = m, m.Name, name
	}
	if d.server, err = udp.Listen(serverAt(x), 0); err != nil {
		return driver.Report{}, err
	}
	if d.reached = d.server.Addr(); x.Server != nil {
		d.reached = x.Server.Addr
	}
	var s core.Machine
	d.server.Do(func(now time.Time) {
		c := core.DirectoryConfig{Addr: d.reached, Timing: core.DefaultTiming(), Observe: d.count}
		s, err = wide.ServerOf(c, d.identity(), now)
	})
	if err != nil {
		d.server.Close()
		return driver.Report{}, err
	}
	d.serving.Go(func() { d.server.Serve(context.Background(), s) })
	return driver.Report{Name: "p2plocal " + dialect, Version: machine.Version(nil).Version}, nil
}

// identity is one of its own in the wide dialect; nil: it is the exact one.
func (d *directory) identity() *wide.Identity {
	if !d.wide {
		return nil
	}
	return new(wide.NewIdentity(nil))
}

// count counts what is sent.
func (d *directory) count(e *core.Event) {
	if e.Kind == core.Sent {
		d.datagrams.Add(int64(len(e.To)))
		d.bytes.Add(int64(len(e.To) * len(e.Data)))
	}
}

// resident is one peer's life.
type resident struct {
	life
	mesh    *directory
	sock    *udp.Socket
	peer    *core.Peer
	joined  bool
	view    map[core.Name]bool
	release func() // nil: it is not paused
}

func (d *directory) Join(member string) (err error) {
	return d.begin(member, func([]string) (*resident, error) {
		r := &resident{life: d.life(member), mesh: d, view: map[core.Name]bool{}}
		if r.sock, err = udp.Listen(d.members[member].Local(), 0); err != nil {
			return nil, err
		}
		var m core.Machine
		r.sock.Do(func(now time.Time) {
			t := core.DefaultTiming()
			t.Broadcast = 0
			c := core.PeerConfig{Self: core.Member{Name: d.as[member], Addr: d.members[member].Addr}, Server: d.reached, Timing: t, Observe: r.observe}
			m, r.peer, err = wide.PeerOf(c, d.identity(), now)
		})
		if err != nil {
			r.sock.Close()
			return nil, err
		}
		d.serving.Go(func() { r.sock.Serve(context.Background(), m) })
		return r, nil
	})
}

// observe reports what happens to a peer.
func (r *resident) observe(e *core.Event) {
	switch e.Kind {
	case core.Sent:
		r.mesh.count(e)
	case core.Listed:
		var up, down []string
		view := make(map[core.Name]bool, e.All.Len())
		for m := range e.All.Each() {
			if view[m.Name] = true; !r.view[m.Name] {
				up = append(up, r.mesh.names[m.Name])
			}
		}
		for name := range r.view {
			if !view[name] {
				down = append(down, r.mesh.names[name])
			}
		}
		r.view = view
		if !r.joined && view[r.mesh.as[r.name]] {
			r.joined = true
			r.report(driver.Report{Type: "joined"})
		}
		if up != nil {
			r.report(driver.Report{Type: "view", Up: up})
		}
		if down != nil {
			r.report(driver.Report{Type: "view", Down: down})
		}
	case core.Heard:
		r.message(e.Data, driver.Now())
	}
}

func (d *directory) Broadcast(member string, id uint64, size int) error {
	return d.with(member, func(r *resident) (err error) {
		text := pack(id, member, size)
		r.sock.Do(func(at time.Time) {
			r.report(driver.Report{Type: "sent", ID: id})
			for _, o := range r.peer.Others() {
				err = errors.Join(err, r.peer.Send(at, o.Name, text))
			}
		})
		return err
	})
}

func (d *directory) Kill(member string) error {
	return d.end(member, "kill", func(r *resident) error { r.stop(); return nil })
}

func (r *resident) stop() {
	r.finish()
	if r.release != nil {
		r.release()
	}
	r.sock.Close()
}

// Leave is not in the protocol: a peer is silent, and is missed.
func (d *directory) Leave(string) error { return driver.ErrUnsupported }

// hold holds what serves the socket: the kernel goes on queueing what comes in.
func (r *resident) hold(do string, on bool) error {
	switch {
	case on && r.release == nil:
		r.release = udp.Hold(r.sock)
	case !on && r.release != nil:
		r.release()
		r.release = nil
	}
	return r.life.hold(do, false) // nothing of its passes a gate
}

func (d *directory) Stop() {
	for _, r := range d.take() {
		r.stop()
	}
	d.server.Close()
	d.serving.Wait()
}
