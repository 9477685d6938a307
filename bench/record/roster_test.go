package record

import (
	"fmt"
	"testing"
	"time"

	"p2plocal/core"
)

// False removals are counted once for all views, and only of those who lived.
func TestFalseRemovals(t *testing.T) {
	t.Parallel()
	const s = int64(time.Second)
	of := func(members ...int) (v Set) {
		for _, i := range members {
			v.Add(i)
		}
		return v
	}
	for _, test := range []struct {
		name   string
		roster []View
		views  [3][]View
		want   int
		told   []View
	}{
		{"nobody is dropped", []View{{0, of(0, 1, 2)}}, [3][]View{{{1, of(0, 1, 2)}}, {{1, of(0, 1, 2)}}, {{1, of(0, 1, 2)}}}, 0, nil},
		{"two views drop one", []View{{0, of(0, 1, 2)}}, [3][]View{{{1, of(0, 1, 2)}, {9 * s, of(0, 1)}}, {{1, of(0, 1, 2)}, {9*s + 1, of(0, 1)}}, nil}, 1, nil},
		{"one is dropped twice", []View{{0, of(0, 1, 2)}}, [3][]View{{{1, of(0, 1, 2)}, {9 * s, of(0, 1)}, {10 * s, of(0, 1, 2)}, {19 * s, of(0, 1)}}, nil, nil}, 2, nil},
		{"two are dropped at once", []View{{0, of(0, 1, 2)}}, [3][]View{{{1, of(0, 1, 2)}, {9 * s, of(0)}}, nil, nil}, 2, nil},
		{"the dropped one was dead", []View{{0, of(0, 1, 2)}, {8 * s, of(0, 1)}}, [3][]View{{{1, of(0, 1, 2)}, {9 * s, of(0, 1)}}, nil, nil}, 0, nil},
		{"it had just come back", []View{{0, of(0, 1, 2)}, {7 * s, of(0, 1)}, {9*s - 1, of(0, 1, 2)}}, [3][]View{{{1, of(0, 1, 2)}, {9 * s, of(0, 1)}}, nil, nil}, 0, nil},
		{"who is cut off drops others", []View{{0, of(0, 1, 2)}, {8 * s, of(0, 1)}}, [3][]View{{{1, of(0, 1, 2)}, {9 * s, of(0, 1)}}, nil, {{1, of(0, 1, 2)}, {9 * s, of(2)}}}, 0, nil},
		{"the seer is born again", []View{{0, of(0, 1, 2)}}, [3][]View{{{1, of(0, 1, 2)}, {9 * s, ""}, {9*s + 1, of(0, 1, 2)}}, nil, nil}, 0, nil},
		{"a view drops one after it was born again", []View{{0, of(0, 1, 2)}}, [3][]View{{{1, of(0, 1, 2)}, {9 * s, ""}, {9*s + 1, of(0, 1, 2)}, {20 * s, of(0, 1)}}, nil, nil}, 1, nil},
		{"two views drop one a deadline apart", []View{{0, of(0, 1, 2)}}, [3][]View{{{1, of(0, 1, 2)}, {9 * s, of(0, 1)}, {10 * s, of(0, 1, 2)}}, {{1, of(0, 1, 2)}, {10*s + s/2, of(0, 1)}}, nil}, 1, nil},
		{"and a little more", []View{{0, of(0, 1, 2)}}, [3][]View{{{1, of(0, 1, 2)}, {9 * s, of(0, 1)}, {10 * s, of(0, 1, 2)}}, {{1, of(0, 1, 2)}, {10*s + s/2 + 1, of(0, 1)}}, nil}, 2, nil},
		{"only others are told", []View{{0, of(0, 1, 2)}}, [3][]View{{{1, of(0, 1, 2)}}, nil, nil}, 2, []View{{1, of(0, 1, 2)}, {9 * s, of(0)}, {20 * s, of(0)}}},
		{"a view is told later what others were", []View{{0, of(0, 1, 2)}}, [3][]View{{{1, of(0, 1, 2)}, {30 * s, of(0, 1)}}, nil, nil}, 1, []View{{1, of(0, 1, 2)}, {9 * s, of(0, 1)}}},
	} {
		b := storeOf(4)
		for i, log := range test.views {
			for _, v := range log {
				b.Slots[i].note(v.At, v.Set)
			}
		}
		r := &Roster{Marks: test.roster}
		if got := b.FalseRemovals(r, 0, 3, int64(core.DefaultTiming().Deadline), test.told); got != test.want {
			t.Errorf("%s: %d false removals, want %d", test.name, got, test.want)
		}
		if got := b.FalseRemovals(r, 3, 3, int64(core.DefaultTiming().Deadline), nil); got != 0 {
			t.Errorf("%s: %d false removals by nobody's views", test.name, got)
		}
		b.Slots[3].log = b.Slots[0].log
		b.Slots[3].views.Store(b.Slots[0].views.Load())
		if got := b.FalseRemovals(r, 1, 3, int64(core.DefaultTiming().Deadline), nil); len(test.views[1]) == 0 && got != 0 {
			t.Errorf("%s: %d false removals by views that do not count", test.name, got)
		}
	}
}

