package campaign

import (
	"net"
	"net/netip"

	"p2plocal/core"
	"p2plocal/core/wire"
	"p2plocal/fuzz/send"
	"p2plocal/fuzz/target"
)

// onAnother is the same port of another loopback address.
func onAnother(a netip.AddrPort) netip.AddrPort {
	b := a.Addr().As4()
	b[3] ^= 2
	return netip.AddrPortFrom(netip.AddrFrom4(b), a.Port())
}

// bystanders are sockets that nobody tells of in good faith: whatever the
// target sends there is astray. They are read when it is asked for, so that all
// that has come by then counts.
type bystanders struct {
	target  netip.AddrPort
	socket  *net.UDPConn // its port stands in forged directories and refused births
	sender  *send.Sender // the stranger's source
	ports   map[uint16]bool
	strayed uint64
}

// newBystanders opens the socket on port.
func newBystanders(attacked netip.AddrPort, port uint16, sender *send.Sender) (*bystanders, error) {
	u, err := target.ListenAgain(netip.AddrPortFrom(attacked.Addr(), port))
	if err != nil {
		return nil, err
	}
	b := &bystanders{target: attacked, socket: u, sender: sender, ports: map[uint16]bool{}}
	b.ports[b.port()], b.ports[sender.Addr().Port()] = true, true
	return b, nil
}

func (b *bystanders) port() uint16 { return b.socket.LocalAddr().(*net.UDPAddr).AddrPort().Port() }

// strays is how many datagrams have come from the target so far.
func (b *bystanders) strays() uint64 {
	count := func(from netip.AddrPort) {
		if from == b.target {
			b.strayed++
		}
	}
	send.Drain(b.socket, func(from netip.AddrPort, _ error) { count(from) })
	b.sender.Drain(count)
	return b.strayed
}

func (b *bystanders) close() { b.socket.Close() }

// mayDraw says that a sound target may answer a datagram by sending to a
// bystander: by chance it is a birth there, or a directory that names it.
func (b *bystanders) mayDraw(d []byte, held func(wire.Name) bool) bool {
	m, err := wire.Parse(d)
	if err != nil {
		return false
	}
	if m.Type == core.TypeBirth {
		return b.ports[m.Entry.Port] && !held(m.Entry.Name)
	}
	for i := range m.Entries.Len() {
		if b.ports[m.Entries.At(i).Port] {
			return true
		}
	}
	return false
}
