package conform

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"p2plocal/core"
)

// sharedServer is a server that several cases use at a time. A member that stays, the
// monitor, is told of everybody, and so knows whose name is free.
type sharedServer struct {
	at      netip.AddrPort
	target  *process // nil: it was not started here
	trial   *trial   // the monitor's
	monitor *endpoint
	others  []core.Entry // in the directory from the beginning, and the monitor

	mu   sync.Mutex
	free []core.Char
	used map[core.Char]time.Time // by cases, or given back then but still to be reaped
}

// newSharedServer starts the server, if need be, and puts the monitor into its directory.
func (r *run) newSharedServer(ctx context.Context) (_ *sharedServer, err error) {
	m := &sharedServer{at: r.Address, used: map[core.Char]time.Time{}}
	if r.Exec != "" {
		if m.target, m.at, err = startServer(ctx, r.Exec); err != nil {
			return nil, err
		}
	}
	m.trial = newTrial(ctx, Case{ID: "server/monitor/0"}, r.lateness)
	m.trial.server, m.trial.target, m.trial.names = m.at, m.target, slices.Clone(nameOrder)
	defer func() {
		if h, ok := aborted(recover()); ok {
			err = h.err
			if err == nil {
				err = fmt.Errorf("%s", h.why)
			}
		}
		if err != nil {
			m.close()
		}
	}()
	const tries = 4 // names may be taken
	for i := range tries {
		w := m.trial.open("monitor", m.at.Addr(), 0)
		w.entry = core.Entry{Name: core.Char('y' - i), Port: w.addr.Port()}
		for range 3 {
			w.birth()
			if m.trial.wait(soon, func() bool { return len(directories(m.trial.came(w, 0))) > 0 }) {
				m.monitor = w
				m.trial.keepAlive(w)
				m.others = whole(directories(m.trial.got(w, 0))[0])
				for _, n := range nameOrder {
					if !slices.ContainsFunc(m.others, func(e core.Entry) bool { return e.Name == n }) {
						m.free = append(m.free, n)
					}
				}
				return m, nil
			}
		}
	}
	return nil, fmt.Errorf("no answer from %v to births", m.at)
}

func (m *sharedServer) close() {
	m.trial.close()
	if m.target != nil {
		m.target.stop()
	}
}

// there is who is in the directory now, beside those who always are.
func (m *sharedServer) there() (entries []core.Entry) {
	m.trial.mu.Lock()
	defer m.trial.mu.Unlock()
	for i := len(m.trial.log) - 1; i >= 0; i-- {
		if e := m.trial.log[i]; !e.out && e.endpoint == m.monitor {
			if all := directories([]event{e}); len(all) == 1 {
				return slices.DeleteFunc(whole(all[0]), func(x core.Entry) bool { return slices.Contains(m.others, x) })
			}
		}
	}
	return nil
}

