// Package udp drives one core.Machine over one UDP socket: it takes datagrams in
// and sends them in batches where the system can (Linux), keeps the machine's
// timers, and protects a server under a flood.
package udp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"p2plocal/core"
)

// ReadBuffer is the socket receive buffer that is asked for by default, in
// bytes: some 2,500 small datagrams, where Linux by itself grants 256.
const ReadBuffer = 1 << 20

// An announcement waits until nothing has arrived for gatherQuiet, but at most gatherMost.
const (
	gatherQuiet = 30 * time.Microsecond
	gatherMost  = time.Millisecond
)

// Two deadlines that no machine asks for: one in the past, and that of a socket that has none.
var spent, unset = time.Unix(1, 0), time.Unix(2, 0)

// Socket is a UDP socket and the driver that runs one Machine over it.
type Socket struct {
	conn conn
	addr netip.AddrPort

	mu       sync.Mutex // held while the machine is called
	machine  core.Machine
	now      time.Time // the time that the machine was last given
	deadline time.Time // as set on conn; zero: none
	drained  int       // datagrams since the last poll
	ask      bool      // the machine is to be polled before its deadline

	overload overload
	filtered atomic.Bool // overload.filtered, to be read without mu

	closed bool
	stats  Stats // as last asked for
}

// serving is how many sockets this process serves.
var serving atomic.Int32

// packet is one datagram received.
type packet struct {
	from netip.AddrPort
	data []byte
}

// Listen binds a UDP socket to an address, port 0 for one that the kernel
// chooses, 0.0.0.0 and [::] for all of one family, and asks for a receive buffer of readBuffer
// bytes (0: the kernel's default; Stats tells what came of it).
func Listen(addr netip.AddrPort, readBuffer int) (*Socket, error) {
	if !addr.IsValid() {
		return nil, fmt.Errorf("address %v, want an IPv4 or IPv6 address with a port", addr)
	}
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	network := "udp4"
	if addr.Addr().Is6() {
		network = "udp6"
	}
	u, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, ListenError(addr, err)
	}
	return Adopt(u, readBuffer)
}

// Adopt makes a Socket of one that is bound already, as Listen does. The
// Socket owns u from then on.
func Adopt(u *net.UDPConn, readBuffer int) (*Socket, error) {
	if readBuffer > 0 {
		u.SetReadBuffer(readBuffer) // the kernel may grant less, which Stats says
	}
	s := &Socket{addr: u.LocalAddr().(*net.UDPAddr).AddrPort()}
	if err := s.conn.open(u, s); err != nil {
		return nil, fmt.Errorf("cannot use the socket %v: %w", s.addr, err)
	}
	return s, nil
}

// Addr is the address that the socket is bound to.
func (s *Socket) Addr() netip.AddrPort { return s.addr }

// Stats is what a Socket knows of itself.
type Stats struct {
	ReceiveBuffer int    // bytes, as asked for and granted; 0: the system does not tell
	SendFailures  uint64 // datagrams that the kernel refused to send
	Drops         uint64 // datagrams that the kernel has dropped since the socket was made: no buffer space, or filtered
	DropsKnown    bool   // false: the system does not tell
}

// Stats is the socket's so far, or at the time it was closed.
func (s *Socket) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.stats.ReceiveBuffer = s.conn.granted()
		s.stats.Drops, s.stats.DropsKnown = s.conn.drops()
	}
	return s.stats
}

// Filtered reports that the kernel drops what the server has no use for, as it does under a flood.
func (s *Socket) Filtered() bool { return s.filtered.Load() }

// Waiting is how many bytes of the receive buffer are in use, and how many datagrams the kernel
// has dropped, where the system tells. It takes no lock, and so delays nobody.
func (s *Socket) Waiting() (bytes int64, drops uint64, ok bool) { return s.conn.waiting() }

// Close frees the port; Serve then returns.
func (s *Socket) Close() error {
	s.Stats() // the last chance to ask
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	// Without the lock: closing waits for a read under way, which may want it.
	return s.conn.close()
}

// Discard empties the receive queue and returns how many datagrams it held. It must not run
// beside Serve.
func (s *Socket) Discard() (n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn.discard()
}

// Do runs f on the served machine between two of its steps, with the current time, and then
// polls the machine. It also works before and after Serve. An observer must not call it.
func (s *Socket) Do(f func(now time.Time)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = time.Now()
	f(s.now)
	if s.machine != nil && !s.closed {
		s.now, s.ask = time.Now(), true
		s.send()
	}
}

// Hold suspends Serve until release, while the kernel goes on queueing datagrams as it does for
// a stopped process. release returns when the machine has been polled.
func Hold(s interface{ Do(func(now time.Time)) }) (release func()) {
	released, over, held := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		s.Do(func(time.Time) {
			close(held)
			<-released
		})
	}()
	<-held
	return func() {
		close(released)
		<-over
	}
}

