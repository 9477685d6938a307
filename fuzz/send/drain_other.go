//go:build !unix

package send

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"time"
)

// Drain takes all that has come to a socket that nobody else reads, and waits a
// moment for more, since there is no asking without. An error of the socket's is
// taken likewise.
func Drain(u *net.UDPConn, take func(from netip.AddrPort, err error)) {
	var b [1]byte
	for {
		u.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		_, from, err := u.ReadFromUDPAddrPort(b[:])
		if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
			return
		}
		take(from, err)
	}
}
