package cli

import (
	"errors"
	"flag"
	"net/netip"
	"strings"
)

// AddressVar registers a flag that is an IPv4 address with a port.
func AddressVar(fs *flag.FlagSet, p *netip.AddrPort, name string, value netip.AddrPort, usage string) {
	*p = value
	fs.Var(address{p}, name, usage)
}

type address struct{ *netip.AddrPort }

func (a address) String() string {
	if a.AddrPort == nil || !a.IsValid() {
		return ""
	}
	return a.AddrPort.String()
}

func (a address) Set(s string) error {
	v, err := netip.ParseAddrPort(Localhost(s))
	if err != nil || !v.Addr().Is4() {
		return errors.New("want an IPv4 address with a port, such as 127.0.0.1:3000")
	}
	*a.AddrPort = v
	return nil
}

// Localhost is an address with 127.0.0.1 for the name localhost. No other name is
// looked up: what listens on one address must be found on that one.
func Localhost(addr string) string {
	if port, ok := strings.CutPrefix(addr, "localhost:"); ok {
		return "127.0.0.1:" + port
	}
	return addr
}
