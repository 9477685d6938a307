package swarm

import (
	"crypto/sha256"
	"encoding/hex"
	"runtime"
	"testing"
	"time"

	"p2plocal/bench/faults"
	"p2plocal/core/simnet"
)

// CI runs 2,000 by the command.
func TestSwarmIsClean(t *testing.T) {
	t.Parallel()
	const seeds = 100
	tally := Swarm(t.Context(), 1, seeds, Meshes{})
	for _, f := range tally.Findings {
		t.Errorf("%+v", f)
	}
	t.Logf("%+v", tally)
	if tally.Seeds != seeds || tally.Virtual < (seeds-1)*60 && !t.Failed() {
		t.Errorf("%+v", tally)
	}
}

// The same seeds give the same runs, byte for byte, on every platform and Go
// version: the hash of their event logs is pinned. It may change with the
// machines, the Net's rules, the catalogue or the draw, never by itself.
func TestSwarmIsDeterministic(t *testing.T) {
	const pinned = "fa44838eabf21595a2c5f0a283397c1783d1f1bad9c8882b6ca52ce811e4494d"
	h := sha256.New()
	trace, flush := simnet.Log(h)
	drawn := map[faults.Verb]bool{}
	for seed := range uint64(40) {
		s := Draw(seed)
		for _, f := range s.Faults {
			drawn[f.Verb] = true
		}
		Exact(Core)(t.Context(), s, 0, trace)
	}
	if err := flush(); err != nil {
		t.Fatal(err)
	}
	if len(drawn) != 7 {
		t.Errorf("drawn %v, want all 7 kinds of fault", drawn)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != pinned {
		t.Errorf("the logs have hash %s, pinned is %s: pin it if the machines, the rules, the catalogue or the draw have been changed on purpose", got, pinned)
	}
}

// The checker allocates nothing for what happens often: nine minutes more take
// no more than the first.
func TestCheckerDoesNotAllocate(t *testing.T) {
	// Not parallel: nobody else may allocate.
	allocations := func(d time.Duration) int64 {
		s := faults.Default()
		s.Duration, s.Network.Loss = d, 0.01
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r := Exact(Core)(t.Context(), s, 0, nil)
		runtime.ReadMemStats(&after)
		if r.Finding != nil || r.Virtual != d {
			t.Errorf("%v after %v", r.Finding, r.Virtual)
		}
		return int64(after.Mallocs - before.Mallocs)
	}
	short, long := allocations(time.Minute), allocations(10*time.Minute)
	t.Log(short, long)
	if long > short+100 { // of the 20,000 datagrams more
		t.Errorf("%d allocations in a minute, %d in ten", short, long)
	}
}

// BenchmarkSeed runs one seed after the other.
func BenchmarkSeed(b *testing.B) {
	b.ReportAllocs()
	for seed := uint64(1); b.Loop(); seed++ {
		if n := len(Swarm(b.Context(), seed, seed, Meshes{}).Findings); n > 0 {
			b.Fatalf("seed %d: %d findings", seed, n)
		}
	}
}
