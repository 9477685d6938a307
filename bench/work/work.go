// Package work divides a computation whose units do not depend on each other into leases,
// has them computed here or by workers on any number of machines, and gathers what they
// come to: each exactly once, whoever dies meanwhile.
package work

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Job is what is to be computed.
type Job struct {
	ID          string          `json:"id"`
	Version     string          `json:"version"` // of the program: another may come to something else
	Kind        string          `json:"kind"`
	Params      json.RawMessage `json:"params"`
	First, Last uint64          // units, such as seeds
}

const (
	leaseMost  = 400 // units of a lease: a second or so
	leasesWish = 64  // of a job that is too small for as many such, so that all cores have some
)

// lease is how many units one has. It depends on the job alone, and so does what a job comes to.
func (j Job) lease() uint64 { return min(max((j.Last-j.First)/leasesWish, 1), leaseMost) }

// Leases is how many there are.
func (j Job) Leases() uint64 { return (j.Last-j.First)/j.lease() + 1 }

// Units are those of a lease.
func (j Job) Units(lease uint64) (first, last uint64) {
	first = j.First + lease*j.lease()
	return first, first + min(j.lease()-1, j.Last-first)
}

// Func computes units first to last of a kind of job. It is deterministic. Once ctx is done it
// may give what it has.
type Func func(ctx context.Context, params json.RawMessage, first, last uint64) (any, error)

// Compute computes a job. It calls done for each lease, one call at a time, in no order, and ends
// early when that gives an error, or ctx is done.
type Compute func(ctx context.Context, j Job, f Func, done func(Done) error) error

// Done is what has become of a lease.
type Done struct {
	Lease  uint64          `json:"lease"`
	Worker string          `json:"worker"`
	Took   float64         `json:"seconds"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  string          `json:"error,omitempty"` // why there is none
}

// compute does one lease.
func compute(ctx context.Context, j Job, lease uint64, f Func) Done {
	d, began := Done{Lease: lease}, time.Now()
	first, last := j.Units(lease)
	result, err := f(ctx, j.Params, first, last)
	if err == nil {
		d.Result, err = json.Marshal(result)
	}
	if err != nil {
		d.Error = err.Error()
	}
	d.Took = time.Since(began).Seconds()
	return d
}

// Local is the Compute of all cores of this machine.
func Local(ctx context.Context, j Job, f Func, done func(Done) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	var mu sync.Mutex
	for lease := uint64(0); lease < j.Leases() && ctx.Err() == nil; lease++ {
		group.Go(func() error {
			d := compute(ctx, j, lease, f)
			mu.Lock()
			defer mu.Unlock()
			return taken(d, done)
		})
	}
	return group.Wait()
}

// taken hands a lease over.
func taken(d Done, done func(Done) error) error {
	if d.Error != "" {
		return fmt.Errorf("lease %d of worker %q failed: %s", d.Lease, d.Worker, d.Error)
	}
	return done(d)
}

// List is the Func of a job whose units come to a value each: units are what there is to compute by the job's
// parameters. It gives a list, with null for what ctx cut short.
func List[P, U, R any](units func(P) ([]U, error), one func(context.Context, U) (R, error)) Func {
	return func(ctx context.Context, params json.RawMessage, first, last uint64) (any, error) {
		var p P
		if err := json.Unmarshal(params, &p); err != nil {
			return nil, err
		}
		all, err := units(p)
		if err != nil || last >= uint64(len(all)) {
			return nil, cmp.Or(err, fmt.Errorf("no units %d to %d of %d", first, last, len(all)))
		}
		some := make([]*R, last-first+1)
		for i, u := range all[first : last+1] {
			r, err := one(ctx, u)
			if ctx.Err() != nil {
				break
			}
			if err != nil {
				return nil, err
			}
			some[i] = &r
		}
		return some, nil
	}
}

// Collect computes such a job of n units, and gives what each has come to; nil: ctx was done before.
// progress is called with how many are, and what the latest have come to, one call at a time.
func Collect[R any](ctx context.Context, compute Compute, kind string, params any, n int, list Func, progress func(done int, new []*R)) ([]*R, error) {
	text, err := json.Marshal(params)
	if err != nil || n == 0 {
		return nil, err
	}
	j := Job{Kind: kind, Params: text, Last: uint64(n - 1)}
	all, finished := make([]*R, n), 0
	err = compute(ctx, j, list, func(d Done) error {
		var some []*R
		err := json.Unmarshal(d.Result, &some)
		first, _ := j.Units(d.Lease)
		finished += copy(all[first:], some)
		progress(finished, some)
		return err
	})
	return all, err
}
