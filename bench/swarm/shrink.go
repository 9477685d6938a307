package swarm

import (
	"context"
	"slices"
	"time"

	"p2plocal/bench/faults"
	"p2plocal/core/simnet"
)

// shrinkMost bounds how many runs one Shrink may take.
const shrinkMost = 1000

// Shrink makes a scenario that breaks an invariant smaller, as long as the same
// invariant breaks: the fewest faults (delta debugging: Zeller and Hildebrandt,
// "Simplifying and isolating failure-inducing input", 2002), of those the
// shortest and simplest, on the plainest network, with the fewest peers. One
// that breaks none comes back as it is; once ctx is done, the smallest so far.
func Shrink(ctx context.Context, s faults.Script, machines Machines) faults.Script {
	found := Simulate(ctx, s, machines, 0, nil).Finding
	if found == nil {
		return s
	}
	k := shrinker{ctx: ctx, best: s, runs: 1, fails: func(t faults.Script) bool {
		f := Simulate(ctx, t, machines, 0, nil).Finding
		return f != nil && f.Invariant == found.Invariant
	}}
	k.try(func(s *faults.Script) { // what comes after has no part in it
		s.Faults = slices.DeleteFunc(s.Faults, func(f faults.Fault) bool { return f.At > found.At })
	})
	k.peers() // fewer make every run that follows shorter
	for again := true; again; {
		before := k.runs
		was := k.best
		k.faults()
		k.network()
		k.peers()
		k.details()
		again = k.runs < shrinkMost && k.runs > before && !equal(was, k.best)
	}
	return k.best
}

func equal(a, b faults.Script) bool {
	return a.Peers == b.Peers && a.Queue == b.Queue && a.Network == b.Network && slices.Equal(a.Faults, b.Faults)
}

type shrinker struct {
	ctx   context.Context
	best  faults.Script
	runs  int
	fails func(faults.Script) bool
}

// try takes a change over if what it makes can be run and still fails.
func (k *shrinker) try(change func(*faults.Script)) bool {
	t := k.best
	t.Faults = slices.Clone(t.Faults)
	change(&t)
	if k.ctx.Err() != nil || k.runs >= shrinkMost || equal(t, k.best) || t.Validate() != nil {
		return false
	}
	k.runs++
	if !k.fails(t) {
		return false
	}
	k.best = t
	return true
}

// faults takes out pieces of the list of faults, halves first and single ones in the end.
func (k *shrinker) faults() {
	for size := (len(k.best.Faults) + 1) / 2; size > 0; size /= 2 {
		for i := 0; i < len(k.best.Faults); {
			if !k.try(func(s *faults.Script) { s.Faults = slices.Delete(s.Faults, i, min(i+size, len(s.Faults))) }) {
				i += size
			}
		}
	}
}

// network makes every link as plain as it can be.
func (k *shrinker) network() {
	if k.try(func(s *faults.Script) { s.Network, s.Queue = faults.Default().Network, 0 }) {
		return
	}
	k.try(func(s *faults.Script) { s.Queue = 0 })
	k.plain(func(s *faults.Script) *simnet.Fault { return &s.Network })
}

// plain drops what a link does to datagrams, property by property.
func (k *shrinker) plain(of func(*faults.Script) *simnet.Fault) {
	for i := range simnet.Properties(new(simnet.Fault)) {
		k.try(func(s *faults.Script) {
			switch x := simnet.Properties(of(s))[i]; {
			case x.P != nil:
				*x.P = 0
			case x.D != nil:
				*x.D = 0
			default:
				*x.Flag = false
			}
		})
	}
}

// peers takes peers away, half of them first. A fault's peers stay.
func (k *shrinker) peers() {
	for cut := k.best.Peers / 2; cut > 0; {
		if !k.try(func(s *faults.Script) { s.Peers -= cut }) {
			cut /= 2
		}
	}
}

// details makes each fault shorter and less.
func (k *shrinker) details() {
	for i := range k.best.Faults {
		for k.try(func(s *faults.Script) { // ends earlier, to the millisecond
			f := &s.Faults[i]
			if half := ((f.Until - f.At) / 2).Truncate(time.Millisecond); half > 0 {
				f.Until = f.At + half
			}
		}) {
		}
		for k.try(func(s *faults.Script) { s.Faults[i].N /= 2 }) {
		}
		for k.try(func(s *faults.Script) { s.Faults[i].Jump = (s.Faults[i].Jump / 2).Truncate(time.Millisecond) }) {
		}
		if k.best.Faults[i].Verb == faults.Link {
			k.plain(func(s *faults.Script) *simnet.Fault { return &s.Faults[i].Net })
		}
	}
}
