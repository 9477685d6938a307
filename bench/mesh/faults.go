package mesh

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"p2plocal/bench/faults"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/core"
	"p2plocal/core/simnet"
	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
)

// action is what a fault does to the mesh as it begins and as it ends.
type action struct {
	begin func() error
	end   func() error // undoes no more than the beginning has done; nil: it is over at once
}

// actionOf is what a fault does. The mesh itself ends and begins lives, so that it knows who should
// be in every view.
func (m *Mesh) actionOf(f faults.Fault) (action, error) {
	i := int(f.A) - firstPort
	switch {
	case f.Verb == faults.Crash && f.A == simnet.ServerPort:
		return m.serverCrash(), nil
	case f.Verb == faults.Crash:
		return m.crash(i), nil
	case f.Verb == faults.Pause && f.A != simnet.ServerPort:
		return m.pause(i), nil
	case f.Verb == faults.Flood:
		return m.flood(f)
	}
	a, err := m.World.network(m, f)
	if err == nil {
		a = action{m.shown(f, "begins", a.begin), m.shown(f, "ends", a.end)}
	}
	return a, err
}

func (m *Mesh) serverCrash() action {
	died := int64(0)
	return action{
		begin: func() error {
			died = m.Clock.Now()
			return m.KillServer()
		},
		end: func() error {
			err := m.RestartServer() // as at the start
			m.ServerForgot(died)
			return err
		},
	}
}

func (m *Mesh) crash(i int) action {
	killed := false
	return action{
		begin: func() error {
			if killed = m.Alive.Has(i); !killed {
				return fmt.Errorf("peer %s does not run", record.QuoteName(i))
			}
			m.Kill(i)
			return nil
		},
		end: func() error {
			if killed && !m.Alive.Has(i) {
				return m.Birth(i)
			}
			return nil
		},
	}
}

func (m *Mesh) pause(i int) action {
	stopped := 0 // the life that was, from 1
	return action{
		begin: func() error {
			if !m.Alive.Has(i) {
				return fmt.Errorf("peer %s does not run", record.QuoteName(i))
			}
			stopped = m.begun[i]
			return m.Pause(i)
		},
		end: func() error {
			if stopped == m.begun[i] && m.Paused.Has(i) {
				m.Resume(i)
			}
			return nil
		},
	}
}

// shown is an action that is also told to those who watch.
func (m *Mesh) shown(f faults.Fault, what string, do func() error) func() error {
	if do == nil {
		return nil
	}
	kind := map[faults.Verb]string{faults.Cut: "cut", faults.Divide: "cut", faults.Link: "impair"}[f.Verb]
	if what == "ends" {
		kind = "heal"
	}
	whom := whoIs(f.A)
	switch f.Verb {
	case faults.Cut, faults.Link:
		whom += " to " + whoIs(f.B)
	case faults.Divide:
		whom += " and those after it from the rest"
	}
	return func() error {
		m.Tell(cmp.Or(kind, "hand"), -1, "%s: %s %s", what, f.Verb, whom)
		return do()
	}
}

// whoIs names, for people, whom a script means by a port.
func whoIs(port uint16) string {
	switch port {
	case 0:
		return "everybody"
	case simnet.ServerPort:
		return "the server"
	}
	return record.QuoteName(int(port) - firstPort)
}

