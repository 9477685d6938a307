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

	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/core"
	"p2plocal/core/udp"
	fuzztarget "p2plocal/fuzz/target"
)

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// udpWorld is this machine: sockets on loopback, peers that are goroutines or
// processes, and time as it passes.
type udpWorld struct {
	time    record.Clock
	serve   context.Context // ends all serving
	cancel  context.CancelFunc
	process bool     // our peers are processes
	board   *os.File // for them
}

func newUDPWorld(ctx context.Context, process bool, board *os.File) *udpWorld {
	w := &udpWorld{time: record.NewClock(), process: process, board: board}
	w.serve, w.cancel = context.WithCancel(ctx)
	return w
}

func (w *udpWorld) clock() record.Clock { return w.time }
func (w *udpWorld) inhabited(*mesh)     {}
func (w *udpWorld) stop()               { w.cancel() }

func (w *udpWorld) sleep(ctx context.Context, d time.Duration) bool { return sleep(ctx, d) }

func (w *udpWorld) glance(ctx context.Context, _ int64) bool { return sleep(ctx, time.Millisecond) }

func (w *udpWorld) attack(a assault) (attacker, error) { return startSender(a) }

// served is a socket of this machine that a goroutine serves.
type served struct {
	*udp.Socket
	done chan struct{}
}

func newServed(s *udp.Socket) *served { return &served{s, make(chan struct{})} }

// start serves the socket until it is closed.
func (s *served) start(ctx context.Context, host netip.Addr, m core.Machine) {
	go func() {
		defer close(s.done)
		s.Serve(ctx, host, m)
	}()
}

func (s *served) Close() error {
	err := s.Socket.Close()
	<-s.done
	return err
}

func (w *udpWorld) startServer(ctx context.Context, m *mesh) error {
	switch {
	case m.opt.Server != "":
		m.server = remoteServer(netip.MustParseAddrPort(m.opt.Server)) // as validated
		if how := m.server.died(); how != "" {
			return errors.New(how)
		}
	case m.opt.ServerExec != "":
		s, err := startCommand(ctx, m.opt.ServerExec, loopback)
		if err != nil {
			return err
		}
		m.server = s
	default:
		sock, err := udp.Listen(netip.AddrPortFrom(ownHost(m), 0), m.opt.ReadBuffer)
		if err != nil {
			return err
		}
		s := newServed(sock)
		m.ours = newServer(newSeat(record.ServerSlot, s, m.board, m.clock), m.cfg.Timing, m.opt, m.impair, m.seed)
		s.start(w.serve, sock.Addr().Addr(), m.ours)
		if err := m.ours.restart(); err != nil {
			s.Close()
			return err
		}
		m.server = m.ours
	}
	return nil
}

// ownHost is where a mesh lives: on an address of its own where nobody else
// is in it. What others on this machine still send to a port that they have
// given up must not come to a socket that got the port from the kernel.
func ownHost(m *mesh) netip.Addr {
	if m.external > 0 {
		return loopback // where others expect their server
	}
	return fuzztarget.OwnHost()
}

func (w *udpWorld) addPeer(m *mesh, i int) error {
	if i < m.external {
		port, err := m.portBelow(32768) // the original's command line takes no higher one
		if err != nil {
			return err
		}
		line := strings.NewReplacer("{name}", quotedName(record.SlotName(i).String()), "{port}", strconv.Itoa(int(port)),
			"{server}", m.server.addr().String()).Replace(m.opt.PeerExec)
		m.board.Index[port] = uint8(i)
		m.peers, m.socks = append(m.peers, &externalPeer{command: line}), append(m.socks, nil)
		return nil
	}
	u, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(m.host(), 0)))
	if err != nil {
		return fmt.Errorf("cannot open a socket for peer %d of %d: %w", i+1, m.n, err)
	}
	var dup *os.File
	if w.process {
		if dup, err = u.File(); err != nil {
			u.Close()
			return err
		}
	}
	sock, err := udp.Adopt(u, m.opt.ReadBuffer)
	if err != nil {
		return err
	}
	m.board.Index[sock.Addr().Port()] = uint8(i)
	if !w.process {
		s := newServed(sock)
		seat := newSeat(i, s, m.board, m.clock)
		s.start(w.serve, m.host(), seat)
		m.peers, m.socks = append(m.peers, &localPeer{seat: seat}), append(m.socks, s)
		return nil
	}
	m.socks = append(m.socks, sock)
	p := &processPeer{number: i, udp: dup, board: w.board, mine: &m.board.Slots[i], sock: sock, spent: &m.spent}
	m.peers = append(m.peers, p)
	return p.start()
}

