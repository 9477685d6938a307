package record

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"p2plocal/bench/result"
)

// A Histogram is an HdrHistogram's counts, laid out flat so that goroutines
// and processes can share it: three significant digits from 64 ns (finer than
// any clock here is worth) to a minute. Its memory does not grow.
type Histogram struct {
	counts       [histogramSize]atomic.Uint64
	Below, Above atomic.Uint64 // samples outside the range, also counted at its ends
	least, most  atomic.Int64  // exactly, where a bucket is up to 64 ns wide: MaxInt64 less the one, and 1 more than the other, so that 0 is none
}

const (
	histogramLow    = 64
	histogramHigh   = int64(time.Minute)
	histogramDigits = 3

	unitBits      = 6  // of histogramLow
	halfBits      = 10 // of half the sub-buckets: 2 * 10^3 needs 2048
	subMask       = 2<<halfBits<<unitBits - 1
	histogramSize = (20 + 1) << halfBits // 20 doublings of 2048 * 64 ns reach a minute
)

// Record adds one duration.
func (h *Histogram) Record(d int64) { h.record(d, false) }

// record adds one. Where the caller is alone, nobody else does meanwhile.
func (h *Histogram) record(d int64, alone bool) {
	switch {
	case d < 0:
		h.Below.Add(1)
		d = 0
	case d > histogramHigh:
		h.Above.Add(1)
		d = histogramHigh
	}
	raise(&h.least, math.MaxInt64-d)
	raise(&h.most, d+1) // before the count, which is looked for up to there only
	share(&h.counts[bucketIndex(d)], 1, alone)
}

// bucketIndex is where a duration within the range is counted.
func bucketIndex(d int64) int {
	bucket := bits.Len64(uint64(d)|subMask) - (unitBits + halfBits + 1)
	return (bucket+1)<<halfBits + int(d>>(bucket+unitBits)) - 1<<halfBits
}

// used are the counts up to the highest that is not 0: those beyond, most of them, have no
// memory yet, and need none.
func (h *Histogram) used() []atomic.Uint64 {
	if h.most.Load() == 0 {
		return nil
	}
	return h.counts[:bucketIndex(h.most.Load()-1)+1]
}

// raise has a be v at least.
func raise(a *atomic.Int64, v int64) {
	for old := a.Load(); v > old && !a.CompareAndSwap(old, v); old = a.Load() {
	}
}

// Add takes in all samples of another. Nothing must be recorded meanwhile.
func (h *Histogram) Add(o *Histogram) {
	for i := range o.used() {
		h.counts[i].Add(o.counts[i].Load())
	}
	h.Below.Add(o.Below.Load())
	h.Above.Add(o.Above.Load())
	raise(&h.least, o.least.Load())
	raise(&h.most, o.most.Load())
}

// Reset forgets all samples. Nothing must be recorded meanwhile.
func (h *Histogram) Reset() {
	for i := range h.used() {
		h.counts[i].Store(0)
	}
	h.Below.Store(0)
	h.Above.Store(0)
	h.least.Store(0)
	h.most.Store(0)
}

// Since calls f with how many samples of about which durations there are beyond those of an
// earlier call, which before holds: what Before makes, at first.
func (h *Histogram) Since(before []uint64, f func(ns int64, n uint64)) {
	used := h.used()
	clear(before[len(used):]) // of one that has been reset
	for i := range used {
		switch n := h.counts[i].Load(); {
		case n > before[i]:
			f(bucketLow(i), n-before[i])
			fallthrough
		case n < before[i]: // it has been reset
			before[i] = n
		}
	}
}

// Before is for Since.
func Before() []uint64 { return make([]uint64, histogramSize) }

// bucketLow is the least duration that is counted there.
func bucketLow(i int) int64 {
	bucket := max(i>>halfBits-1, 0)
	return int64(i-bucket<<halfBits) << (bucket + unitBits)
}

// HDR is a copy as the library's type, which does the arithmetic.
func (h *Histogram) HDR() *hdrhistogram.Histogram {
	used := h.used()
	counts := make([]int64, len(used))
	for i := range used {
		counts[i] = int64(used[i].Load())
	}
	return hdrhistogram.Import(&hdrhistogram.Snapshot{
		LowestTrackableValue:  histogramLow,
		HighestTrackableValue: histogramHigh,
		SignificantFigures:    histogramDigits,
		Counts:                counts,
	})
}

// Distribution is h as a metric in seconds. Its ends are exact, and no percentile
// is beyond them.
func (h *Histogram) Distribution() result.Metric { return h.distribution(h.HDR()) }

// DistributionAndRaw is that, and h in HDR's compressed text form.
func (h *Histogram) DistributionAndRaw() (result.Metric, string) {
	all := h.HDR()
	return h.distribution(all), Encode(all)
}

func (h *Histogram) distribution(all *hdrhistogram.Histogram) result.Metric {
	d := &result.Distribution{N: uint64(all.TotalCount()), Outside: h.Below.Load() + h.Above.Load()}
	if d.N > 0 {
		least, most := math.MaxInt64-h.least.Load(), h.most.Load()-1
		seconds := func(ns float64) *float64 { s := ns / 1e9; return &s }
		d.Min, d.Max = seconds(float64(least)), seconds(float64(most))
		d.Mean, d.Stddev = seconds(min(max(all.Mean(), float64(least)), float64(most))), seconds(all.StdDev())
		d.Percentiles(func(percent float64) *float64 {
			return seconds(float64(min(max(all.ValueAtQuantile(percent), least), most)))
		})
	}
	return result.Metric{Unit: "s", Dist: d}
}

// Encode is h in HDR's compressed text form.
func Encode(h *hdrhistogram.Histogram) string {
	b, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return ""
	}
	return string(b)
}

// A sketch is a coarse histogram for places that need many: quarters of
// octaves from 1024 ns to a minute, so that a percentile read from it, beyond
// the first quarter, is too high by at most a quarter.
type sketch [sketchSize]atomic.Uint32

const (
	sketchSize   = 4 * 26
	sketchOctave = 10 // the first one starts at 2^10 ns
)

func (s *sketch) record(d int64) { s[sketchIndex(d)].Add(1) }

func sketchIndex(d int64) int {
	ns := max(uint64(max(d, 0)), 1<<sketchOctave)
	octave := bits.Len64(ns) - 1
	quarter := ns >> (octave - 2) & 3
	return min(4*(octave-sketchOctave)+int(quarter), sketchSize-1)
}

// sketchUpper is the end of bucket i in ns.
func sketchUpper(i int) int64 {
	octave, quarter := i/4, int64(i%4)
	return (4 + quarter + 1) << (octave + sketchOctave - 2)
}

// Quantile is an upper bound, in ns, for the q-th part of the samples; 0
// where there are none.
func (s *sketch) Quantile(q float64) int64 {
	var seen uint64
	n := s.Count()
	for i := range s {
		if seen += uint64(s[i].Load()); seen > 0 && float64(seen) >= q*float64(n) {
			return sketchUpper(i)
		}
	}
	return 0
}

func (s *sketch) Count() (n uint64) {
	for i := range s {
		n += uint64(s[i].Load())
	}
	return n
}
