package result

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"p2plocal/fuzz/figure"
)

// Plural is "1 peer" or "2,000 peers".
func Plural(n uint64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return figure.Grouped(n) + " " + one + "s"
}

// Span is a duration as people write it, with three digits at most: 5 s, 1.5 s, 250 ms, 2 min.
func Span(d time.Duration) string {
	v, unit := d.Seconds(), "s"
	for _, u := range []struct {
		from time.Duration
		name string
	}{{time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "µs"}, {time.Nanosecond, "ns"}} {
		if d >= u.from {
			v, unit = d.Seconds()/u.from.Seconds(), u.name
			break
		}
	}
	if d >= time.Minute && d%time.Minute == 0 {
		v, unit = d.Minutes(), "min"
	}
	if v < 1000 {
		v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 3, 64), 64) // its own output
	}
	return strconv.FormatFloat(v, 'f', -1, 64) + " " + unit
}

// ParseRatio reads 1% or 0.01.
func ParseRatio(s string) (float64, error) {
	number, percent := strings.CutSuffix(s, "%")
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("%q is neither a percentage nor a ratio, want one such as 1%% or 0.01", s)
	}
	if percent {
		v /= 100
	}
	return v, nil
}

func formatRatio(v float64) string { return strconv.FormatFloat(v*100, 'g', -1, 64) + "%" }

// Ratio is a flag that is a percentage or a ratio.
type Ratio float64

func (r *Ratio) String() string { return formatRatio(float64(*r)) }
func (r *Ratio) Get() any       { return float64(*r) }
func (r *Ratio) Set(s string) error {
	v, err := ParseRatio(s)
	*r = Ratio(v)
	return err
}

// Rate is a flag that is a number a second, which may end in k or M.
type Rate float64

func (r *Rate) String() string { return scaledRate(float64(*r)) }
func (r *Rate) Get() any       { return float64(*r) }
func (r *Rate) Set(s string) error {
	v, err := parseScaled(s, rates)
	if *r = Rate(v); err != nil {
		return errors.New("want a rate such as 2000 or 500k")
	}
	return nil
}
