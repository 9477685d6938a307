//go:build long

package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"p2plocal/cmd/internal/cli"
	"p2plocal/fuzz/campaign"
)

func TestAllFaultsAreFound(t *testing.T) {
	for role, faults := range map[string][]fault{"server": serverFaults, "peer": peerFaults} {
		for _, f := range faults {
			t.Run(role+"/"+f.name, f.foundAndNarrowed)
		}
	}
	for _, f := range lastingFaults {
		t.Run(f.name, f.found)
	}
}

func TestSoundTargetsSurviveAll(t *testing.T) {
	const modes = "catalogue,mutate,generate,random"
	t.Run("peer", func(t *testing.T) {
		t.Parallel()
		survives(t, attackPeer, "-mode", modes, "-count", "8000")
	})
	t.Run("server", func(t *testing.T) {
		t.Parallel()
		survives(t, attack, "-probe-timeout", "5s", "-mode", modes, "-count", "20000")
	})
}

// Without its counters, a ghost is seen only by the time that it stays: a birth alone
// must not be called one, and the file must still bring it about.
func TestGhostIsFoundAndFoundAgain(t *testing.T) {
	t.Parallel()
	var r campaign.Result
	var dir string
	var err error
	for range 5 { // a target that is kept from running reaps whom it should not know to be silent
		if r, dir, err = attack(t, "ghost", "-metrics", "", "-mode", "catalogue", "-findings-max", "1", "-narrow", "5s"); err != nil {
			break
		}
	}
	if !errors.Is(err, cli.Failed) || len(r.Findings) != 1 || r.Findings[0].Kind != campaign.Ghost || r.Findings[0].Count < 3 {
		t.Fatalf("%v, findings %+v, want a ghost by three datagrams or more", err, r.Findings)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if len(files) != 1 {
		t.Fatalf("files %q, want one", files)
	}
	for fault, want := range map[string]int{"ghost": 1, "none": 0} {
		again, _, err := attack(t, fault, "-metrics", "", "-mode", "replay", "-narrow", "1ms", "-ports", fmt.Sprint(r.Ports), files[0])
		if len(again.Findings) != want || want > 0 && again.Findings[0].Kind != campaign.Ghost {
			t.Errorf("replayed to %s: %v, %+v, want %d findings", fault, err, again.Findings, want)
		}
	}
}
