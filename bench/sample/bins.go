package sample

import "math/bits"

// Bins of a latency are eighths of octaves, from 1 µs on.
const (
	binOctave = 10
	binParts  = 8
	binCount  = binParts * 27 // to two minutes
)

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