// Dead peers and those of others add nothing to the time that was lived.
func TestLifetime(t *testing.T) {
	t.Parallel()
	const s = int64(time.Second)
	all, some := Set(""), Set("")
	for i := range 4 {
		all.Add(i)
	}
	some.Add(0)
	some.Add(3)
	r := Roster{Marks: []View{{0, all}, {10 * s, some}, {12 * s, all}}}
	if got := r.Lifetime(5*s, 11*s, 1, 4); got != 3*5+1 {
		t.Errorf("%v peer-seconds, want 3 peers for 5 s and one for 1 s", got)
	}
}

func TestRosterRemove(t *testing.T) {
	t.Parallel()
	of := func(members ...int) (v Set) {
		for _, i := range members {
			v.Add(i)
		}
		return v
	}
	r := Roster{Marks: []View{{10, of(0, 1)}, {20, of(0, 1, 2)}, {30, of(0, 1, 3)}}}
	r.Remove(1, 25)
	want := []View{{10, of(0, 1)}, {20, of(0, 1, 2)}, {25, of(0, 2)}, {30, of(0, 3)}}
	if fmt.Sprint(r.Marks) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", r.Marks, want)
	}
	r.Remove(3, 99) // after all of them
	r.Remove(0, 5)  // before
	want = []View{{10, of(1)}, {20, of(1, 2)}, {25, of(2)}, {30, of(3)}, {99, of()}}
	if fmt.Sprint(r.Marks) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", r.Marks, want)
	}
}

// A peer has lived through a time if it was alive all along, and a server that had to know it
// was there.
func TestLived(t *testing.T) {
	t.Parallel()
	var all, others Set
	all.Add(0)
	all.Add(1)
	others.Add(0)
	r := Roster{Marks: []View{{10, all}, {20, others}, {30, all}, {40, all}}}
	for _, x := range []struct {
		from, to int64
		want     bool
	}{
		{9, 15, false}, // not known from the beginning
		{10, 19, true}, {10, 20, false}, {12, 35, false}, {20, 29, false}, {25, 35, false}, {29, 31, false}, {30, 31, true}, {30, 50, true}, {41, 60, true},
	} {
		if got := r.Lived(1, x.from, x.to); got != x.want {
			t.Errorf("from %d to %d: %v", x.from, x.to, got)
		}
		if got := r.Lived(0, x.from, x.to); got != (x.from >= 10) {
			t.Errorf("the other, from %d to %d: %v", x.from, x.to, got)
		}
	}
	r.Forget(50, 60)
	for _, x := range []struct {
		from, to int64
		want     bool
	}{{41, 49, true}, {41, 50, false}, {52, 55, false}, {59, 70, false}, {60, 70, true}} {
		if got := r.Lived(1, x.from, x.to); got != x.want {
			t.Errorf("with a gap from 50 to 60, from %d to %d: %v", x.from, x.to, got)
		}
	}
	if (&Roster{}).Lived(0, 1, 2) {
		t.Error("lived, though nobody has been alive")
	}
}

// A life is from a birth to a death, and ends with the observation where there is none.
func TestLife(t *testing.T) {
	t.Parallel()
	var all, others Set
	all.Add(0)
	all.Add(1)
	others.Add(0)
	r := Roster{Marks: []View{{10, others}, {20, all}, {25, all}, {30, others}, {40, all}}}
	for _, x := range []struct{ at, until, born, end int64 }{
		{20, 100, 20, 30}, {26, 100, 20, 30}, {29, 100, 20, 30}, {29, 28, 20, 28}, {40, 100, 40, 100}, {50, 100, 40, 100},
		{15, 100, 0, 15}, {30, 100, 0, 30}, {35, 100, 0, 35},
	} {
		if born, end := r.Life(1, x.at, x.until); born != x.born || end != x.end {
			t.Errorf("at %d until %d: %d to %d, want %d to %d", x.at, x.until, born, end, x.born, x.end)
		}
	}
}
