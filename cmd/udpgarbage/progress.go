package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"p2plocal/fuzz/campaign"
)

// progress gives what shows one line of how far a campaign is, on a terminal
// only, and what takes it away.
func progress(w io.Writer) (show func(string, campaign.Result), wipe func()) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil, func() {}
	}
	const often = 100 * time.Millisecond
	var last time.Time
	return func(what string, so campaign.Result) {
			if time.Since(last) < often {
				return
			}
			last = time.Now()
			fmt.Fprintf(w, "\r\x1b[K%s: batch %d, %s datagrams sent, %d findings", what, so.Next, short(float64(so.Total.Sent)), len(so.Findings))
		}, func() {
			if !last.IsZero() {
				fmt.Fprint(w, "\r\x1b[K")
			}
		}
}
