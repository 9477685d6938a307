// Package mesh is what is measured: a server and its peers, in a World that is
// this machine with its sockets and processes, or a virtual network.
package mesh

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"p2plocal/bench/faults"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/core"
	"p2plocal/core/wide"
	"p2plocal/fuzz/target"
)

// Mesh is a directory server and its peers while a scenario runs.
type Mesh struct {
	Cfg    *result.Config
	opt    *result.Options
	N      int
	Timing core.Timing // of the peers
	Impair result.Impairment
	Rng    *rand.Rand
	seed   uint64

	World World
	Clock record.Clock // the world's
	Store *record.Store
	Free  func() // gives the store back
	watch *Watch // nil: nobody looks on

	Server   server
	Ours     *localServer // server, where it is ours
	Peers    []peer
	External int          // the first so many peers are external
	Schedule []int64      // each peer's next first broadcast
	Spent    atomic.Int64 // CPU time of peer processes that have ended, in ns

	began   int64          // when all was there, and nobody had joined
	Hostile map[int]uint64 // datagrams that a sender of garbage has sent to a slot
	census
	faultPlan
}

// census is who is alive, and who should be in every view.
type census struct {
	Alive  record.Set    // who should be in every view now,
	Roster record.Roster // and who should have been when
	Paused record.Set    // who is stopped
	begun  []int         // lives, of each peer
	kills  int           // lives that a kill has ended
}

// Setup is how the meshes of scenarios differ.
type Setup struct {
	Refresh  *time.Duration // instead of the timing's
	Impair   result.Impairment
	Divide   bool          // the store may divide the mesh: every machine has an impairment before its socket, whatever that does
	Interval time.Duration // between broadcasts; 0: none for now
	World    World         // nil: this machine
	Watch    *Watch        // nil: nobody looks on
}

// NewMesh opens all sockets and starts the server; no peer has joined yet.
func NewMesh(ctx context.Context, cfg *result.Config, seed uint64, with Setup) (m *Mesh, err error) {
	m = &Mesh{Cfg: cfg, opt: &cfg.Options, N: cfg.Peers, seed: seed, External: cfg.Options.External,
		Rng: rand.New(rand.NewPCG(seed, 0)), Hostile: make(map[int]uint64), Impair: with.Impair, Timing: cfg.Timing, watch: with.Watch}
	m.Timing.Broadcast = with.Interval
	if with.Refresh != nil {
		m.Timing.Refresh = *with.Refresh
	}
	b, file, free, err := record.NewStore(cfg.Peers)
	if err != nil {
		return nil, err
	}
	m.Store, m.Free = b, free
	m.Store.Prepare()
	m.Store.External.Store(int64(m.External))
	m.Store.ServerKnown.Store(m.opt.Server == "" && m.opt.ServerExec == "" && m.opt.Driver == nil && m.External == 0)
	m.Store.Interval.Store(int64(with.Interval))
	m.Store.Divisible = with.Divide || m.takesOrders() || slices.ContainsFunc(cfg.Faults, faults.OfLinks)
	m.Store.Wide, m.Store.Keyed = m.opt.Wide, m.opt.Keyed
	if m.opt.Wide {
		m.Timing.Retry = min(m.Timing.Retry, wide.DefaultTiming().Retry)
	}
	if m.World = with.World; m.opt.Driver != nil {
		m.World = newDriverWorld()
	} else if m.World == nil {
		// Ctrl-C ends the scenario, which then ends the mesh: its sockets stay open until it has
		// been summed up.
		w := &udpWorld{time: record.NewClock(), process: cfg.Isolation == "process", store: file}
		w.serve, w.cancel = context.WithCancel(context.WithoutCancel(ctx))
		m.World = w
	}
	m.Clock = m.World.Clock()
	defer func() {
		if err != nil {
			m.Stop()
		}
	}()
	if err := m.World.startServer(ctx, m); err != nil {
		return m, err
	}
	m.Store.Index[m.Server.Addr().Port()] = record.ServerSlot
	m.Schedule, m.begun = make([]int64, m.N), make([]int, m.N)
	for i := range m.N {
		if err := m.World.addPeer(m, i); err != nil {
			return m, err
		}
	}
	m.began = m.Clock.Now()
	m.watch.begin(m)
	if err := m.planFaults(); err != nil {
		return m, err
	}
	// Births must have no fixed phase to the server's sweeps for silent members: it decides what is
	// noticed when.
	m.Sleep(ctx, time.Duration(m.Rng.Int64N(int64(m.Cfg.Timing.Reap))))
	return m, nil
}

func (m *Mesh) host() netip.Addr { return m.Server.Addr().Addr() }

// Birth starts a life of peer i.
func (m *Mesh) Birth(i int) error { return m.birth(i, 0) }

func (m *Mesh) birth(i int, at int64) error {
	l := Life{Birth: at, Timing: m.Timing, Server: m.Server.Addr(), Impair: m.Impair, ImpairSeed: m.seed,
		Broadcasts: Broadcasts{First: m.Schedule[i], Interval: m.Timing.Broadcast, Size: m.opt.Payload}}
	if l.Broadcasts.First == 0 {
		l.Broadcasts.First = m.Clock.Now() + int64(m.Timing.Broadcast)
	}
	if err := m.Peers[i].Do(Command{Do: Birth, Life: &l}); err != nil {
		return fmt.Errorf("peer %s: %w", record.QuoteName(i), err)
	}
	m.begun[i]++
	m.Paused.Remove(i)
	m.Arrive(i)
	m.Tell("join", i, "%s joins", record.QuoteName(i))
	return nil
}

