//go:build !linux

package core

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"time"
)

// conn is the portable socket: one system call a datagram.
type conn struct {
	udp     *net.UDPConn
	take    func([]packet) bool
	host    netip.Addr
	space   []byte
	packets [1]packet
}

func (c *conn) open(u *net.UDPConn, take func([]packet) bool) error {
	c.udp, c.take, c.space = u, take, make([]byte, MaxDatagram+1)
	return nil
}

func (c *conn) close() error            { return c.udp.Close() }
func (c *conn) setDeadline(t time.Time) { c.udp.SetReadDeadline(t) }
func (c *conn) setHost(host netip.Addr) { c.host = host }
func (c *conn) granted() int            { return 0 }
func (c *conn) drops() (uint64, bool)   { return 0, false }

func (c *conn) discard() (n uint64) {
	for {
		c.udp.SetReadDeadline(time.Now().Add(time.Millisecond)) // one in the past would read nothing
		if _, _, err := c.udp.ReadFromUDPAddrPort(c.space); err != nil {
			return n
		}
		n++
	}
}

func (c *conn) read() error {
	// Windows reports on the receiving side that an earlier datagram found its
	// port closed. That is no failure of this socket; a hundred in a row are.
	for tries := 0; ; tries++ {
		n, from, err := c.udp.ReadFromUDPAddrPort(c.space)
		if err == nil {
			c.packets[0] = packet{netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), c.space[:n]}
			c.take(c.packets[:])
			return nil
		}
		if tries == 100 || errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
}

func (c *conn) write(datagram []byte, ports []uint16) (failed int) {
	for _, port := range ports {
		if _, err := c.udp.WriteToUDPAddrPort(datagram, netip.AddrPortFrom(c.host, port)); err != nil {
			failed++
		}
	}
	return failed
}
