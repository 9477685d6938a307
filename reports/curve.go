package reports

import (
	"math"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"

	"p2plocal/bench/result"
)

// decode merges a histogram of all runs; nil: there is none, or nothing in it.
func decode(all []result.Scenario, name string) *hdrhistogram.Histogram {
	var sum *hdrhistogram.Histogram
	for _, s := range all {
		text, ok := s.Histograms[name]
		if !ok {
			continue
		}
		h, err := hdrhistogram.Decode([]byte(text))
		if err != nil || h.TotalCount() == 0 {
			continue
		}
		if sum == nil {
			sum = h
		} else {
			sum.Merge(h)
		}
	}
	return sum
}

// A curve is a latency histogram to be drawn in characters: time from left to
// right on a logarithmic axis, height in proportion to the number of messages.
type curve struct {
	h         *hdrhistogram.Histogram
	name      string
	low, high float64 // ns, of the axis
}

func newCurve(all []result.Scenario, name string) *curve {
	h := decode(all, name)
	if h == nil || h.TotalCount() < 100 {
		return nil // too few for a shape
	}
	c := &curve{h: h, name: name}
	c.low, c.high = math.Max(float64(h.Min()), 1), math.Max(float64(h.Max()), 2)
	if c.high < 2*c.low {
		c.low, c.high = c.low/2, c.high*1.5
	}
	return c
}

// bins counts the messages in n columns of the axis.
func (c *curve) bins(n int) []float64 {
	out := make([]float64, n)
	span := math.Log(c.high / c.low)
	for _, bar := range c.h.Distribution() {
		if bar.Count == 0 {
			continue
		}
		// A bar wider than a column is spread over the columns it covers.
		from := place(float64(max(bar.From, 1)), c.low, span, n)
		to := place(float64(bar.To)+1, c.low, span, n)
		a, b := clamp(from, n), clamp(to, n)
		if a == b {
			out[a] += float64(bar.Count)
			continue
		}
		for i := a; i <= b; i++ {
			share := (math.Min(to, float64(i+1)) - math.Max(from, float64(i))) / (to - from)
			out[i] += float64(bar.Count) * math.Max(share, 0)
		}
	}
	return out
}

func place(v, low, span float64, n int) float64 {
	return math.Log(v/low) / span * float64(n)
}

func clamp(x float64, n int) int { return min(max(int(x), 0), n-1) }

// draw gives rows lines of blocks, then the axis with its labels, each n wide.
func (c *curve) draw(n, rows int, plain bool) []string {
	blocks := []rune(" ▁▂▃▄▅▆▇█")
	if plain {
		blocks = []rune(" .:-=+*#@")
	}
	bins := c.bins(n)
	var top float64
	for _, b := range bins {
		top = max(top, b)
	}
	steps := len(blocks) - 1
	lines := make([]string, 0, rows+1)
	for r := rows - 1; r >= 0; r-- {
		line := make([]rune, n)
		for i, b := range bins {
			// Whatever holds a message at all shows.
			level := int(math.Round(b / top * float64(rows*steps)))
			if b > 0 {
				level = max(level, 1)
			}
			line[i] = blocks[min(max(level-r*steps, 0), steps)]
		}
		lines = append(lines, strings.TrimRight(string(line), " "))
	}
	axis := c.axis(n)
	if plain {
		axis = toASCII(axis)
	}
	return append(lines, axis)
}

// axis labels 1, 2 and 5 of each decade where there is room.
func (c *curve) axis(n int) string {
	line := []rune(strings.Repeat(" ", n))
	span := math.Log(c.high / c.low)
	put := func(ns float64) {
		at := clamp(place(ns, c.low, span, n), n)
		text := []rune("╵" + measure(ns/1e9, "s").trimmed().String())
		if at+len(text) > n {
			return
		}
		for i := max(0, at-1); i < min(n, at+len(text)+1); i++ {
			if line[i] != ' ' {
				return
			}
		}
		copy(line[at:], text)
	}
	first := math.Floor(math.Log10(c.low))
	for _, mantissa := range []float64{1, 5, 2} { // decades first
		for e := first; e <= math.Log10(c.high); e++ {
			if v := mantissa * math.Pow(10, e); v >= c.low && v <= c.high {
				put(v)
			}
		}
	}
	return strings.TrimRight(string(line), " ")
}
