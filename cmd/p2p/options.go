package main

import (
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"p2plocal/cmd/internal/cli"
	"p2plocal/core"
	"p2plocal/core/udp"
	"p2plocal/core/wide"
	"p2plocal/core/wire"
)

//go:embed usage.txt
var usage string

// options is what the command line asks for.
type options struct {
	peer core.Member // its Name is "": the server
	cli.Dialect
	listen       netip.AddrPort
	server       netip.AddrPort
	timing       *core.Timing
	sourceCheck  bool
	readBuffer   int
	quiet, ascii bool
	json         string // a file, or - for stdout
	metrics      string // where, as it was given
	metricsAt    netip.AddrPort
	live         cli.Optional
}

// self is how the process calls itself.
func (o *options) self() string {
	if o.peer.Name == "" {
		return "server"
	}
	return label(string(o.peer.Name))
}

const maxReadBuffer = 1 << 30

// The flags that one role alone has a use for.
var (
	peersFlags   = []string{"server", "heartbeat", "broadcast", "retry", "refresh"}
	serversFlags = []string{"listen", "reap", "source-check", "live"}
)

func parse(args []string, stdout io.Writer) (*options, error) {
	o := &options{}
	fs := flag.NewFlagSet("p2p", flag.ContinueOnError)
	standard := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 3000)
	listen, server := addressText(standard.String()), addressText(standard.String())
	fs.Var(&listen, "listen", "`address` of the server; port 0: the kernel chooses; 0.0.0.0: all of IPv4; with -wide, [::]: all of IPv6, and no IPv4")
	fs.Var(&server, "server", "`address` at which a peer finds the server; its host is the mesh's host, but for -wide")
	o.Register(fs, "speak the wide dialect: many hosts, IPv6, long names, thousands of peers")
	o.timing = cli.Timing(fs)
	fs.BoolVar(&o.sourceCheck, "source-check", false, "the server takes a birth or keep-alive only from the port that it names")
	fs.IntVar(&o.readBuffer, "rcvbuf", udp.ReadBuffer, "socket receive buffer to ask for, in `bytes`; 0: the kernel's default")
	fs.BoolVar(&o.quiet, "quiet", false, "print no events, only answers to commands and the counters at the end")
	fs.BoolVar(&o.ascii, "ascii", false, "no character above ASCII in the text")
	fs.StringVar(&o.json, "json", "", "write what is printed as JSON, an object a line, to `file` as well, which is there at the end; - is standard output, in place of the text")
	fs.StringVar(&o.metrics, "metrics", "", "serve /debug/vars (expvar) and /debug/pprof/ over HTTP at this loopback `address`")
	fs.Var(&o.live, "live", "show the directory in the browser: print the URL of a page, and go on. -live=`ADDR` says where (default 127.0.0.1 and any port)")
	others, err := cli.Parse(fs, args, usage, stdout)
	if err != nil {
		return nil, err
	}

	if err := o.Open(); err != nil {
		return nil, err
	}
	if o.listen, err = listen.resolve("listen", o.Wide); err != nil {
		return nil, err
	}
	if o.server, err = server.resolve("server", o.Wide); err != nil {
		return nil, err
	}
	if o.Wide && o.sourceCheck {
		return nil, cli.Usagef("flag -source-check is for the exact dialect: with -wide every address is checked")
	}
	if o.Wide && !cli.Given(fs)["retry"] {
		o.timing.Retry = wide.DefaultTiming().Retry
	}
	if len(others) > 0 {
		if o.peer, err = o.parsePeer(others); err != nil {
			return nil, err
		}
	}
	foreign, role := peersFlags, "a peer: want its NAME PORT too, or not the flag"
	if o.Wide {
		role = "a peer: want its NAME too, or not the flag"
	}
	if o.peer.Name != "" {
		foreign, role = serversFlags, "the server: a peer has no use for it"
	}
	fs.Visit(func(f *flag.Flag) {
		if slices.Contains(foreign, f.Name) && err == nil {
			err = cli.Usagef("flag -%s is for %s", f.Name, role)
		}
	})
	if err != nil {
		return nil, err
	}
	if err := o.timing.Validate(); err != nil {
		return nil, cli.UsageError{Err: err}
	}
	if o.readBuffer < 0 || o.readBuffer > maxReadBuffer {
		return nil, cli.Usagef("receive buffer of %d bytes, want 0 to %d", o.readBuffer, maxReadBuffer)
	}
	if o.server.Addr().IsUnspecified() {
		return nil, cli.Usagef("flag -server is %v, want one address, such as %v", o.server, standard)
	}
	if o.metrics != "" {
		return o, o.checkMetrics()
	}
	return o, nil
}

// parsePeer reads a peer's name and port; in the wide dialect the kernel may choose the port.
func (o *options) parsePeer(others []string) (m core.Member, err error) {
	name, host, port := others[0], o.server.Addr(), uint64(0)
	switch {
	case len(others) > 2 && o.Wide:
		return m, cli.Usagef("got %q, want nothing for the server, or a peer's NAME, and its PORT if it is to have a certain one", others)
	case len(others) != 2 && !o.Wide:
		return m, cli.Usagef("got %q, want nothing for the server, or a peer's NAME PORT, such as A 3001; a server's address is that of -listen and of a peer's -server", others)
	case o.Wide:
		if err := wide.CheckName(name); err != nil {
			return m, cli.UsageError{Err: err}
		}
		host = bindTo(host)
	case len(name) != 1 || !wire.Name(name[0]).Valid():
		return m, cli.Usagef("name %q, want one printable ASCII character", name)
	}
	if len(others) == 2 {
		if port, err = strconv.ParseUint(others[1], 10, 16); err != nil || port == 0 {
			return m, cli.Usagef("port %q, want 1 to 65535", others[1])
		}
	}
	return core.Member{Name: core.Name(name), Addr: netip.AddrPortFrom(host, uint16(port))}, nil
}

// label is how a peer is called in print; a name that is not a letter or a
// digit is quoted, so that it can be told from what stands around it.
func label(name string) string {
	if len(name) > 1 {
		return "peer " + short(name)
	}
	return "peer" + short(name)
}

func short(name string) string {
	if len(name) > 1 {
		if strings.Contains(name, " ") || strconv.Quote(name) != `"`+name+`"` {
			return strconv.Quote(name)
		}
		return name
	}
	if c := name[0]; 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' {
		return name
	}
	return fmt.Sprintf("%q", rune(name[0]))
}

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
