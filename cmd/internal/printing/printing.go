// Package printing is how commands write to a terminal: as wide and colourful as it is.
package printing

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"p2plocal/bench/result"
	"p2plocal/reports"
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

// Watch shows on a terminal what line says, which fits as many columns: at once and then
// five times a second until stop is called. aside prints something else meanwhile.
func Watch(ctx context.Context, w io.Writer, quiet bool, line func(columns int) string) (aside func(print func()), stop func()) {
	if quiet || Columns(w) == 0 {
		return func(print func()) { print() }, func() {}
	}
	var mu sync.Mutex
	aside = func(print func()) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprint(w, "\r\x1b[K")
		print()
	}
	draw := func() {
		columns, prefix := Columns(w), ""
		if ctx.Err() != nil {
			prefix = "interrupted: "
		}
		runes := []rune(prefix + line(max(columns-len(prefix), 1)))
		fmt.Fprint(w, string(runes[:min(len(runes), columns)]))
	}
	done := make(chan struct{})
	var drawn sync.WaitGroup
	drawn.Go(func() {
		for tick := time.Tick(200 * time.Millisecond); ; {
			aside(draw)
			select {
			case <-tick:
			case <-done:
				aside(func() {})
				return
			}
		}
	})
	return aside, func() {
		close(done)
		drawn.Wait()
	}
}

// Log has a command say things on stderr beside what Watch shows there.
func Log(name string, stderr io.Writer, aside func(func())) func(format string, args ...any) {
	return func(format string, args ...any) {
		aside(func() { fmt.Fprintf(stderr, name+": "+format+"\n", args...) })
	}
}

// Bar draws a part of a whole.
func Bar(width int, part float64) string {
	full := min(int(float64(width)*part), width)
	return "[" + strings.Repeat("=", full) + strings.Repeat(" ", width-full) + "]"
}

// Done says how many of all parts are done, what else there is to tell, and how long the others will take, as far as
// it fits: a bar gives way first, then what is told last.
func Done(columns int, start time.Time, done, all uint64, unit string, tell ...string) string {
	if all == 0 {
		return "starting"
	}
	part, took := float64(done)/float64(all), time.Since(start)
	left := fmt.Sprintf("%v so far", took.Round(time.Second))
	if done > 0 {
		left = fmt.Sprintf("%v left", time.Duration(float64(took)*(1/part-1)).Round(time.Second))
	}
	for bar := Bar(12, part) + " "; ; tell = tell[:len(tell)-1] {
		line := fmt.Sprintf("%s of %s %s, %s", result.Grouped(float64(done)), result.Grouped(float64(all)), unit, strings.Join(append(slices.Clone(tell), left), ", "))
		switch {
		case len(bar)+len(line) <= columns:
			return bar + line
		case len(line) <= columns || len(tell) == 0:
			return line
		}
	}
}

// Options fit a terminal, where stdout is one.
func Options(stdout io.Writer, ascii, all bool) reports.Options {
	o := reports.Options{ASCII: ascii, All: all}
	f, ok := Terminal(stdout)
	if !ok {
		return o
	}
	o.Color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	if width, _, err := term.GetSize(int(f.Fd())); err == nil {
		o.Width = min(width, 120)
	}
	return o
}
