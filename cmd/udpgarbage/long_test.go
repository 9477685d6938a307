//go:build long

package main

import (
	"testing"

	"p2plocal/fuzz/campaign"
)

// What only a target's memory shows, which virtual targets have not.
func TestLongLastingFaultsAreFound(t *testing.T) {
	found(t, attackServer, "leak", campaign.Leaked, "-mode", "generate")
}

func TestLongSoundTargetsSurviveAll(t *testing.T) {
	const modes = "catalogue,mutate,generate,random"
	t.Run("peer", func(t *testing.T) {
		t.Parallel()
		survives(t, attackPeer, "-mode", modes, "-count", "5000")
	})
	t.Run("server", func(t *testing.T) {
		t.Parallel()
		survives(t, attackServer, "-probe-timeout", "5s", "-mode", modes, "-count", "12000")
	})
}