// Send sends a datagram of the caller's own, beside those of the machine, and says
// whether the kernel took it. An observer must not call it.
func (s *Socket) Send(datagram []byte, to netip.AddrPort) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.closed && s.conn.write(datagram, []netip.AddrPort{to}) == 0
}

// Serve runs m until ctx is done or the socket
// is closed, and leaves the socket closed. It returns nil then, and otherwise
// what the socket failed with.
func (s *Socket) Serve(ctx context.Context, m core.Machine) error {
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	defer s.Close()
	serving.Add(1)
	defer serving.Add(-1)
	growStack()
	if _, ok := m.(lossAware); ok { // a server, to which all come
		expectMany()
	}
	s.mu.Lock()
	s.machine, s.now = m, time.Now()
	if !s.closed {
		s.send()
	}
	s.mu.Unlock()
	err := s.conn.serve()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	return fmt.Errorf("socket %v: %w", s.addr, err)
}

// round ends one read, which may have failed. It returns an error if there is to be no other
// read. The caller holds mu.
func (s *Socket) round(err error) error {
	switch expired := errors.Is(err, os.ErrDeadlineExceeded); {
	case s.closed:
		return net.ErrClosed
	case expired || !s.deadline.IsZero() && !s.now.Before(s.deadline):
		s.catchUp()
	case err != nil:
		return err
	default:
		s.gather()
		if s.drained >= bigBatch {
			s.lookForDrops()
		}
	}
	if s.closed { // while gather had no lock
		return net.ErrClosed
	}
	s.send()
	return nil
}

// ring does what is due at a deadline, beside a read under way.
func (s *Socket) ring() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ringLocked()
}

// tryRing is ring, but reports false where it would have to wait.
func (s *Socket) tryRing() bool {
	if !s.mu.TryLock() {
		return false
	}
	defer s.mu.Unlock()
	s.ringLocked()
	return true
}

func (s *Socket) ringLocked() {
	if !s.closed {
		s.catchUp()
		s.send()
	}
}

// catchUp reads what has arrived before it sends what is due, for machines to which silence means
// something. A peer's timers depend on nothing that it hears, and the read would cost as much as they do.
func (s *Socket) catchUp() {
	s.deadline = unset // so that the next one is set whatever it is
	if _, ok := s.machine.(lossAware); ok {
		s.conn.drain()
		s.lookForDrops()
	}
	s.now = time.Now()
}

// growStack grows a goroutine's stack before its first datagram: where many sockets are served,
// they all get their first at the same time.
//
//go:noinline
func growStack() {
	var frame [2048]byte
	runtime.KeepAlive(&frame)
}

// An announcer is a machine for which one answer to several datagrams is better than one each.
// core.Directory is one.
type announcer interface{ Announces(now time.Time) bool }

// gather reads on while more births may be about to come in, since they come together but not at
// one instant. A birth that comes alone waits gatherQuiet.
func (s *Socket) gather() {
	a, ok := s.machine.(announcer)
	if !ok || drainWaits {
		return
	}
	for begin, last, seen := s.now, s.now, s.drained; !s.closed && seen < core.MostTaken && a.Announces(s.now); s.now = time.Now() {
		if s.drained != seen {
			seen, last = s.drained, s.now
		} else if s.now.Sub(last) >= gatherQuiet {
			return
		}
		if s.now.Sub(begin) >= gatherMost {
			return
		}
		s.mu.Unlock()
		runtime.Gosched() // the peers may be in this process
		s.mu.Lock()
		s.conn.drain()
	}
}

// send sends all that is due and sets the alarm for what comes next. The caller holds mu.
func (s *Socket) send() {
	s.drained = 0
	if !s.ask && s.now.Before(s.deadline) {
		return
	}
	s.ask = false
	next := spent // there is more: come again at once
	for sent := 0; sent < core.MostSent; {
		out, then := s.machine.Poll(s.now)
		if out.Empty() {
			next = then
			if o := &s.overload; o.filtered && (next.IsZero() || o.look.Before(next)) {
				next = o.look
			}
			break
		}
		sent += len(out.To)
		s.stats.SendFailures += uint64(s.conn.write(out.Datagram, out.To))
		s.now = time.Now()
	}
	if !next.Equal(s.deadline) && !s.closed {
		s.deadline = next
		s.conn.setDeadline(next)
	}
}

// take steps the machine with what one read brought, and reports whether it
// would take more before it is polled. The caller holds mu.
func (s *Socket) take(batch []packet) bool {
	s.now = time.Now()
	for i := range batch {
		if s.machine.Step(s.now, batch[i].from, batch[i].data) {
			s.ask = true
		}
	}
	s.drained += len(batch)
	return s.drained < core.MostTaken
}
