package target

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Backlog is what the kernel says of the socket that takes what is sent to an address: how
// much waits there to be read, in bytes of the kernel's memory, and how many datagrams it has
// thrown away since the socket was made, mostly because its buffer was full; false where the
// system does not tell.
func Backlog(addr netip.AddrPort) (waiting, dropped uint64, known bool) {
	f := socketRow(addr)
	if f == nil {
		return 0, 0, false
	}
	_, received, _ := strings.Cut(f[4], ":")
	waiting, _ = strconv.ParseUint(received, 16, 64)
	dropped, err := strconv.ParseUint(f[len(f)-1], 10, 64)
	return waiting, dropped, err == nil
}

// Bound reports that some socket of this machine takes what is sent to a local
// address. It may overlook one while others come and go. Where the system does
// not tell, a datagram is sent there to find out.
func Bound(addr netip.AddrPort) bool {
	if _, err := os.Stat(socketTables[0]); err != nil {
		return !Refused(addr, 2*time.Millisecond)
	}
	return socketRow(addr) != nil
}

// harmless is a keep-alive of a name that hardly anybody has, which a server
// ignores.
var harmless = []byte{0xC3, 0, 'z', 0}

// Refused reports that an address's host refuses what is sent there. It says so
// of one datagram within the pause, and the next one fails for that.
func Refused(addr netip.AddrPort, pause time.Duration) bool {
	u, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) // a socket that this machine has none of
	}
	defer u.Close()
	u.Write(harmless)
	time.Sleep(pause)
	_, err = u.Write(harmless)
	return err != nil
}

// socketTables are the kernel's lists of UDP sockets (proc_net_udp(5)); one of
// the latter may take both families.
var socketTables = []string{"/proc/net/udp", "/proc/net/udp6"}

// socketLooks is how often the tables are read before a socket is taken not to
// be there. The kernel hands a table out in pieces, and goes on by counting
// sockets: when one that it has passed is closed meanwhile, another is left out.
const socketLooks = 4

// socketRow is the row of the socket that takes what is sent to an address, nil
// where there is none.
func socketRow(addr netip.AddrPort) []string {
	host := addr.Addr().As4()
	exact := fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(host[:]), addr.Port())
	any := fmt.Sprintf("00000000:%04X", addr.Port())
	for range socketLooks {
		for _, table := range socketTables {
			b, err := os.ReadFile(table)
			if err != nil {
				continue
			}
			for line := range strings.Lines(string(b)) {
				if f := strings.Fields(line); len(f) >= 13 && (strings.HasSuffix(f[1], exact) || strings.HasSuffix(f[1], any)) {
					return f
				}
			}
		}
	}
	return nil
}
