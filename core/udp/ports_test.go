package udp

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
)

// Where the kernel has no port left to choose, no address is in use: it is said what is short, and what would help.
func TestNoPortLeft(t *testing.T) {
	in := &net.OpError{Op: "listen", Net: "udp4", Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
	any, one := netip.MustParseAddrPort("127.0.0.1:0"), netip.MustParseAddrPort("127.0.0.1:3000")
	if got, want := ListenError(one, in).Error(), "cannot listen on 127.0.0.1:3000: "+syscall.EADDRINUSE.Error(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	err := ListenError(any, in)
	if got := err.Error(); !strings.HasPrefix(got, "cannot listen on 127.0.0.1:0: this machine has no free port left to choose") || strings.Contains(got, "\n") {
		t.Errorf("%q", got)
	}
	if _, lacks := os.Stat("/proc/sys/net/ipv4/ip_local_port_range"); lacks == nil && !strings.Contains(err.Error(), "widen /proc/sys/net/ipv4/ip_local_port_range") {
		t.Errorf("%q does not say what would help", err)
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("%v is no more what the kernel said", err)
	}
}
