package main

import (
	"io"
	"time"

	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/printing"
	"p2plocal/fuzz/conform"
)

// progress shows one line of how far the run is, on a terminal only, until wipe.
func progress(w io.Writer, name string, quiet bool) (show func(done, all int, last conform.Result), wipe func()) {
	line, wipe := printing.Line(w, quiet)
	started, wrong := time.Now(), 0
	return func(done, all int, last conform.Result) {
		if last.Outcome == conform.Fail || last.Outcome == conform.Broken {
			wrong++
		}
		line("%s: %d of %d cases, %d wrong, %.0f s", cli.Printable(name), done, all, wrong, time.Since(started).Seconds())
	}, wipe
}
