package conform

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"p2plocal/core"
)

var (
	loopback  = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	elsewhere = netip.AddrFrom4([4]byte{127, 0, 0, 2}) // another host as far as addresses tell
)

// clock is the time as the kernel's stamps tell it.
func clock() time.Time { return time.Now().Round(0) }

// The ports of cases and targets: below 32768, because there are implementations
// that know no higher ones, none of the catalogue's own, and each in its turn, so
// that none comes up again while a server may still remember it.
const (
	firstPort = 10000
	portCount = 10000
)

var nextPort atomic.Uint32

func init() { nextPort.Store(uint32(os.Getpid()) * 61) }

func takePort() uint16 { return firstPort + uint16(nextPort.Add(1)%portCount) }

// bind makes a socket on a host, on a port of ours if port is 0.
func bind(host netip.Addr, port uint16) (*net.UDPConn, error) {
	for range portCount {
		at := port
		if at == 0 {
			at = takePort()
		}
		u, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(host, at)))
		if err == nil {
			return u, nil
		}
		if port != 0 || !errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("cannot listen on %v: %w", netip.AddrPortFrom(host, at), err)
		}
	}
	return nil, fmt.Errorf("no port of %d to %d is free", firstPort, firstPort+portCount-1)
}

// freePort is one that somebody else is to bind.
func freePort(host netip.Addr) (uint16, error) {
	u, err := bind(host, 0)
	if err != nil {
		return 0, err
	}
	defer u.Close()
	return portOf(u), nil
}

func portOf(u *net.UDPConn) uint16 { return u.LocalAddr().(*net.UDPAddr).AddrPort().Port() }

// post is one socket of a case's: a peer, the server of a peer under test, or
// somebody whom nobody knows.
type post struct {
	lab   *lab
	label string
	udp   *net.UDPConn
	entry core.Entry // a peer's
	addr  netip.AddrPort
	lent  bool // the socket is somebody else's
}

// listen hands what comes to take until the socket is closed.
func listen(u *net.UDPConn, take func(at time.Time, from netip.AddrPort, datagram []byte)) {
	askStamps(u)
	u.SetReadBuffer(core.ReadBuffer)
	b, oob := make([]byte, 1<<16), make([]byte, stampSpace)
	for {
		n, k, _, from, err := u.ReadMsgUDPAddrPort(b, oob)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err == nil:
			take(stamp(oob[:k]), from, append([]byte{}, b[:n]...))
		}
	}
}

// send sends and gives the time just before.
func (p *post) send(to netip.AddrPort, datagram []byte) time.Time {
	at := clock()
	p.lab.note(event{at: at, post: p, out: true, other: to, datagram: datagram})
	p.udp.WriteToUDPAddrPort(datagram, to)
	return at
}

// tell sends to the server.
func (p *post) tell(datagram []byte) time.Time { return p.send(p.lab.server, datagram) }

func (p *post) birth() time.Time { return p.tell(birthOf(p.entry)) }
func (p *post) alive() time.Time { return p.tell(keepAliveOf(p.entry.Name)) }

func (p *post) String() string { return p.label }

func birthOf(e core.Entry) []byte { return core.Message{Type: core.TypeBirth, Entry: e}.Append(nil) }

func keepAliveOf(n core.Name) []byte {
	return core.Message{Type: core.TypeKeepAlive, Entry: core.Entry{Name: n}}.Append(nil)
}

func directoryOf(entries ...core.Entry) []byte {
	var e core.Entries
	for _, x := range entries {
		e = e.Append(x)
	}
	return core.Message{Type: core.TypeDirectory, Entries: e}.Append(nil)
}

func vanillaOf(text string) []byte {
	return core.Message{Type: core.TypeVanilla, Payload: []byte(text)}.Append(nil)
}
