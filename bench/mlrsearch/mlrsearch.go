// Package mlrsearch finds the highest load that loses nothing, or little: a
// multiple loss ratio search (draft-ietf-bmwg-mlrsearch) as a pure function of
// what a trial shows.
package mlrsearch

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// A Trialer offers a load, in messages/s, for d and says what came of it. What
// it was asked for but could not send counts as lost: Trial.Loss is by the
// intended load.
type Trialer func(ctx context.Context, load float64, d time.Duration) (Trial, error)

// Result is what a search found, goal by goal.
type Result struct {
	Goals  []Goal
	Trials []Trial // all, in the order they were run
}

// Goal is what a search found for one goal.
type Goal struct {
	LossRatio float64  // goal loss ratio
	Lower     *float64 // relevant lower bound in messages/s; nil: none
	Upper     *float64 // relevant upper bound in messages/s; nil: none
	Note      string   // why the bounds are not both there, and no further apart than the goal width; "": they are
}

// Search finds, for the goal loss ratios 0 and s.LossRatio, the highest load
// that meets each: a multiple loss ratio search as draft-ietf-bmwg-mlrsearch
// describes it. Where bisection believes every single trial, this one asks
// for s.DurationSum of trials at the loads that matter, of which the part
// s.Exceed may lose more than the goal. All goals share all trials.
//
// Short trials ramp the load up from s.Min, doubling it, and so find out
// roughly where to look; longer ones then check and narrow what the shorter
// ones found. When ctx ends, or a trial fails, the result holds what was known
// by then, beside the error.
func Search(ctx context.Context, s Config, try Trialer) (Result, error) {
	if err := s.Validate(); err != nil {
		return Result{}, err
	}
	m := &search{Config: s, try: try, loads: make(map[float64][]outcome)}
	for _, ratio := range []float64{0, s.LossRatio} {
		var hints []float64
		for _, t := range m.targets(ratio) {
			if err := m.narrow(ctx, t, hints); err != nil {
				return m.result(err), err
			}
			hints = nil
			lower, upper := m.bounds(t)
			for _, bound := range []*float64{lower, upper} {
				if bound != nil {
					hints = append(hints, *bound)
				}
			}
		}
	}
	return m.result(nil), nil
}

// search is a search under way.
type search struct {
	Config
	try    Trialer
	loads  map[float64][]outcome // by intended load
	trials []Trial
}

// outcome is what the classification needs to know of a trial.
type outcome struct {
	duration time.Duration
	loss     float64
}

// target is a search goal, or one of the coarser ones that lead up to it.
type target struct {
	lossRatio   float64
	trial       time.Duration // final trial duration: a full-length trial is at least this long
	durationSum time.Duration
	exceed      float64
	width       float64
	step        float64 // factor of the first step beyond a single bound
}

// targets are what a goal is approached by, the goal itself last. Each has
// trials twice as long and a width half as wide as the one before.
func (m *search) targets(ratio float64) []target {
	goal := target{ratio, m.Trial, m.DurationSum, m.Exceed, m.Width, 1 + m.Width}
	middle, first := goal, goal
	middle.trial, middle.durationSum = m.Trial/2, m.Trial/2
	middle.width, middle.step = min(2*m.Width, 0.5), 1+2*m.Width
	first.trial, first.durationSum = m.Trial/4, m.Trial/4
	first.width, first.step = min(4*m.Width, 0.5), 2
	return []target{first, middle, goal}
}

// narrow tries loads until the target's relevant bounds are as close as its
// width asks, or lie at the end of the range. The hints, what a coarser target
// took for bounds, are tried first.
func (m *search) narrow(ctx context.Context, t target, hints []float64) error {
	step := t.step
	for {
		lower, upper := m.bounds(t)
		var load float64
		hint := slices.IndexFunc(hints, func(l float64) bool {
			return (lower == nil || l > *lower) && (upper == nil || l < *upper)
		})
		switch {
		case hint >= 0:
			load = hints[hint]
		case lower == nil && upper == nil:
			load = m.Min
		case lower == nil:
			if *upper <= m.Min {
				return nil
			}
			load = max(m.Min, *upper/step)
		case upper == nil:
			if *lower >= m.Max {
				return nil
			}
			load = min(m.Max, *lower*step)
		case width(*lower, *upper) <= t.width:
			return nil
		default:
			load = math.Sqrt(*lower) * math.Sqrt(*upper)
			if load <= *lower || load >= *upper {
				return nil // no number between them
			}
		}
		if hint < 0 && (lower == nil) != (upper == nil) {
			step = min(step*step, 2)
		}
		if err := m.measure(ctx, load, t); err != nil {
			return err
		}
	}
}

// width is the relative distance of two bounds.
func width(lower, upper float64) float64 { return (upper - lower) / upper }

// measure tries a load until the target can classify it.
func (m *search) measure(ctx context.Context, load float64, t target) error {
	for t.classify(m.loads[load]) == undecided {
		if err := ctx.Err(); err != nil {
			return err
		}
		trial, err := m.try(ctx, load, t.trial)
		if err != nil {
			return err
		}
		m.trials = append(m.trials, trial)
		m.loads[load] = append(m.loads[load], outcome{t.trial, trial.Loss})
	}
	return nil
}

// bounds are the target's relevant bounds: the smallest load that is an upper
// bound, and the largest lower bound below that; nil: none. A load above the
// relevant upper bound is of no account, whatever it did not lose.
func (m *search) bounds(t target) (lower, upper *float64) {
	for _, load := range slices.Sorted(maps.Keys(m.loads)) {
		switch t.classify(m.loads[load]) {
		case lowerBound:
			lower = &load
		case upperBound:
			return lower, &load
		}
	}
	return lower, nil
}

