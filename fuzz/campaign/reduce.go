package campaign

import (
	"p2plocal/fuzz/hostile"
)

// reduce is delta debugging (Zeller, Hildebrandt: Simplifying and Isolating
// Failure-Inducing Input, 2002): a shortest list that still fails, in that no
// single shot can be left out, unless stop says that it has taken too long.
func reduce(shots []hostile.Shot, fails func([]hostile.Shot) bool, stop func() bool) []hostile.Shot {
	alone := shots // few enough to look for a single culprit first, which halving may miss
	if len(shots) > 8 {
		alone = shots[:1] // the catalogue begins with what most often is
	}
	for _, s := range alone {
		if one := []hostile.Shot{s}; !stop() && fails(one) {
			return one
		}
	}
	for parts := 2; len(shots) > 1 && !stop(); {
		smaller := false
		size := (len(shots) + parts - 1) / parts
		for from := 0; from < len(shots) && !stop(); from += size {
			to := min(from+size, len(shots))
			part := append([]hostile.Shot(nil), shots[from:to]...)
			rest := append(append([]hostile.Shot(nil), shots[:from]...), shots[to:]...)
			if fails(part) {
				shots, parts, smaller = part, 2, true
				break
			}
			if parts > 2 && fails(rest) {
				shots, parts, smaller = rest, max(parts-1, 2), true
				break
			}
		}
		if !smaller {
			if parts >= len(shots) {
				break
			}
			parts = min(2*parts, len(shots))
		}
	}
	return shots
}
