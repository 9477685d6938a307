package reports

import (
	"strconv"
	"strings"
	"unicode"
)

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
