package conform

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"p2plocal/core/udp"
	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
)

var (
	loopback  = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	elsewhere = netip.AddrFrom4([4]byte{127, 0, 0, 2}) // another host as far as addresses tell
)

// clock is the time as the kernel's stamps tell it.
func clock() time.Time { return time.Now().Round(0) }

func portOf(u *net.UDPConn) uint16 { return u.LocalAddr().(*net.UDPAddr).AddrPort().Port() }

// endpoint is one socket of a case's: a peer, the server of a peer under test, or
// a stranger.
type endpoint struct {
	trial    *trial
	label    string
	udp      *net.UDPConn
	entry    wire.Entry // a peer's
	addr     netip.AddrPort
	borrowed bool // the socket is somebody else's

	marked, passed uint64 // of its marks the last sent and the last read; the trial's lock guards them
}

// listen hands what comes to take until the socket is closed.
func listen(u *net.UDPConn, take func(at time.Time, from netip.AddrPort, datagram []byte)) {
	askStamps(u)
	u.SetReadBuffer(udp.ReadBuffer)
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
func (p *endpoint) send(to netip.AddrPort, datagram []byte) time.Time {
	at := clock()
	p.trial.note(event{at: at, endpoint: p, out: true, other: to, datagram: datagram})
	p.udp.WriteToUDPAddrPort(datagram, to)
	return at
}

// toServer sends to the server.
func (p *endpoint) toServer(datagram []byte) time.Time { return p.send(p.trial.server, datagram) }

func (p *endpoint) birth() time.Time { return p.toServer(hostile.BirthOf(p.entry)) }
func (p *endpoint) alive() time.Time { return p.toServer(hostile.KeepAliveOf(p.entry)) }

// claimOf is a birth with the name of another and this endpoint's port: they conflict.
func (p *endpoint) claimOf(of *endpoint) []byte {
	return hostile.BirthOf(wire.Entry{Name: of.entry.Name, Port: p.addr.Port()})
}

func (p *endpoint) String() string { return p.label }
