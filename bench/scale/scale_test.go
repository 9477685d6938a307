package scale

import (
	"testing"
	"time"

	"p2plocal/core/wide"
)

// The model gives the same figures in each run; up to 3,000 peers all join, in the order of
// what the datagrams take, and a dead one is noticed when its deadline has passed.
func TestSimulate(t *testing.T) {
	t.Parallel()
	deadline := wide.DefaultTiming().Deadline
	for _, n := range []int{2, 95, 1000, 3000} {
		p, err := Simulate(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := Simulate(t.Context(), n); again != p {
			t.Errorf("%+v, and again %+v", p, again)
		}
		if p.Join < 4*delay || p.Join > 2*time.Second || p.Busy > p.Join || p.Busy < time.Duration(p.Datagrams)*cost.Send || p.Removed > 0 {
			t.Errorf("%+v", p)
		}
		if beat := wide.DefaultTiming().Heartbeat; p.Detection < deadline-beat || p.Detection > deadline+2*beat {
			t.Errorf("%d peers: noticed after %v", n, p.Detection)
		}
	}
}

// Over real sockets, once.
func TestMeasure(t *testing.T) {
	t.Parallel()
	p, err := Measure(t.Context(), 10)
	if err != nil || p.Join == 0 || p.Datagrams < 20 || p.Bytes == 0 || p.Detection == 0 {
		t.Errorf("%+v, %v", p, err)
	}
}