// quotedName is a peer's name as a word of a shell's command line.
func quotedName(name string) string {
	if record.PlainName(name) {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

// portBelow finds a port from 20000 up to a limit that is free and that nobody of
// this mesh is about to bind. It does not come from the seed: two benchmarks at
// once would choose the same.
func (m *mesh) portBelow(limit int) (uint16, error) {
	for range 1000 {
		port := uint16(20000 + rand.IntN(limit-20000))
		if m.board.Index[port] == record.Nobody && addrFree(netip.AddrPortFrom(loopback, port)) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port from 20000 to %d", limit-1)
}

// accounts balances the books over everything that peers, and a server of
// ours, sent to peers of ours and to a server of ours. For others it is not
// known what became of it.
func (w *udpWorld) accounts(m *mesh) result.Accounts {
	var a result.Accounts
	known := func(i int) bool { return i >= m.external && i < m.n || i == record.ServerSlot && m.ours != nil }
	// What comes to the server from external peers is not told apart from the rest.
	books := func(i int) bool { return known(i) && (i != record.ServerSlot || m.external == 0) }
	killed := m.kills
	for _, p := range m.peers {
		if p, ok := p.(*processPeer); ok && p.cmd == nil {
			p.drain()
			if p.died != "" {
				killed++
			}
		}
	}
	received := make([]uint64, record.ServerSlot+1)
	for i := range m.board.Slots {
		s := &m.board.Slots[i]
		if !known(i) {
			continue
		}
		for to := range s.To {
			if books(to) {
				received[to] += s.To[to].Load()
			}
		}
		a.Injected += s.Injected.Load()
		a.Duplicated += s.Duplicated.Load()
		a.Dead += s.Vanished.Load()
		a.Unsent += s.Unsent.Load() // what peer processes say of theirs
	}
	for i := range received {
		if !books(i) {
			continue
		}
		s := &m.board.Slots[i]
		taken, refused, dead := s.Taken.Load(), s.Dropped.Load(), s.Dead.Load()
		var sock socket
		if i == record.ServerSlot {
			c := m.ours.counters()
			taken, refused = c.Events.Taken(), c.Events.Dropped()
			sock = m.ours.sock
		} else {
			sock = m.socks[i]
			if !known(record.ServerSlot) { // a foreign server's directories, as far as they came
				received[i] += s.Directories.Datagrams.Load()
			}
			for from := range m.external { // and foreign peers' messages
				received[i] += uint64(m.board.Pairs[from][i].Arrived.Load())
			}
		}
		socket := sock.Stats()
		a.Unsent += socket.SendFailures
		received[i] += m.hostile[i]
		a.Sent += received[i]
		a.Taken += taken
		a.Dropped += refused
		a.Kernel += socket.Drops
		a.Dead += dead
	}
	a.Unexplained = int64(a.Sent+a.Duplicated) - int64(a.Taken+a.Dropped+a.Kernel+a.Unsent+a.Injected+a.Dead+a.Queued)
	// A killed process takes with it what it had just read or was about to
	// send: one batch each way at most.
	const batches = 32 + core.MaxPeers
	if w.process && a.Unexplained > 0 && a.Unexplained <= int64(batches*killed) {
		a.Dead, a.Unexplained = a.Dead+uint64(a.Unexplained), 0
	}
	return a
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
