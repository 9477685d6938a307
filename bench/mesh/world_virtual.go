package mesh

import (
	"context"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"p2plocal/bench/faults"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/core"
	"p2plocal/core/simnet"
	"p2plocal/core/udp"
)

// virtualWorld is a virtual network with a virtual clock, which begins at 0
// with every mesh. Time passes only while somebody sleeps or waits.
type virtualWorld struct {
	net       *simnet.Net
	sim       *result.Simulation
	flush     func() error  // of the trace
	enough    func()        // ends the mesh's context, at Simulation.Until
	shown     *atomic.Int64 // how far time has come, for others to see
	before    int64         // what had passed before this mesh
	hostile   uint64        // datagrams that faults have sent
	attackers []*virtualAttacker
	store     *record.Store
}

// NewVirtualWorld makes a network for one mesh of a scenario.
func NewVirtualWorld(s *result.Simulation, seed uint64, title string, shown *atomic.Int64, enough func()) *virtualWorld {
	w := &virtualWorld{sim: s, shown: shown, before: shown.Load(), enough: enough, flush: func() error { return nil }}
	cfg := simnet.Config{Seed: seed, Fault: s.Network, Host: s.Host, Queue: s.Queue}
	if s.Trace != nil {
		fmt.Fprintf(s.Trace, "# %s, seed %d\n", title, seed)
		cfg.Trace, w.flush = simnet.Log(s.Trace)
		if log := cfg.Trace; s.Until > 0 {
			cfg.Trace = func(e *simnet.Event) {
				if e.At <= s.Until {
					log(e)
				}
			}
		}
	}
	w.net = simnet.New(cfg)
	return w
}

// zero is what the clock shows at the start: 0 means never in the store.
const zero = 1

func (w *virtualWorld) Clock() record.Clock { return record.VirtualClock(w.net.Clock, zero) }
func (w *virtualWorld) Stop()               { w.flush() } // an error shows at the next write

func (w *virtualWorld) Sleep(ctx context.Context, d time.Duration) bool {
	end := w.limit(w.net.Now() + d)
	const look = 1024 // instants between two looks at ctx
	for ctx.Err() == nil {
		w.show()
		for range look {
			if !w.net.RunInstant(end) {
				w.net.Run(end)
				return w.arrived(ctx)
			}
		}
	}
	return false
}

func (w *virtualWorld) Step(ctx context.Context, until int64) bool {
	end := w.limit(time.Duration(until - zero))
	for start := w.net.Now(); w.net.Now() == start; {
		if !w.net.RunInstant(end) {
			w.net.Run(end)
			break
		}
	}
	return w.arrived(ctx)
}

// limit is end, or the time beyond which the mesh is not to go.
func (w *virtualWorld) limit(end time.Duration) time.Duration {
	if w.sim.Until > 0 && w.net.Now() < w.sim.Until {
		return min(end, w.sim.Until)
	}
	return end
}

// arrived ends the mesh's context when its time is over, and reports whether ctx goes on.
func (w *virtualWorld) arrived(ctx context.Context) bool {
	w.show()
	if w.sim.Until > 0 && w.net.Now() >= w.sim.Until {
		w.enough()
	}
	return ctx.Err() == nil
}

func (w *virtualWorld) show() { w.shown.Store(w.before + int64(w.net.Now())) }

func (w *virtualWorld) startServer(_ context.Context, m *Mesh) error {
	m.Store.AllAccounted.Store(true)
	w.store, m.Store.Alone = m.Store, true
	m.Ours = newServer(w.newMember(m, record.ServerSlot, simnet.ServerPort), m.Cfg.Timing, m.opt, m.Impair, m.seed)
	m.Server = m.Ours
	return m.Ours.Restart()
}

func (w *virtualWorld) addPeer(m *Mesh, i int) error {
	port := uint16(firstPort + i)
	m.Store.Index[port] = uint16(i)
	m.Peers = append(m.Peers, w.newMember(m, i, port))
	return nil
}

// newMember makes a node whose machine is a member, dead or alive.
func (w *virtualWorld) newMember(m *Mesh, number int, port uint16) *Member {
	var s *Member
	x := w.net.Add(port, func(time.Time) core.Machine { return s })
	s = NewMember(number, node{x}, m.Store, m.Clock)
	x.Launch()
	return s
}

