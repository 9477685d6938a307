package mlrsearch

import (
	"fmt"
	"time"
)

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
