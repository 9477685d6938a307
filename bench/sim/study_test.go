package sim

import (
	"context"
	"math"
	"testing"
	"time"

	"p2plocal/core"
)

// Simulation and theory agree within four standard deviations, and every dead
// peer is noticed within its window.
func TestStudyAgreesWithTheory(t *testing.T) {
	for _, loss := range []float64{0, 0.1, 0.2, 0.3} {
		s := Study{Peers: 20, Timing: core.DefaultTiming(), Loss: loss, Hours: 20, Seed: 1}
		p := s.Run(context.Background())
		if expected := p.Theory * p.PeerHours; math.Abs(float64(p.Culls)-expected) > 4*math.Sqrt(expected) {
			t.Errorf("loss %v: %d culls, want about %.1f", loss, p.Culls, expected)
		}
		if len(p.Detection) < 30 {
			t.Errorf("loss %v: %d kills", loss, len(p.Detection))
		}
		for _, d := range p.Detection {
			// The last keep-alive that got through may be up to two or more
			// heartbeats older than the kill, never younger.
			if d > 2*time.Second+time.Millisecond || loss == 0 && d < time.Second {
				t.Errorf("loss %v: detected after %v", loss, d)
			}
		}
	}
}

func TestPoisson(t *testing.T) {
	for _, tt := range []struct {
		count     int
		low, high float64 // exact (Garwood 1936)
	}{{0, 0, 3.69}, {10, 4.80, 18.39}, {100, 81.36, 121.63}} {
		if low, high := poisson(tt.count); math.Abs(low-tt.low) > 0.06 || math.Abs(high-tt.high) > 0.06 {
			t.Errorf("%d: %.2f to %.2f, want %v to %v", tt.count, low, high, tt.low, tt.high)
		}
	}
}
