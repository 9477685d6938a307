package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"p2plocal/core"
)

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// mesh is a server and its peers, all on loopback, while a scenario runs.
type mesh struct {
	cfg    *Config
	opt    *Options
	n      int
	rng    *rand.Rand
	seed   uint64
	clock  clock
	board  *board
	free   func() // gives the board back
	cancel context.CancelFunc

	server   server
	ours     *localServer // server, where it is ours
	peers    []peer
	socks    []*core.Socket // nil: an external peer
	external int            // the first so many peers are external
	spent    spent
	process  bool

	alive    set // who should be in every view
	kills    int // lives ended by kill
	started  time.Time
	roster   roster      // who should have been in every view, when
	timing   core.Timing // of the peers
	impair   Impairment
	schedule []int64                // each peer's next first broadcast
	hostile  [serverSeat + 1]uint64 // datagrams that a sender of garbage has sent to each seat
}

// setup is what scenarios may differ in when they make a mesh.
type setup struct {
	refresh  *time.Duration // instead of the timing's
	impair   Impairment
	interval time.Duration // between broadcasts; 0: none for now
}

// newMesh opens all sockets and starts the server; nobody is born yet.
func newMesh(ctx context.Context, cfg *Config, seed uint64, with setup) (m *mesh, err error) {
	m = &mesh{cfg: cfg, opt: &cfg.Options, n: cfg.Peers, seed: seed, external: cfg.Options.External,
		rng: rand.New(rand.NewPCG(seed, 0)), clock: newClock(), started: time.Now(),
		process: cfg.Isolation == "process", impair: with.impair, timing: cfg.Timing}
	m.timing.Broadcast = with.interval
	if with.refresh != nil {
		m.timing.Refresh = *with.refresh
	}
	b, file, free, err := newBoard()
	if err != nil {
		return nil, err
	}
	m.board, m.free = b, free
	for i := range m.board.index {
		m.board.index[i] = nobody
	}
	m.board.from.Store(1 << 62) // no window yet
	m.board.to.Store(1 << 62)
	m.board.external.Store(int64(m.external))
	m.board.serverKnown.Store(m.opt.Server == "" && m.opt.ServerExec == "" && m.external == 0)
	m.board.interval.Store(int64(with.interval))
	// A Ctrl-C ends the scenario, which then ends the mesh: until that has taken
	// stock, every socket stays open.
	serve, cancel := context.WithCancel(context.WithoutCancel(ctx))
	m.cancel = cancel
	defer func() {
		if err != nil {
			m.stop()
		}
	}()
	if err := m.startServer(ctx, serve); err != nil {
		return m, err
	}
	m.schedule = make([]int64, m.n)
	for i := range m.n {
		if err := m.addPeer(serve, i, file); err != nil {
			return m, err
		}
	}
	return m, nil
}

func (m *mesh) startServer(ctx, serve context.Context) error {
	switch {
	case m.opt.Server != "":
		m.server = remoteServer(netip.MustParseAddrPort(m.opt.Server)) // as validated
	case m.opt.ServerExec != "":
		s, err := startCommand(ctx, m.opt.ServerExec, loopback)
		if err != nil {
			return err
		}
		m.server = s
	default:
		sock, err := core.Listen(netip.AddrPortFrom(loopback, 0), m.opt.ReadBuffer)
		if err != nil {
			return err
		}
		m.ours, err = startServer(serve, newSeat(serverSeat, sock, m.board, m.clock), loopback, m.cfg.Timing, m.opt, m.impair, m.seed)
		if err != nil {
			sock.Close()
			return err
		}
		m.server = m.ours
	}
	m.board.index[m.server.addr().Port()] = serverSeat
	return nil
}

func (m *mesh) host() netip.Addr { return m.server.addr().Addr() }

func (m *mesh) addPeer(ctx context.Context, i int, board *os.File) error {
	if i < m.external {
		port, err := portBelow(32768, m.rng) // the original's command line takes no higher one
		if err != nil {
			return err
		}
		line := strings.NewReplacer("{name}", seatName(i).String(), "{port}", strconv.Itoa(int(port)),
			"{server}", m.server.addr().String()).Replace(m.opt.PeerExec)
		m.board.index[port] = uint8(i)
		m.peers, m.socks = append(m.peers, &externalPeer{command: line}), append(m.socks, nil)
		return nil
	}
	udp, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(m.host(), 0)))
	if err != nil {
		return fmt.Errorf("cannot open a socket for peer %d of %d: %w", i+1, m.n, err)
	}
	var dup *os.File
	if m.process {
		if dup, err = udp.File(); err != nil {
			udp.Close()
			return err
		}
	}
	sock, err := core.Adopt(udp, m.opt.ReadBuffer)
	if err != nil {
		return err
	}
	m.board.index[sock.Addr().Port()] = uint8(i)
	m.socks = append(m.socks, sock)
	if !m.process {
		m.peers = append(m.peers, startLocal(ctx, newSeat(i, sock, m.board, m.clock), m.host()))
		return nil
	}
	p := &processPeer{number: i, udp: dup, board: board, mine: &m.board.seats[i], sock: sock, spent: &m.spent}
	m.peers = append(m.peers, p)
	return p.start()
}

