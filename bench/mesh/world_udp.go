package mesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"p2plocal/bench/faults"
	"p2plocal/bench/machine"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/core"
	"p2plocal/core/simnet"
	"p2plocal/core/udp"
	"p2plocal/fuzz/target"
)

// udpWorld is this machine: sockets on loopback, peers that are goroutines or processes, and real
// time.
type udpWorld struct {
	time    record.Clock
	serve   context.Context // ends all serving
	cancel  context.CancelFunc
	process bool     // our peers are processes
	store   *os.File // for them
}

func (w *udpWorld) Clock() record.Clock { return w.time }
func (w *udpWorld) Stop()               { w.cancel() }

func (w *udpWorld) Sleep(ctx context.Context, d time.Duration) bool { return Sleep(ctx, d) }

func (w *udpWorld) Step(ctx context.Context, _ int64) bool { return Sleep(ctx, time.Millisecond) }

func (w *udpWorld) Attack(a Attack) (attacker, error) {
	return startSender(a, w.store)
}

func (w *udpWorld) startServer(ctx context.Context, m *Mesh) error {
	switch {
	case m.opt.Server != "":
		m.Server = RemoteServer(netip.MustParseAddrPort(m.opt.Server)) // as validated
		if how := m.Server.Died(); how != "" {
			return errors.New(how)
		}
	case m.opt.ServerExec != "":
		at, release, err := target.ServerAddr(target.Local{}, m.opt.ServerExec, machine.Loopback)
		if err != nil {
			return err
		}
		s := &commandServer{command: target.Command{Line: m.opt.ServerExec, Listen: at}, release: release}
		if err := s.start(ctx); err != nil {
			release()
			return err
		}
		m.Server = s
	default:
		// An address of its own, where nobody else is in the mesh: other programs may still send to
		// a port that they have given up, and the kernel may give us just that port.
		at := netip.AddrPortFrom(target.OwnHost(), 0)
		if m.External > 0 {
			at = netip.AddrPortFrom(machine.Loopback, 0) // where others expect their server
		}
		if m.External > 0 && !target.HasServer(m.opt.PeerExec) {
			at = netip.AddrPortFrom(machine.Loopback, target.StandardPort)
		}
		sock, err := udp.Listen(at, m.opt.ReadBuffer)
		if err != nil && at.Port() != 0 {
			return fmt.Errorf("%q has no {server} or {server-port}, so that our server listens on port %d for it: %w", m.opt.PeerExec, at.Port(), err)
		} else if err != nil {
			return err
		}
		s := newServed(sock)
		m.Ours = newServer(NewMember(record.ServerSlot, s, m.Store, m.Clock), m.Cfg.Timing, m.opt, m.Impair, m.seed)
		s.start(w.serve, m.Ours)
		if err := m.Ours.Restart(); err != nil {
			s.Close()
			return err
		}
		m.Server = m.Ours
	}
	return nil
}

func (w *udpWorld) addPeer(m *Mesh, i int) error {
	if i < m.External {
		port, release, err := target.FreePort(m.host())
		if err != nil {
			return err
		}
		m.Store.Index[port] = uint16(i)
		p := &ExternalPeer{release: release, command: target.Command{Line: m.opt.PeerExec, Name: string(record.SlotName(i)),
			Server: m.Server.Addr(), Listen: netip.AddrPortFrom(m.host(), port)}}
		m.Peers = append(m.Peers, p)
		return nil
	}
	at := netip.AddrPortFrom(m.host(), 0)
	u, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return fmt.Errorf("cannot open a socket for peer %d of %d: %w", i+1, m.N, udp.ListenError(at, err))
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
	m.Store.Index[sock.Addr().Port()] = uint16(i)
	if !w.process {
		s := newServed(sock)
		member := NewMember(i, s, m.Store, m.Clock)
		s.start(w.serve, member)
		m.Peers = append(m.Peers, member)
		return nil
	}
	p := &ProcessPeer{number: i, peers: m.N, udp: dup, store: w.store, mine: &m.Store.Slots[i], sock: sock, spent: &m.Spent}
	m.Peers = append(m.Peers, p)
	return p.start()
}

