package cli

import (
	"context"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFolded(t *testing.T) {
	for text, want := range map[string]string{
		"a short line\n": "a short line\n",
		"  7 lost, 0 overtaken, 12 restarted, 3 unheard\n":    "  7 lost, 0 overtaken, 12\n  restarted, 3 unheard\n",
		"  -json f  write the result to f; - is output\n":     "  -json f  write the result\n           to f; - is output\n",
		"  -much-longer value   what it is for and why\n":     "  -much-longer value\n    what it is for and why\n",
		"a  ünïcödé ünïcödé ünïcödé ü\n":                      "a  ünïcödé ünïcödé ünïcödé ü\n",
		strings.Repeat(" ", 20) + "attacks a peer of another": "    attacks a peer of\n    another",
		"  loss=1%,delay=2ms,jitter=1ms,dup=1%":               "  loss=1%,delay=2ms,\n  jitter=1ms,dup=1%",
		"one\n\ntwo":                                          "one\n\ntwo",
		"https://127.0.0.1:3000/a/b/c/d/e/f/g words":          "https://127.0.0.1:3000/a/b/c/d/e/f/g\nwords",
	} {
		if got := Folded(text, 28); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if got := Folded(text, 0); got != text {
			t.Errorf("of any width: %q", got)
		}
	}
}

// What -h says fits a narrow terminal: its paragraphs are filled again, and lines that end early stay.
func TestHelpFits(t *testing.T) {
	const help = `usage: x [flags]
       x COMMAND

X starts a directory server and peers on loopback, does to them what the
scenarios say, and prints what it measured.

  x -scenario join    a page
  x -quiet            nothing

Flags:
  -json file          write the result as JSON to file; - is standard output, in
                      place of the text
`
	want := `usage: x [flags]
       x COMMAND

X starts a directory server and peers on
loopback, does to them what the
scenarios say, and prints what it
measured.

  x -scenario join    a page
  x -quiet            nothing

Flags:
  -json file
    write the result as JSON to file; -
    is standard output, in place of the
    text
`
	got := Folded(refilled(help), 40)
	if got != want {
		t.Errorf("%s", got)
	}
	for line := range strings.Lines(got) {
		if utf8.RuneCountInString(line) > 41 {
			t.Errorf("too wide: %q", line)
		}
	}
	if got := Folded(refilled(help), helpWidth); got != help {
		t.Errorf("another text at its own width:\n%s", got)
	}
}

// An exit code of which all has been said survives being joined with nothing, and gives way to an error.
func TestJoinKeepsCodes(t *testing.T) {
	full := errors.New("disk full")
	for _, x := range []struct {
		errs []error
		want error
	}{
		{[]error{nil, nil}, nil},
		{[]error{nil, Interrupted}, Interrupted},
		{[]error{Failed, nil}, Failed},
		{[]error{full, Interrupted}, full},
		{[]error{errors.Join(full, context.Canceled)}, errors.New("disk full; context canceled")},
	} {
		got := Join(x.errs...)
		if (got == nil) != (x.want == nil) || got != nil && got.Error() != x.want.Error() {
			t.Errorf("%v: %v, want %v", x.errs, got, x.want)
		}
		var code Code
		if errors.As(got, &code) != errors.As(x.want, &code) {
			t.Errorf("%v: %#v", x.errs, got)
		}
	}
}
