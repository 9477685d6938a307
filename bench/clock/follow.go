package clock

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"p2plocal/bench/record"
)

// Follower keeps a line to the clock of another host, by exchanges for as long as it lives.
type Follower struct {
	line atomic.Pointer[record.Line]

	mu     sync.Mutex
	recent []Exchange // those of the last while
	drawn  Estimate   // the line, when it was drawn
	worst  int64      // most that any line so far was off, in ns
	got    chan struct{}
}

const (
	every    = 10 * time.Millisecond  // an exchange,
	redraw   = 100 * time.Millisecond // a line,
	remember = 10 * time.Second       // and exchanges that it is drawn through
	enough   = 40                     // exchanges, before the first one is,
	soon     = 2 * time.Second        // or as many as a slow machine makes in this time
)

// Start follows the clock behind an address, and returns once the line is there, however long a busy
// machine takes, or nobody is.
func Start(ctx context.Context, from netip.Addr, to netip.AddrPort) (*Follower, error) {
	f := &Follower{got: make(chan struct{})}
	f.line.Store(new(record.Line))
	failed := make(chan error, 1)
	go func() {
		failed <- Follow(ctx, from, to, func() time.Duration {
			if f.Line() == (record.Line{}) {
				return time.Millisecond
			}
			return every
		}, f.add)
	}()
	select {
	case <-f.got:
		return f, nil
	case err := <-failed:
		return nil, err
	}
}

// Along is the other host's clock, as this one tells it.
func (f *Follower) Along(c record.Clock) record.Clock { return c.Along(&f.line) }

func (f *Follower) Line() record.Line { return *f.line.Load() }

// Worst is the most that the line has been off at any time so far, in ns.
func (f *Follower) Worst() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.worst
}

// add adds an exchange, and draws the line anew when it is time to.
func (f *Follower) add(x Exchange) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.recent = append(f.recent, x)
	for x.at()-f.recent[0].at() > int64(remember) {
		f.recent = f.recent[1:]
	}
	first := f.drawn == (Estimate{})
	if first && len(f.recent) < enough && x.at()-f.recent[0].at() < int64(soon) || x.at() < f.drawn.Until-int64(redraw)/2 && !first {
		return
	}
	const late = 2 // times the time in which a new one is due
	e, _ := Fit(f.recent, late*redraw)
	if !first { // what the last one has come to by now
		off := f.drawn.Ahead(e.At) - e.Ahead(e.At)
		f.worst = max(f.worst, max(off, -off)+e.Bound)
	}
	f.worst = max(f.worst, e.Bound)
	f.drawn = e
	f.line.Store(&e.Line)
	if first && f.got != nil {
		close(f.got)
	}
}