// network is what a fault does to the network.
func (w *virtualWorld) network(m *Mesh, f faults.Fault) (action, error) {
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
	return action{does(from), does(to)}, nil
}

func (w *virtualWorld) plan(_ *Mesh, at time.Duration, do func() error) {
	w.net.At(at, func() { do() })
}

// Accounts sets what machines have sent and taken, by the store, against what the network says has
// become of the rest.
func (w *virtualWorld) Accounts(m *Mesh) result.Accounts {
	n := w.net.Stats()
	a := result.Accounts{Sent: w.hostile, Duplicated: n.Duplicated, Kernel: n.Overflowed, Injected: n.Lost + n.Cut, Dead: n.Unreachable}
	for i, s := range m.Store.Used() {
		a.Sent += s.ByType().Total().Datagrams
		a.Injected += s.Injected.Load()
		a.Duplicated += s.Duplicated.Load()
		a.Dead += s.Vanished.Load() + s.Dead.Load()
		a.Queued += s.Held.Load()
		if i != record.ServerSlot {
			a.Taken += s.Taken.Load()
			a.Dropped += s.Dropped.Load()
		}
	}
	c := m.Ours.Counters()
	a.Taken += c.Events.Taken()
	a.Dropped += c.Events.Dropped()
	for _, x := range w.attackers {
		a.Sent += x.sent
		a.Dead += x.heard
	}
	a.Queued += n.Sent + n.Duplicated - n.Taken - n.Lost - n.Cut - n.Overflowed - n.Unreachable
	a.Unexplained = int64(a.Sent+a.Duplicated) - int64(a.Taken+a.Dropped+a.Kernel+a.Injected+a.Dead+a.Queued)
	return a
}

// node is a socket of a virtual network.
type node struct{ *simnet.Node }

func (x node) Addr() netip.AddrPort { return simnet.Addr(x.Port()) }
func (x node) Stats() udp.Stats     { return udp.Stats{Drops: x.Overflowed(), DropsKnown: true} }
func (x node) Close() error         { return nil }

// Waiting is in datagrams.
func (x node) Waiting() (int64, uint64, bool) { return int64(x.Node.Waiting()), x.Overflowed(), true }

// virtualAttacker is a sender of hostile datagrams on a virtual network.
type virtualAttacker struct {
	net       *simnet.Net
	count     *atomic.Uint64 // of what it sends, for others to see
	datagrams [][]byte
	to        [1]netip.AddrPort
	train     int           // datagrams at once, all alike
	period    float64       // of a train, in ns
	start     time.Time     // by its own clock
	began     time.Duration // by the network's
	stopped   bool
	trains    int // begun
	left      int // of the present one
	sent      uint64
	heard     uint64 // datagrams that came for it
}

// Attack adds a node that sends as it is told.
func (w *virtualWorld) Attack(a Attack) (attacker, error) {
	port := uint16(40_000 + len(w.attackers))
	x := &virtualAttacker{net: w.net, count: &w.store.Hostile, datagrams: a.Datagrams, to: [1]netip.AddrPort{a.Target}, train: 1}
	if a.Rate >= trains {
		x.train = train
	}
	x.period = float64(x.train) / a.Rate * 1e9
	w.attackers = append(w.attackers, x)
	w.net.Add(port, func(now time.Time) core.Machine {
		x.start = now
		return x
	}).Launch()
	x.began = w.net.Now()
	return x, nil
}

func (b *virtualAttacker) Stop() (v AttackResult, err error) {
	b.stopped = true
	v.Sent = b.sent
	v.Elapsed = b.net.Now() - b.began
	return v, nil
}

// Step implements core.Machine.
func (b *virtualAttacker) Step(time.Time, netip.AddrPort, []byte) bool {
	b.heard++
	return false
}

// Poll implements core.Machine.
func (b *virtualAttacker) Poll(now time.Time) (core.Outgoing, time.Time) {
	if b.left == 0 {
		due := b.start.Add(time.Duration(float64(b.trains) * b.period))
		switch {
		case b.stopped:
			return core.Outgoing{}, time.Time{}
		case now.Before(due):
			return core.Outgoing{}, due
		}
		b.trains++
		b.left = b.train
	}
	b.left--
	b.sent++
	b.count.Add(1)
	return core.Outgoing{Datagram: b.datagrams[(b.trains-1)%len(b.datagrams)], To: b.to[:]}, now
}
