// Command meshdriver hosts the members of a mesh for meshbench -driver, by the
// protocol of bench/driver/PROTOCOL.md: a program of its own, so that meshbench
// does not carry the libraries that it compares. meshdriver -h says which there are.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"runtime/debug"
	"strings"

	"p2plocal/bench/driver"
	"p2plocal/cmd/internal/cli"
	"p2plocal/fuzz/target"
)

const usage = `usage: meshdriver NAME [KEY=VALUE ...]

Meshdriver hosts all members of one mesh. It obeys the commands on its standard
input and reports on its standard output what happens, one JSON object a line,
as bench/driver/PROTOCOL.md says. It is made for

  meshbench -driver 'meshdriver NAME' [-driver-option KEY=VALUE]
  meshcheck driver -exec 'meshdriver NAME'

NAME and the options that it knows:

`

// kind is a mesh that can be hosted.
type kind struct {
	name, about string
	host        func(*driver.Reporter) driver.Mesh
}

var kinds = []kind{
	{"memberlist", "github.com/hashicorp/memberlist, SWIM gossip\n    profile=lan|local       its own two sets of timings (default lan)\n    send=udp|tcp            messages by SendBestEffort or SendReliable\n                            (default udp)\n    pushpull=DURATION       between two full exchanges of state, which its\n                            profiles have every 30 s or 15 s, or more in a\n                            large mesh", newMemberlist},
	{"nats", "github.com/nats-io/nats-server/v2 and its clients, in one process\n    presence=heartbeat|close\n                            who is there by heartbeats each 500 ms, or by what\n                            the server says (default heartbeat)\n    url=URL                 a server that runs already", newNATS},
	{"p2plocal", "this project's own mesh, with a server beside its peers\n    dialect=exact|wide      one host and 95 members, or many (default\n                            exact)", newP2plocal},
}

func main() { cli.Main("meshdriver", run) }

func run(_ context.Context, args []string, stdout, _ io.Writer) error {
	var names []string
	text := usage
	for _, k := range kinds {
		names = append(names, k.name)
		text += fmt.Sprintf("  %s\n    %s\n", k.name, k.about)
	}
	others, err := cli.Parse(flag.NewFlagSet("meshdriver", flag.ContinueOnError), args, text, stdout)
	if err != nil {
		return err
	}
	if len(others) == 0 {
		return cli.Usagef("want the name of a mesh: %s", strings.Join(names, ", "))
	}
	options := map[string]string{}
	for _, o := range others[1:] {
		key, value, ok := strings.Cut(o, "=")
		if options[key] = value; !ok {
			return cli.Usagef("%q, want an option as KEY=VALUE", o)
		}
	}
	for _, k := range kinds {
		if k.name == others[0] {
			return driver.Serve(os.Stdin, stdout, func(r *driver.Reporter) driver.Mesh { return given{k.host(r), options} })
		}
	}
	return cli.Usagef("%q, want one of %s", others[0], strings.Join(names, ", "))
}

// given is a mesh with options of the command line, beside those of init.
type given struct {
	driver.Mesh
	options map[string]string
}

func (g given) Init(c driver.Command) (driver.Report, error) {
	all := maps.Clone(g.options)
	maps.Copy(all, c.Options)
	c.Options = all
	return g.Mesh.Init(c)
}

// serverAt is where a mesh's server listens: where init says, or near its members.
func serverAt(x driver.Command) netip.AddrPort {
	if x.Server != nil {
		return x.Server.Local()
	}
	return netip.AddrPortFrom(x.Members[0].Addr.Addr(), 0)
}

// used are this process's CPU time and memory, where the system tells.
func used() (s driver.Stats) {
	cpu, memory := int64(target.CPUOf(os.Getpid())), target.MemoryOf(os.Getpid())
	if cpu > 0 {
		s.CPU, s.Memory = &cpu, &memory
	}
	return s
}

// option takes an option out of those that are left: one of some values, the first by default.
func option(left map[string]string, key string, values ...string) (string, error) {
	v, given := left[key]
	delete(left, key)
	if !given {
		return values[0], nil
	}
	for _, x := range values {
		if v == x {
			return v, nil
		}
	}
	return "", fmt.Errorf("option %s=%s, want %s", key, v, strings.Join(values, " or "))
}

// none says that no options are left.
func none(left map[string]string) error {
	for k := range left {
		return fmt.Errorf("option %q is not known", k)
	}
	return nil
}

// moduleVersion is a library's, as this program was built with it.
func moduleVersion(path string) string {
	info, _ := debug.ReadBuildInfo()
	for _, m := range info.Deps {
		if m.Path == path {
			return m.Version
		}
	}
	return "unknown"
}
