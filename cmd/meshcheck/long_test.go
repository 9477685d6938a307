//go:build long

package main

import (
	"fmt"
	"net/netip"
	"testing"

	"p2plocal/fuzz/target"
)

// Our own server and peer pass every case, however they are run.
func TestLongOursInAll(t *testing.T) {
	port, release, err := target.FreePort(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	ours(t, map[string][]string{
		"server":         {"server", "-exec", ourServer()},
		"shared server":  {"server", "-exec", ourServer(), "-shared", "-skip", "robust"}, // which TestModesAgree has in virtual time
		"running server": {"server", serve(t), "-level", "MUST,INFO", "-skip", "full"},
		"peer":           {"peer", "-exec", ourPeer()},
		"one port":       {"peer", "-exec", ourPeer(), "-server-port", fmt.Sprint(port), "-run", "birth/[1-6]|keep-alive|message|directory/[1-9]"},
	})
}
