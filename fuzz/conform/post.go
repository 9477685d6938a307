package conform

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"p2plocal/core"
	"p2plocal/core/udp"
)

var (
	loopback  = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	elsewhere = netip.AddrFrom4([4]byte{127, 0, 0, 2}) // another host as far as addresses tell
)

// clock is the time as the kernel's stamps tell it.
func clock() time.Time { return time.Now().Round(0) }

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

	marked, passed uint64 // of its marks the last sent and the last read; the lab's lock guards them
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
