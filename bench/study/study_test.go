package study

import (
	"context"
	"math"
	"slices"
	"testing"
	"time"

	"p2plocal/core"
)

// timed is the protocol's timing with some of it changed, in milliseconds; 0: as it is.
func timed(heartbeat, reap, deadline, refresh time.Duration) core.Timing {
	t := core.DefaultTiming()
	for _, x := range []struct {
		to    *time.Duration
		value time.Duration
	}{{&t.Heartbeat, heartbeat}, {&t.Reap, reap}, {&t.Deadline, deadline}, {&t.Refresh, refresh}} {
		if x.value > 0 {
			*x.to = x.value * time.Millisecond
		}
	}
	return t
}

// Simulation and theory agree within four standard deviations, whatever the
// timing, and every dead peer is noticed within its window.
func TestStudyAgreesWithTheory(t *testing.T) {
	for _, tt := range []struct {
		loss   float64
		timing core.Timing
		slack  float64 // of the theory, where it is one of first order
	}{
		{0, timed(0, 0, 0, 0), 0},
		{0.1, timed(0, 0, 0, 0), 0},
		{0.2, timed(0, 0, 0, 0), 0},
		{0.3, timed(0, 0, 0, 0), 0},
		{0.2, timed(300, 700, 0, 0), 0.03},
		{0.2, timed(400, 250, 1500, 0), 0.03},
		{0.1, timed(1000, 100, 1700, 0), 0.03},
		{0.1, timed(0, 0, 0, 5000), 0.05},
		{0.2, timed(0, 0, 0, 2000), 0.10},
	} {
		p := Study{Peers: 20, Timing: tt.timing, Loss: tt.loss, Hours: 20, Seed: 1}.Run(context.Background())
		expected := p.Theory * p.PeerHours
		t.Logf("loss %v, %+v: %d culls, theory %.1f; %+v", tt.loss, tt.timing, p.Culls, expected, p)
		if math.Abs(float64(p.Culls)-expected) > 4*math.Sqrt(expected)+tt.slack*expected {
			t.Errorf("loss %v, %+v: %d culls, want about %.1f", tt.loss, tt.timing, p.Culls, expected)
		}
		if p.Server.N < 30 || p.Server.Never > 0 || p.Views.N < 15*p.Server.N {
			t.Errorf("loss %v, %+v: detected %+v, noticed %+v", tt.loss, tt.timing, p.Server, p.Views)
		}
		if tt.loss == 0 && (math.Abs(p.Server.Mean-1.5) > 0.1 || p.Views.Never > 0 || *p.Views.Max < *p.Server.Max) {
			t.Errorf("without loss detected %+v, noticed %+v; want after 1.5 s on average", p.Server, p.Views)
		}
		if most := (tt.timing.Deadline + tt.timing.Reap + time.Millisecond).Seconds(); *p.Server.Max > most {
			t.Errorf("loss %v, %+v: detected after up to %v s, want at most %v", tt.loss, tt.timing, *p.Server.Max, most)
		}
	}
}

// Refresh heals what loss does to the views.
func TestRefreshHealsViews(t *testing.T) {
	run := func(refresh time.Duration) Times {
		return Study{Peers: 20, Timing: timed(0, 0, 0, refresh), Loss: 0.05, Hours: 20, Seed: 3}.Run(context.Background()).Views
	}
	without, with := run(0), run(5000)
	if share := float64(without.Never) / float64(without.N); share < 0.02 || share > 0.06 || with.Never > 0 || with.Mean > without.Mean {
		t.Errorf("views after a death at 5 %% loss: without refresh %+v, with %+v", without, with)
	}
}

// With refresh a mesh heals within its interval and a little, without never.
func TestHeal(t *testing.T) {
	for _, cause := range Causes {
		for _, peers := range []int{10, 95} {
			h := Heal{Cause: cause, Peers: peers, Timing: timed(0, 0, 0, 0), Meshes: 20, Seed: 1}
			exact := h.Run(context.Background())
			h.Timing.Refresh = 2 * time.Second
			fresh := h.Run(context.Background())
			if exact.N != 20 || fresh.N != 20 || fresh.Never != 0 || exact.Never < 20 && (cause != Lost || exact.Never < 15) {
				t.Errorf("%s, %d peers: without refresh %+v, with %+v", cause, peers, exact, fresh)
			}
			most := 2.1 // the interval, and what pacing may take
			if cause == Lost {
				most = 3.1 // where the newcomer's own directory is lost, it repeats its birth after Retry
			}
			if fresh.Max == nil || *fresh.Max > most {
				t.Errorf("%s, %d peers: healed %+v after the fault, want within %v s", cause, peers, fresh, most)
			}
		}
	}
}

// Without loss, views are wrong for as long as theory says.
func TestChurn(t *testing.T) {
	for _, tt := range []struct {
		peers  int
		deaths float64
	}{{10, 0.2}, {40, 0.5}} {
		c := Churn{Peers: tt.peers, Timing: core.DefaultTiming(), Deaths: tt.deaths, Meshes: 12, Seed: 1}
		s := c.Run(context.Background())
		if want, half := c.Theory(), s.High-s.Mean; !c.Fits() || math.Abs(s.Mean-want) > 2*half {
			t.Errorf("%+v: %+v, want %.3f", tt, s, want)
		}
		c.Loss = 0.02
		lossy := c.Run(context.Background())
		c.Timing.Refresh = 2 * time.Second
		if healed := c.Run(context.Background()); lossy.Mean < s.Mean || healed.Mean > lossy.Mean {
			t.Errorf("%+v: %+v, at 2 %% loss %+v, and with refresh %+v", tt, s, lossy, healed)
		}
	}
	if (Churn{Peers: 10, Timing: core.DefaultTiming(), Deaths: 2}).Fits() {
		t.Error("8 of 10 peers dead at a time fit")
	}
}

func TestTimes(t *testing.T) {
	var d []time.Duration
	for i := range 96 {
		d = append(d, time.Duration(96-i)*time.Second)
	}
	got := newTimes(d, 4, 200*time.Second)
	if got.N != 100 || got.Never != 4 || *got.P50 != 50 || *got.P95 != 95 || got.P99 != nil || got.Max != nil || got.Mean != (96*97/2+800)/100. {
		t.Errorf("%+v", got)
	}
	if got := newTimes(nil, 0, time.Second); got != (Times{}) {
		t.Errorf("%+v", got)
	}
	if got := newTimes(nil, 2, time.Second); got.P50 != nil || got.Mean != 1 {
		t.Errorf("%+v", got)
	}
}

func TestShare(t *testing.T) {
	s := newShare([]float64{0.4, 0.5, 0.6}) // mean 0.5, deviation 0.1, t = 4.303
	if s.Mean != 0.5 || math.Abs(s.High-0.5-0.4303/math.Sqrt(3)) > 1e-9 || math.Abs(s.High+s.Low-1) > 1e-9 {
		t.Errorf("%+v", s)
	}
	if !slices.IsSortedFunc(student, func(a, b float64) int { return int(1000 * (b - a)) }) {
		t.Error("Student's t does not fall")
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
