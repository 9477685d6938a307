package mlrsearch

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// device is a simulated device under test: the loss at a load, in the n-th
// trial, at now (time spent in trials so far).
type device func(n int, now time.Duration, load float64) float64

// trialer runs a device in no time.
func (dev device) trialer() Trialer {
	n, now := 0, time.Duration(0)
	return func(_ context.Context, load float64, d time.Duration) (Trial, error) {
		loss := dev(n, now, load)
		n++
		now += d
		return Trial{Offered: load, Delivered: load * (1 - loss), Loss: loss, Seconds: d.Seconds()}, nil
	}
}

// knee delivers up to a rate and loses all above it.
func knee(rate float64) device {
	return func(_ int, _ time.Duration, load float64) float64 { return max(0, 1-rate/load) }
}

// disturbed is a device whose n-th trials lose a tenth for no reason of its own.
func (dev device) disturbed(trials ...int) device {
	return func(n int, now time.Duration, load float64) float64 {
		if slices.Contains(trials, n) {
			return 0.1
		}
		return dev(n, now, load)
	}
}

// bisect is RFC 2544's search: one trial a load, and it is believed.
func bisect(s Config, try Trialer) float64 {
	low, high := s.Min, s.Max
	for width(low, high) > s.Width {
		mid := math.Sqrt(low * high)
		if o, _ := try(context.Background(), mid, s.Trial); o.Loss > 0 {
			high = mid
		} else {
			low = mid
		}
	}
	return low
}

func mustSearch(t *testing.T, s Config, dev device) Result {
	t.Helper()
	res, err := Search(context.Background(), s, dev.trialer())
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Goals) != 2 || res.Goals[0].LossRatio != 0 || res.Goals[1].LossRatio != s.LossRatio {
		t.Fatalf("goals %+v", res.Goals)
	}
	if len(res.Trials) > 150 {
		t.Errorf("%d trials", len(res.Trials))
	}
	for i, g := range res.Goals {
		if g.Note == "" && !(*g.Lower < *g.Upper && width(*g.Lower, *g.Upper) <= s.Width) {
			t.Errorf("goal %d: bounds %v to %v", i, *g.Lower, *g.Upper)
		}
	}
	return res
}

// brackets fails the test unless a result without a note has rate between its bounds.
func brackets(t *testing.T, g Goal, rate float64) {
	t.Helper()
	if g.Note != "" || *g.Lower > rate || *g.Upper < rate {
		t.Errorf("goal %v: %q, bounds %v to %v, want %v between them",
			g.LossRatio, g.Note, g.Lower, g.Upper, rate)
	}
}

func TestSearchKnee(t *testing.T) {
	s := Default()
	for _, rate := range []float64{1001, 1500, 63200, 250e3, 1.99e6} {
		res := mustSearch(t, s, knee(rate))
		brackets(t, res.Goals[0], rate)
		goal := rate / (1 - s.LossRatio) // that loses just as much as the goal allows
		brackets(t, res.Goals[1], goal)
	}
}

// Whichever single trial is disturbed, the search finds the knee. Bisection,
// which makes fewer trials, is fooled where the noise hits a load below it.
func TestSearchToleratesNoise(t *testing.T) {
	const rate = 63200
	s := Default()
	clean := len(mustSearch(t, s, knee(rate)).Trials)
	fooled := 0
	for n := range clean {
		dev := knee(rate).disturbed(n)
		brackets(t, mustSearch(t, s, dev).Goals[0], rate)
		if bisect(s, dev.trialer()) < rate*(1-s.Width) {
			fooled++
		}
	}
	if fooled == 0 {
		t.Error("bisection was never fooled: the noise proves nothing")
	}
	if got := bisect(s, knee(rate).trialer()); got > rate || got < rate*(1-s.Width) {
		t.Errorf("bisection finds %v without noise", got)
	}
	t.Logf("%d trials; bisection was fooled by noise in %d of them", clean, fooled)
}

