package hostile

import (
	"slices"
	"strings"
	"testing"

	"p2plocal/core"
)

// Whatever of a flood's datagrams comes to a server with the mesh's members, it has
// the fate that the flood is named for.
func TestFlood(t *testing.T) {
	t.Parallel()
	env := DefaultEnv()
	for kind, want := range map[string][]core.Kind{
		"garbage": {core.Malformed, core.Misdirected}, "keepalive": {core.Unknown}, "conflict": {core.Conflict}, "fill": {core.Born, core.Repeated, core.Conflict},
	} {
		set, err := Flood(kind, env, 1)
		if err != nil {
			t.Fatal(err)
		}
		d := newDirectory(t, env)
		for _, m := range env.Members {
			d.Step(epoch, env.Server, BirthOf(m))
		}
		before := d.Counters()
		for _, b := range set {
			d.Step(epoch, stranger, b)
		}
		total := uint64(0)
		for f := core.Malformed; f <= core.Unknown; f++ {
			n := d.Counters().Events[f] - before.Events[f]
			if total += n; n > 0 != slices.Contains(want, f) {
				t.Errorf("%s: %d of %d are %v, want some of %v each", kind, n, len(set), f, want)
			}
		}
		if total != floodSize {
			t.Errorf("%s: %d datagrams, want %d", kind, total, floodSize)
		}
		if kind == "fill" && d.Len() != core.MaxPeers-1 { // but for the attacked peer's own
			t.Errorf("fill leaves %d entries", d.Len())
		}
	}
	if _, err := Flood("nonsense", env, 1); err == nil || !strings.Contains(err.Error(), `"nonsense"`) {
		t.Errorf("nonsense: %v", err)
	}
	env.Spare = nil
	if _, err := Flood("fill", env, 1); err == nil {
		t.Error("a full mesh can be filled")
	}
}
