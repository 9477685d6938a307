package reports

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"p2plocal/bench/result"
)

// A quantity is a figure ready for print, in three parts so that a column of
// them can line up on the decimal point; or a word in a figure's place.
type quantity struct {
	Whole, Fraction, Unit string // "1", ".25", "ms"
	Tone                  tone
	Link                  string // where on a page there is more
}

// A tone is what a reader should feel.
type tone string

const (
	good   tone = "good"
	bad    tone = "bad"
	soft   tone = "soft"
	strong tone = "strong"
)

func (q quantity) String() string {
	if q.Unit == "" {
		return q.Whole + q.Fraction
	}
	return q.Whole + q.Fraction + glue + q.Unit
}

// word is what stands in a figure's place.
func word(s string, t tone) quantity { return quantity{Whole: s, Tone: t} }

// none stands where there is no figure.
var none = quantity{Whole: missing}

// whole is a count.
func whole[N int | uint64](n N) quantity { return quantity{Whole: grouped(float64(n))} }

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

// measure turns a figure in one of the units of result.Metric into print, with
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
	case "1/h":
		q := few(v)
		q.Unit = "/h"
		return q
	case "cores":
		return quantity{Whole: fixed(v, 2), Unit: "cores"}.split()
	case "1":
		if v == math.Trunc(v) {
			return quantity{Whole: grouped(v)}
		}
		return digits(v).split()
	}
	q := digits(v).split()
	q.Unit = unit
	return q
}

// optional is measure, or a dash for what was not measured.
func optional(v *float64, unit string) quantity {
	if v == nil {
		return none
	}
	return measure(*v, unit)
}

// percent keeps enough digits that a small loss never reads as none.
func percent(v float64) quantity {
	if v == 0 || math.Abs(v) >= 0.9995 {
		return quantity{Whole: fixed(v*100, 0), Unit: "%"}
	}
	q := digits(v * 100).split()
	q.Unit = "%"
	return q
}

// scaled prints v in the largest unit of the ladder that it fills.
func scaled(v float64, ladder []scale) quantity {
	v = round3(v)
	for i, s := range ladder {
		switch {
		case s.from == 1 && (v == 0 || s.name == "B"):
			return quantity{Whole: grouped(v), Unit: s.name} // there is no part of a byte
		case v == 0:
		case math.Abs(v) >= s.from*(1-1e-9) || i == len(ladder)-1:
			q := digits(v / s.from).split()
			q.Unit = s.name
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
		return quantity{Whole: grouped(math.Round(v))}
	case a >= 10-1e-9:
		return quantity{Whole: fixed(v, 1)}
	case a >= 1-1e-9:
		return quantity{Whole: fixed(v, 2)}
	}
	return quantity{Whole: strconv.FormatFloat(v, 'f', -1, 64)}
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
	if i := strings.IndexByte(q.Whole, '.'); i >= 0 {
		q.Whole, q.Fraction = q.Whole[:i], q.Whole[i:]
	}
	return q
}

// trimmed is a figure without needless digits, such as 1.5 s or 250 ms.
func (q quantity) trimmed() quantity {
	q.Fraction = strings.TrimRight(strings.TrimRight(q.Fraction, "0"), ".")
	return q
}

func fixed(v float64, digits int) string { return strconv.FormatFloat(v, 'f', digits, 64) }

// grouped is a whole number with commas between thousands.
func grouped(v float64) string { return result.Grouped(v) }

func count(n uint64) string { return grouped(float64(n)) }

func plural(n uint64, one string) string { return result.Plural(n, one) }

// strung prints a column of quantities.
func strung(column []quantity) []string {
	out := make([]string, len(column))
	for i, q := range column {
		out[i] = q.String()
	}
	return out
}

// aligned prints a column of quantities, one string each, so that decimal
// points and units stand below each other. A missing one stands alone.
func aligned(column []quantity) []string {
	whole, fraction, unit := 1, 0, 0
	if slices.ContainsFunc(column, func(q quantity) bool {
		return slices.ContainsFunc(seconds, func(s scale) bool { return toASCII(s.name) == toASCII(q.Unit) })
	}) {
		whole, fraction, unit = 3, 3, 2 // as wide as any time, so that tables line up with each other
	}
	for _, q := range column {
		if q.Whole == missing {
			continue
		}
		whole, fraction, unit = max(whole, len(q.Whole)), max(fraction, len(q.Fraction)), max(unit, width(q.Unit))
	}
	out := make([]string, len(column))
	for i, q := range column {
		if q.Whole == missing {
			// Below the last digit before the point.
			out[i] = pad("", whole-1) + missing + pad("", fraction+unit+min(unit, 1))
			continue
		}
		s := strings.Repeat(" ", whole-len(q.Whole)) + q.Whole + pad(q.Fraction, fraction)
		if unit > 0 {
			s += " " + pad(q.Unit, unit)
		}
		out[i] = s
	}
	return out
}

// width counts a string's terminal cells; what is printed here has one a rune.
func width(s string) int { return len([]rune(s)) }

func pad(s string, to int) string { return s + strings.Repeat(" ", max(0, to-width(s))) }
