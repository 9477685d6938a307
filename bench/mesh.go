package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/core"
)

// mesh is a server and its peers, all on one host, while a scenario runs.
type mesh struct {
	cfg   *result.Config
	opt   *result.Options
	n     int
	rng   *rand.Rand
	seed  uint64
	world world
	clock record.Clock // the world's
	board *record.Store
	free  func() // gives the board back

	server   server
	ours     *localServer // server, where it is ours
	peers    []peer
	socks    []socket // nil: an external peer
	external int      // the first so many peers are external
	spent    spent

	alive    record.Set    // who should be in every view
	kills    int           // lives ended by kill
	roster   record.Roster // who should have been in every view, when
	timing   core.Timing   // of the peers
	impair   result.Impairment
	schedule []int64                       // each peer's next first broadcast
	hostile  [record.ServerSlot + 1]uint64 // datagrams that a sender of garbage has sent to each seat
}

// setup is what scenarios may differ in when they make a mesh.
type setup struct {
	refresh  *time.Duration // instead of the timing's
	impair   result.Impairment
	interval time.Duration // between broadcasts; 0: none for now
	world    world         // nil: this machine
}

// newMesh opens all sockets and starts the server; nobody is born yet.
func newMesh(ctx context.Context, cfg *result.Config, seed uint64, with setup) (m *mesh, err error) {
	m = &mesh{cfg: cfg, opt: &cfg.Options, n: cfg.Peers, seed: seed, external: cfg.Options.External,
		rng: rand.New(rand.NewPCG(seed, 0)), impair: with.impair, timing: cfg.Timing}
	m.timing.Broadcast = with.interval
	if with.refresh != nil {
		m.timing.Refresh = *with.refresh
	}
	b, file, free, err := record.NewStore()
	if err != nil {
		return nil, err
	}
	m.board, m.free = b, free
	for i := range m.board.Index {
		m.board.Index[i] = record.Nobody
	}
	m.board.From.Store(1 << 62) // no window yet
	m.board.To.Store(1 << 62)
	m.board.External.Store(int64(m.external))
	m.board.ServerKnown.Store(m.opt.Server == "" && m.opt.ServerExec == "" && m.external == 0)
	m.board.Interval.Store(int64(with.interval))
	if m.world = with.world; m.world == nil {
		// A Ctrl-C ends the scenario, which then ends the mesh: until that has taken
		// stock, every socket stays open.
		m.world = newUDPWorld(context.WithoutCancel(ctx), cfg.Isolation == "process", file)
	}
	m.clock = m.world.clock()
	defer func() {
		if err != nil {
			m.stop()
		}
	}()
	if err := m.world.startServer(ctx, m); err != nil {
		return m, err
	}
	m.board.Index[m.server.addr().Port()] = record.ServerSlot
	m.schedule = make([]int64, m.n)
	for i := range m.n {
		if err := m.world.addPeer(m, i); err != nil {
			return m, err
		}
	}
	m.world.inhabited(m)
	// Births must have no fixed phase to the server's looks for the silent: what
	// is noticed when depends on it.
	m.world.sleep(ctx, time.Duration(m.rng.Int64N(int64(m.cfg.Timing.Reap))))
	return m, nil
}

func (m *mesh) host() netip.Addr { return m.server.addr().Addr() }

// birth starts peer i's life.
func (m *mesh) birth(i int) error {
	l := life{Timing: m.timing, Server: m.server.addr(), First: m.schedule[i], Interval: m.timing.Broadcast,
		Fill: m.opt.Payload, Impair: m.impair, ImpairSeed: m.seed}
	if l.First == 0 {
		l.First = m.clock.Now() + int64(m.timing.Broadcast)
	}
	if err := m.peers[i].birth(l); err != nil {
		return fmt.Errorf("peer %s: %w", record.QuoteName(i), err)
	}
	m.arrive(i)
	return nil
}

// forgotten says that the server has come back and knows nobody. Until all have
// been born again, which without refresh they never are, views that shrink
// are no false removals.
func (m *mesh) forgotten() {
	from := m.clock.Now()
	to := int64(1 << 62)
	if m.timing.Refresh > 0 {
		to = from + int64(m.timing.Refresh+m.timing.Deadline)
	}
	m.roster.Forget(from, to)
}

