package faults

import (
	"math/bits"
	"time"
)

// Dice is SplitMix64 (Steele, Lea, Flood 2014): the same numbers on every
// platform and Go version.
type Dice uint64

func (d *Dice) next() uint64 {
	*d += 0x9E3779B97F4A7C15
	z := uint64(*d)
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// Below is a number from 0 to n-1; between is a duration from a to b.
func (d *Dice) Below(n int) int { return int(d.below64(uint64(n))) }

func (d *Dice) below64(n uint64) uint64 {
	hi, _ := bits.Mul64(d.next(), n)
	return hi
}

// Between is a duration from a to b.
func (d *Dice) Between(a, b time.Duration) time.Duration {
	const grain = 100 * time.Microsecond // so that schedules read well
	return (a + time.Duration(d.below64(uint64(b-a)+1))) / grain * grain
}

// Percent is a part from 1 % to most %.
func (d *Dice) Percent(most int) float64 { return float64(d.Below(most)+1) / 100 }
