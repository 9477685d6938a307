package cli

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
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

func (a address) Set(s string) (err error) {
	*a.AddrPort, err = Address(s)
	return err
}

// Address reads an IPv4 address with a port, of which a host's name is looked up. Its
// error does not repeat what was given.
func Address(s string) (netip.AddrPort, error) { return addressOf(s, "ip4", "IPv4") }

// AnyAddress is Address, and takes an IPv6 address, too.
func AnyAddress(s string) (netip.AddrPort, error) { return addressOf(s, "ip", "IPv4 or IPv6") }

func addressOf(s, network, family string) (netip.AddrPort, error) {
	a, err := netip.ParseAddrPort(s)
	if err == nil && (a.Addr().Is4() || network == "ip" && a.Addr().Zone() == "") {
		return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), nil
	}
	host, port, err := net.SplitHostPort(s)
	number, e := strconv.ParseUint(port, 10, 16)
	if err != nil || e != nil || host == "" || net.ParseIP(host) != nil {
		return netip.AddrPort{}, fmt.Errorf("want an %s address, or a host's name, and a port, such as 127.0.0.1:3000", family)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, network, host)
	if err != nil || len(found) == 0 {
		return netip.AddrPort{}, fmt.Errorf("want a host of which an %s address is known, as of %q none is", family, host)
	}
	return netip.AddrPortFrom(found[0].Unmap(), uint16(number)), nil
}

// Optional is a flag that may stand without a value: then it is any port on loopback, as it is
// where an address has no host.
type Optional struct{ netip.AddrPort }

func (a *Optional) IsBoolFlag() bool { return true }
func (a *Optional) Get() any         { return a.AddrPort }

func (a *Optional) String() string {
	if !a.IsValid() {
		return "no"
	}
	return a.AddrPort.String()
}

func (a *Optional) Set(s string) (err error) {
	switch s {
	case "true":
		s = ":0"
	case "false":
		*a = Optional{}
		return nil
	}
	if strings.HasPrefix(s, ":") {
		s = "127.0.0.1" + s
	}
	a.AddrPort, err = Address(s)
	return err
}