// With an exceed ratio of 0 nothing is tolerated, by definition.
func TestSearchExceedZero(t *testing.T) {
	s := Default()
	s.Exceed = 0
	brackets(t, mustSearch(t, s, knee(63200)).Goals[0], 63200)
	g := mustSearch(t, s, knee(63200).disturbed(4)).Goals[0] // ramping up, at 16000
	if g.Upper == nil || *g.Upper > 16000 {
		t.Errorf("the lossy trial at 16000 is forgotten: %+v", g)
	}
}

// A device that loses ever more has another rate for each goal.
func TestSearchGradual(t *testing.T) {
	s := Default()
	s.LossRatio = 0.02
	res := mustSearch(t, s, func(_ int, _ time.Duration, load float64) float64 {
		return max(0, load-50e3) / 1e6 // 2 % at 70,000
	})
	brackets(t, res.Goals[0], 50e3)
	brackets(t, res.Goals[1], 70e3)
}

func TestSearchEnds(t *testing.T) {
	s := Default()
	res := mustSearch(t, s, func(int, time.Duration, float64) float64 { return 0.5 })
	for _, g := range res.Goals {
		if g.Lower != nil || g.Upper == nil || *g.Upper != s.Min || !strings.Contains(g.Note, "the min load, 1000 messages/s, loses more") {
			t.Errorf("always lossy: %+v", g)
		}
	}
	res = mustSearch(t, s, func(int, time.Duration, float64) float64 { return 0 })
	for _, g := range res.Goals {
		if g.Upper != nil || g.Lower == nil || *g.Lower != s.Max || !strings.Contains(g.Note, "the max load, 2e+06 messages/s, loses no more") {
			t.Errorf("never lossy: %+v", g)
		}
	}
}

// A device that gets slower, or loses at random, has no one rate; the search
// must still end, with bounds that are in order.
func TestSearchUnsteady(t *testing.T) {
	s := Default()
	res := mustSearch(t, s, func(_ int, now time.Duration, load float64) float64 {
		return max(0, 1-(80e3-1e3*now.Seconds())/load)
	})
	for _, g := range res.Goals {
		if g.Note != "" || *g.Lower > 80e3 || *g.Lower < 30e3 {
			t.Errorf("drifting: %+v", g)
		}
	}
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 0))
		mustSearch(t, s, func(int, time.Duration, float64) float64 { return max(0, r.Float64()-0.5) })
	}
	s.Width = 1e-17 // finer than a float64
	mustSearch := func(dev device) (Result, error) { return Search(context.Background(), s, dev.trialer()) }
	if res, err := mustSearch(knee(63200)); err != nil || res.Goals[0].Note != "no load lies between the bounds" {
		t.Errorf("width 1e-17: %+v, %v", res.Goals, err)
	}
}

// Whenever it is cut off, the search returns its trials and true bounds.
func TestSearchEndsEarly(t *testing.T) {
	s := Default()
	all := len(mustSearch(t, s, knee(63200)).Trials)
	broken := errors.New("broken")
	for _, fail := range []bool{false, true} {
		for n := 1; n < all; n++ {
			ctx, cancel := context.WithCancel(context.Background())
			try, done := knee(63200).trialer(), 0
			res, err := Search(ctx, s, func(ctx context.Context, load float64, d time.Duration) (Trial, error) {
				if done == n && fail {
					return Trial{}, broken
				}
				if done++; done == n && !fail {
					cancel()
				}
				return try(ctx, load, d)
			})
			cancel()
			if want := map[bool]error{true: broken, false: context.Canceled}[fail]; !errors.Is(err, want) {
				t.Fatalf("after %d trials: error %v, want %v", n, err, want)
			}
			if len(res.Trials) != n {
				t.Errorf("after %d trials: %d in the result", n, len(res.Trials))
			}
			for _, g := range res.Goals {
				if g.Lower != nil && *g.Lower > 63200/(1-g.LossRatio) || g.Upper != nil && *g.Upper < 63200 {
					t.Errorf("after %d trials: %+v", n, g)
				}
				if found := g.Lower != nil && g.Upper != nil && width(*g.Lower, *g.Upper) <= s.Width; !found && g.Note != "the search ended early: "+err.Error() {
					t.Errorf("after %d trials: note %q", n, g.Note)
				}
			}
		}
	}
	if _, err := Search(context.Background(), Config{}, nil); err == nil {
		t.Error("no error for parameters without sense")
	}
}

