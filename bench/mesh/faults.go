package mesh

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"p2plocal/bench/faults"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/core"
	"p2plocal/core/simnet"
	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
)

// actions are what a fault does to the mesh as it begins and as it ends; no end: it is over at
// once. What happens to a life the mesh does itself, so that it knows who should be in every
// view; and an end undoes no more than its beginning has done.
func (m *Mesh) actions(f faults.Fault) (begin, end func() error, err error) {
	i := int(f.A) - firstPort
	switch {
	case f.Verb == faults.Crash && f.A == simnet.ServerPort:
		died := int64(0)
		return func() error { died = m.Clock.Now(); return m.KillServer() }, func() error {
			err := m.RestartServer() // as at the start
			m.ServerForgot(died)
			return err
		}, nil
	case f.Verb == faults.Crash:
		killed := false
		return func() error {
				if killed = m.Alive.Has(i); !killed {
					return fmt.Errorf("peer %s does not run", record.QuoteName(i))
				}
				m.Kill(i)
				return nil
			}, func() error {
				if killed && !m.Alive.Has(i) {
					return m.Birth(i)
				}
				return nil
			}, nil
	case f.Verb == faults.Pause && f.A != simnet.ServerPort:
		stopped := 0 // the life that was, from 1
		return func() error {
				if !m.Alive.Has(i) {
					return fmt.Errorf("peer %s does not run", record.QuoteName(i))
				}
				stopped = m.lives[i]
				return m.Pause(i)
			}, func() error {
				if stopped == m.lives[i] && m.Paused.Has(i) {
					m.Resume(i)
				}
				return nil
			}, nil
	case f.Verb == faults.Flood:
		return m.flood(f)
	}
	begin, end, err = m.World.network(m, f)
	if err == nil {
		begin, end = m.shown(f, "begins", begin), m.shown(f, "ends", end)
	}
	return begin, end, err
}

// shown is an action that those who look on are shown.
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

// whoIs is who has a port in a script, for people.
func whoIs(port uint16) string {
	switch port {
	case 0:
		return "everybody"
	case simnet.ServerPort:
		return "the server"
	}
	return record.QuoteName(int(port) - firstPort)
}

// flood is a sender of hostile datagrams at one of the mesh's.
func (m *Mesh) flood(f faults.Fault) (begin, end func() error, err error) {
	slot, target := record.ServerSlot, m.Server.Addr()
	if f.A != simnet.ServerPort {
		if slot = int(f.A) - firstPort; m.Socks[slot] == nil {
			return nil, nil, fmt.Errorf("peer %s is not ours to flood", record.QuoteName(slot))
		}
		target = m.Socks[slot].Addr()
	}
	set, err := hostile.Flood(f.Kind, m.HostileEnv(), m.seed)
	if err != nil {
		return nil, nil, err
	}
	var x attacker
	return func() (err error) {
			if x, err = m.World.Attack(Attack{Target: target, Rate: float64(f.N), Datagrams: set, Peers: m.N}); err == nil {
				m.Tell("flood", -1, "a flood of kind %s begins, at %s a second", f.Kind, result.FormatRate(float64(f.N)))
			}
			return err
		}, func() error {
			if x == nil {
				return nil
			}
			v, err := x.Stop()
			x = nil
			m.Hostile[slot] += v.Sent
			m.Tell("flood", -1, "the flood ends")
			return err
		}, nil
}

