package target

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"p2plocal/core/udp"
)

// Host is where targets run, and where those that test them have their sockets: this
// machine, or one that a test makes up, in virtual time (package virtual).
type Host interface {
	// Listen binds a socket. Port 0 stands for one that nobody has had for long.
	Listen(at netip.AddrPort) (Socket, error)
	// Reserve finds a port for a target to bind. Nobody else is given it until release.
	Reserve(host netip.Addr) (port uint16, release func(), err error)
	// Bound reports that some socket takes what is sent to an address.
	Bound(at netip.AddrPort) bool
	// Backlog is how many bytes wait for that socket, and how many datagrams were lost there.
	Backlog(at netip.AddrPort) (waiting, dropped uint64, known bool)
	// Start starts a command. Whoever starts it must Kill it.
	Start(c Command) (Program, error)
	// Late is how late the host was at worst since a time.
	Late(since time.Time) time.Duration
}

// Socket is one of a Host's. What cannot be sent is lost, as on any network.
type Socket interface {
	Addr() netip.AddrPort
	Send(to netip.AddrPort, datagram []byte)
	// Receive waits for a datagram; at is when the host got it, however late this
	// process reads it. The only error is net.ErrClosed.
	Receive() (at time.Time, from netip.AddrPort, datagram []byte, err error)
	Close() error
}

// Read hands what comes to a socket to take until it is closed.
func Read(s Socket, take func(at time.Time, from netip.AddrPort, datagram []byte)) {
	for {
		at, from, datagram, err := s.Receive()
		if err != nil {
			return
		}
		take(at, from, datagram)
	}
}

// Mark has a socket send itself a number: once it is Marked, all has been read that had come before.
func Mark(s Socket, n uint64) { s.Send(s.Addr(), binary.LittleEndian.AppendUint64(nil, n)) }

// Marked is the number of a mark; false: a datagram is none.
func Marked(s Socket, from netip.AddrPort, datagram []byte) (n uint64, ok bool) {
	if from != s.Addr() || len(datagram) != 8 {
		return 0, false
	}
	return binary.LittleEndian.Uint64(datagram), true
}

// Program is a command that a Host runs.
type Program interface {
	Done() <-chan struct{}                 // closed when it has ended
	Ended() string                         // how, with the end of its output; "" while it runs
	Waited() (d time.Duration, runs int64) // for a processor, or to go on where others have stopped it; and how often it got one
	Signal(s syscall.Signal) error         // to it and to all that it has started
	Kill()                                 // ends it, and all that it has started
}

// Local is this machine. Its Monitor may be nil if nobody asks how late it is.
type Local struct{ *Monitor }

func (Local) Reserve(host netip.Addr) (uint16, func(), error)  { return FreePort(host) }
func (Local) Bound(at netip.AddrPort) bool                     { return Bound(at) }
func (Local) Backlog(at netip.AddrPort) (uint64, uint64, bool) { return Backlog(at) }

func (Local) Start(c Command) (Program, error) {
	p, err := Start(c)
	if err != nil {
		return nil, err // no Program that holds a nil
	}
	return p, nil
}

func (Local) Listen(at netip.AddrPort) (Socket, error) {
	listen := Listen
	if at.Port() == 0 {
		listen = func(at netip.AddrPort) (*net.UDPConn, error) { return listenFree(at.Addr()) }
	}
	u, err := listen(at)
	if err != nil {
		return nil, err
	}
	askStamps(u)
	u.SetReadBuffer(udp.ReadBuffer)
	addr := u.LocalAddr().(*net.UDPAddr).AddrPort()
	return &udpSocket{UDPConn: u, addr: addr, buffer: make([]byte, 1<<16), control: make([]byte, stampSpace)}, nil
}

// udpSocket is a Socket of this machine's.
type udpSocket struct {
	*net.UDPConn
	addr            netip.AddrPort
	buffer, control []byte
}

func (s *udpSocket) Addr() netip.AddrPort { return s.addr }

func (s *udpSocket) Send(to netip.AddrPort, datagram []byte) {
	s.WriteToUDPAddrPort(datagram, to)
}

func (s *udpSocket) Receive() (time.Time, netip.AddrPort, []byte, error) {
	for {
		n, k, _, from, err := s.ReadMsgUDPAddrPort(s.buffer, s.control)
		switch {
		case errors.Is(err, net.ErrClosed):
			return time.Time{}, from, nil, net.ErrClosed
		case err == nil: // any other is about something that was sent before
			return stamp(s.control[:k]), from, append([]byte{}, s.buffer[:n]...), nil
		}
	}
}
