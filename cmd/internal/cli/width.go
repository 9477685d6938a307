package cli

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

const (
	helpWidth = 80 // of the lines of -h
	filled    = 72 // a line of help that would be at least this long with its next word goes on in the next line
)

// A File is a file of this process, such as *os.File.
type File interface {
	io.Writer
	Fd() uintptr
}

// Terminal is w if it is one.
func Terminal(w io.Writer) (File, bool) {
	f, ok := w.(File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// Columns is how wide a line of w may be that changes, 0 where no line can: w is no
// terminal, or a dumb one.
func Columns(w io.Writer) int {
	f, ok := Terminal(w)
	if !ok || os.Getenv("TERM") == "dumb" {
		return 0
	}
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 1 {
		return width - 1 // the last column would break the line
	}
	return 79
}

// beside is what a line begins with that names what the rest of it tells.
var beside = regexp.MustCompile(`^ *\S+(?: \S+)* {2,}`)

// column is where the text of a line begins that others go on below.
func column(line string) int {
	if name := beside.FindString(line); name != "" {
		return utf8.RuneCountInString(name)
	}
	return len(line) - len(strings.TrimLeft(line, " "))
}

// Folded is a text with no line longer than width, 0: any, where blanks allow it, or commas in a word: what does not fit
// stands below the line's text, or the text below its name where that leaves too little room.
func Folded(text string, width int) string {
	if width == 0 {
		return text
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		end := line[len(strings.TrimRight(line, "\n")):]
		line = strings.TrimSuffix(line, end)
		indent := column(line)
		if indent > width/2 && utf8.RuneCountInString(line) > width {
			rest := strings.TrimLeft(line, " ")
			if name := beside.FindString(line); name != "" {
				b.WriteString(strings.TrimRight(name, " ") + "\n")
				indent, rest = len(name)-len(strings.TrimLeft(name, " "))+2, line[len(name):]
			} else { // what stands below a name that was too long
				indent = 4
			}
			line = strings.Repeat(" ", indent) + rest
		}
		for utf8.RuneCountInString(line) > width {
			at := lastBlank(line, width)
			if at < 0 { // one word, which may be a list
				if at = strings.LastIndexByte(line[:width], ',') + 1; at == 0 {
					break
				}
			}
			b.WriteString(strings.TrimRight(line[:at], " ") + "\n")
			line = strings.Repeat(" ", indent) + strings.TrimLeft(line[at:], " ")
		}
		b.WriteString(line + end)
	}
	return b.String()
}

// Say writes a line that a terminal is not to break within a word.
func Say(w io.Writer, format string, args ...any) {
	io.WriteString(w, Folded(fmt.Sprintf(format+"\n", args...), Columns(w)))
}

// lastBlank is the last blank in the text of a line that leaves at most width characters before it, or else the
// first, or -1.
func lastBlank(line string, width int) int {
	at, before := -1, 0
	for i, r := range line {
		if r == ' ' && strings.TrimLeft(line[:i], " ") != "" {
			if at >= 0 && before > width {
				break
			}
			at = i
		}
		before++
	}
	return at
}

// Help writes a text in lines of 80, or of what a narrower terminal has.
func Help(w io.Writer, text string) {
	if width := Columns(w); width > 0 && width < helpWidth-1 {
		text = Folded(refilled(text), width)
	}
	io.WriteString(w, text)
}

// refilled joins lines of which one goes on in the next: that begins where the text of the one before
// does, which is full.
func refilled(text string) string {
	var b strings.Builder
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		last, whole := lines[i], lines[i]
		for at := column(last); i+1 < len(lines); i++ {
			next := lines[i+1]
			words := strings.Fields(next)
			if len(words) == 0 || last == "" || len(next)-len(strings.TrimLeft(next, " ")) != at || column(next) != at ||
				utf8.RuneCountInString(last)+1+utf8.RuneCountInString(words[0]) <= filled {
				break
			}
			last, whole = next, whole+" "+strings.TrimLeft(next, " ")
		}
		b.WriteString(whole)
		if i+1 < len(lines) {
			b.WriteString("\n")
		}
	}
	return b.String()
}
