package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// hosts makes three network namespaces, joined by a bridge in a fourth, so that nothing
// leaves them. They have the addresses 10.77.0.1 to .3 and fd77::1 to ::3.
func hosts(t *testing.T) (names [3]string, link func(host int, state string)) {
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
		name = fmt.Sprintf("p2p-%d-%s", os.Getpid(), name)
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
	for i := range names {
		host := add(fmt.Sprint(i + 1))
		must("-n %s link add port%d type veth peer name eth netns %s", bridge, i, host)
		must("-n %s link set port%d master bridge up", bridge, i)
		must("-n %s address add 10.77.0.%d/24 dev eth", host, i+1)
		must("-n %s address add fd77::%d/64 dev eth nodad", host, i+1)
		must("-n %s link set eth up", host)
		must("-n %s link set lo up", host) // a host reaches its own addresses by it
		names[i] = host
	}
	return names, func(i int, state string) { must("-n %s link set port%d %s", bridge, i, state) }
}

// A mesh of three hosts shrinks when the link of one is down, and heals when it is up again.
func TestHosts(t *testing.T) {
	t.Parallel()
	names, link := hosts(t)
	run := func(host string, args []string) *instance { // ip becomes what it runs
		return start(t, exec.Command("ip", append([]string{"netns", "exec", host, binary, "-wide"}, args...)...))
	}
	for _, family := range []struct{ any, server, hosts string }{
		{"0.0.0.0:3000", "10.77.0.1:3000", `10\.77\.0\.%d`},
		{"[::]:3001", "[fd77::1]:3001", `\[fd77::%d\]`},
	} {
		server := run(names[0], serverWith("-listen", family.any))
		server.out.expect(t, `server listens on .*`)
		var peers []*instance
		for i, host := range names {
			for _, name := range []string{"a", "b"} {
				name += fmt.Sprint(i + 1)
				peers = append(peers, run(host, peerWith("-server", family.server, name)))
				server.out.expect(t, `server received birth of peer `+name+` at `+fmt.Sprintf(family.hosts, i+1)+`:\d+`)
			}
		}
		all := func(peer int) {
			t.Helper()
			peers[peer].out.expect(t, `peer \S+ received directory of 6 peers: .*`)
			for i := range peers {
				if i != peer {
					peers[peer].out.expect(t, fmt.Sprintf(`peer \S+ received vanilla message: "peer%c%d_broadcast_.*`, 'a'+i%2, i/2+1))
				}
			}
		}
		for i := range peers {
			all(i)
		}
		link(2, "down")
		server.out.expect(t, `server removed peer [ab]3 at .*`)
		for i := range peers[:4] {
			peers[i].out.expect(t, `peer \S+ received directory of 4 peers: .*`)
		}
		link(2, "up")
		for i := range peers {
			all(i)
		}
		for _, p := range append(peers, server) {
			p.signal(os.Interrupt)
			if code := p.wait(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
		}
	}
}
