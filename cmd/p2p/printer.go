package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"p2plocal/cmd/internal/cli"
)

const (
	pendingMost = 1 << 20          // bytes that may wait to be written
	writeMost   = 1 << 16          // bytes in one write, if lines are shorter
	endWait     = 2 * time.Second  // for one write at the end, which nobody may read,
	endLooks    = 20               // and so many looks: a process that is kept from running has no time for them
	firstFew    = 3                // occurrences of one reason that are printed in full
	calm        = 10 * time.Second // after which a reason is news again
)

// A printer turns events into lines. It never makes its caller wait for an
// output: a machine that stood still while a terminal is stopped (Ctrl-S) or a
// pipe is full would be removed. Lines for which there is no room are counted.
type printer struct {
	self  string
	quiet bool

	mu      sync.Mutex
	outputs []*output
	tallies map[string]*tally
	ended   bool
}

// output is one place that lines go to.
type output struct {
	w           io.Writer
	json, ascii bool

	pending []byte
	lost    uint64
	wake    chan struct{} // has a value: look at what is pending
	writes  atomic.Uint64
	stopped chan struct{} // closed when write has returned
	err     error         // what writing failed with; valid from then on
}

// tally is how often one reason has come up.
type tally struct {
	last    time.Time
	printed int
	more    uint64 // not printed, since the last count was
}

func newPrinter(self string, quiet bool, outputs ...*output) *printer {
	for _, o := range outputs {
		o.wake, o.stopped = make(chan struct{}, 1), make(chan struct{})
	}
	return &printer{self: self, quiet: quiet, outputs: outputs, tallies: map[string]*tally{}}
}

// event prints what has happened.
func (p *printer) event(now time.Time, e event) {
	if !p.quiet {
		p.reply(now, e)
	}
}

// reply prints what was asked for.
func (p *printer) reply(now time.Time, e event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.add(now, e, false)
}

// often prints what anybody can make happen any number of times a second: the
// first few in full, and then how many more there were. make builds the event.
func (p *printer) often(now time.Time, reason string, make func() event) {
	if p.quiet {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.tallies[reason]
	if t == nil {
		t = &tally{}
		p.tallies[reason] = t
	}
	if now.Sub(t.last) >= calm {
		t.printed = 0
	}
	t.last = now
	if t.printed < firstFew {
		t.printed++
		p.add(now, make(), false)
	} else {
		t.more++
	}
}

// count prints the counts of what was not printed in full.
func (p *printer) count(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var reasons []string
	for reason, t := range p.tallies {
		if t.more > 0 {
			reasons = append(reasons, reason)
		}
	}
	slices.Sort(reasons)
	for _, reason := range reasons {
		t := p.tallies[reason]
		p.add(now, more(reason, t.more), false)
		t.more = 0
	}
}

// add appends a line where there is room, or has to be. The mutex is held.
func (p *printer) add(now time.Time, e event, always bool) {
	for _, o := range p.outputs {
		if len(o.pending) >= pendingMost && !always {
			o.lost++
			continue
		}
		if o.lost > 0 {
			o.line(p.self, now, lost(o.lost))
			o.lost = 0
		}
		o.line(p.self, now, e)
		select {
		case o.wake <- struct{}{}:
		default:
		}
	}
}

func (o *output) line(self string, now time.Time, e event) {
	switch {
	case o.json:
		o.pending = appendJSON(o.pending, now, e)
	case o.ascii:
		for _, r := range self + " " + e.text + "\n" {
			if r < utf8.RuneSelf {
				o.pending = append(o.pending, byte(r))
			} else {
				escaped := strconv.QuoteRuneToASCII(r)
				o.pending = append(o.pending, escaped[1:len(escaped)-1]...)
			}
		}
	default:
		o.pending = fmt.Appendf(o.pending, "%s %s\n", self, e.text)
	}
}

// end prints the last line, whether there is room or not, and waits until all is
// written, but not for an output that takes nothing.
func (p *printer) end(now time.Time, e event) error {
	p.count(now)
	p.mu.Lock()
	p.add(now, e, true)
	p.ended = true
	p.mu.Unlock()
	var errs []error
	for _, o := range p.outputs {
		errs = append(errs, o.finish())
	}
	return cli.Join(errs...)
}

func (o *output) finish() error {
	for last, looks := o.writes.Load(), 0; looks < endLooks; looks++ {
		select {
		case <-o.stopped:
			return o.err
		case <-time.After(endWait / endLooks):
			if now := o.writes.Load(); now != last {
				last, looks = now, 0
			}
		}
	}
	return fmt.Errorf("cannot write the output: nobody has taken any for %v", endWait)
}

// write writes what comes for an output until the printer is ended, or writing fails.
func (p *printer) write(o *output) {
	defer close(o.stopped)
	second := time.NewTicker(time.Second)
	defer second.Stop()
	var lines []byte
	for ended := false; !ended; {
		select {
		case now := <-second.C:
			p.count(now)
		case <-o.wake:
		}
		p.mu.Lock()
		lines, o.pending = o.pending, lines[:0]
		ended = p.ended
		p.mu.Unlock()
		for rest := lines; len(rest) > 0; {
			n := min(len(rest), writeMost)
			if end := bytes.LastIndexByte(rest[:n], '\n'); end >= 0 {
				n = end + 1
			}
			if _, err := o.w.Write(rest[:n]); err != nil {
				o.err = err
				return
			}
			o.writes.Add(1)
			rest = rest[n:]
		}
	}
}