// ServerForgot notes that the server, dead since from, is back and knows nobody. Views that shrink
// are no false removals until all peers have been born again, which without refresh they never are.
func (m *Mesh) ServerForgot(from int64) {
	to := int64(1 << 62)
	if m.Timing.Refresh > 0 {
		to = m.Clock.Now() + int64(m.Timing.Refresh+m.Timing.Deadline)
	}
	m.Roster.Forget(from, to)
}

// Control changes, on all hosts, what the store tells recorders and impairments.
func (m *Mesh) Control(change func(b *record.Store)) {
	change(m.Store)
	if w, ok := m.World.(*hostsWorld); ok {
		w.control(m.Store.Control())
	}
}

// Arrive and Depart change who should be in every view from now on.
func (m *Mesh) Arrive(i int) {
	m.Alive.Add(i)
	m.Roster.Mark(m.Clock.Now(), m.Alive)
}

func (m *Mesh) Depart(i int) {
	m.Alive.Remove(i)
	m.Roster.Mark(m.Clock.Now(), m.Alive)
}

func (m *Mesh) Kill(i int) {
	m.Depart(i)
	m.kills++
	m.Paused.Remove(i)
	m.Peers[i].Do(Command{Do: Kill})
	m.Tell("kill", i, "%s is killed", record.QuoteName(i))
}

// Pause stops a peer, which then counts as dead; Resume continues it.
func (m *Mesh) Pause(i int) error {
	if err := m.Peers[i].Do(Command{Do: Pause}); err != nil {
		return err
	}
	m.Depart(i)
	m.Paused.Add(i)
	m.Tell("pause", i, "%s is stopped", record.QuoteName(i))
	return nil
}

func (m *Mesh) Resume(i int) {
	m.Peers[i].Do(Command{Do: Resume})
	m.Paused.Remove(i)
	m.Arrive(i)
	m.Tell("resume", i, "%s goes on", record.QuoteName(i))
}

// KillServer kills the server, and RestartServer starts it again, knowing nobody.
func (m *Mesh) KillServer() error {
	if err := m.Server.Kill(); err != nil {
		return err
	}
	m.Tell("kill", -1, "the server is killed")
	return nil
}

func (m *Mesh) RestartServer() error {
	if err := m.Server.Restart(); err != nil {
		return err
	}
	m.Tell("restart", -1, "the server is back, and knows nobody")
	return nil
}

// Leave has member i of a driver's mesh leave in its own orderly way.
func (m *Mesh) Leave(i int) {
	m.Depart(i)
	m.Peers[i].Do(Command{Do: Leave})
}

// SpreadBroadcasts gives each peer's broadcasts a phase within the interval, drawn from the seed;
// with InStep all have the same.
func (m *Mesh) SpreadBroadcasts(start int64, interval time.Duration) {
	for i := range m.Schedule {
		m.Schedule[i] = start
		if !m.opt.InStep {
			m.Schedule[i] += m.Rng.Int64N(int64(interval))
		}
	}
}

// EachView calls f for each peer whose view can be seen.
func (m *Mesh) EachView(f func(i int, s *record.Slot)) {
	for i := m.External; i < m.N; i++ {
		f(i, &m.Store.Slots[i])
	}
}

// Agreed reports whether every living peer's view is the truth.
func (m *Mesh) Agreed() bool {
	m.MarkExited()
	ok := true
	m.EachView(func(i int, s *record.Slot) { ok = ok && (!m.Alive.Has(i) || s.View() == m.Alive) })
	return ok
}

// Stop ends everything and frees it. The store must not be read afterwards.
func (m *Mesh) Stop() {
	m.watch.end(m)
	for _, p := range m.Peers {
		p.Stop()
	}
	if m.Server != nil {
		m.Server.Stop()
	}
	m.World.Stop()
}

// Ping finds peer processes of ours that are gone, or that somebody else has stopped. They have
// been dead since their last sign of life.
func (m *Mesh) Ping() {
	var wg sync.WaitGroup
	for i, p := range m.Peers {
		if p, ok := p.(*ProcessPeer); ok && m.Alive.Has(i) && !p.stopped {
			wg.Go(func() { p.Do(Command{Do: hello}) })
		}
	}
	wg.Wait()
	for i, p := range m.Peers {
		if p, ok := p.(*ProcessPeer); ok && m.Alive.Has(i) && p.Died != "" {
			m.Alive.Remove(i)
			m.Tell("kill", i, "%s %s", record.QuoteName(i), p.Died)
			m.Roster.Remove(i, max(m.Store.Slots[i].Alive.Load(), m.Store.Slots[i].Born.Load()))
		}
	}
}

// MarkExited marks external peers that have exited by themselves as dead since then.
func (m *Mesh) MarkExited() {
	for i := range m.External {
		if p := m.Peers[i].(*ExternalPeer).Proc; p != nil && m.Alive.Has(i) && p.Ended() != "" {
			m.Alive.Remove(i)
			_, at := p.State()
			m.Tell("kill", i, "%s has ended by itself", record.QuoteName(i))
			m.Roster.Remove(i, m.Clock.At(at))
		}
	}
}

// Processes are those of our living peers, or of the driver.
func (m *Mesh) Processes() (pids []int) {
	for _, p := range m.Peers {
		if p, ok := p.(*ProcessPeer); ok && p.Cmd != nil {
			pids = append(pids, p.Cmd.Process.Pid)
		}
	}
	if w, ok := m.World.(*driverWorld); ok {
		pids = target.GroupOf(w.driver.Process().Pid())
	}
	return pids
}

// ServerUsage is what a server that we started by a command has used, or a driver.
func (m *Mesh) ServerUsage() (cpu time.Duration, memory int64) {
	switch s := m.Server.(type) {
	case *commandServer:
		return s.usage()
	case hostedServer:
		return usage(s.driver.Process())
	}
	return 0, 0
}
