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
		{"the seer is born again", []View{{0, of(0, 1, 2)}}, [3][]View{{{1, of(0, 1, 2)}, {9 * s, Set{}}, {9*s + 1, of(0, 1, 2)}}, nil, nil}, 0, nil},
		{"only others are told", []View{{0, of(0, 1, 2)}}, [3][]View{{{1, of(0, 1, 2)}}, nil, nil}, 2, []View{{1, of(0, 1, 2)}, {9 * s, of(0)}, {20 * s, of(0)}}},
		{"a view is told later what others were", []View{{0, of(0, 1, 2)}}, [3][]View{{{1, of(0, 1, 2)}, {30 * s, of(0, 1)}}, nil, nil}, 1, []View{{1, of(0, 1, 2)}, {9 * s, of(0, 1)}}},
	} {
		b := new(Store)
		for i, log := range test.views {
			copy(b.Slots[i].log[:], log)
			b.Slots[i].views.Store(uint32(len(log)))
		}
		r := &Roster{Marks: test.roster}
		if got := b.FalseRemovals(r, 0, 3, int64(core.DefaultTiming().Deadline), test.told); got != test.want {
			t.Errorf("%s: %d false removals, want %d", test.name, got, test.want)
		}
	}
}

// Dead peers and those of others add nothing to the time that was lived.
func TestLifetime(t *testing.T) {
	t.Parallel()
	const s = int64(time.Second)
	all, some := Set{}, Set{}
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
}
