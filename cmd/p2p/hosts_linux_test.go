package main

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"p2plocal/fuzz/target/netns"
)

// A mesh of three hosts shrinks when the link of one is down, and heals when it is up again.
func TestHosts(t *testing.T) {
	t.Parallel()
	names, link := netns.Hosts(t, 77, 3, false)
	run := func(host string, args []string) *instance { // ip becomes what it runs
		return start(t, exec.Command("ip", append([]string{"netns", "exec", host, binary, "-wide"}, args...)...))
	}
	for _, family := range []struct{ any, server, hosts string }{
		{"0.0.0.0:3000", "10.77.0.1:3000", `10\.77\.0\.%d`},
		{"[::]:3001", "[fd00:77::1]:3001", `\[fd00:77::%d\]`},
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
