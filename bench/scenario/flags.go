package scenario

import (
	"p2plocal/bench/result"
)

// rate is a flag that is a number a second, which may end in k or M; max is 0.
type rate float64

func (r *rate) String() string { return result.FormatRate(float64(*r)) }
func (r *rate) Set(s string) error {
	v, err := result.ParseRate(s)
	*r = rate(v)
	return err
}