// A class is what the trials at one load make of it.
type class int

const (
	undecided class = iota
	lowerBound
	upperBound
)

// tally is the time tried at one load, in seconds, by the draft's terms.
type tally struct {
	fullLow  float64 // full-length trials that met the goal loss ratio
	fullHigh float64 // full-length trials that did not
	whole    float64 // effective whole sum: what the exceed ratio refers to
	high     float64 // effective high-loss sum
}

// tally adds up the trials at a load. Short trials that met the goal do not
// count in its favour, they only make up for short ones that did not.
func (t target) tally(trials []outcome) (y tally) {
	var shortLow, shortHigh float64
	for _, o := range trials {
		d, full, low := o.duration.Seconds(), o.duration >= t.trial, o.loss <= t.lossRatio
		switch {
		case full && low:
			y.fullLow += d
		case full:
			y.fullHigh += d
		case low:
			shortLow += d
		default:
			shortHigh += d
		}
	}
	balancing := shortLow * t.exceed / (1 - t.exceed)
	y.high = y.fullHigh + max(0, shortHigh-balancing)
	y.whole = max(y.fullLow+y.high, t.durationSum.Seconds())
	return y
}

// classify is the draft's load classification. Optimistically, all time still
// missing from the duration sum will see little loss; pessimistically, none of
// it. Where both agree, the load is decided.
func (t target) classify(trials []outcome) class {
	const rounding = 1e-9 // of sums of seconds
	y := t.tally(trials)
	quantile := y.whole*t.exceed + rounding
	optimistic := y.high <= quantile
	pessimistic := y.whole-y.fullLow <= quantile
	switch {
	case optimistic && pessimistic:
		return lowerBound
	case !optimistic && !pessimistic:
		return upperBound
	}
	return undecided
}

// result is what is known now; err is what ended the search early.
func (m *search) result(err error) Result {
	res := Result{Trials: m.trials}
	for _, ratio := range []float64{0, m.LossRatio} {
		goal := m.targets(ratio)[2]
		g := Goal{LossRatio: ratio}
		g.Lower, g.Upper = m.bounds(goal)
		switch {
		case g.Lower != nil && g.Upper != nil && width(*g.Lower, *g.Upper) <= goal.width:
		case g.Upper != nil && *g.Upper <= m.Min:
			g.Note = fmt.Sprintf("the min load, %g messages/s, loses more than the goal loss ratio %g", m.Min, ratio)
		case g.Lower != nil && *g.Lower >= m.Max:
			g.Note = fmt.Sprintf("the max load, %g messages/s, loses no more than the goal loss ratio %g", m.Max, ratio)
		case err != nil:
			g.Note = fmt.Sprintf("the search ended early: %v", err)
		default:
			g.Note = "no load lies between the bounds"
		}
		res.Goals = append(res.Goals, g)
	}
	return res
}

// Config says how to look for the highest rate, in the terms of
// draft-ietf-bmwg-mlrsearch.
type Config struct {
	LossRatio   float64       `json:"loss_ratio"`   // goal loss ratio of the second goal; the first is 0
	Trial       time.Duration `json:"trial"`        // goal final trial duration
	DurationSum time.Duration `json:"duration_sum"` // goal duration sum: how long a load must have been tried
	Exceed      float64       `json:"exceed"`       // goal exceed ratio: part of that which may lose more
	Width       float64       `json:"width"`        // goal width: relative distance of the bounds
	Min         float64       `json:"min"`          // min load in messages/s
	Max         float64       `json:"max"`          // max load in messages/s
}

// Default takes about half a minute on two cores.
func Default() Config {
	return Config{LossRatio: 0.005, Trial: time.Second, DurationSum: 3 * time.Second, Exceed: 0.5, Width: 0.05, Min: 1000, Max: 2e6}
}

// Validate names the first parameter that makes no sense.
func (s Config) Validate() error {
	switch {
	case !(s.LossRatio >= 0 && s.LossRatio < 1):
		return fmt.Errorf("goal loss ratio %v, want 0 to less than 1", s.LossRatio)
	case s.Trial <= 0:
		return fmt.Errorf("trial duration %v, want more than 0", s.Trial)
	case s.DurationSum < s.Trial:
		return fmt.Errorf("duration sum %v, want the trial duration, %v, or more", s.DurationSum, s.Trial)
	case !(s.Exceed >= 0 && s.Exceed < 1):
		return fmt.Errorf("exceed ratio %v, want 0 to less than 1", s.Exceed)
	case !(s.Width > 0 && s.Width < 1):
		return fmt.Errorf("relative width %v, want more than 0, less than 1", s.Width)
	case !(s.Min > 0 && s.Min < s.Max):
		return fmt.Errorf("loads from %v to %v messages/s, want more than 0 and growing", s.Min, s.Max)
	}
	return nil
}

// Trial is one load that the search for the highest rate tried.
type Trial struct {
	Offered   float64 `json:"offered"`   // messages/s
	Delivered float64 `json:"delivered"` // messages/s
	Loss      float64 `json:"loss"`      // ratio
	Seconds   float64 `json:"seconds"`
	P50       float64 `json:"p50"` // latency from due time
	P99       float64 `json:"p99"`
	Cause     string  `json:"cause,omitempty"` // what gave way: in a word or two, a colon, and how much
}
