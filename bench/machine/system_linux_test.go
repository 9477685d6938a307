package machine

import (
	"os"
	"testing"

	"p2plocal/fuzz/target"
)

// The peak of a scenario is its own, and not that of an earlier one.
func TestResetPeak(t *testing.T) {
	const much = 64 << 20
	func() {
		block := make([]byte, much)
		for i := 0; i < len(block); i += os.Getpagesize() {
			block[i] = 1
		}
	}()
	before := target.PeakOf(os.Getpid())
	ResetPeak()
	if after := target.PeakOf(os.Getpid()); before < much || after <= 0 || after > before-much/4 { // a race detector keeps what it knows of them
		t.Errorf("a peak of %d bytes, and of %d when %d of them have been given back", before, after, much)
	}
}
