// Package mesh is what is measured: a server and its peers, in a World that is
// this machine with its sockets and processes, or a virtual network.
package mesh

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
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

// Mesh is a server and its peers, all on one host, while a scenario runs.
type Mesh struct {
	Cfg   *result.Config
	opt   *result.Options
	N     int
	Rng   *rand.Rand
	seed  uint64
	World World
	Clock record.Clock // the world's
	Store *record.Store
	Free  func() // gives the store back

	Server   server
	Ours     *localServer // server, where it is ours
	Peers    []peer
	Socks    []socket     // nil: an external peer
	External int          // the first so many peers are external
	Spent    atomic.Int64 // CPU time of peer processes that have ended, in ns

	Alive    record.Set     // who should be in every view
	Paused   record.Set     // who is stopped
	lives    []int          // begun, of each
	began    int64          // when all was there, and nobody had joined
	underway []underway     // what hands have begun
	loose    []func() error // ends of what a script has begun
	kills    int            // lives ended by kill
	Roster   record.Roster  // who should have been in every view, when
	Timing   core.Timing    // of the peers
	Impair   result.Impairment
	Schedule []int64        // each peer's next first broadcast
	Hostile  map[int]uint64 // datagrams that a sender of garbage has sent to a slot
	watch    *Watch         // nil: nobody looks on
}

// Setup is what scenarios may differ in when they make a mesh.
type Setup struct {
	Refresh  *time.Duration // instead of the timing's
	Impair   result.Impairment
	Divide   bool          // the store may divide the mesh: every machine has an impairment before its socket, whatever that does
	Interval time.Duration // between broadcasts; 0: none for now
	World    World         // nil: this machine
	Watch    *Watch        // nil: nobody looks on
}

// NewMesh opens all sockets and starts the server; nobody is born yet.
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
	m.Store.Divisible = with.Divide || m.watch.controls() || slices.ContainsFunc(cfg.Faults, faults.OfLinks)
	m.Store.Wide, m.Store.Keyed = m.opt.Wide, m.opt.Keyed
	if m.opt.Wide {
		m.Timing.Retry = min(m.Timing.Retry, wide.DefaultTiming().Retry)
	}
	if m.World = with.World; m.opt.Driver != nil {
		m.World = newDriverWorld()
	} else if m.World == nil {
		// A Ctrl-C ends the scenario, which then ends the mesh: until that has been
		// summed up, every socket stays open.
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
	m.Schedule, m.lives = make([]int64, m.N), make([]int, m.N)
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
	// Births must have no fixed phase to the server's looks for the silent: what
	// is noticed when depends on it.
	m.World.Sleep(ctx, time.Duration(m.Rng.Int64N(int64(m.Cfg.Timing.Reap))))
	return m, nil
}

func (m *Mesh) host() netip.Addr { return m.Server.Addr().Addr() }

// Birth starts peer i's life.
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
	m.lives[i]++
	m.Paused.Remove(i)
	m.Arrive(i)
	m.Tell("join", i, "%s joins", record.QuoteName(i))
	return nil
}

// ServerForgot says that the server, dead from a time on, is back and knows nobody.
// Until all have been born again, which without refresh they never are, views that
// shrink are no false removals.
func (m *Mesh) ServerForgot(from int64) {
	to := int64(1 << 62)
	if m.Timing.Refresh > 0 {
		to = m.Clock.Now() + int64(m.Timing.Refresh+m.Timing.Deadline)
	}
	m.Roster.Forget(from, to)
}

// Control changes what the store tells recorders and impairments, on all hosts.
func (m *Mesh) Control(change func(b *record.Store)) {
	change(m.Store)
	if w, ok := m.World.(*hostsWorld); ok {
		w.control(m.Store.Control())
	}
}

// Arrive and depart change who should be in every view, from now on.
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

// Pause stops a peer, which is then as good as dead, and Resume has it go on.
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

// KillServer and RestartServer are its death, and its next life, in which it knows nobody.
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

// Leave has a driver's member i end in its own orderly way.
func (m *Mesh) Leave(i int) {
	m.Depart(i)
	m.Peers[i].Do(Command{Do: Leave})
}

// SpreadBroadcasts gives every peer's broadcasts a phase of their own within
// the interval, drawn from the seed, or none, from start on.
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

// Agreed reports that every living peer's view is the truth.
func (m *Mesh) Agreed() bool {
	m.MarkExited()
	ok := true
	m.EachView(func(i int, s *record.Slot) { ok = ok && (!m.Alive.Has(i) || s.View() == m.Alive) })
	return ok
}

// makingTime is for one peer to be made, before all are born at once.
const makingTime = 50 * time.Microsecond

