package main

import (
	"io"
	"time"

	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/printing"
)

// progress says how far the run is, until wipe.
func progress(w io.Writer, name string, quiet bool) (show func(done, all, wrong int), wipe func()) {
	line, wipe := printing.Line(w, quiet)
	started := time.Now()
	return func(done, all, wrong int) {
		line("%s: %d of %d cases, %d wrong, %.0f s", cli.Printable(name), done, all, wrong, time.Since(started).Seconds())
	}, wipe
}
