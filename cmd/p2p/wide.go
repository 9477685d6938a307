package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"

	"p2plocal/cmd/internal/cli"
	"p2plocal/core"
	"p2plocal/core/wide"
)

// addressText is a flag that is an address, read when it is known in which dialect.
type addressText string

func (a *addressText) String() string     { return string(*a) }
func (a *addressText) Set(s string) error { *a = addressText(s); return nil }

func (a addressText) resolve(flag string, wide bool) (netip.AddrPort, error) {
	read := cli.Address
	if wide {
		read = cli.AnyAddress
	}
	addr, err := read(string(a))
	if err != nil {
		err = cli.Usagef("invalid value %q for flag -%s: %v", string(a), flag, err)
	}
	return addr, err
}

// parseWide is what is different with -wide.
func (o *options) parseWide(others []string, given map[string]bool) error {
	if o.sourceCheck {
		return cli.Usagef("flag -source-check is for the exact dialect: with -wide every address is checked")
	}
	if !given["retry"] {
		o.timing.Retry = wide.DefaultTiming().Retry
	}
	if len(others) == 0 {
		return nil
	}
	if len(others) > 2 {
		return cli.Usagef("got %q, want nothing for the server, or a peer's NAME, and its PORT if it is to have a certain one", others)
	}
	if err := wide.CheckName(others[0]); err != nil {
		return cli.UsageError{Err: err}
	}
	var port uint64
	if len(others) == 2 {
		var err error
		if port, err = strconv.ParseUint(others[1], 10, 16); err != nil || port == 0 {
			return cli.Usagef("port %q, want 1 to 65535", others[1])
		}
	}
	o.peer = core.Member{Name: core.Name(others[0]), Addr: netip.AddrPortFrom(bindTo(o.server.Addr()), uint16(port))}
	return nil
}

// bindTo is where a peer listens whose server is at an address: on a loopback address if that
// is one, for the mesh is on this host, and otherwise on all of the server's family.
func bindTo(server netip.Addr) netip.Addr {
	if server.IsLoopback() {
		return server
	}
	if server.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// keygen writes a key to a file that was not there, for its owner alone.
func keygen(args []string, stdout io.Writer) error {
	args, err := cli.Parse(flag.NewFlagSet("p2p keygen", flag.ContinueOnError), args, "usage: p2p keygen FILE\n\nWrites a new key to FILE, which must not be there yet, for -key.\n", stdout)
	if err != nil {
		return err
	}
	if len(args) != 1 {
		return cli.Usagef("keygen got %q, want one FILE", args)
	}
	f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("cannot make a key: %w", err)
	}
	_, err = f.WriteString(wide.NewKey())
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("cannot write the key: %w", err)
	}
	fmt.Fprintf(stdout, "a new key is in %s; give it to every host of the mesh, and to nobody else\n", args[0])
	return nil
}