// arrive and depart change who should be in every view, from now on.
func (m *mesh) arrive(i int) {
	m.alive.Add(i)
	m.roster.Mark(m.clock.Now(), m.alive)
}

func (m *mesh) depart(i int) {
	m.alive.Remove(i)
	m.roster.Mark(m.clock.Now(), m.alive)
}

func (m *mesh) kill(i int) {
	m.depart(i)
	m.kills++
	m.peers[i].kill()
}

// spreadBroadcasts gives every peer's broadcasts a phase of their own within
// the interval, drawn from the seed, or none, from start on.
func (m *mesh) spreadBroadcasts(start int64, interval time.Duration) {
	for i := range m.schedule {
		m.schedule[i] = start
		if !m.opt.InStep {
			m.schedule[i] += m.rng.Int64N(int64(interval))
		}
	}
}

// seen calls f for each peer whose view can be seen.
func (m *mesh) seen(f func(i int, s *record.Slot)) {
	for i := m.external; i < m.n; i++ {
		f(i, &m.board.Slots[i])
	}
}

// agreed reports that every living peer's view is the truth.
func (m *mesh) agreed() bool {
	m.bury()
	ok := true
	m.seen(func(i int, s *record.Slot) { ok = ok && (!m.alive.Has(i) || s.View() == m.alive) })
	return ok
}

// joinAll has everybody born, at once or spread, and waits until all views
// are complete.
func (m *mesh) joinAll(ctx context.Context, spread time.Duration) error {
	for i := range m.n {
		if spread > 0 && i > 0 {
			if !m.world.sleep(ctx, time.Duration(m.rng.ExpFloat64()*float64(spread)/float64(m.n))) {
				return ctx.Err()
			}
		}
		if err := m.birth(i); err != nil {
			return err
		}
	}
	if !m.until(ctx, joinPatience, m.agreed) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return errNotWhole
	}
	return nil
}

const joinPatience = 10 * time.Second

var errNotWhole = errors.New("not every view was complete within 10s of the last birth")

// until waits for a condition, looking as often as the world lets it; what is
// measured has its own times.
func (m *mesh) until(ctx context.Context, most time.Duration, ok func() bool) bool {
	deadline := m.clock.Now() + int64(most)
	for !ok() {
		if m.clock.Now() >= deadline || !m.world.glance(ctx, deadline) {
			return ok()
		}
	}
	return true
}

// settled waits until nothing is under way any more: all that was sent is
// accounted for, or nothing has changed for a second and many looks, which is
// longer than a busy machine keeps a receiver waiting: one that is stopped for a
// second has no time for the looks. It gives the accounts as they were then:
// a server that is not ours goes on sending, and read once more they might fall
// between two counts of one directory.
func (m *mesh) settled(most time.Duration) result.Accounts {
	ctx := context.Background()
	deadline := m.clock.Now() + int64(most)
	last, since, looks := int64(-1), m.clock.Now(), 0
	for {
		a := m.world.accounts(m)
		now := m.clock.Now()
		if a.Unexplained == 0 || now >= deadline {
			return a
		}
		if a.Unexplained != last {
			last, since, looks = a.Unexplained, now, 0
		}
		const many = 100
		if looks++; looks > many && now-since > int64(time.Second+2*(m.impair.Delay+m.impair.Jitter)) {
			return a
		}
		m.world.sleep(ctx, time.Millisecond)
	}
}

// silence makes everybody stop sending and waits for what is under way.
func (m *mesh) silence() result.Accounts {
	for i, p := range m.peers {
		p.resume()
		if m.alive.Has(i) {
			p.silence()
		}
	}
	return m.settled(10 * time.Second)
}

// stop ends everything and frees it. The board must not be read after.
func (m *mesh) stop() {
	for _, p := range m.peers {
		p.stop()
	}
	if m.server != nil {
		m.server.stop()
	}
	m.world.stop()
}
