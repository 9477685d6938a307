package reports

import (
	"math"
	"strconv"
	"strings"
	"unicode"

	"p2plocal/bench/result"
	"p2plocal/fuzz/figure"
)

// A quantity is a figure ready for print, or a word in a figure's place.
type quantity struct {
	Text string
	Tone tone
	Link string // where on a page there is more
}

// A tone is what a reader should feel.
type tone string

const (
	good   tone = "good"
	bad    tone = "bad"
	soft   tone = "soft"
	strong tone = "strong"
)

func (q quantity) String() string { return q.Text }

// word is what stands in a figure's place.
func word(s string, t tone) quantity { return quantity{Text: s, Tone: t} }

// in is a figure with its unit.
func in(figure, unit string) quantity { return quantity{Text: figure + glue + unit} }

// none stands where there is no figure.
var none = word(missing, "")

// whole is a count.
func whole[N int | uint64](n N) quantity { return word(figure.Grouped(n), "") }

// glue keeps a figure and its unit on one line; print has a blank there.
const glue = "\u00a0"

// missing stands where there is no figure.
const missing = "-"

// ladderUnit is one unit of a ladder: a figure of at least from is printed in it.
type ladderUnit struct {
	from float64
	name string
}

var (
	seconds = []ladderUnit{{1, "s"}, {1e-3, "ms"}, {1e-6, "µs"}, {1e-9, "ns"}}
	sizes   = []ladderUnit{{1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}, {1, "B"}}
	rates   = []ladderUnit{{1e6, "M/s"}, {1e3, "k/s"}, {1, "/s"}}
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
		return in(digits(v), "/h")
	case "cores":
		return in(fixed(v, 2), unit)
	case "1":
		if v == math.Trunc(v) {
			return word(figure.Grouped(v), "")
		}
		return word(digits(v), "")
	}
	return in(digits(v), unit)
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
		return in(fixed(v*100, 0), "%")
	}
	return in(digits(v*100), "%")
}

// scaled prints v in the largest unit of the ladder that it fills.
func scaled(v float64, ladder []ladderUnit) quantity {
	v = round3(v)
	for i, s := range ladder {
		switch {
		case s.from == 1 && (v == 0 || s.name == "B"):
			return in(figure.Grouped(v), s.name) // there is no part of a byte
		case v != 0 && (math.Abs(v) >= s.from*(1-1e-9) || i == len(ladder)-1):
			return in(digits(v/s.from), s.name)
		}
	}
	return quantity{}
}

// digits prints v with three significant digits, thousands grouped.
func digits(v float64) string {
	v = round3(v)
	switch a := math.Abs(v); {
	case a >= 100-1e-9 || a == 0:
		return figure.Grouped(math.Round(v))
	case a >= 10-1e-9:
		return fixed(v, 1)
	case a >= 1-1e-9:
		return fixed(v, 2)
	case a < 1e-6:
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// round3 rounds to three significant digits.
func round3(v float64) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(v, 'e', 2, 64), 64)
	if err != nil {
		return v
	}
	return r
}

func fixed(v float64, digits int) string { return strconv.FormatFloat(v, 'f', digits, 64) }

func plural(n uint64, one string) string { return result.Plural(n, one) }

// width counts a string's terminal cells; what is printed here has one a rune.
func width(s string) int { return len([]rune(s)) }

func pad(s string, to int) string { return s + strings.Repeat(" ", max(0, to-width(s))) }

// clean makes text from outside (names, causes, notes, versions, arguments)
// harmless on a terminal: what is not printable becomes its Go escape. Line
// breaks too, so that a note stays one line.
func clean(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) && r != []rune(glue)[0] || r == unicode.ReplacementChar }) < 0 {
		return s
	}
	q := strconv.Quote(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

// shellWords are arguments as a shell would need them.
func shellWords(args []string) string {
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = clean(a)
		if a == "" || strings.IndexFunc(a, func(r rune) bool {
			return r >= 0x80 || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_=./,:%@+", r)
		}) >= 0 {
			words[i] = "'" + strings.ReplaceAll(words[i], "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

// ascii is what stands for the characters that this package itself writes.
var ascii = strings.NewReplacer("µ", "u", "·", "-", "▁", ".", "▂", ":", "▃", "~", "▄", "=", "▅", "+", "▆", "*", "▇", "#", "█", "@", "─", "-", "–", "-", "±", "+-", "✓", "+", "✗", "x", "…", "...", "×", "x", "≤", "<=")

// toASCII leaves no byte above 0x7E but glue.
func toASCII(s string) string {
	s = ascii.Replace(s)
	var b strings.Builder
	for _, r := range s {
		if r > unicode.MaxASCII && string(r) != glue {
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}
