package sample

import "math/bits"

// Bins of a latency are eighths of octaves, from 1 µs on.
const (
	binOctave = 10
	binParts  = 8
	binCount  = binParts * 27 // to two minutes
)

// Bins is a histogram.
type Bins [binCount]int64

// Add adds so many durations, in nanoseconds.
func (b *Bins) Add(ns int64, n uint64) { b[binOf(ns)] += int64(n) }

// List is what is in them, for SetLatency.
func (b *Bins) List() [][2]int64 {
	list := [][2]int64{}
	for i, n := range b {
		if n > 0 {
			list = append(list, [2]int64{binUpper(i), n})
		}
	}
	return list
}

// binOf is the bin of a duration in nanoseconds.
func binOf(ns int64) int {
	if ns < 1<<binOctave {
		return 0
	}
	octave := bits.Len64(uint64(ns)) - 1
	return min((octave-binOctave)*binParts+int(ns>>(octave-3)&(binParts-1)), binCount-1)
}

// binUpper is where a bin ends.
func binUpper(i int) int64 {
	return int64(binParts+1+i%binParts) << (i/binParts + binOctave - 3)
}

// binLow is where the bin begins that ends at upper.
func binLow(upper int64) int64 {
	if i := binOf(upper - 1); i > 0 {
		return binUpper(i - 1)
	}
	return 0
}
