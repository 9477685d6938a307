package fuzz

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// kernelDrops is how many datagrams for an address the kernel has thrown away,
// mostly because the receiver's buffer was full, since its socket was made
// (the last column of /proc/net/udp); false where the system does not tell.
func kernelDrops(addr netip.AddrPort) (uint64, bool) {
	table, err := os.ReadFile("/proc/net/udp")
	if err != nil {
		return 0, false
	}
	host := addr.Addr().As4()
	exact := fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(host[:]), addr.Port())
	any := fmt.Sprintf("00000000:%04X", addr.Port())
	for _, line := range strings.Split(string(table), "\n") {
		f := strings.Fields(line)
		if len(f) < 13 || f[1] != exact && f[1] != any {
			continue
		}
		n, err := strconv.ParseUint(f[len(f)-1], 10, 64)
		return n, err == nil
	}
	return 0, false
}