func TestClassify(t *testing.T) {
	goal := target{lossRatio: 0.01, trial: time.Second, durationSum: 4 * time.Second, exceed: 0.5}
	strict := goal
	strict.exceed = 0
	low, high := outcome{time.Second, 0.01}, outcome{time.Second, 0.02}
	shortLow, shortHigh := outcome{time.Second / 2, 0}, outcome{time.Second / 2, 1}
	for _, test := range []struct {
		name   string
		t      target
		trials []outcome
		want   class
	}{
		{"nothing", goal, nil, undecided},
		{"one of four", goal, []outcome{low}, undecided},
		{"half low", goal, []outcome{low, low}, lowerBound},
		{"half high", goal, []outcome{high, high}, undecided},
		{"more than half high", goal, []outcome{high, high, high}, upperBound},
		{"two and two", goal, []outcome{high, high, low, low}, lowerBound},
		{"short low alone decide nothing", goal, []outcome{shortLow, shortLow, shortLow, shortLow, shortLow, shortLow, shortLow, shortLow}, undecided},
		{"short high count", goal, []outcome{shortHigh, shortHigh, shortHigh, shortHigh, shortHigh}, upperBound},
		{"short low make up for short high", goal, []outcome{shortHigh, shortHigh, shortHigh, shortHigh, shortHigh, shortLow}, undecided},
		{"strict: one high", strict, []outcome{high}, upperBound},
		{"strict: a short high", strict, []outcome{shortHigh}, upperBound},
		{"strict: three low", strict, []outcome{low, low, low}, undecided},
		{"strict: four low", strict, []outcome{low, low, low, low}, lowerBound},
	} {
		if got := test.t.classify(test.trials); got != test.want {
			t.Errorf("%s: class %d, want %d", test.name, got, test.want)
		}
	}
	// Half of four seconds may exceed: the other two seconds decide.
}

// A goal is approached by coarser ones, each of which has trials twice as long and a
// width half as wide as the one before.
func TestTargets(t *testing.T) {
	m := search{Config: Config{LossRatio: 0.1, Trial: 4 * time.Second, DurationSum: 12 * time.Second, Exceed: 0.25, Width: 0.05}}
	want := []target{
		{0.1, time.Second, time.Second, 0.25, 0.2, 2},
		{0.1, 2 * time.Second, 2 * time.Second, 0.25, 0.1, 1.1},
		{0.1, 4 * time.Second, 12 * time.Second, 0.25, 0.05, 1.05},
	}
	if got := m.targets(0.1); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	m.Width = 0.4
	if got := m.targets(0); got[0].width != 0.5 || got[1].width != 0.5 || got[2].width != 0.4 {
		t.Errorf("%+v, want no width above 0.5 on the way to 0.4", got)
	}
}

// How many trials a search takes is its cost: where a hint is missed or a step does not
// grow, it takes more.
func TestSearchTrials(t *testing.T) {
	drifting := func(_ int, now time.Duration, load float64) float64 {
		return max(0, 1-(80e3-1e3*now.Seconds())/load)
	}
	for _, x := range []struct {
		width  float64
		dev    device
		trials int
	}{{0.05, knee(1001), 13}, {0.05, knee(63200), 17}, {0.05, knee(1.99e6), 22}, {0.5, knee(63200), 12}, {0.01, knee(63200), 24}, {0.05, drifting, 18}} {
		s := Default()
		s.Width = x.width
		if got := len(mustSearch(t, s, x.dev).Trials); got != x.trials {
			t.Errorf("width %v: %d trials, want %d", x.width, got, x.trials)
		}
	}
}

