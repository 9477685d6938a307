package reports

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// A quantity is a figure ready for print, in three parts so that a column of
// them can line up on the decimal point.
type quantity struct {
	whole, fraction, unit string // "1", ".25", "ms"
}

func (q quantity) String() string {
	if q.unit == "" {
		return q.whole + q.fraction
	}
	return q.whole + q.fraction + glue + q.unit
}

// glue keeps a figure and its unit on one line; print has a blank there.
const glue = "\u00a0"

// missing stands where there is no figure.
const missing = "-"

// scale is one unit of a ladder: a figure of at least from is printed in it.
type scale struct {
	from float64
	name string
}

var (
	seconds = []scale{{1, "s"}, {1e-3, "ms"}, {1e-6, "µs"}, {1e-9, "ns"}}
	sizes   = []scale{{1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}, {1, "B"}}
	rates   = []scale{{1e6, "M/s"}, {1e3, "k/s"}, {1, "/s"}}
)

// measure turns a figure in one of the units of bench.Metric into print, with
// three significant digits where it is not a count.
func measure(v float64, unit string) quantity {
	switch unit {
	case "s":
		return scaled(v, seconds)
	case "bytes":
		return scaled(v, sizes)
	case "messages/s":
		return scaled(v, rates)
	case "ratio":
		return percent(v)
	case "cores":
		return quantity{fixed(v, 2), "", "cores"}.split()
	case "1":
		if v == math.Trunc(v) {
			return quantity{whole: grouped(v)}
		}
		return digits(v).split()
	}
	q := digits(v).split()
	q.unit = clean(unit) // of a file, perhaps
	return q
}

// optional is measure, or a dash for what was not measured.
func optional(v *float64, unit string) quantity {
	if v == nil {
		return quantity{whole: missing}
	}
	return measure(*v, unit)
}

// percent keeps enough digits that a small loss never reads as none.
func percent(v float64) quantity {
	if v == 0 || math.Abs(v) >= 0.9995 {
		return quantity{whole: fixed(v*100, 0), unit: "%"}
	}
	q := digits(v * 100).split()
	q.unit = "%"
	return q
}

// scaled prints v in the largest unit of the ladder that it fills.
func scaled(v float64, ladder []scale) quantity {
	v = round3(v)
	for i, s := range ladder {
		switch {
		case s.from == 1 && (v == 0 || s.name == "B"):
			return quantity{whole: grouped(v), unit: s.name} // there is no part of a byte
		case v == 0:
		case math.Abs(v) >= s.from*(1-1e-9) || i == len(ladder)-1:
			q := digits(v / s.from).split()
			q.unit = s.name
			return q
		}
	}
	return quantity{}
}

// digits prints v with three significant digits, thousands grouped.
func digits(v float64) quantity {
	v = round3(v)
	switch a := math.Abs(v); {
	case a >= 100-1e-9 || a == 0:
		return quantity{whole: grouped(math.Round(v))}
	case a >= 10-1e-9:
		return quantity{whole: fixed(v, 1)}
	case a >= 1-1e-9:
		return quantity{whole: fixed(v, 2)}
	}
	return quantity{whole: strconv.FormatFloat(v, 'f', -1, 64)}
}

// round3 rounds to three significant digits.
func round3(v float64) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(v, 'e', 2, 64), 64)
	if err != nil {
		return v
	}
	return r
}

// split parts the fraction from the whole.
func (q quantity) split() quantity {
	if i := strings.IndexByte(q.whole, '.'); i >= 0 {
		q.whole, q.fraction = q.whole[:i], q.whole[i:]
	}
	return q
}

func fixed(v float64, digits int) string { return strconv.FormatFloat(v, 'f', digits, 64) }

// grouped prints a whole number with commas between thousands.
func grouped(v float64) string {
	s := fixed(v, 0)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

func count(n uint64) string { return grouped(float64(n)) }

// plural is "1 peer" or "2 peers".
func plural(n uint64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + one + "s"
}

// aligned prints a column of quantities, one string each, so that decimal
// points and units stand below each other. A missing one stands alone.
func aligned(column []quantity) []string {
	whole, fraction, unit := 1, 0, 0
	if slices.ContainsFunc(column, func(q quantity) bool {
		return slices.ContainsFunc(seconds, func(s scale) bool { return s.name == q.unit })
	}) {
		whole, fraction, unit = 3, 3, 2 // as wide as any time, so that tables line up with each other
	}
	for _, q := range column {
		if q.whole == missing {
			continue
		}
		whole, fraction, unit = max(whole, len(q.whole)), max(fraction, len(q.fraction)), max(unit, width(q.unit))
	}
	out := make([]string, len(column))
	for i, q := range column {
		if q.whole == missing {
			// Below the last digit before the point.
			out[i] = pad("", whole-1) + missing + pad("", fraction+unit+min(unit, 1))
			continue
		}
		s := strings.Repeat(" ", whole-len(q.whole)) + q.whole + pad(q.fraction, fraction)
		if unit > 0 {
			s += " " + pad(q.unit, unit)
		}
		out[i] = s
	}
	return out
}

// width counts a string's terminal cells; what is printed here has one a rune.
func width(s string) int { return len([]rune(s)) }

func pad(s string, to int) string { return s + strings.Repeat(" ", max(0, to-width(s))) }
