package scenario

import "testing"

// A tick is due in a window that it opens, and not in one that it ends: with
// -in-step all of them fall on its bounds.
func TestTicksWithin(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		first, interval, from, to int64
		want                      uint64
	}{
		{0, 10, 0, 30, 3},  // 0, 10, 20
		{0, 10, 10, 30, 2}, // 10, 20
		{0, 10, 10, 31, 3}, // and 30
		{0, 10, 11, 30, 1},
		{0, 10, 9, 30, 2},
		{0, 10, 10, 10, 0},
		{5, 10, 0, 30, 3}, // 5, 15, 25
		{5, 10, 5, 25, 2},
		{5, 10, 0, 5, 0},
		{5, 10, 0, 6, 1},
		{50, 10, 0, 30, 0},
		{-25, 10, 0, 30, 3}, // it has begun before: 5, 15, 25
	} {
		if got := ticksWithin(test.first, test.interval, test.from, test.to); got != test.want {
			t.Errorf("%+v: %d", test, got)
		}
	}
}
