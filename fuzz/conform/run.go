package conform

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/target"
)

// Run tries all cases. The report has their results even if it ends early; the error is this
// machine's, not the target's.
func Run(ctx context.Context, c Config) (Report, error) {
	if err := c.Validate(); err != nil {
		return Report{}, err
	}
	c.Cases = slices.DeleteFunc(slices.Clone(c.Cases), func(x Case) bool { // what cannot be told
		return !strings.Contains(c.Exec, x.needs.placeholder) || x.keyed != "" && (x.keyed == "keyed") != (len(c.Keys) > 0) || (x.stops || x.needs.placeholder != "") && c.oneServer()
	})
	bounded, cancel := context.WithTimeout(ctx, c.Bound())
	defer cancel()
	r := &run{Config: c, pace: new(pace), results: map[string]Result{}}
	r.Parallel = cmp.Or(r.Parallel, DefaultParallel)
	r.report = Report{Name: c.Name, Target: cmp.Or(c.Exec, c.Address.String()), Role: c.Role.String(), Started: time.Now()}
	var err error
	if r.Host == nil {
		var m *target.Monitor
		if m, err = target.NewMonitor(10 * time.Millisecond); err == nil {
			defer m.Close()
			r.Host = target.Local{Monitor: m}
		}
	}
	switch {
	case err != nil: // no case can be judged here
	case c.Others != nil:
		r.tryOthers(bounded)
	case c.Role == hostile.Peer:
		err = (&peers{run: r, taken: map[wire.Name]bool{}}).try(bounded)
	case c.oneServer():
		err = r.tryShared(bounded)
	default:
		err = r.tryServers(bounded)
	}
	r.report.Took, r.report.Interrupted = time.Since(r.report.Started), ctx.Err() != nil
	for _, x := range c.Cases {
		res, ok := r.results[x.ID]
		if !ok {
			res = x.Result(NotRun, "")
			if bounded.Err() == nil && err != nil {
				res.Detail = err.Error()
			} else if ctx.Err() == nil && bounded.Err() != nil {
				res.Detail = fmt.Sprintf("the run had taken %v, which is its bound", c.Bound())
			}
		}
		r.report.Results = append(r.report.Results, res)
		r.report.Late = max(r.report.Late, res.Late)
	}
	if bounded.Err() != nil {
		err = nil
	}
	return r.report, err
}

// Result is the result of a case that ended so.
func (c Case) Result(o Outcome, detail string) Result {
	return Result{ID: c.ID, Title: c.Title, Section: c.Section, Level: c.Level, Outcome: o, Detail: detail}
}

type run struct {
	Config
	pace   *pace // of each target, as the first was measured
	report Report

	mu      sync.Mutex
	results map[string]Result
	failed  error
}

// done notes how a case has ended so far.
func (r *run) done(c Case, res Result) {
	if res.excused {
		res.Outcome = Void
		res.Detail = fmt.Sprintf("the machine was %v late in the last of %s", res.Late.Round(time.Millisecond), plural(res.Attempts, "try"))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.results[c.ID] = res
	if r.Progress == nil {
		return
	}
	wrong := 0
	for _, x := range r.results {
		if x.bad() {
			wrong++
		}
	}
	r.Progress(len(r.results), len(r.Cases), wrong)
}

// gone notes that there is nothing to test.
func (r *run) gone(format string, args ...any) { r.report.Gone = fmt.Sprintf(format, args...) }

// finish is done, except for cases that were not tried because the run ends.
func (r *run) finish(c Case, res Result) {
	if res.Outcome != NotRun || res.Detail != "" {
		r.done(c, res)
	}
}

func (r *run) error() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// machineError notes an error of this machine.
func (r *run) machineError(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed == nil {
		r.failed = err
	}
}

// notStarted is the result of a case whose target did not start. What this machine lacks is not the
// target's fault.
func (r *run) notStarted(ctx context.Context, c Case, err error) Result {
	for _, lack := range []error{syscall.EMFILE, syscall.ENFILE, syscall.EAGAIN, syscall.ENOMEM, syscall.EADDRINUSE} {
		if errors.Is(err, lack) {
			r.machineError(err)
		}
	}
	if ctx.Err() != nil || r.error() != nil {
		return c.Result(NotRun, "")
	}
	return c.Result(Broken, err.Error())
}

// tryOthers tries cases of another package, once each.
func (r *run) tryOthers(ctx context.Context) {
	r.report.Role, r.report.Mode = r.Others.Role, r.Others.Mode
	if r.Progress != nil {
		r.Progress(0, len(r.Cases), 0)
	}
	r.parallel(ctx, r.Cases, r.Parallel, func(ctx context.Context, c Case) bool {
		started, late := time.Now(), clock()
		res := r.Others.Try(ctx, c)
		if ctx.Err() == nil {
			res.Took, res.Late = time.Since(started), r.Host.Late(late)
			r.finish(c, res)
		}
		return true
	})
}