func TestValidate(t *testing.T) {
	if want := (Config{LossRatio: 0.005, Trial: time.Second, DurationSum: 3 * time.Second, Exceed: 0.5, Width: 0.05, Min: 1e3, Max: 2e6}); Default() != want {
		t.Errorf("%+v, want %+v", Default(), want)
	}
	for _, change := range []func(*Config){
		func(*Config) {},
		func(s *Config) { s.LossRatio = 0 },
		func(s *Config) { s.LossRatio = 0.99 },
		func(s *Config) { s.Trial = 1 },
		func(s *Config) { s.DurationSum = s.Trial },
		func(s *Config) { s.Exceed = 0 },
		func(s *Config) { s.Width = 1e-9 },
		func(s *Config) { s.Min = 0.5 },
	} {
		s := Default()
		if change(&s); s.Validate() != nil {
			t.Errorf("%+v: %v", s, s.Validate())
		}
	}
	for want, values := range map[string][]func(*Config){
		"goal loss ratio": {func(s *Config) { s.LossRatio = -0.1 }, func(s *Config) { s.LossRatio = 1 }, func(s *Config) { s.LossRatio = math.NaN() }},
		"trial duration":  {func(s *Config) { s.Trial = 0 }, func(s *Config) { s.Trial = -1 }},
		"duration sum":    {func(s *Config) { s.DurationSum = s.Trial - 1 }},
		"exceed ratio":    {func(s *Config) { s.Exceed = -0.1 }, func(s *Config) { s.Exceed = 1 }},
		"relative width":  {func(s *Config) { s.Width = 0 }, func(s *Config) { s.Width = 1 }, func(s *Config) { s.Width = -1 }},
		"loads from":      {func(s *Config) { s.Min = 0 }, func(s *Config) { s.Min = s.Max }, func(s *Config) { s.Min = -1 }, func(s *Config) { s.Max = math.NaN() }},
	} {
		for i, change := range values {
			s := Default()
			if change(&s); s.Validate() == nil || !strings.HasPrefix(s.Validate().Error(), want) {
				t.Errorf("%s, %d: %v", want, i, s.Validate())
			}
			if _, err := Search(context.Background(), s, knee(63200).trialer()); err == nil {
				t.Errorf("%s, %d: a search begins", want, i)
			}
		}
	}
}

// Where a coarser target has looked in the wrong place, because the device has become slower or quicker
// since, the first step beyond its bounds is the width, and steps grow until they halve or double the load.
func TestSearchCatchesUp(t *testing.T) {
	for _, x := range []struct {
		trials        int // before the device changes
		before, after float64
		seconds       float64
		want          string // by how much loads fall
	}{
		{13, 640e3, 10e3, 0.5, "1.10 1.21 1.46 2.00 2.00 2.00 2.00 2.00"}, // two widths, as the target has them
		{14, 640e3, 10e3, 1, "1.05 1.10 1.22 1.48 2.00 2.00 2.00 2.00 2.00"},
		{9, 10e3, 640e3, 1, "0.95 0.91 0.82 0.68 0.50 0.50 0.50 0.50 0.50"},
	} {
		res := mustSearch(t, Default(), func(i int, now time.Duration, load float64) float64 {
			if i < x.trials {
				return knee(x.before)(i, now, load)
			}
			return knee(x.after)(i, now, load)
		})
		got, last := "", math.Inf(1)
		for _, trial := range res.Trials {
			if by := last / trial.Offered; trial.Seconds == x.seconds && by != 1 {
				got += fmt.Sprintf("%.2f ", by)
			}
			last = trial.Offered
		}
		if !strings.Contains(got, x.want) {
			t.Errorf("trials of %v s fall by %s, want %s", x.seconds, got, x.want)
		}
		brackets(t, res.Goals[0], x.after)
	}
}
