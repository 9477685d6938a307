package swarm

import (
	"context"
	"slices"

	"p2plocal/bench/faults"
)

// shrinkMost bounds how many runs one Shrink may take.
const shrinkMost = 1000

// Shrink makes a scenario that breaks an invariant smaller, as long as the same
// invariant breaks: the fewest faults (delta debugging: Zeller and Hildebrandt,
// "Simplifying and isolating failure-inducing input", 2002), the plainest network, the
// fewest peers and hostile datagrams. One that breaks none comes back as it is; once ctx is done, the smallest so far.
func Shrink(ctx context.Context, best faults.Script, simulate Simulation) faults.Script {
	found := simulate(ctx, best, 0, nil).Finding
	if found == nil {
		return best
	}
	runs := 1
	try := func(change func(*faults.Script)) bool { // takes a change over if what it makes can be run and still fails
		t := best
		t.Faults = slices.Clone(t.Faults)
		change(&t)
		if ctx.Err() != nil || runs >= shrinkMost || t.Validate() != nil {
			return false
		}
		runs++
		f := simulate(ctx, t, 0, nil).Finding
		if f == nil || f.Invariant != found.Invariant {
			return false
		}
		best = t
		return true
	}
	lessen := func(of func(*faults.Script) *int) (smaller bool) { // as far as it can be
		for cut := *of(&best) / 2; cut > 0; {
			if try(func(s *faults.Script) { *of(s) -= cut }) {
				smaller = true
			} else {
				cut /= 2
			}
		}
		return smaller
	}
	try(func(s *faults.Script) { // what comes after has no part in it
		s.Faults = slices.DeleteFunc(s.Faults, func(f faults.Fault) bool { return f.At > found.At })
	})
	try(func(s *faults.Script) { s.Network, s.Queue = faults.Default().Network, 0 })
	for again := true; again; {
		again = lessen(func(s *faults.Script) *int { return &s.Peers }) // a fault's peers stay
		for size := (len(best.Faults) + 1) / 2; size > 0; size /= 2 {
			for i := 0; i < len(best.Faults); {
				if try(func(s *faults.Script) { s.Faults = slices.Delete(s.Faults, i, min(i+size, len(s.Faults))) }) {
					again = true
				} else {
					i += size
				}
			}
		}
	}
	for i, f := range best.Faults {
		if f.Verb == faults.Hostile {
			lessen(func(s *faults.Script) *int { return &s.Faults[i].N })
		}
	}
	return best
}