// JoinAll has everybody born, at once or spread, and waits until all views
// are complete.
func (m *Mesh) JoinAll(ctx context.Context, spread, patience time.Duration) error {
	at := int64(0)
	if _, here := m.World.(*udpWorld); here && spread == 0 { // what making them takes is not the mesh's time,
		runtime.GC() // nor what this process has thrown away before
		at = m.Clock.Now() + int64(makingTime)*int64(m.N)
	}
	for i := range m.N {
		if spread > 0 && i > 0 {
			if !m.World.Sleep(ctx, time.Duration(m.Rng.ExpFloat64()*float64(spread)/float64(m.N))) {
				return ctx.Err()
			}
		}
		if err := m.birth(i, at); err != nil {
			return err
		}
	}
	if !m.WaitUntil(ctx, patience, m.Agreed) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return NotWhole(patience)
	}
	return nil
}

// Unmeasured is why something could not be measured although nothing is wrong
// with the measurement.
type Unmeasured string

func (u Unmeasured) Error() string { return string(u) }

// NotWhole says that the mesh did not come about within a time.
func NotWhole(patience time.Duration) Unmeasured {
	return Unmeasured(fmt.Sprintf("not every view was complete within %v of the last birth", patience))
}

// WaitUntil waits for a condition, looking as often as the world lets it; what is
// measured has its own times. All that there was by then is in the store after.
func (m *Mesh) WaitUntil(ctx context.Context, most time.Duration, ok func() bool) bool {
	if w, over := m.World.(*hostsWorld); over {
		defer w.settle()
	}
	deadline := m.Clock.Now() + int64(most)
	for !ok() {
		if m.Clock.Now() >= deadline || !m.World.Step(ctx, deadline) {
			return ok()
		}
	}
	return true
}

// Drain waits until nothing is under way any more: all that was sent, and that the
// impairment has let go, is accounted for, or nothing has changed for a second and many looks, which is
// longer than a busy machine keeps a receiver waiting: one that is stopped for a
// second has no time for the looks. It gives the accounts as they were then:
// a server that is not ours goes on sending, and read once more they might fall
// between two counts of one directory.
func (m *Mesh) Drain(most time.Duration) result.Accounts {
	// What is under way by a script or by hand ends here, but for deaths: a peer that is stopped
	// cannot be asked, and a flood has no end.
	for _, end := range m.loose {
		end()
	}
	m.settle(nil, func(f *faults.Fault) bool { return f.Verb != faults.Crash })
	ctx := context.Background()
	deadline := m.Clock.Now() + int64(most)
	last, since, looks := int64(-1), m.Clock.Now(), 0
	for {
		a := m.World.Accounts(m)
		way := a.Unexplained + int64(a.Queued-m.held())
		now := m.Clock.Now()
		if way == 0 || now >= deadline {
			return a
		}
		if way != last {
			last, since, looks = way, now, 0
		}
		const many = 100
		if looks++; looks > many && now-since > int64(time.Second) {
			return a
		}
		m.World.Sleep(ctx, time.Millisecond)
	}
}

// held is how many datagrams the impairment holds at present.
func (m *Mesh) held() uint64 {
	return m.Store.Sum(func(s *record.Slot) *atomic.Uint64 { return &s.Held })
}

// StopSending makes everybody stop sending and waits for what is under way.
func (m *Mesh) StopSending() result.Accounts {
	for i, p := range m.Peers {
		p.Do(Command{Do: Resume})
		if m.Alive.Has(i) {
			p.Do(Command{Do: Silence})
		}
	}
	if m.opt.Driver != nil { // whose members go on talking
		m.Store.Impairing.Store(false)
	}
	const most = 10 * time.Second
	m.WaitUntil(context.Background(), most, func() bool { return m.held() == 0 })
	return m.Drain(most)
}

// Stop ends everything and frees it. The store must not be read after.
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

// Ping finds out which of our peer processes are there no more, or were stopped by
// somebody else. They are dead from their last sign of life on.
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

// MarkExited has external peers that died by themselves be dead from then on.
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

// Processes are those of our peers that live, or the driver's.
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

// ServerUsage is what a server that was started by its command, or a driver, has used.
func (m *Mesh) ServerUsage() (cpu time.Duration, memory int64) {
	switch s := m.Server.(type) {
	case *commandServer:
		return s.usage()
	case hostedServer:
		return usage(s.driver.Process())
	}
	return 0, 0
}

// A World is where a mesh lives: this machine and its time, or a virtual
// network with a virtual clock. What scenarios do to a mesh goes through it, so
// that they are the same in both.
type World interface {
	Clock() record.Clock
	Sleep(ctx context.Context, d time.Duration) bool // false: ctx ended it
	Step(ctx context.Context, until int64) bool      // lets time pass between two looks at a condition, no further than until; false: ctx ended it

	startServer(ctx context.Context, m *Mesh) error  // makes m's server
	addPeer(m *Mesh, i int) error                    // adds to m's peers and socks
	plan(m *Mesh, at time.Duration, do func() error) // has something happen that long after the mesh began
	Attack(a Attack) (attacker, error)               // sends hostile datagrams until it is stopped
	network(m *Mesh, f faults.Fault) (begin, end func() error, err error)
	Accounts(m *Mesh) result.Accounts
	Stop() // after everybody's
}

// attacker is a sender of hostile datagrams at work.
type attacker interface {
	Stop() (AttackResult, error)
}