// HostileEnv is the mesh as the catalogue of hostile datagrams wants it.
func (m *Mesh) HostileEnv() hostile.Env {
	e := hostile.Env{Server: m.Server.Addr()}
	for i, sock := range m.Socks {
		if sock != nil {
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

// network is what one does to the network.
func (w *virtualWorld) network(m *Mesh, f faults.Fault) (begin, end func() error, err error) {
	all, _ := Scripted(m.Cfg, m.seed)
	does := func(f func()) func() error {
		if f == nil {
			return nil
		}
		return func() error { f(); return nil }
	}
	from, to := all.Actions(w.net, f)
	if f.Verb == faults.Hostile {
		inject := from
		from = func() {
			w.hostile += uint64(f.N)
			m.Store.Hostile.Add(uint64(f.N))
			inject()
		}
	}
	return does(from), does(to), nil
}

// network is what one does to the links of this machine's sockets: each machine of ours does it to
// what it sends.
func (w *udpWorld) network(m *Mesh, f faults.Fault) (begin, end func() error, err error) {
	set := func(link record.Link) func() error {
		return func() error {
			for from := range m.N + 1 {
				for to := range m.N + 1 {
					if m.isPort(from, f.A) && m.isPort(to, f.B) {
						m.Store.SetLink(from, to, link)
					}
				}
			}
			m.Store.Impairing.Store(m.Store.Impairing.Load() || link != 0)
			return nil
		}
	}
	plain := f.Net
	plain.Loss, plain.Delay = 0, 0
	switch {
	case m.External > 0 || m.Ours == nil || m.opt.Hosts > 0:
		return nil, nil, errors.New("the links of others cannot be cut from here")
	case f.Verb == faults.Divide:
		var half record.Set
		for i := int(f.A) - firstPort; i < m.N; i++ {
			half.Add(i)
		}
		return func() error {
				m.Store.Divide(half)
				m.Store.Impairing.Store(true)
				return nil
			}, func() error {
				m.Store.Unite()
				return nil
			}, nil
	case m.N > record.PairedPeers && (f.Verb == faults.Cut || f.Verb == faults.Link):
		return nil, nil, fmt.Errorf("links are cut one by one among up to %d peers only", record.PairedPeers)
	case f.Verb == faults.Cut:
		return set(record.NewLink(1, 0)), set(0), nil
	case f.Verb == faults.Link && plain == simnet.Fault{}:
		return set(record.NewLink(f.Net.Loss, f.Net.Delay)), set(0), nil
	case f.Verb == faults.Link:
		return nil, nil, errors.New("over UDP a link takes loss= and delay= only")
	}
	return nil, nil, fmt.Errorf("%s is for -sim: it cannot be done over UDP", f.Verb)
}

// isPort reports that a slot, or the one after the last for the server, is whom a script
// names so.
func (m *Mesh) isPort(slot int, port uint16) bool {
	return port == 0 || slot == m.N && port == simnet.ServerPort || slot < m.N && firstPort+slot == int(port)
}

func (w *driverWorld) network(*Mesh, faults.Fault) (begin, end func() error, err error) {
	return nil, nil, errors.New("the links of a driver's mesh cannot be cut from here")
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
	_, _, err = new(udpWorld).network(m, all[0])
	return err
}

// planned is what a script has happen at a time, by the clock.
type planned struct {
	at int64
	do func() error
}

// planFaults has the faults of a script happen, each at its time.
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
		begin, end, err := m.actions(f)
		if err != nil {
			return fmt.Errorf("fault %q: %w", f, err)
		}
		m.World.plan(m, f.At, begin)
		if end != nil {
			m.World.plan(m, f.Until, end)
		}
		if end != nil && m.Cfg.Simulation == nil && f.Verb != faults.Crash {
			m.loose = append(m.loose, end)
		}
	}
	return nil
}

func (w *virtualWorld) plan(_ *Mesh, at time.Duration, do func() error) {
	w.net.At(at, func() { do() })
}

// plan has it happen between two steps of whatever runs.
func (w *udpWorld) plan(m *Mesh, at time.Duration, do func() error) {
	x := m.watched()
	x.planned = append(x.planned, planned{m.began + int64(at), do})
	slices.SortStableFunc(x.planned, func(a, b planned) int { return cmp.Compare(a.at, b.at) })
}

func (w *driverWorld) plan(*Mesh, time.Duration, func() error) {} // as validated

// firstPort is the first peer's on a virtual network.
const firstPort = simnet.ServerPort + 1

// Scripted is the simulation's faults as a script. In a mesh larger than the exact dialect's
// they can name its first peers only.
func Scripted(c *result.Config, seed uint64) (faults.Script, error) {
	const most = time.Hour // of a script
	s := c.Simulation
	all, err := faults.ParseFaults(s.Faults)
	return faults.Script{Seed: seed, Peers: min(c.Peers, core.MaxPeers), Queue: s.Queue, Duration: most, Calm: most, Network: s.Network, Faults: all}, err
}
