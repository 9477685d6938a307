package reports

import (
	"fmt"
	"math"
	"slices"

	"github.com/HdrHistogram/hdrhistogram-go"

	"p2plocal/bench/result"
)

// decode merges a histogram of all runs; nil: there is none, or nothing in it.
func decode(all []result.Scenario, name string) *hdrhistogram.Histogram {
	var sum *hdrhistogram.Histogram
	for _, s := range all {
		h, err := hdrhistogram.Decode([]byte(s.Histograms[name]))
		switch {
		case err != nil || h.TotalCount() == 0:
		case sum == nil:
			sum = h
		default:
			sum.Merge(h)
		}
	}
	return sum
}

// shape draws a latency histogram in a line: time from left to right on a
// logarithmic axis, height in proportion to the number of messages.
func shape(h *hdrhistogram.Histogram) string {
	const columns = 40
	low, high := math.Max(float64(h.Min()), 1), math.Max(float64(h.Max()), 2)
	if high < 2*low {
		low, high = low/2, high*1.5
	}
	var bins [columns]float64
	for _, bar := range h.Distribution() {
		at := math.Log(float64(max(bar.From, 1))/low) / math.Log(high/low) * columns
		bins[min(max(int(at), 0), columns-1)] += float64(bar.Count)
	}
	blocks := []rune("·▁▂▃▄▅▆▇█")
	var line [columns]rune
	for i, n := range bins { // whatever holds a message at all shows
		line[i] = blocks[int(math.Ceil(n/slices.Max(bins[:])*float64(len(blocks)-1)))]
	}
	return fmt.Sprintf("%v %s %v", measure(low/1e9, "s"), string(line[:]), measure(high/1e9, "s"))
}
