package record

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"p2plocal/bench/result"
)

// edgeValues are the values around every power of two, and random ones.
func edgeValues() []int64 {
	values := []int64{0, histogramHigh - 1, histogramHigh}
	for v := int64(1); v < histogramHigh; v *= 2 {
		values = append(values, v-1, v, min(v+1, histogramHigh))
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		values = append(values, int64(math.Exp(r.Float64()*math.Log(float64(histogramHigh)))))
	}
	return values
}

// The flat layout is the library's own: the same counts in the same places.
func TestHistogramAgreesWithLibrary(t *testing.T) {
	var h Histogram
	want := hdrhistogram.New(histogramLow, histogramHigh, histogramDigits)
	if n := len(want.Export().Counts); n != histogramSize {
		t.Fatalf("%d counts, the library has %d", histogramSize, n)
	}
	for _, v := range edgeValues() {
		if err := want.RecordValue(v); err != nil {
			t.Fatal(err)
		}
		h.Record(v)
	}
	for i, n := range want.Export().Counts {
		if got := int64(h.counts[i].Load()); got != n {
			t.Errorf("place %d: %d values, the library counts %d", i, got, n)
		}
	}
	if n := h.Below.Load() + h.Above.Load(); n != 0 {
		t.Errorf("%d values outside, want none", n)
	}
}

func TestHistogramOutside(t *testing.T) {
	var h Histogram
	for _, d := range []int64{-1, math.MinInt64, histogramHigh + 1, math.MaxInt64, math.MaxInt64, 1000} {
		h.Record(d)
	}
	if h.Below.Load() != 2 || h.Above.Load() != 3 {
		t.Errorf("%d below, %d above, want 2 and 3", h.Below.Load(), h.Above.Load())
	}
	d := h.Distribution().Dist
	if d.N != 6 || d.Outside != 5 {
		t.Errorf("n %d, outside %d, want 6 and 5", d.N, d.Outside)
	}
	if *d.Min != 0 || *d.Max != 60 {
		t.Errorf("min %v, max %v, want the ends of the range", *d.Min, *d.Max)
	}
	var sum Histogram
	sum.Add(&h)
	if sum.Below.Load() != 2 || sum.Above.Load() != 3 {
		t.Errorf("added up: %d below, %d above, want 2 and 3", sum.Below.Load(), sum.Above.Load())
	}
	h.Reset()
	if d := h.Distribution().Dist; d.N != 0 || d.Outside != 0 {
		t.Errorf("after Reset n %d, outside %d", d.N, d.Outside)
	}
}

// The ends are exact, whatever the width of a bucket, and no percentile is beyond
// them: what took 20 µs is within a bound of 20 µs, and 0 is 0.
func TestHistogramEnds(t *testing.T) {
	for _, v := range []int64{0, 1, 20_000, 1_234_567} {
		var h, sum Histogram
		for range 2000 {
			h.Record(v)
		}
		sum.Add(&h)
		sum.Add(&h)
		for _, h := range []*Histogram{&h, &sum} {
			want := float64(v) / 1e9
			if d := h.Distribution().Dist; *d.Min != want || *d.Max != want || *d.P50 != want || *d.P99 != want || *d.Mean != want {
				t.Errorf("%d ns: min %v, p50 %v, p99 %v, max %v, mean %v", v, *d.Min, *d.P50, *d.P99, *d.Max, *d.Mean)
			}
		}
		if n := sum.Distribution().Dist.N; n != 4000 {
			t.Errorf("%d samples of two histograms, want 4000", n)
		}
		if h.Reset(); h.Distribution().Dist.Min != nil {
			t.Error("a minimum after Reset")
		}
		h.Record(v / 2)
		if d := h.Distribution().Dist; *d.Max != float64(v/2)/1e9 {
			t.Errorf("after Reset the maximum is %v", *d.Max)
		}
		h.Reset()
		h.Record(v + 5)
		if d := h.Distribution().Dist; *d.Min != float64(v+5)/1e9 {
			t.Errorf("after Reset the minimum is %v", *d.Min)
		}
	}
}

// What -json writes can be read by any HdrHistogram, and merged.
func TestHistogramEncode(t *testing.T) {
	var h Histogram
	for _, v := range edgeValues() {
		h.Record(v)
	}
	back, err := hdrhistogram.Decode([]byte(Encode(h.HDR())))
	if err != nil {
		t.Fatal(err)
	}
	if !back.Equals(h.HDR()) {
		t.Error("decoded counts differ")
	}
	n := back.TotalCount()
	if dropped := back.Merge(h.HDR()); dropped != 0 || back.TotalCount() != 2*n {
		t.Errorf("merged: %d dropped, %d samples, want %d", dropped, back.TotalCount(), 2*n)
	}
}

