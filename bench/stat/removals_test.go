package stat

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"p2plocal/core"
	"p2plocal/core/simnet"
)

// timing is the protocol's with other intervals, in milliseconds.
func timing(heartbeat, reap, deadline, refresh time.Duration) core.Timing {
	t := core.DefaultTiming()
	t.Heartbeat, t.Reap, t.Deadline, t.Refresh = heartbeat*time.Millisecond, reap*time.Millisecond, deadline*time.Millisecond, refresh*time.Millisecond
	return t
}

// simulateRemovals counts how often a server removes one of ten live peers in a
// minute of losses, and what theory expects for the phases that they have.
func simulateRemovals(t core.Timing, loss float64, seed uint64) (removed int, expected Removals) {
	const (
		peers    = 10
		delay    = 20 * time.Microsecond
		observed = time.Minute
	)
	t.Broadcast = 0
	n := simnet.New(simnet.Config{Seed: seed, Fault: simnet.Fault{Delay: delay}})
	server := n.AddServer(core.DirectoryConfig{Timing: t})
	server.Launch()
	begin := 2*time.Second + t.Refresh + t.Heartbeat
	random := rand.New(rand.NewPCG(seed, 0))
	next := func(from, every time.Duration) time.Duration { // the first after begin
		return from + (begin-from)/every*every + every - begin
	}
	for i := range peers {
		self := core.Member{Name: core.Name(rune('A' + i)), Addr: simnet.Addr(simnet.ServerPort + 1 + uint16(i))}
		born := time.Duration(random.Int64N(int64(2*time.Second + t.Refresh)))
		n.At(born, n.AddPeer(core.PeerConfig{Self: self, Timing: t}).Launch)
		m := Member{Alive: next(born+delay, t.Heartbeat), Look: next(0, t.Reap)}
		m.Heard = m.Alive - t.Heartbeat
		if t.Refresh > 0 {
			m.Birth = next(born+3*delay, t.Refresh) // from when it was answered
		}
		expected = expected.Plus(ExpectedRemovals(t, loss, m, observed))
	}
	n.At(begin, func() { n.SetDefault(simnet.Fault{Delay: delay, Loss: loss}) })
	n.Run(begin + observed)
	return int(server.Machine().(*core.Directory).Counters().Events[core.Removed]), expected
}

var removalTimings = []core.Timing{
	timing(500, 500, 1500, 0), timing(500, 500, 1500, 5000), timing(500, 500, 1500, 2000), timing(500, 500, 1500, 1300),
	timing(500, 500, 1250, 0), timing(300, 700, 1500, 0), timing(400, 250, 1500, 3000), timing(1000, 100, 1700, 0), timing(250, 500, 700, 700),
}

// checkRemovals compares the mean and the variance over so many runs with theory,
// each within four of its standard errors.
func checkRemovals(t *testing.T, runs int) {
	for i, timing := range removalTimings {
		losses := []float64{0, 0.01, 0.05, 0.1, 0.2, 0.3}
		if i > 3 { // of timings other than the protocol's the ends and the middle tell
			losses = []float64{0, 0.01, 0.1, 0.3}
		}
		for _, loss := range losses {
			t.Run(fmt.Sprintf("%v-%v-%v-%v-%v", timing.Heartbeat, timing.Reap, timing.Deadline, timing.Refresh, loss), func(t *testing.T) {
				t.Parallel()
				runs := runs
				if loss == 0 {
					runs = min(runs, 20) // nobody is removed: each is like the other
				}
				var mean, expected, squares float64
				var all Removals
				outside := 0
				for seed := range uint64(runs) {
					removed, theory := simulateRemovals(timing, loss, seed)
					if low, high := theory.Interval(); float64(removed) < low || float64(removed) > high {
						outside++
					}
					x := float64(removed) - theory.Mean
					mean, squares, all = mean+float64(removed), squares+x*x, all.Plus(theory)
				}
				expected = all.Mean / float64(runs)
				mean /= float64(runs)
				off := 4 * math.Sqrt(all.Variance) / float64(runs)
				t.Logf("%.4f removed a run, expected %.4f ± %.4f; variance %.4f, expected %.4f; %d outside", mean, expected, off, squares/float64(runs), all.Variance/float64(runs), outside)
				if math.Abs(mean-expected) > off+1e-3/float64(runs) {
					t.Errorf("%.4f removed a run, expected %.4f ± %.4f", mean, expected, off)
				}
				if outside > 1+runs/200 {
					t.Errorf("%d of %d runs are outside their interval", outside, runs)
				}
			})
		}
	}
}

