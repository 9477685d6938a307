package machine

import (
	"strings"
	"testing"
	"time"

	"p2plocal/fuzz/target/netns"
)

// Where the loopback interface is down, as in a new network namespace, that is said.
func TestLoopbackDown(t *testing.T) {
	t.Parallel()
	if !netns.Alone(t, "P2PLOCAL_LOOPBACK_DOWN", "1") {
		return
	}
	if _, err := MeasureBaseline(t.Context(), time.Millisecond); err == nil || !strings.Contains(err.Error(), "the loopback interface must be up") {
		t.Errorf("%v, want what is wrong", err)
	}
}
