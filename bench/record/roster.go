package record

import (
	"cmp"
	"math"
	"slices"
)

// Roster keeps who was alive when, as views are compared with it.
type Roster struct {
	Marks []View // who is alive from a time on
	gaps  []gap
}

// gap is a time in which the server does not know whom it should.
type gap struct{ from, to int64 }

// Mark notes who is alive from at on.
func (r *Roster) Mark(at int64, alive Set) { r.Marks = append(r.Marks, View{at, alive}) }

// Forget notes that the server does not know whom it should for a while.
func (r *Roster) Forget(from, to int64) { r.gaps = append(r.gaps, gap{from, to}) }

// Remove has i be gone from at on.
func (r *Roster) Remove(i int, at int64) {
	k := slices.IndexFunc(r.Marks, func(v View) bool { return v.At > at })
	if k < 0 {
		k = len(r.Marks)
	}
	if k > 0 {
		r.Marks = slices.Insert(r.Marks, k, View{at, r.Marks[k-1].Set})
	}
	for j := k; j < len(r.Marks); j++ {
		r.Marks[j].Set.Remove(i)
	}
}

// Lived reports that peer i was alive, and a server that has to know it was there,
// through all of [from, to].
func (r *Roster) Lived(i int, from, to int64) bool {
	for _, g := range r.gaps {
		if from < g.to && to >= g.from {
			return false
		}
	}
	for k, v := range r.Marks {
		if v.At > to {
			break
		}
		gone := k+1 < len(r.Marks) && r.Marks[k+1].At <= from
		if !gone && !v.Set.Has(i) {
			return false
		}
	}
	return len(r.Marks) > 0 && r.Marks[0].At <= from
}

// Life is when peer i, which lived at a time, was born, and died or will have lived until.
func (r *Roster) Life(i int, at, until int64) (born, end int64) {
	alive := false
	for _, v := range r.Marks {
		switch is := v.Set.Has(i); {
		case v.At > at && alive && !is:
			return born, min(v.At, until)
		case v.At > at:
		case is && !alive:
			born, alive = v.At, true
		case !is:
			alive = false
		}
	}
	if !alive {
		return 0, at
	}
	return born, until
}

// Lifetime is the time that peers from first to n-1 were alive within [from, to], added
// up, in peer-seconds.
func (r *Roster) Lifetime(from, to int64, first, n int) (seconds float64) {
	for k, v := range r.Marks {
		end := to
		if k+1 < len(r.Marks) {
			end = min(to, r.Marks[k+1].At)
		}
		for i := first; i < n; i++ {
			if v.Set.Has(i) {
				seconds += max(float64(end-max(v.At, from)), 0) / 1e9
			}
		}
	}
	return seconds
}

// FalseRemovals counts how often a peer that lived, and had lived for longer than
// the deadline, disappeared from the views of peers from first to n-1, or from what
// the server told somebody else. Views that drop the same one within a deadline of
// each other, or before it was listed again, saw one removal. Who was not to be in the
// views itself, such as one that is cut off, is not asked.
func (b *Store) FalseRemovals(r *Roster, first, n int, deadline int64, told []View) (times int) {
	type change struct {
		at int64
		in bool
	}
	of := make([][]change, n)
	add := func(log []View, whose int) {
		for k := 1; k < len(log); k++ {
			before, now := log[k-1].Set, log[k].Set
			if whose >= 0 && (now == "" || !r.Lived(whose, log[k].At, log[k].At)) { // a new life begins, or
				continue
			}
			for v := range n {
				if before.Has(v) != now.Has(v) && (now.Has(v) || r.Lived(v, log[k].At-deadline, log[k].At)) {
					of[v] = append(of[v], change{log[k].At, now.Has(v)})
				}
			}
		}
	}
	for i := first; i < n; i++ {
		add(b.Slots[i].Changes(), i)
	}
	const nobodys = -1
	add(told, nobodys)
	for _, all := range of {
		slices.SortFunc(all, func(a, b change) int { return cmp.Compare(a.at, b.at) })
		gone, last := false, int64(math.MinInt64/2)
		for _, c := range all {
			if !c.in {
				if !gone && c.at-last > deadline {
					times++
				}
				last = c.at
			}
			gone = !c.in
		}
	}
	return times
}
