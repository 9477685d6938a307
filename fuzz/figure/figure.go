// Package figure is how numbers are written for people.
package figure

import "strconv"

// Grouped is a whole number with commas between thousands.
func Grouped[T int | int64 | uint64 | float64](n T) string {
	v := float64(n)
	s := strconv.FormatFloat(v, 'f', 0, 64)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}
