package main

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"p2plocal/fuzz/target/netns"
)

// Meshes of three hosts, one by each family's addresses, shrink when the link of one is down, and heal when it is up again.
func TestHosts(t *testing.T) {
	t.Parallel()
	names, link := netns.Hosts(t, 77, 3, false)
	run := func(host string, args []string) *instance { // ip becomes what it runs
		return start(t, exec.Command("ip", append([]string{"netns", "exec", host, binary, "-wide"}, args...)...))
	}
	type mesh struct {
		server *instance
		peers  []*instance
	}
	var meshes []mesh
	for _, family := range []struct{ any, server, hosts string }{
		{"0.0.0.0:3000", "10.77.0.1:3000", `10\.77\.0\.%d`},
		{"[::]:3001", "[fd00:77::1]:3001", `\[fd00:77::%d\]`},
	} {
		m := mesh{server: run(names[0], serverWith("-listen", family.any))}
		m.server.out.expect(t, `server listens on .*`)
		for i, host := range names {
			for _, name := range []string{"a", "b"} {
				name += fmt.Sprint(i + 1)
				m.peers = append(m.peers, run(host, peerWith("-server", family.server, name)))
				m.server.out.expect(t, `server received birth of peer `+name+` at `+fmt.Sprintf(family.hosts, i+1)+`:\d+`)
			}
		}
		meshes = append(meshes, m)
	}
	whole := func() {
		t.Helper()
		for _, m := range meshes {
			for one, p := range m.peers {
				p.out.expect(t, `peer \S+ received directory of 6 peers: .*`)
				for i := range m.peers {
					if i != one {
						p.out.expect(t, fmt.Sprintf(`peer \S+ received vanilla message: "peer%c%d_broadcast_.*`, 'a'+i%2, i/2+1))
					}
				}
			}
		}
	}
	whole()
	link(2, "down")
	for _, m := range meshes {
		m.server.out.expect(t, `server removed peer [ab]3 at .*`)
		for i := range m.peers[:4] {
			m.peers[i].out.expect(t, `peer \S+ received directory of 4 peers: .*`)
		}
	}
	link(2, "up")
	whole()
	for _, m := range meshes {
		for _, p := range append(m.peers, m.server) {
			p.signal(os.Interrupt)
			if code := p.wait(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
		}
	}
}
