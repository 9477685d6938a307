package clock

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"time"

	"p2plocal/bench/record"
	"p2plocal/core/udp"
)

// A datagram is as long as its answer, so that nobody can have more sent to somebody else than he
// sends himself: the number of the exchange; then, in an answer, when that was received, the number
// of the one before from the same address, and when its answer was sent, which the kernel
// told only then.
const size = 32

// sock stamps what it sends and receives.
type sock struct {
	*net.UDPConn
	clock record.Clock
}

func listen(at netip.Addr) (*sock, error) {
	u, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, 0)))
	if err != nil {
		return nil, udp.ListenError(netip.AddrPortFrom(at, 0), err)
	}
	stamp(u)
	return &sock{u, record.NewClock()}, nil
}

// send sends, and says when: as the kernel says, or else before it was asked to.
func (s *sock) send(b []byte, to netip.AddrPort) (at int64, err error) {
	at = s.clock.Now()
	if _, err = s.WriteToUDPAddrPort(b, to); err == nil {
		if ns, ok := sentAt(s.UDPConn); ok && ns > at {
			at = ns
		}
	}
	return at, err
}

// receive receives one, and says when likewise.
func (s *sock) receive(b []byte) (n int, at int64, from netip.AddrPort, err error) {
	var control [128]byte
	n, c, _, from, err := s.ReadMsgUDPAddrPort(b, control[:])
	at = s.clock.Now()
	if ns, ok := receivedAt(control[:c]); err == nil && ok && ns < at {
		at = ns
	}
	return n, at, from, err
}

// Server answers exchanges until it is closed.
type Server struct{ s *sock }

// Serve answers at an address of this host's.
func Serve(at netip.Addr) (*Server, error) {
	s, err := listen(at)
	if err != nil {
		return nil, err
	}
	go func() {
		const most = 1024 // addresses that are remembered
		sent := map[netip.AddrPort][2]uint64{}
		for b := make([]byte, size); ; {
			n, at, from, err := s.receive(b)
			if err != nil {
				if errors.Is(err, net.ErrClosed) {
					return
				}
				continue // such as who is not there
			}
			if n != size {
				continue
			}
			last := sent[from]
			binary.BigEndian.PutUint64(b[8:], uint64(at))
			binary.BigEndian.PutUint64(b[16:], last[0])
			binary.BigEndian.PutUint64(b[24:], last[1])
			if back, err := s.send(b, from); err == nil {
				if len(sent) >= most {
					clear(sent)
				}
				sent[from] = [2]uint64{binary.BigEndian.Uint64(b), uint64(back)}
			}
		}
	}()
	return &Server{s}, nil
}

func (s *Server) Addr() netip.AddrPort { return s.s.LocalAddr().(*net.UDPAddr).AddrPort() }
func (s *Server) Close() error         { return s.s.Close() }

// Follow makes exchanges with the server at an address, one after every pause, and tells each, until
// ctx is done.
func Follow(ctx context.Context, from netip.Addr, to netip.AddrPort, pause func() time.Duration, each func(Exchange)) error {
	s, err := listen(from)
	if err != nil {
		return err
	}
	defer s.Close()
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	const patience = 100 * time.Millisecond
	var b [size]byte
	var before Exchange // the last one, of which only the time of the answer is not known
	for number := uint64(1); ctx.Err() == nil; number++ {
		clear(b[:])
		binary.BigEndian.PutUint64(b[:], number)
		x := Exchange{}
		if x.Sent, err = s.send(b[:], to); err == nil {
			s.SetReadDeadline(time.Now().Add(patience))
			for {
				n, at, sender, e := s.receive(b[:])
				if err = e; err != nil {
					break
				}
				if n == size && sender.Port() == to.Port() && sender.Addr().Unmap() == to.Addr().Unmap() && binary.BigEndian.Uint64(b[:]) == number {
					x.There, x.Received = int64(binary.BigEndian.Uint64(b[8:])), at
					break
				}
			}
		}
		if binary.BigEndian.Uint64(b[16:]) == number-1 && before.Received != 0 && err == nil {
			before.Back = int64(binary.BigEndian.Uint64(b[24:]))
			if _, within := before.ahead(); within >= 0 { // else a clock was set meanwhile
				each(before)
			}
		}
		before = x
		if err != nil {
			before = Exchange{}
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause()):
		}
	}
	return ctx.Err()
}
