package send

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// Borrowed sends from a socket that somebody else reads and closes.
type Borrowed struct {
	conn   *net.UDPConn
	to     netip.AddrPort
	counts Counts
}

// Borrow makes a Borrowed that sends to an address.
func Borrow(conn *net.UDPConn, to netip.AddrPort) *Borrowed { return &Borrowed{conn: conn, to: to} }

// Counts is what has been done so far.
func (b *Borrowed) Counts() Counts { return b.counts }

// Close leaves the socket open: it is somebody else's.
func (b *Borrowed) Close() error { return nil }

// Send sends each datagram of a load once.
func (b *Borrowed) Send(load *Load) {
	for _, m := range load.messages {
		switch _, err := b.conn.WriteToUDPAddrPort(m.data, b.to); {
		case err == nil:
			b.counts.Sent++
			b.counts.Bytes += uint64(len(m.data))
		case errors.Is(err, syscall.ECONNREFUSED):
			b.counts.Refused++
		default:
			b.counts.Failed++
		}
	}
}
