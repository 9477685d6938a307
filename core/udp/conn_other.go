//go:build !linux || portable

package udp

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/net/bpf"

	"p2plocal/core"
)

// conn is the portable socket: one system call a datagram. The build tag
// portable selects it on Linux too, so that the same tests run over it there.
type conn struct {
	udp     *net.UDPConn
	sock    *Socket
	space   []byte
	packets [1]packet
	more    bool // take would have more
}

func (c *conn) open(u *net.UDPConn, s *Socket) error {
	c.udp, c.sock, c.space = u, s, make([]byte, core.MaxDatagram+1)
	return nil
}

func (c *conn) close() error                     { return c.udp.Close() }
func (c *conn) setDeadline(t time.Time)          { c.udp.SetReadDeadline(t) }
func (c *conn) granted() int                     { return 0 }
func (c *conn) drops() (uint64, bool)            { return 0, false }
func (c *conn) waiting() (int64, uint64, bool)   { return 0, 0, false }
func (c *conn) filter([]bpf.RawInstruction) bool { return false }

func (c *conn) discard() (n uint64) {
	for {
		c.udp.SetReadDeadline(time.Now().Add(time.Millisecond)) // one in the past would read nothing
		if _, _, err := c.udp.ReadFromUDPAddrPort(c.space); err != nil {
			return n
		}
		n++
	}
}

// serve has the socket take in what comes, one round each, until a round fails.
func (c *conn) serve() (err error) {
	for err == nil {
		failure := c.receive()
		c.sock.mu.Lock()
		if failure == nil {
			c.more = c.sock.take(c.packets[:])
		}
		err = c.sock.round(failure)
		c.sock.mu.Unlock()
	}
	return err
}

func (c *conn) receive() error {
	// Windows reports on the receiving side that an earlier datagram found its
	// port closed. That is no failure of this socket; a hundred in a row are.
	for tries := 0; ; tries++ {
		n, from, err := c.udp.ReadFromUDPAddrPort(c.space)
		if err == nil {
			c.packets[0] = packet{netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), c.space[:n]}
			return nil
		}
		if tries == 100 || errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
}

const drainWaits = true

// drain takes in what has come. Past its deadline a net.UDPConn reads nothing,
// so it gets a moment more. The caller holds the socket's mu.
func (c *conn) drain() {
	c.setDeadline(time.Now().Add(time.Millisecond))
	for c.more = true; c.more && c.receive() == nil; {
		c.more = c.sock.take(c.packets[:])
	}
}

func (c *conn) write(datagram []byte, to []netip.AddrPort) (failed int) {
	for _, a := range to {
		if _, err := c.udp.WriteToUDPAddrPort(datagram, a); err != nil {
			failed++
		}
	}
	return failed
}

// expectMany has nothing to prepare: datagrams are read one by one.
func expectMany() {}
