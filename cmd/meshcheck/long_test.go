//go:build long

package main

import (
	"fmt"
	"testing"
)

// Our own server and peer pass every case, however they are run.
func TestOursInAll(t *testing.T) {
	ours(t, map[string][]string{
		"server":         {"server", "-exec", ourServer()},
		"shared server":  {"server", "-exec", ourServer(), "-shared"},
		"running server": {"server", serve(t), "-level", "MUST,INFO", "-skip", "full"},
		"peer":           {"peer", "-exec", ourPeer()},
		"one port":       {"peer", "-exec", ourPeer(), "-server-port", fmt.Sprint(free(t)), "-run", "birth/[1-6]|keep-alive|message|directory/[1-9]"},
	})
}
