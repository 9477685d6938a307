package main

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

const (
	pendingMost = 1 << 20          // bytes that may wait to be written
	firstFew    = 3                // occurrences of one reason that are printed in full
	calm        = 10 * time.Second // after which a reason is news again
)

// A printer turns events into lines. It never makes its caller wait for the
// output: a machine that stood still while a terminal is stopped (Ctrl-S) or a
// pipe is full would be removed. Lines for which there is no room are counted.
type printer struct {
	self        string
	json, quiet bool

	mu      sync.Mutex
	pending []byte
	waiting []chan struct{} // closed when what is pending has been written
	lost    uint64
	tallies map[string]*tally
	ended   bool

	wake    chan struct{} // has a value: look at what is pending
	stopped chan struct{} // closed when run has returned
	err     error         // what writing failed with; valid from then on
}

// tally is how often one reason has come up.
type tally struct {
	last    time.Time
	printed int
	more    uint64 // not printed, since the last count was
}

func newPrinter(self string, json, quiet bool) *printer {
	return &printer{self: self, json: json, quiet: quiet, tallies: map[string]*tally{}, wake: make(chan struct{}, 1), stopped: make(chan struct{})}
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
	p.add(now, e)
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
		p.add(now, make())
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
		p.add(now, more(reason, t.more))
		t.more = 0
	}
}

// add appends a line if there is room. The mutex is held, as below.
func (p *printer) add(now time.Time, e event) {
	if len(p.pending) >= pendingMost {
		p.lost++
		return
	}
	p.sayLost(now)
	p.line(now, e)
	p.poke()
}

func (p *printer) sayLost(now time.Time) {
	if p.lost > 0 {
		p.line(now, lost(p.lost))
		p.lost = 0
	}
}

func (p *printer) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *printer) line(now time.Time, e event) {
	if p.json {
		p.pending = appendJSON(p.pending, now, e)
	} else {
		p.pending = fmt.Appendf(p.pending, "%s %s\n", p.self, e.text)
	}
}

// end prints the last line, whether there is room or not, and makes run end
// when it has written everything.
func (p *printer) end(now time.Time, e event) {
	p.count(now)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sayLost(now)
	p.line(now, e)
	p.ended = true
	p.poke()
}

// settle waits until all that is printed has been written. Only who may wait
// for the output may call it.
func (p *printer) settle() {
	written := make(chan struct{})
	p.mu.Lock()
	p.waiting = append(p.waiting, written)
	p.poke()
	p.mu.Unlock()
	select {
	case <-written:
	case <-p.stopped:
	}
}

// run writes to w until the printer is ended, or w fails.
func (p *printer) run(w io.Writer) {
	defer close(p.stopped)
	second := time.NewTicker(time.Second)
	defer second.Stop()
	var lines []byte
	for ended := false; !ended; {
		select {
		case now := <-second.C:
			p.count(now)
		case <-p.wake:
		}
		p.mu.Lock()
		lines, p.pending = p.pending, lines[:0]
		waiting := p.waiting
		p.waiting = nil
		ended = p.ended
		p.mu.Unlock()
		if len(lines) > 0 {
			if _, err := w.Write(lines); err != nil {
				p.err = fmt.Errorf("cannot write the output: %w", err)
				return
			}
		}
		for _, written := range waiting {
			close(written)
		}
	}
}
