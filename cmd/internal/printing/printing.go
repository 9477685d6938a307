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

	"p2plocal/cmd/internal/cli"
	"p2plocal/fuzz/figure"
	"p2plocal/reports"
)

// Text writes text in lines that fit w.
func Text(w io.Writer, text string) error {
	_, err := io.WriteString(w, cli.Folded(text, cli.Columns(w)))
	return err
}

// Watch shows on a terminal what line says, which fits as many columns: at once and then
// five times a second until stop is called. aside prints something else meanwhile.
func Watch(ctx context.Context, w io.Writer, quiet bool, line func(columns int) string) (aside func(print func()), stop func()) {
	if quiet || cli.Columns(w) == 0 {
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
		columns, prefix := cli.Columns(w), ""
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
		aside(func() { cli.Say(stderr, name+": "+format, args...) })
	}
}

// Bar draws a part of a whole.
func Bar(width int, part float64) string {
	full := min(int(float64(width)*part), width)
	return "[" + strings.Repeat("=", full) + strings.Repeat(" ", width-full) + "]"
}

// Done says how many of all parts are done, what else there is to tell, and how long the others will take.
func Done(columns int, start time.Time, done, all uint64, unit string, tell ...string) string {
	if all == 0 {
		return "starting"
	}
	part, took := float64(done)/float64(all), time.Since(start)
	left := fmt.Sprintf("%v so far", took.Round(time.Second))
	if done > 0 {
		left = fmt.Sprintf("%v left", time.Duration(float64(took)*(1/part-1)).Round(time.Second))
	}
	count := fmt.Sprintf("%s of %s %s", figure.Grouped(done), figure.Grouped(all), unit)
	return Fit(columns, Bar(12, part)+" ", count, tell, left)
}

// Fit is a line of progress: a bar gives way first to what does not fit, and then what is told last.
func Fit(columns int, bar, first string, tell []string, last ...string) string {
	for {
		line := strings.Join(slices.Concat([]string{first}, tell, last), ", ")
		switch {
		case len(bar)+len(line) <= columns:
			return bar + line
		case len(line) <= columns || len(tell) == 0:
			return line
		}
		tell = tell[:len(tell)-1]
	}
}

// Options fit a terminal, where stdout is one.
func Options(stdout io.Writer, ascii, all bool) reports.Options {
	o := reports.Options{ASCII: ascii, All: all}
	f, ok := cli.Terminal(stdout)
	if !ok {
		return o
	}
	o.Color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	if width, _, err := term.GetSize(int(f.Fd())); err == nil {
		o.Width = min(width, 120)
	}
	return o
}
