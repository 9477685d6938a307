package figure

import "testing"

func TestGrouped(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 7: "7", 999: "999", 1000: "1,000", 999_999: "999,999", 1_033_236: "1,033,236", -12: "-12", -1234: "-1,234", 1e12: "1,000,000,000,000"} {
		if got := Grouped(v); got != want {
			t.Errorf("%v: %q", v, got)
		}
	}
}
