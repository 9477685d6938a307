// Package netns makes hosts for tests of several: network namespaces joined by a bridge.
package netns

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Hosts makes so many network namespaces, joined by a bridge in another, so that nothing
// leaves them. They have the addresses 10.N.0.1 and on, and fd00:N::1 and on, N being the number of the net, which no
// other test has. Here has this process reach them, too, as 10.N.0.254. Link sets the state of one's link, up or
// down. A test that is not root is skipped, but in CI.
func Hosts(t testing.TB, net, n int, here bool) (names []string, link func(host int, state string)) {
	t.Helper()
	ip := func(args string) error {
		out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("ip %s: %w: %s", args, err, out)
		}
		return err
	}
	must := func(format string, args ...any) {
		t.Helper()
		if err := ip(fmt.Sprintf(format, args...)); err != nil {
			t.Fatal(err)
		}
	}
	add := func(name string) string {
		name = fmt.Sprintf("p2p-%d-%d-%s", os.Getpid(), net, name)
		if err := ip("netns add " + name); err != nil && os.Getenv("CI") == "" {
			t.Skip(err) // it takes root, and iproute2
		} else if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := ip("netns delete " + name); err != nil {
				t.Error(err)
			}
		})
		return name
	}
	bridge := add("bridge")
	must("-n %s link add bridge type bridge", bridge)
	must("-n %s link set bridge up", bridge)
	for i := range n {
		host := add(fmt.Sprint(i + 1))
		must("-n %s link add port%d type veth peer name eth netns %s", bridge, i, host)
		must("-n %s link set port%d master bridge up", bridge, i)
		must("-n %s address add 10.%d.0.%d/24 dev eth", host, net, i+1)
		must("-n %s address add fd00:%d::%d/64 dev eth nodad", host, net, i+1)
		must("-n %s link set eth up", host)
		must("-n %s link set lo up", host) // a host reaches its own addresses by it
		names = append(names, host)
	}
	if here {
		must("link add p2p%d type veth peer name here netns %s", os.Getpid(), bridge) // goes with the bridge's namespace
		must("-n %s link set here master bridge up", bridge)
		must("address add 10.%d.0.254/24 dev p2p%d", net, os.Getpid())
		must("link set p2p%d up", os.Getpid())
	}
	return names, func(i int, state string) { must("-n %s link set port%d %s", bridge, i, state) }
}