func TestRemovals(t *testing.T) { checkRemovals(t, 20) }

// What can be worked out by hand: two keep-alives, both of which must be lost for the
// second look to remove, and a birth that brings back.
func TestRemovalsByHand(t *testing.T) {
	const p = 0.25
	timing := core.Timing{Heartbeat: time.Second, Reap: time.Second, Deadline: 1500 * time.Millisecond}
	m := Member{Alive: time.Second, Look: 1250 * time.Millisecond, Birth: 2400 * time.Millisecond}
	check := func(refresh time.Duration, mean, variance, present float64) {
		t.Helper()
		timing.Refresh = refresh
		got := ExpectedRemovals(timing, p, m, 2500*time.Millisecond)
		for _, x := range [][2]float64{{got.Mean, mean}, {got.Variance, variance}, {got.Present, present}} {
			if math.Abs(x[0]-x[1]) > 1e-12 {
				t.Errorf("refresh %v: %+v, want %v, %v, %v", refresh, got, mean, variance, present)
			}
		}
	}
	check(0, p*p, p*p*(1-p*p), 2.25+0.25*(1-p*p))
	check(time.Nanosecond<<40, p*p, p*p*(1-p*p), 2.25+0.15*(1-p*p)+0.1*(1-p*p*p))
}

// One that is removed for certain, brought back by a birth that arrives with probability
// 3/4, and removed again.
func TestRemovalsTwice(t *testing.T) {
	const arrives = 0.75
	timing := core.Timing{Heartbeat: time.Hour, Reap: time.Second, Deadline: 1500 * time.Millisecond, Refresh: time.Hour}
	got := ExpectedRemovals(timing, 1-arrives, Member{Alive: time.Hour, Look: 2 * time.Second, Birth: 3 * time.Second}, 6*time.Second)
	for _, x := range [][2]float64{{got.Mean, 1 + arrives}, {got.Variance, arrives * (1 - arrives)}, {got.Present, 2 + 2*arrives}} {
		if math.Abs(x[0]-x[1]) > 1e-12 {
			t.Errorf("%+v, want %v, %v, %v", got, 1+arrives, arrives*(1-arrives), 2+2*arrives)
		}
	}
}

// Quantiles of the Poisson distribution, from tables; of a normal one for large means.
func TestRemovalsInterval(t *testing.T) {
	for _, x := range []struct{ mean, variance, low, high float64 }{
		{0, 0, 0, 0},
		{1e-4, 1e-4, 0, 0},
		{0.5, 0.5, 0, 4},
		{1, 1, 0, 6},
		{10, 10, 2, 22},
		{10, 5, 3, 18}, // half of what a Poisson count of mean 20 has: 7 to 36
		{2, 4, 0, 12},  // twice what one of mean 1 has
		{0.9, 1e-6, 0, 1},
		{500, 500, 428, 575},
		{500.5, 500.5, 426, 575},
		{501, 501, 427, 575},
		{1000, 1000, 895, 1105},
		{7, 0, 7, 7},
	} {
		if low, high := (Removals{Mean: x.mean, Variance: x.variance}).Interval(); low != x.low || high != x.high {
			t.Errorf("mean %v, variance %v: %v to %v, want %v to %v", x.mean, x.variance, low, high, x.low, x.high)
		}
	}
	sum := Removals{1, 2, 3}.Plus(Removals{10, 20, 30})
	if sum != (Removals{11, 22, 33}) {
		t.Errorf("%+v", sum)
	}
}
