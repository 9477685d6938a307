package fuzz

import (
	"errors"
	"net"
	"net/netip"
	"syscall"

	"p2plocal/core"
	"p2plocal/fuzz/target"
)

// gun sends to the target as one of the origins. A Sender is one.
type gun interface {
	Send(*Load)
	Counts() Counts
	Close() error
}

// loan sends from a socket that somebody else reads and closes.
type loan struct {
	conn *net.UDPConn
	to   netip.AddrPort
	n    Counts
}

func (l *loan) Counts() Counts { return l.n }
func (l *loan) Close() error   { return nil }

// Send sends each datagram of a load once.
func (l *loan) Send(load *Load) {
	for _, m := range load.messages {
		switch _, err := l.conn.WriteToUDPAddrPort(m.data, l.to); {
		case err == nil:
			l.n.Sent++
			l.n.Bytes += uint64(len(m.data))
		case errors.Is(err, syscall.ECONNREFUSED):
			l.n.Refused++
		default:
			l.n.Failed++
		}
	}
}

// guns are all that the campaign sends from, by origin; nil: it cannot.
type guns [FromDouble + 1]gun

func (g *guns) counts() (sum Counts) {
	for _, one := range g {
		if one != nil {
			sum = sum.plus(one.Counts())
		}
	}
	return sum
}

func (c Counts) plus(d Counts) Counts {
	return Counts{c.Sent + d.Sent, c.Bytes + d.Bytes, c.Failed + d.Failed, c.Refused + d.Refused}
}

func (g *guns) close() {
	for _, one := range g {
		if one != nil {
			one.Close()
		}
	}
}

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
	sender  *Sender      // the stranger's gun: its source
	ports   map[uint16]bool
	strayed uint64
}

// bystand opens the socket on port.
func bystand(attacked netip.AddrPort, port uint16, sender *Sender) (*bystanders, error) {
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
	for _, u := range []*net.UDPConn{b.socket, b.sender.udp} {
		drain(u, func(from netip.AddrPort, err error) {
			switch {
			case errors.Is(err, syscall.ECONNREFUSED):
				b.sender.refused.Add(1)
			case err == nil && from == b.target:
				b.strayed++
			}
		})
	}
	return b.strayed
}

func (b *bystanders) close() { b.socket.Close() }

// invited says that a sound target may answer a datagram by sending to a
// bystander: by chance it is a birth there, or a directory that names it.
func (b *bystanders) invited(d []byte, held func(core.Name) bool) bool {
	m, err := core.Parse(d)
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