// portBelow finds a free port from 20000 up to a limit.
func portBelow(limit int, rng *rand.Rand) (uint16, error) {
	for range 1000 {
		port := uint16(20000 + rng.IntN(limit-20000))
		if portFree(port) == nil {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port from 20000 to %d", limit-1)
}

// birth starts peer i's life.
func (m *mesh) birth(i int) error {
	l := life{Timing: m.timing, Server: m.server.addr(), First: m.schedule[i], Interval: m.timing.Broadcast,
		Fill: m.opt.Payload, Impair: m.impair, ImpairSeed: m.seed}
	if l.First == 0 {
		l.First = m.clock.now() + int64(m.timing.Broadcast)
	}
	if err := m.peers[i].birth(l); err != nil {
		return fmt.Errorf("peer %s: %w", seatName(i), err)
	}
	m.arrive(i)
	return nil
}

// arrive and depart change who should be in every view, from now on.
func (m *mesh) arrive(i int) {
	m.alive.add(i)
	m.roster.mark(m.clock.now(), m.alive)
}

func (m *mesh) depart(i int) {
	m.alive.remove(i)
	m.roster.mark(m.clock.now(), m.alive)
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
func (m *mesh) seen(f func(i int, s *seatBoard)) {
	for i := m.external; i < m.n; i++ {
		f(i, &m.board.seats[i])
	}
}

// agreed reports that every living peer's view is the truth.
func (m *mesh) agreed() bool {
	ok := true
	m.seen(func(i int, s *seatBoard) { ok = ok && (!m.alive.has(i) || s.view() == m.alive) })
	return ok
}

// joinAll has everybody born, at once or spread, and waits until all views
// are complete.
func (m *mesh) joinAll(ctx context.Context, spread time.Duration) error {
	for i := range m.n {
		if spread > 0 && i > 0 {
			if !sleep(ctx, time.Duration(m.rng.ExpFloat64()*float64(spread)/float64(m.n))) {
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

// until waits for a condition, looking every millisecond or so; what is
// measured has its own times.
func (m *mesh) until(ctx context.Context, most time.Duration, ok func() bool) bool {
	deadline := time.Now().Add(most)
	for !ok() {
		if time.Now().After(deadline) || !sleep(ctx, time.Millisecond) {
			return ok()
		}
	}
	return true
}

// sleep is time.Sleep unless ctx ends it; then it is false.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	default:
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// settled waits until nothing is under way any more: all that was sent is
// accounted for, or nothing has changed for a second, which is longer than a
// busy machine keeps a receiver waiting.
func (m *mesh) settled(most time.Duration) {
	deadline := time.Now().Add(most)
	last, since := int64(-1), time.Now()
	for time.Now().Before(deadline) {
		missing := m.accounts().Unexplained
		if missing == 0 {
			return
		}
		if missing != last {
			last, since = missing, time.Now()
		}
		if time.Since(since) > time.Second+2*(m.impair.Delay+m.impair.Jitter) {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// silence makes everybody stop sending and waits for what is under way.
func (m *mesh) silence() {
	for i, p := range m.peers {
		p.resume()
		if m.alive.has(i) {
			p.silence()
		}
	}
	m.settled(10 * time.Second)
}

// stop ends everything and frees it. The board must not be read after.
func (m *mesh) stop() {
	for _, p := range m.peers {
		p.stop()
	}
	if m.server != nil {
		m.server.stop()
	}
	m.cancel()
}

// accounts balances the books over everything that peers, and a server of
// ours, sent to peers of ours and to a server of ours. For others it is not
// known what became of it.
func (m *mesh) accounts() Accounts {
	var a Accounts
	known := func(i int) bool { return i >= m.external && i < m.n || i == serverSeat && m.ours != nil }
	// What comes to the server from external peers is not told apart from the rest.
	books := func(i int) bool { return known(i) && (i != serverSeat || m.external == 0) }
	received := make([]uint64, serverSeat+1)
	for i := range m.board.seats {
		s := &m.board.seats[i]
		if !known(i) {
			continue
		}
		for to := range s.to {
			if books(to) {
				received[to] += s.to[to].Load()
			}
		}
		a.Injected += s.injected.Load()
		a.Duplicated += s.doubled.Load()
		a.Dead += s.vanished.Load()
		a.Unsent += s.unsent.Load() // what peer processes say of theirs
	}
	for i := range received {
		if !books(i) {
			continue
		}
		s := &m.board.seats[i]
		taken, refused, dead := s.taken.Load(), s.dropped.Load(), s.dead.Load()
		var sock *core.Socket
		if i == serverSeat {
			c := m.ours.counters()
			taken, refused = c.In.Total().Datagrams-dropped(c), dropped(c)
			sock = m.ours.sock
		} else {
			sock = m.socks[i]
			if !known(serverSeat) { // a foreign server's directories, as far as they came
				received[i] += s.directories.datagrams.Load()
			}
			for from := range m.external { // and foreign peers' messages
				received[i] += uint64(m.board.pairs[from][i].arrived.Load())
			}
		}
		kernel, _ := sock.KernelDrops()
		a.Unsent += sock.SendFailures()
		received[i] += m.hostile[i]
		a.Sent += received[i]
		a.Taken += taken
		a.Dropped += refused
		a.Kernel += kernel
		a.Dead += dead
	}
	a.Unexplained = int64(a.Sent+a.Duplicated) - int64(a.Taken+a.Dropped+a.Kernel+a.Unsent+a.Injected+a.Dead+a.Queued)
	// A killed process takes with it what it had just read or was about to
	// send: one batch each way at most.
	const batches = 32 + core.MaxPeers
	if m.process && a.Unexplained > 0 && a.Unexplained <= int64(batches*m.kills) {
		a.Dead, a.Unexplained = a.Dead+uint64(a.Unexplained), 0
	}
	return a
}
