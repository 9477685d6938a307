package result

import "testing"

// What others' datagrams lost in a full buffer is theirs; what nothing explains stays.
func TestForeignLosses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ kernel, sent, unexplained, wantSent, wantUnexplained int }{
		{50, 100, -39, 139, 0},
		{39, 100, -39, 139, 0},
		{38, 100, -39, 100, -39},
		{50, 100, 39, 100, 39},
		{0, 100, 0, 100, 0},
	} {
		a := Accounts{Kernel: uint64(test.kernel), Sent: uint64(test.sent), Unexplained: int64(test.unexplained)}.WithForeign()
		if a.Sent != uint64(test.wantSent) || a.Unexplained != int64(test.wantUnexplained) || a.Kernel != uint64(test.kernel) {
			t.Errorf("%+v: %+v", test, a)
		}
	}
}
