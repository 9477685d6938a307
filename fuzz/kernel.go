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
// mostly because the receiver's buffer was full, since its socket was made;
// false where the system does not tell.
func kernelDrops(addr netip.AddrPort) (uint64, bool) {
	f := socketRow(addr)
	if f == nil {
		return 0, false
	}
	n, err := strconv.ParseUint(f[len(f)-1], 10, 64)
	return n, err == nil
}

// kernelQueue is how much waits for the receiver to read it, in bytes of the
// kernel's memory; 0 where the system does not tell.
func kernelQueue(addr netip.AddrPort) (n uint64) {
	if f := socketRow(addr); f != nil {
		_, received, _ := strings.Cut(f[4], ":")
		n, _ = strconv.ParseUint(received, 16, 64)
	}
	return n
}

// socketRow is the row of the socket bound to an address in /proc/net/udp
// (proc_net_udp(5)), nil where there is none.
func socketRow(addr netip.AddrPort) []string {
	table, err := os.ReadFile("/proc/net/udp")
	if err != nil {
		return nil
	}
	host := addr.Addr().As4()
	exact := fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(host[:]), addr.Port())
	any := fmt.Sprintf("00000000:%04X", addr.Port())
	for _, line := range strings.Split(string(table), "\n") {
		if f := strings.Fields(line); len(f) >= 13 && (f[1] == exact || f[1] == any) {
			return f
		}
	}
	return nil
}