// network is what a fault does to links: each machine of ours applies it to what it sends.
func (w *udpWorld) network(m *Mesh, f faults.Fault) (action, error) {
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
		return action{}, errors.New("the links of others cannot be cut from here")
	case f.Verb == faults.Divide:
		var half record.Set
		for i := int(f.A) - firstPort; i < m.N; i++ {
			half.Add(i)
		}
		return action{
			begin: func() error {
				m.Store.Divide(half)
				m.Store.Impairing.Store(true)
				return nil
			},
			end: func() error {
				m.Store.Unite()
				return nil
			},
		}, nil
	case m.N > record.PairedPeers && (f.Verb == faults.Cut || f.Verb == faults.Link):
		return action{}, fmt.Errorf("links are cut one by one among up to %d peers only", record.PairedPeers)
	case f.Verb == faults.Cut:
		return action{set(record.NewLink(1, 0)), set(0)}, nil
	case f.Verb == faults.Link && plain == simnet.Fault{}:
		return action{set(record.NewLink(f.Net.Loss, f.Net.Delay)), set(0)}, nil
	case f.Verb == faults.Link:
		return action{}, errors.New("over UDP a link takes loss= and delay= only")
	}
	return action{}, fmt.Errorf("%s is for -sim: it cannot be done over UDP", f.Verb)
}

// isPort reports whether a script means a slot by a port; the slot after the last is the server's.
func (m *Mesh) isPort(slot int, port uint16) bool {
	return port == 0 || slot == m.N && port == simnet.ServerPort || slot < m.N && firstPort+slot == int(port)
}

// plan has it done between two steps of the world.
func (w *udpWorld) plan(m *Mesh, at time.Duration, do func() error) {
	m.planned = append(m.planned, planned{m.began + int64(at), do})
	slices.SortStableFunc(m.planned, func(a, b planned) int { return cmp.Compare(a.at, b.at) })
}

// Accounts is what became of everything that peers, and a server of ours, sent to peers of ours and
// to a server of ours. What became of the rest is not known.
func (w *udpWorld) Accounts(m *Mesh) result.Accounts {
	var a result.Accounts
	known := func(i int) bool { return i >= m.External && i < m.N || i == record.ServerSlot && m.Ours != nil }
	// What comes to the server from external peers is not told apart from the rest.
	counted := func(i int) bool { return known(i) && (i != record.ServerSlot || m.External == 0) }
	killed := m.kills
	for _, p := range m.Peers {
		if p, ok := p.(*ProcessPeer); ok && p.Cmd == nil {
			p.drain()
			if p.Died != "" {
				killed++
			}
		}
	}
	for i, s := range m.Store.Used() {
		if !known(i) {
			continue
		}
		a.Injected += s.Injected.Load()
		a.Duplicated += s.Duplicated.Load()
		a.Dead += s.Vanished.Load()
		a.Queued += s.Held.Load()
		a.Unsent += s.Unsent.Load() // what peer processes say of theirs
	}
	for i, s := range m.Store.Used() {
		if !counted(i) {
			continue
		}
		sent := m.Store.Addressed(i).Load() + m.Hostile[i]
		taken, refused, dead := s.Taken.Load(), s.Dropped.Load(), s.Dead.Load()
		var sock socket
		if i == record.ServerSlot {
			c := m.Ours.Counters()
			taken, refused = c.Events.Taken(), c.Events.Dropped()
			sock = m.Ours.sock
		} else {
			sock = m.Peers[i].Socket()
			if !known(record.ServerSlot) { // a foreign server's directories, as far as they came
				sent += s.Directories.Datagrams.Load()
			}
			for from := range m.External { // and foreign peers' messages
				sent += uint64(m.Store.Pair(from, i).Arrived.Load())
			}
		}
		socket := sock.Stats()
		a.Unsent += socket.SendFailures
		a.Sent += sent
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