// flood sends hostile datagrams to the server or a peer.
func (m *Mesh) flood(f faults.Fault) (action, error) {
	slot, target := record.ServerSlot, m.Server.Addr()
	if f.A != simnet.ServerPort {
		slot = int(f.A) - firstPort
		sock := m.Peers[slot].Socket()
		if sock == nil {
			return action{}, fmt.Errorf("peer %s is not ours to flood", record.QuoteName(slot))
		}
		target = sock.Addr()
	}
	set, err := hostile.Flood(f.Kind, m.HostileEnv(), m.seed)
	if err != nil {
		return action{}, err
	}
	var x attacker
	return action{
		begin: func() (err error) {
			if x, err = m.World.Attack(Attack{Target: target, Rate: float64(f.N), Datagrams: set, Peers: m.N}); err == nil {
				m.Tell("flood", -1, "a flood of kind %s begins, at %s a second", f.Kind, result.FormatRate(float64(f.N)))
			}
			return err
		},
		end: func() error {
			if x == nil {
				return nil
			}
			v, err := x.Stop()
			x = nil
			m.Hostile[slot] += v.Sent
			m.Tell("flood", -1, "the flood ends")
			return err
		},
	}, nil
}

// HostileEnv is the mesh as the catalogue of hostile datagrams wants it.
func (m *Mesh) HostileEnv() hostile.Env {
	e := hostile.Env{Server: m.Server.Addr()}
	for i, p := range m.Peers {
		if sock := p.Socket(); sock != nil {
			e.Members = append(e.Members, wire.EntryOf(core.Member{Name: record.SlotName(i), Addr: sock.Addr()}))
		}
	}
	for i := m.N; i < core.MaxPeers; i++ {
		spare := wire.EntryOf(core.Member{Name: record.SlotName(i)})
		spare.Port = 1 + uint16(i) // where nobody listens
		e.Spare = append(e.Spare, spare)
	}
	return e
}

// CanOverUDP says why a line of a script cannot happen to a mesh over UDP.
func CanOverUDP(c *result.Config, line string) error {
	all, err := faults.ParseFaults([]string{line})
	if err != nil {
		return err
	}
	o := &c.Options
	if o.Driver != nil || o.Hosts > 0 {
		return errors.New("a fault script wants a mesh of ours, on this machine")
	}
	m := &Mesh{N: c.Peers, External: o.External, Cfg: c, opt: o}
	if o.Server == "" && o.ServerExec == "" {
		m.Ours = &localServer{}
	}
	if err := m.script().Check(all[0]); err != nil {
		return err
	}
	switch f := all[0]; f.Verb {
	case faults.Crash, faults.Flood:
		return nil
	case faults.Pause:
		if f.A > simnet.ServerPort {
			return nil
		}
	}
	_, err = new(udpWorld).network(m, all[0])
	return err
}

// faultPlan is what scripts and hands do to a mesh.
type faultPlan struct {
	planned  []planned      // by a script over UDP, the next first
	loose    []func() error // ends of what a script may have begun
	underway []underway     // what hands have begun
}

// planned is what a script wants done at a time of the mesh's clock, over UDP.
type planned struct {
	at int64
	do func() error
}

// planFaults schedules the faults of a script.
func (m *Mesh) planFaults() error {
	lines := m.Cfg.Faults
	if v := m.Cfg.Simulation; v != nil {
		lines = v.Faults
	}
	all, err := faults.ParseFaults(lines)
	if err != nil {
		return err
	}
	for _, f := range all {
		a, err := m.actionOf(f)
		if err != nil {
			return fmt.Errorf("fault %q: %w", f, err)
		}
		m.World.plan(m, f.At, a.begin)
		if a.end == nil {
			continue
		}
		m.World.plan(m, f.Until, a.end)
		if m.Cfg.Simulation == nil && f.Verb != faults.Crash {
			m.loose = append(m.loose, a.end)
		}
	}
	return nil
}

// firstPort is the first peer's port on a virtual network.
const firstPort = simnet.ServerPort + 1

// Scripted is the simulation's faults as a script. It can name only as many peers as the exact
// dialect has.
func Scripted(c *result.Config, seed uint64) (faults.Script, error) {
	const most = time.Hour // of a script
	s := c.Simulation
	all, err := faults.ParseFaults(s.Faults)
	return faults.Script{Seed: seed, Peers: min(c.Peers, core.MaxPeers), Queue: s.Queue, Duration: most, Calm: most, Network: s.Network, Faults: all}, err
}
