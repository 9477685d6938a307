package clock

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
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

// A machine that is busy answers late, and not only now and then: the answer counts whenever it comes.
const (
	patience = 100 * time.Millisecond // until the next one is sent
	kept     = 64                     // of which an answer still counts
	tries    = 100                    // none of which was ever answered: nobody is there
)

// Follow makes exchanges with the server at an address, one after every pause, and tells each, until
// ctx is done.
func Follow(ctx context.Context, from netip.Addr, to netip.AddrPort, pause func() time.Duration, each func(Exchange)) error {
	return follow(ctx, from, to, tries, pause, each)
}

func follow(ctx context.Context, from netip.Addr, to netip.AddrPort, tries uint64, pause func() time.Duration, each func(Exchange)) error {
	s, err := listen(from)
	if err != nil {
		return err
	}
	defer s.Close()
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	var b [size]byte
	var recent [kept]Exchange // by number, as far as they have come
	var answered, told uint64 // the last that was
	var unsent error
	for number := uint64(1); ctx.Err() == nil; number++ {
		clear(b[:])
		binary.BigEndian.PutUint64(b[:], number)
		x := &recent[number%kept]
		*x = Exchange{}
		wait := pause
		if x.Sent, err = s.send(b[:], to); err == nil {
			s.SetReadDeadline(time.Now().Add(patience))
		} else {
			unsent, wait = err, func() time.Duration { return patience }
		}
		for err == nil && answered != number {
			var n int
			var at int64
			var sender netip.AddrPort
			if n, at, sender, err = s.receive(b[:]); err != nil {
				break
			}
			of, before := binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[16:])
			if n != size || sender.Port() != to.Port() || sender.Addr().Unmap() != to.Addr().Unmap() || of <= answered || of > number || number-of >= kept {
				continue
			}
			answered = of
			x := &recent[of%kept]
			x.There, x.Received = int64(binary.BigEndian.Uint64(b[8:])), at
			if last := &recent[before%kept]; before > told && before < of && number-before < kept && last.Received != 0 {
				told = before
				last.Back = int64(binary.BigEndian.Uint64(b[24:]))
				if _, within := last.ahead(); within >= 0 { // else a clock was set meanwhile
					each(*last)
				}
			}
		}
		switch {
		case answered > 0 || number < tries:
		case unsent != nil:
			return unsent
		default:
			return fmt.Errorf("it has answered none of %d datagrams", number)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait()):
		}
	}
	return ctx.Err()
}
