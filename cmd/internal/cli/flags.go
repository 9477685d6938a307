package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"p2plocal/core"
	"p2plocal/core/wide"
)

// Common are the flags that every command has, and that mean the same in each.
type Common struct {
	JSON         string // a file, or - for stdout
	Quiet, ASCII bool
}

// Register registers them.
func (c *Common) Register(fs *flag.FlagSet) {
	fs.StringVar(&c.JSON, "json", "", "write the result as JSON to `file`; - is standard output, in place of the text")
	fs.BoolVar(&c.Quiet, "quiet", false, "no progress on standard error")
	fs.BoolVar(&c.ASCII, "ascii", false, "no character above ASCII in the text")
}

// Write writes text to stdout, and a value as JSON wherever it is wanted.
func (c *Common) Write(stdout io.Writer, files Outputs, text func(io.Writer) error, value any) error {
	encode := func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(value)
	}
	switch c.JSON {
	case "-":
		return encode(stdout)
	case "":
		return text(stdout)
	}
	return Join(text(stdout), files.Write(c.JSON, encode))
}

// Timing registers the flags of the protocol's intervals, with the protocol's
// own as defaults. Validate what comes of them after parsing.
func Timing(fs *flag.FlagSet) *core.Timing {
	t := core.DefaultTiming()
	fs.DurationVar(&t.Heartbeat, "heartbeat", t.Heartbeat, "`interval` between a peer's keep-alives")
	fs.DurationVar(&t.Reap, "reap", t.Reap, "`interval` between the server's looks for silent peers")
	fs.DurationVar(&t.Deadline, "deadline", t.Deadline, "a peer silent for longer than this `time` is removed")
	fs.DurationVar(&t.Broadcast, "broadcast", t.Broadcast, "`interval` between a peer's broadcasts; 0: none")
	fs.DurationVar(&t.Retry, "retry", t.Retry, "`interval` between the births of a peer that hears no answer; 0: one birth only")
	fs.DurationVar(&t.Refresh, "refresh", t.Refresh, "`interval` between the births of a peer that is a member; 0: no more")
	return &t
}

// TimingWarning says what a timing leads to that is allowed and hardly wanted; "": nothing.
func TimingWarning(t core.Timing) string {
	if t.Heartbeat < t.Deadline {
		return ""
	}
	return fmt.Sprintf("warning: with -heartbeat %v a peer is silent for longer than the server's -deadline of %v allows, and is removed again and again", t.Heartbeat, t.Deadline)
}

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
	if err == nil && a.Addr().Zone() != "" {
		return netip.AddrPort{}, fmt.Errorf("want an %s address that means the same on every host, not one of a link alone", family)
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

// Dialect is what the flags -wide and -key say.
type Dialect struct {
	Wide    bool
	Keys    wide.Keys
	KeyFile string
}

// Register adds the flags.
func (d *Dialect) Register(fs *flag.FlagSet, usage string) {
	fs.BoolVar(&d.Wide, "wide", false, usage)
	fs.StringVar(&d.KeyFile, "key", "", "`file` of the mesh's key, with -wide, which only its owner may read: whoever has none is no part of it (p2p keygen makes one)")
}

// Open reads the keys.
func (d *Dialect) Open() error {
	if d.KeyFile == "" {
		return nil
	}
	if !d.Wide {
		return Usagef("flag -key is for the wide dialect: want -wide too, or not the flag")
	}
	text, err := Secret(d.KeyFile)
	if err != nil {
		return fmt.Errorf("cannot read the key: %w", err)
	}
	if d.Keys, err = wide.ParseKeys(string(text)); err != nil {
		return Usagef("%s: %v", d.KeyFile, err)
	}
	return nil
}

// Secret reads a file that nobody but its owner may read: a key, or credentials. Windows says nothing of that
// by a file's mode, and a pipe is nobody's.
func Secret(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode(); mode.IsRegular() && mode.Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("%q has mode %04o, so that others can read or change it: want chmod 600 %[1]q", name, mode.Perm())
	}
	return io.ReadAll(f)
}

// Groups have -h show the flags of a set in groups.
type Groups struct {
	fs   *flag.FlagSet
	all  []group
	seen map[string]bool
}

type group struct {
	name, text string
	flags      []string
}

// NewGroups groups what is registered from now on.
func NewGroups(fs *flag.FlagSet) *Groups {
	return &Groups{fs: fs, seen: make(map[string]bool)}
}

// Begin has the flags that are registered next be a group of this name, with a
// sentence about it. The same name again continues the group.
func (g *Groups) Begin(name, text string) {
	g.gather()
	g.all = append(g.all, group{name: name, text: text})
}

// gather puts the flags that are new into the present group.
func (g *Groups) gather() {
	g.fs.VisitAll(func(f *flag.Flag) {
		if !g.seen[f.Name] && len(g.all) > 0 {
			last := &g.all[len(g.all)-1]
			last.flags = append(last.flags, f.Name)
		}
		g.seen[f.Name] = true
	})
}

// print prints the flags group by group, or all that there are.
func (g *Groups) print(w io.Writer) {
	if len(g.all) == 0 {
		fmt.Fprint(w, "\nFlags:\n")
		g.fs.VisitAll(func(f *flag.Flag) { printFlag(w, f) })
		return
	}
	g.gather()
	fmt.Fprint(w, "\nFlags, group by group:\n")
	for i, x := range g.all {
		if i == 0 || len(x.flags)+len(g.all[i-1].flags) > 0 {
			fmt.Fprintln(w)
		}
		heading := x.name
		if x.text != "" {
			heading += ": " + x.text
		}
		Item(w, 0, "", heading)
		for _, name := range x.flags {
			printFlag(w, g.fs.Lookup(name))
		}
	}
}

// printFlag prints what a flag is for, and its default unless that is nothing.
func printFlag(w io.Writer, f *flag.Flag) {
	value, text := flag.UnquoteUsage(f)
	switch f.DefValue {
	case "", "0", "0s", "false", "no":
	default:
		text += " (default " + f.DefValue + ")"
	}
	Item(w, 22, strings.TrimRight("  -"+f.Name+" "+value, " "), text)
}

// Item writes what something is beside its name: from a column on, in lines of 80.
func Item(w io.Writer, column int, name, text string) error {
	return Wrapped(w, helpWidth, column, name, text)
}

// Wrapped is Item in lines of another width, 0: one of any.
func Wrapped(to io.Writer, width, column int, name, text string) error {
	w := bufio.NewWriter(to)
	line := name
	if len(name) >= column && name != "" && width > 0 {
		fmt.Fprintln(w, name)
		line = ""
	}
	line += strings.Repeat(" ", max(column-len(line), min(len(line), 1)))
	empty := true
	for word := range strings.FieldsSeq(text) {
		switch {
		case empty:
		case width > 0 && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			fmt.Fprintln(w, line)
			line = strings.Repeat(" ", column)
		default:
			line += " "
		}
		line, empty = line+word, false
	}
	fmt.Fprintln(w, line)
	return w.Flush()
}
