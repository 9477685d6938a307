package conform

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"p2plocal/fuzz/target"
)

// late is how late the machine may be for more cases to begin beside others.
const late = 150 * time.Millisecond

// parallel runs cases, width at a time with the longest first, until one returns false. While this
// machine is late, no more begin than it has processors.
func (r *run) parallel(ctx context.Context, cases []Case, width int, one func(context.Context, Case) (more bool)) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if width > 1 {
		cases = slices.Clone(cases)
		slices.SortStableFunc(cases, func(a, b Case) int { return cmp.Compare(b.Span, a.Span) })
	}
	queue := make(chan Case)
	var group sync.WaitGroup
	var mu sync.Mutex
	busy := 0
	enter := func() bool {
		mu.Lock()
		defer mu.Unlock()
		if busy >= runtime.NumCPU() && r.Host.Late(clock().Add(-time.Second)) > late {
			return false
		}
		busy++
		return true
	}
	for range min(width, len(cases)) {
		group.Go(func() {
			for c := range queue {
				for ctx.Err() == nil && !enter() {
					time.Sleep(late)
				}
				if ctx.Err() == nil && !one(ctx, c) {
					stop()
				}
				mu.Lock()
				busy--
				mu.Unlock()
			}
		})
	}
	for _, c := range cases {
		queue <- c
	}
	close(queue)
	group.Wait()
}

// What fails while the machine is late for longer than calmLateness is tried again, alone.
const (
	calmLateness = 15 * time.Millisecond
	attempts     = 3
	long         = 20 * time.Second // what takes longer is tried twice
)

// attempt tries a case once. The last try is lenient: it tolerates what may be this machine's
// lateness.
type attempt func(ctx context.Context, c Case, lenient bool) Result

// insist tries a case until it passes, fails while the machine is on time, or has been tried often
// enough: first and last say which of all tries these are.
func (r *run) insist(ctx context.Context, c Case, first, last int, try attempt) (res Result) {
	started, most := time.Now(), attempts
	if c.Span > long {
		most = 2
	}
	for n := first; ; n++ {
		res = try(ctx, c, n == most)
		res.Attempts, res.Took = n, time.Since(started)
		if n >= min(most, last) || !res.doubtful {
			return res
		}
	}
}

// each tries cases side by side, each with a target of its own, and those that failed while the
// machine was late once more, alone.
func (r *run) each(ctx context.Context, cases []Case, try attempt) error {
	width := r.Parallel
	if !target.HasListen(r.Exec) { // they would all have the same port
		width = 1
	}
	var mu sync.Mutex
	var again []Case
	r.parallel(ctx, cases, width, func(ctx context.Context, c Case) bool {
		res := r.insist(ctx, c, 1, 1, try)
		if res.doubtful {
			mu.Lock()
			again = append(again, c)
			mu.Unlock()
		}
		r.finish(c, res)
		return r.error() == nil
	})
	r.parallel(ctx, again, 1, func(ctx context.Context, c Case) bool {
		r.finish(c, r.insist(ctx, c, 2, attempts, try))
		return r.error() == nil
	})
	return r.error()
}

// reached tries the very first target, and notes why it could not be reached.
func (r *run) reached(ctx context.Context, c Case, try attempt) bool {
	res := r.insist(ctx, c, 1, attempts, try)
	if res.Outcome == Pass || res.Outcome == Fail || res.excused {
		return true
	}
	if ctx.Err() == nil && r.error() == nil {
		r.gone("%s", cmp.Or(res.Detail, "there is no answer"))
	}
	return false
}
