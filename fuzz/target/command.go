// Package target starts and watches programs that are tested: servers and
// peers of any implementation. It does once, for campaigns, conformance tests
// and benchmarks, what each of them needs: it splits a command line and fills
// in its placeholders, starts the command in a process group that dies with
// this process, quotes the end of its output, waits until a port is bound,
// chooses free ports, and measures how late the machine is.
package target

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Command is a command line and what it is started with.
//
// Before the placeholders are filled in, the line is split into words at blanks.
// Quotes, single or double, hold a word together that has blanks in it, and a
// backslash makes an ordinary character of a quote, a blank or a backslash that
// follows it. There is no shell: whoever wants one writes sh -c '...'.
type Command struct {
	Line   string
	Listen netip.AddrPort // {addr}, and its port is {port}
	Server netip.AddrPort // {server}, and its port is {server-port}
	Name   string         // {name}: a peer's
	Fill   []string       // other placeholders and what they stand for, by turns
	Input  bool           // standard input stays open; otherwise it is empty
	Output io.Writer      // gets standard output and error, too, if it is not nil
	Stdin  *os.File       // instead of what Input says
	Stdout *os.File       // gets standard output, and Output gets standard error alone
}

// Quoting is the rule of Command in lines of 80 characters, for -h.
const Quoting = `A command line is split into words at blanks. Quotes, '...' or "...", keep a
word together; a backslash makes a quote, a blank or a backslash after it an
ordinary character. There is no shell: sh -c '...' is one.`

var placeholder = regexp.MustCompile(`\{(addr|port|name|server|server-port)\}`)

// words are the command's, with the placeholders filled in.
func (c Command) words() ([]string, error) {
	words, err := split(c.Line)
	if err != nil {
		return nil, err
	}
	fill := slices.Clone(c.Fill)
	if c.Listen.IsValid() {
		fill = append(fill, "{addr}", c.Listen.String(), "{port}", strconv.Itoa(int(c.Listen.Port())))
	}
	if c.Server.IsValid() {
		fill = append(fill, "{server}", c.Server.String(), "{server-port}", strconv.Itoa(int(c.Server.Port())))
	}
	if c.Name != "" {
		fill = append(fill, "{name}", c.Name)
	}
	filler := strings.NewReplacer(fill...)
	for i, w := range words {
		words[i] = filler.Replace(w)
		if left := placeholder.FindString(words[i]); left != "" {
			return nil, fmt.Errorf("command %q: there is nothing to put in place of %s", c.Line, left)
		}
	}
	return words, nil
}

// split splits a command line into words.
func split(line string) (words []string, err error) {
	var word strings.Builder
	var quote byte   // the quote that is open
	started := false // a word has started, maybe one of no characters
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && quote != '\'' && i+1 < len(line) && strings.IndexByte("'\" \\", line[i+1]) >= 0:
			i++
			word.WriteByte(line[i])
			started = true
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote, started = c, true
		case quote == 0 && strings.IndexByte(" \t\n", c) >= 0:
			if started {
				words = append(words, word.String())
			}
			word.Reset()
			started = false
		default:
			word.WriteByte(c)
			started = true
		}
	}
	switch {
	case quote != 0:
		return nil, fmt.Errorf("command %q has an open %c, want one more at the word's end, or \\%c for the character itself", line, quote, quote)
	case started:
		words = append(words, word.String())
	}
	if len(words) == 0 {
		return nil, errors.New("the command is empty")
	}
	return words, nil
}

// HasListen reports whether a command line says where its server is to listen.
func HasListen(line string) bool {
	return strings.Contains(line, "{port}") || strings.Contains(line, "{addr}")
}

// HasServer reports whether a command line is told where its peer's server is.
func HasServer(line string) bool {
	return strings.Contains(line, "{server}") || strings.Contains(line, "{server-port}")
}