// A bucket's end lies above every value in it, from 1024 ns on by at most a
// quarter.
func TestSketchBound(t *testing.T) {
	last := int64(0)
	for i := range sketchSize {
		if up := sketchUpper(i); up < last {
			t.Errorf("bucket %d ends at %d, before the one below it", i, up)
		} else {
			last = up
		}
	}
	for _, v := range edgeValues() {
		var s sketch
		s.record(v)
		if up := s.Quantile(0.99); up <= v || float64(up) > 1.25*float64(max(v, 1024)) {
			t.Fatalf("%d ns: upper bound %d", v, up)
		}
		if s.Count() != 1 {
			t.Fatalf("count %d", s.Count())
		}
	}
	var s sketch
	if s.Quantile(0.5) != 0 {
		t.Error("a quantile of nothing")
	}
	for _, d := range []int64{-5, math.MinInt64, int64(time.Hour), math.MaxInt64} {
		s.record(d) // must stay inside
	}
	if s.Count() != 4 || s.Quantile(1) < int64(time.Minute) {
		t.Errorf("count %d, max %d", s.Count(), s.Quantile(1))
	}
}

func TestSketchQuantile(t *testing.T) {
	var s sketch
	for i := range int64(100) {
		s.record((i + 1) * 100_000) // 0.1 to 10 ms
	}
	for q, want := range map[float64]float64{0.5: 5e6, 0.99: 9.9e6, 1: 10e6} {
		if got := float64(s.Quantile(q)); got < want || got > 1.25*want {
			t.Errorf("quantile %v: %v, want %v to a quarter above", q, got, want)
		}
	}
}

func TestRecordersDoNotAllocate(t *testing.T) {
	h, s := new(Histogram), new(sketch)
	if n := testing.AllocsPerRun(100, func() { h.Record(123456); s.record(123456) }); n != 0 {
		t.Errorf("%v allocations a sample", n)
	}
}

// What is read from the histogram is as fine as its units, and has the percentiles that the samples have.
func TestHistogramDistribution(t *testing.T) {
	var h Histogram
	var samples []float64
	for i := range 1000 {
		h.Record(int64(i+1) * 1000)
		samples = append(samples, float64(i+1)*1e-6)
	}
	got, want := h.Distribution().Dist, result.Samples("s", samples).Dist
	for _, name := range result.Fields {
		g, w := got.Field(name), want.Field(name)
		if (g == nil) != (w == nil) || g != nil && math.Abs(*g / *w - 1) > 0.065 { // 1 µs is 15.6 units of 64 ns
			t.Errorf("%s: %v, want %v", name, g, w)
		}
	}
	if d := new(Histogram).Distribution().Dist; d.N != 0 || d.Min != nil || d.Max != nil || d.Mean != nil {
		t.Errorf("empty: %+v", d)
	}
}

// A bucket begins at the least duration that is counted there.
func TestBucketLow(t *testing.T) {
	t.Parallel()
	for v := int64(1); v < histogramHigh; v += v/3 + 1 {
		i := bucketIndex(v)
		if low := bucketLow(i); low > v || bucketIndex(low) != i || i > 0 && bucketIndex(low-1) != i-1 {
			t.Errorf("%d is in bucket %d, which begins at %d", v, i, low)
		}
	}
}

// Who looks again and again sees each sample once, also after a reset.
func TestSince(t *testing.T) {
	t.Parallel()
	h, before := new(Histogram), Before()
	look := func(want ...uint64) {
		t.Helper()
		var got []uint64
		h.Since(before, func(ns int64, n uint64) { got = append(got, uint64(ns/1e6), n) })
		if !slices.Equal(got, want) {
			t.Errorf("%v since the last look, want %v", got, want)
		}
	}
	const about = 1e6 + 1000 // a little more than the bucket's beginning
	look()
	h.Record(8 * about)
	h.Record(16 * about)
	h.Record(16 * about)
	look(8, 1, 16, 2)
	look()
	h.Record(16 * about)
	look(16, 1)
	h.Reset()
	h.Record(8 * about)
	look()
	h.Record(8 * about)
	look(8, 1)
	h.Record(16 * about)
	look(16, 1)
}