// borrowNames gives n names that nobody has, as soon as there are; all: every one.
func (m *sharedServer) borrowNames(ctx context.Context, n int, odd bool) (names []core.Char) {
	for ; ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		present := m.there()
		m.mu.Lock()
		for name, since := range m.used {
			if !since.IsZero() && time.Since(since) > 2*settle && !slices.ContainsFunc(present, func(e core.Entry) bool { return e.Name == name }) {
				delete(m.used, name)
				m.free = append(m.free, name)
			}
		}
		if n == all && len(m.used) == 0 && len(present) == 0 || n < all && len(m.free) >= n {
			if n == all {
				n = len(m.free)
			}
			slices.SortFunc(m.free, func(a, b core.Char) int { return slices.Index(nameOrder, a) - slices.Index(nameOrder, b) })
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

func (m *sharedServer) returnNames(names []core.Char) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range names {
		m.used[n] = time.Now()
	}
}

// try tries one case at the shared server.
func (m *sharedServer) try(r *run) func(context.Context, Case, bool) Result {
	return func(ctx context.Context, c Case, lenient bool) Result {
		n := c.names
		if n == 0 {
			n = few
		}
		if c.whole {
			n = all
		}
		names := m.borrowNames(ctx, n, c.odd)
		if names == nil {
			return Result{Outcome: NotRun}
		}
		defer m.returnNames(names)
		l := newTrial(ctx, c, r.lateness)
		defer l.close()
		l.lenient = lenient
		l.server, l.target, l.names, l.alone = m.at, m.target, slices.Clone(names), c.whole
		if c.whole {
			l.residents = m.others
		}
		if l.target != nil {
			l.waited = l.target.waited()
		}
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

// sharedRun is a run of cases against one server.
type sharedRun struct {
	*run
	ctx context.Context
	m   *sharedServer // nil: it could not be started again
}

// shared tests one server: first what cannot hurt it, side by side; then what
// may, one at a time, so that it is known what did; then what wants it for itself.
// Before the next one begins a newcomer's birth must have been answered. A server
// that answers it, and dies of a datagram from before all the same, has the next
// case blamed, unless that does no harm to a server of its own: nobody can tell
// from outside.
func (r *run) shared(ctx context.Context) (err error) {
	r.report.Mode = fmt.Sprintf("one server for all cases, up to %d at a time", r.Parallel)
	s := &sharedRun{run: r, ctx: ctx}
	if s.m, err = r.newSharedServer(ctx); err != nil {
		if ctx.Err() == nil {
			r.gone("%v", err)
		}
		return nil
	}
	defer func() {
		if s.m != nil {
			s.m.close()
		}
	}()
	var gentle, single []Case
	for _, c := range r.Cases {
		if !c.whole && !c.risky {
			gentle = append(gentle, c)
		} else {
			single = append(single, c)
		}
	}
	slices.SortStableFunc(single, func(a, b Case) int { // the risky first
		switch {
		case a.whole == b.whole:
			return 0
		case a.whole:
			return 1
		}
		return -1
	})
	if s.sideBySide(gentle) && (len(gentle) == 0 || len(single) == 0 || s.survived(gentle)) {
		s.oneByOne(single)
	}
	return r.error()
}

func (s *sharedRun) over() bool { return s.ctx.Err() != nil || s.error() != nil }

// restart replaces a server that is broken, if it was started here, after a look at
// cases one by one.
func (s *sharedRun) restart(after string, cases ...Case) bool {
	s.m.close()
	s.m = nil
	if s.each(s.ctx, cases, s.server) != nil || s.ctx.Err() != nil {
		return false
	}
	m, err := s.newSharedServer(s.ctx)
	if err != nil {
		s.gone("after %s it could not be started again: %v", after, err)
		return false
	}
	s.m = m
	return true
}

// sideBySide tries cases until each has a result; false: there is no server left.
func (s *sharedRun) sideBySide(todo []Case) bool {
	for len(todo) > 0 {
		broken, last, left := s.round(todo)
		switch {
		case broken == nil || s.ctx.Err() != nil:
			return !s.over()
		case s.Exec != "":
			// Any of those under way may have done it: that one says so again, alone.
			s.log("the server broke while %d cases ran: each of them gets a server of its own", len(left)+1)
			if !s.restart(broken.ID, append(left, *broken)...) {
				return false
			}
		case last.excused:
			s.done(*broken, last) // and then those that are left
		default:
			last.Detail += fmt.Sprintf("; %d other cases ran then", len(left))
			s.done(*broken, last)
			s.gone("after %s: %s", broken.ID, last.Detail)
			return false
		}
		todo = slices.DeleteFunc(slices.Clone(todo), func(c Case) bool { _, ok := s.result(c); return ok })
	}
	return !s.over()
}

// round tries cases side by side until the server breaks: by which of them it was
// seen, and which others did not come to an end.
func (s *sharedRun) round(cases []Case) (broken *Case, last Result, left []Case) {
	var mu sync.Mutex
	s.parallel(s.ctx, cases, func(ctx context.Context, c Case) bool {
		res := s.retryWhenLate(ctx, c, s.m.try(s.run))
		mu.Lock()
		defer mu.Unlock()
		switch {
		case res.Outcome == Broken && broken == nil:
			broken, last = &c, res
			return false
		case res.Outcome == Broken, res.Outcome == NotRun && ctx.Err() != nil:
			left = append(left, c)
			return false
		}
		s.done(c, res)
		return s.error() == nil
	})
	return broken, last, left
}

// survived looks whether the server still lets a newcomer in after cases side by side.
func (s *sharedRun) survived(gentle []Case) bool {
	probe := Case{ID: "server/probe/0", risky: true, called: nothing}
	res := s.retryWhenLate(s.ctx, probe, s.m.try(s.run))
	if res.Outcome != Broken || res.excused {
		return true
	}
	after := plural(len(gentle), "case")
	if s.Exec == "" {
		s.gone("after %s side by side, none of which it has died of at once: %s", after, res.Detail)
		return false
	}
	s.log("the server broke after %s: each of them gets a server of its own", after)
	return s.restart(after, gentle...)
}

func (s *sharedRun) oneByOne(cases []Case) {
	for _, c := range cases {
		if s.over() {
			return
		}
		res := s.retryWhenLate(s.ctx, c, s.m.try(s.run))
		switch {
		case res.Outcome == NotRun:
		case res.Outcome == Broken && s.Exec != "":
			restarted := s.restart(c.ID, c)
			s.clear(c, res)
			if !restarted {
				return
			}
		default:
			s.done(c, res)
			if res.Outcome == Broken && !res.excused {
				s.gone("after %s: %s", c.ID, res.Detail)
				return
			}
		}
	}
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

func (r *run) log(format string, args ...any) {
	if r.Log != nil {
		r.Log(format, args...)
	}
}
