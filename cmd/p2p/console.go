package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"p2plocal/cmd/internal/cli"
)

// A console is where commands come from and everything goes to.
type console struct {
	line    func() (string, error) // the next command
	typed   bool                   // by a person, whose Ctrl-C is the input's end
	stdout  io.Writer
	restore func()
}

var errLongLine = fmt.Errorf("a line of more than %d bytes is ignored", lineMost)

func newConsole(stdin io.Reader, stdout io.Writer) *console {
	lines := bufio.NewReaderSize(stdin, lineMost)
	return &console{restore: func() {}, stdout: folding{stdout, stdout}, line: func() (string, error) {
		line, err := lines.ReadSlice('\n')
		if !errors.Is(err, bufio.ErrBufferFull) {
			return string(line), err
		}
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = lines.ReadSlice('\n')
		}
		return "", errLongLine
	}}
}

// edit has what comes stand above the line that is being typed, if it is a terminal.
func (c *console) edit(stdin io.Reader, stdout io.Writer) {
	in, ok := stdin.(*os.File)
	out, terminal := cli.Terminal(stdout)
	if !ok || !terminal || !term.IsTerminal(int(in.Fd())) || !cli.Foreground(in) {
		return
	}
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return
	}
	editor := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{in, out}, "> ")
	c.stdout, c.line, c.typed = folding{resized{editor, out}, out}, editor.ReadLine, true
	c.restore = func() {
		term.Restore(int(in.Fd()), before)
		fmt.Fprint(out, "\r\x1b[K") // the prompt
	}
}

// resized is a terminal whose size may have changed.
type resized struct {
	*term.Terminal
	file cli.File
}

func (r resized) Write(b []byte) (int, error) {
	if width, height, err := term.GetSize(int(r.file.Fd())); err == nil && width > 0 {
		r.SetSize(width, height)
	}
	return r.Terminal.Write(b)
}

// folding breaks lines between words where the terminal would break them anywhere.
type folding struct {
	io.Writer
	of io.Writer // the terminal, if it is one
}

func (f folding) Write(b []byte) (int, error) {
	if _, err := io.WriteString(f.Writer, cli.Folded(string(b), cli.Columns(f.of))); err != nil {
		return 0, err
	}
	return len(b), nil
}
