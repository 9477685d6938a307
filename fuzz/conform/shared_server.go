package conform

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"p2plocal/core/wire"
)

// sharedServer is a server that several cases use at a time. A member that stays, the
// monitor, is told of everybody, and so knows whose name is free.
type sharedServer struct {
	at      netip.AddrPort
	target  *process // nil: it was not started here
	trial   *trial   // the monitor's
	monitor *endpoint
	others  []wire.Entry // in the directory from the beginning, and the monitor
	close   func()

	mu   sync.Mutex
	free []wire.Name
	used map[wire.Name]time.Time // by cases, or given back then but still to be reaped
}

// newSharedServer starts the server, if need be, and puts the monitor into its directory.
func (r *run) newSharedServer(ctx context.Context) (_ *sharedServer, err error) {
	m := &sharedServer{at: r.Address, used: map[wire.Name]time.Time{}}
	m.close = sync.OnceFunc(func() {
		m.trial.close()
		if m.target != nil {
			m.target.stop()
		}
	})
	if r.Exec != "" {
		if m.target, m.at, err = startServer(ctx, r.Host, r.Exec); err != nil {
			return nil, err
		}
	}
	m.trial = newTrial(ctx, Case{ID: "server/monitor/0"}, r.Host)
	m.trial.server, m.trial.target, m.trial.names = m.at, m.target, slices.Clone(nameOrder)
	defer func() {
		if h, ok := aborted(recover()); ok {
			err = cmp.Or(h.err, errors.New(h.why))
		}
		if err != nil {
			m.close()
		}
	}()
	const tries = 4 // names may be taken
	for i := range tries {
		w := m.trial.open("monitor", m.at.Addr(), 0)
		w.entry = wire.Entry{Name: wire.Name('y' - i), Port: w.addr.Port()}
		for range 3 {
			w.birth()
			if m.trial.wait(soon, func() bool { return len(directories(m.trial.came(w, 0))) > 0 }) {
				m.monitor = w
				m.trial.keepAlive(w)
				m.others = whole(directories(m.trial.got(w, 0))[0])
				for _, n := range nameOrder {
					if !slices.ContainsFunc(m.others, func(e wire.Entry) bool { return e.Name == n }) {
						m.free = append(m.free, n)
					}
				}
				return m, nil
			}
		}
	}
	return nil, fmt.Errorf("no answer from %v to births", m.at)
}

// there is who is in the directory now, beside those who always are.
func (m *sharedServer) there() (entries []wire.Entry) {
	m.trial.mu.Lock()
	defer m.trial.mu.Unlock()
	d, _ := last(m.trial.came(m.monitor, 0))
	return slices.DeleteFunc(whole(d), func(x wire.Entry) bool { return slices.Contains(m.others, x) })
}

// borrowNames gives n names that nobody has, as soon as there are; all: every one.
func (m *sharedServer) borrowNames(ctx context.Context, n int, odd bool) (names []wire.Name) {
	for ; ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		present := m.there()
		m.mu.Lock()
		for name, since := range m.used {
			if !since.IsZero() && time.Since(since) > 2*settle && !slices.ContainsFunc(present, func(e wire.Entry) bool { return e.Name == name }) {
				delete(m.used, name)
				m.free = append(m.free, name)
			}
		}
		if n == all && len(m.used) == 0 && len(present) == 0 || n < all && len(m.free) >= n {
			n = min(n, len(m.free))
			slices.SortFunc(m.free, func(a, b wire.Name) int { return slices.Index(nameOrder, a) - slices.Index(nameOrder, b) })
			if odd {
				slices.Reverse(m.free)
			}
			names = slices.Clone(m.free[:n])
			m.free = slices.Delete(m.free, 0, n)
			for _, name := range names {
				m.used[name] = time.Time{}
			}
			m.mu.Unlock()
			return names
		}
		m.mu.Unlock()
	}
	return nil
}

func (m *sharedServer) returnNames(names []wire.Name) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range names {
		m.used[n] = time.Now()
	}
}

// try tries one case at the shared server.
func (m *sharedServer) try(r *run) func(context.Context, Case, bool) Result {
	return func(ctx context.Context, c Case, lenient bool) Result {
		n := cmp.Or(c.names, few)
		if c.whole {
			n = all
		}
		names := m.borrowNames(ctx, n, c.odd)
		if names == nil {
			return Result{Outcome: NotRun}
		}
		defer m.returnNames(names)
		l := newTrial(ctx, c, r.Host)
		defer l.close()
		l.lenient = lenient
		l.server, l.target, l.names, l.alone = m.at, m.target, slices.Clone(names), c.whole
		if c.whole {
			l.residents = m.others
		}
		l.waited = l.target.waited()
		return r.perform(l, func() {
			if c.risky || c.whole || !m.answers() {
				l.probe(soon)
			}
		})
	}
}

