//go:build unix

package send

import (
	"net"
	"net/netip"
	"syscall"
)

// Drain takes all that has come to a socket that nobody else reads, and waits
// for no more. An error of the socket's is taken likewise.
func Drain(u *net.UDPConn, take func(from netip.AddrPort, err error)) {
	raw, err := u.SyscallConn()
	if err != nil {
		return
	}
	var b [1]byte
	raw.Read(func(fd uintptr) bool {
		for {
			_, a, err := syscall.Recvfrom(int(fd), b[:], 0) // Go's sockets do not block
			switch err {
			case syscall.EAGAIN:
				return true
			case syscall.EINTR:
				continue
			}
			var from netip.AddrPort
			if a, ok := a.(*syscall.SockaddrInet4); ok {
				from = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
			}
			take(from, err)
			if err != nil && err != syscall.ECONNREFUSED {
				return true
			}
		}
	})
}
