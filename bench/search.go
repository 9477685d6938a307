package bench

import (
	"fmt"
	"time"
)

// Search says how saturate looks for the highest rate, in the terms of
// draft-ietf-bmwg-mlrsearch.
type Search struct {
	LossRatio   float64       `json:"loss_ratio"`   // goal loss ratio of the second goal; the first is 0
	Trial       time.Duration `json:"trial"`        // goal final trial duration
	DurationSum time.Duration `json:"duration_sum"` // goal duration sum: how long a load must have been tried
	Exceed      float64       `json:"exceed"`       // goal exceed ratio: part of that which may lose more
	Width       float64       `json:"width"`        // goal width: relative distance of the bounds
	Min         float64       `json:"min"`          // min load in messages/s
	Max         float64       `json:"max"`          // max load in messages/s
}

// DefaultSearch takes about half a minute on two cores.
func DefaultSearch() Search {
	return Search{LossRatio: 0.005, Trial: time.Second, DurationSum: 3 * time.Second, Exceed: 0.5, Width: 0.05, Min: 1000, Max: 2e6}
}

// Validate names the first parameter that makes no sense.
func (s Search) Validate() error {
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