// answers says that the monitor, born again, is sent the directory: a sign of life
// that takes no name. Beside other cases it proves no more than that.
func (m *sharedServer) answers() bool {
	at := m.monitor.birth()
	return m.trial.wait(soon/2, func() bool {
		return slices.ContainsFunc(m.trial.came(m.monitor, 0), func(e event) bool { return e.at.After(at) })
	})
}

// shared tests one server: first what cannot hurt it, side by side; then what
// may, one at a time, so that it is known what did; then what wants it for itself.
// Before the next one begins a newcomer's birth must have been answered. A server
// that answers it, and dies of a datagram from before all the same, has the next
// case blamed, unless that does no harm to a server of its own: nobody can tell
// from outside. When it breaks, the cases that are left get a server of their own
// each, if there is a command for it.
func (r *run) shared(ctx context.Context) error {
	r.report.Mode = fmt.Sprintf("one server for all cases, up to %d at a time", r.Parallel)
	m, err := r.newSharedServer(ctx)
	if err != nil {
		if ctx.Err() == nil {
			r.gone("%v", err)
		}
		return nil
	}
	defer m.close()
	var gentle, risky, whole []Case
	for _, c := range r.Cases {
		switch {
		case c.whole:
			whole = append(whole, c)
		case c.risky:
			risky = append(risky, c)
		default:
			gentle = append(gentle, c)
		}
	}
	single := append(risky, whole...)
	if r.round(ctx, m, gentle, r.Parallel) && (len(gentle) == 0 || len(single) == 0 || r.survived(ctx, m, gentle)) {
		r.round(ctx, m, single, 1)
	}
	return r.error()
}

// round tries cases, some at a time, until the server breaks; false: it has, or the run
// is over.
func (r *run) round(ctx context.Context, m *sharedServer, cases []Case, width int) bool {
	var mu sync.Mutex
	var broken *Case
	var last Result
	others := 0 // that did not come to an end
	r.parallel(ctx, cases, width, func(ctx context.Context, c Case) bool {
		res := r.retryWhenLate(ctx, c, m.try(r))
		mu.Lock()
		defer mu.Unlock()
		switch {
		case res.Outcome == Broken && broken == nil && (r.Exec != "" || !res.excused):
			broken, last = &c, res
			return false
		case res.Outcome == Broken && broken != nil, res.Outcome == NotRun && ctx.Err() != nil:
			others++
			return false
		}
		r.done(c, res)
		return r.error() == nil
	})
	switch {
	case broken == nil:
		return ctx.Err() == nil && r.error() == nil
	case r.Exec == "":
		if others > 0 {
			last.Detail += fmt.Sprintf("; %s ran then, too", plural(others, "case"))
		}
		r.done(*broken, last)
		r.gone("after %s: %s", broken.ID, last.Detail)
		return false
	}
	// Any of those under way may have done it: that one says so again, alone.
	left := slices.DeleteFunc(slices.Clone(r.Cases), func(c Case) bool { _, ok := r.result(c); return ok })
	r.apart(ctx, m, "in "+broken.ID, left)
	if width == 1 {
		r.clear(*broken, last)
	}
	return false
}

// apart tries cases with a server of its own each, since the shared one is broken.
func (r *run) apart(ctx context.Context, m *sharedServer, when string, cases []Case) {
	if r.Log != nil {
		r.Log("the server broke %s: %s get a server of their own each", when, plural(len(cases), "case"))
	}
	m.close()
	r.each(ctx, cases, r.server)
}

// survived looks whether the server still lets a newcomer in after cases side by side.
func (r *run) survived(ctx context.Context, m *sharedServer, gentle []Case) bool {
	probe := Case{ID: "server/probe/0", risky: true, called: nothing}
	res := r.retryWhenLate(ctx, probe, m.try(r))
	if res.Outcome != Broken || res.excused {
		return true
	}
	after := "after " + plural(len(gentle), "case")
	if r.Exec == "" {
		r.gone("%s side by side, none of which it has died of at once: %s", after, res.Detail)
	} else {
		r.apart(ctx, m, after, r.Cases)
	}
	return false
}

// clear says of a case that a shared server broke on, and that does no harm to a
// server of its own, that it is not known what has done it.
func (r *run) clear(c Case, shared Result) {
	alone, ok := r.result(c)
	switch {
	case !ok: // interrupted
		r.done(c, shared)
	case alone.Outcome != Broken && alone.Outcome != Void && !shared.excused:
		shared.Detail += "; a server of its own survives this case: what the shared one was sent before has to do with it"
		r.done(c, shared)
	}
}
