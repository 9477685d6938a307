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

// mesh is a server that several cases use at a time. A member that stays, the
// warden, is told of everybody, and so knows whose name is free.
type mesh struct {
	at     netip.AddrPort
	target *process // nil: it was not started here
	lab    *lab     // the warden's
	warden *post
	others []core.Entry // in the directory from the beginning, and the warden

	mu   sync.Mutex
	free []core.Name
	used map[core.Name]time.Time // by cases, or given back then but still to be reaped
}

// newMesh starts the server, if need be, and puts the warden into its directory.
func (r *run) newMesh(ctx context.Context) (_ *mesh, err error) {
	m := &mesh{at: r.Address, used: map[core.Name]time.Time{}}
	if r.Exec != "" {
		if m.target, m.at, err = startServer(ctx, r.Exec); err != nil {
			return nil, err
		}
	}
	m.lab = newLab(ctx, Case{ID: "server/warden/0"}, r.monitor)
	m.lab.server, m.lab.target, m.lab.names = m.at, m.target, slices.Clone(nameOrder)
	defer func() {
		if h, ok := halted(recover()); ok {
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
		w := m.lab.open("warden", m.at.Addr(), 0)
		w.entry = core.Entry{Name: core.Name('y' - i), Port: w.addr.Port()}
		for range 3 {
			w.birth()
			if m.lab.wait(soon, func() bool { return len(directories(m.lab.came(w, 0))) > 0 }) {
				m.warden = w
				m.lab.keep(w)
				m.others = whole(directories(m.lab.got(w, 0))[0])
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

func (m *mesh) close() {
	m.lab.close()
	if m.target != nil {
		m.target.stop()
	}
}

// there is who is in the directory now, beside those who always are.
func (m *mesh) there() (entries []core.Entry) {
	m.lab.mu.Lock()
	defer m.lab.mu.Unlock()
	for i := len(m.lab.log) - 1; i >= 0; i-- {
		if e := m.lab.log[i]; !e.out && e.post == m.warden {
			if all := directories([]event{e}); len(all) == 1 {
				return slices.DeleteFunc(whole(all[0]), func(x core.Entry) bool { return slices.Contains(m.others, x) })
			}
		}
	}
	return nil
}

// lend gives n names that nobody has, as soon as there are; all: every one.
func (m *mesh) lend(ctx context.Context, n int, odd bool) (names []core.Name) {
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
			slices.SortFunc(m.free, func(a, b core.Name) int { return slices.Index(nameOrder, a) - slices.Index(nameOrder, b) })
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

func (m *mesh) giveBack(names []core.Name) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range names {
		m.used[n] = time.Now()
	}
}

// try tries one case at the shared server.
func (m *mesh) try(r *run) func(context.Context, Case, bool) Result {
	return func(ctx context.Context, c Case, lenient bool) Result {
		n := c.names
		if n == 0 {
			n = few
		}
		if c.whole {
			n = all
		}
		names := m.lend(ctx, n, c.odd)
		if names == nil {
			return Result{Outcome: NotRun}
		}
		defer m.giveBack(names)
		l := newLab(ctx, c, r.monitor)
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

// answers says that the warden, born again, is sent the directory: a sign of life
// that takes no name. Beside other cases it proves no more than that.
func (m *mesh) answers() bool {
	at := m.warden.birth()
	return m.lab.wait(soon/2, func() bool {
		return slices.ContainsFunc(m.lab.came(m.warden, 0), func(e event) bool { return e.at.After(at) })
	})
}

// shared tests one server: first what cannot hurt it, side by side; then what
// may, one at a time, so that it is known what did; then what wants it for itself.
// Before the next one begins a newcomer's birth must have been answered. A server
// that answers it, and dies of a datagram from before all the same, has the next
// case blamed, unless that does no harm to a server of its own: nobody can tell
// from outside.
func (r *run) shared(ctx context.Context) error {
	r.report.Mode = fmt.Sprintf("one server for all cases, up to %d at a time", r.Parallel)
	m, err := r.newMesh(ctx)
	if err != nil {
		if ctx.Err() == nil {
			r.gone("%v", err)
		}
		return nil
	}
	defer func() {
		if m != nil {
			m.close()
		}
	}()
	// again replaces a server that is broken, if it was started here, after a look at
	// cases one by one.
	again := func(after string, cases ...Case) bool {
		m.close()
		m = nil
		if r.each(ctx, cases, r.server) != nil || ctx.Err() != nil {
			return false
		}
		if m, err = r.newMesh(ctx); err != nil {
			m = nil
			r.gone("after %s it could not be started again: %v", after, err)
		}
		return m != nil
	}
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
	for todo := slices.Clone(gentle); len(todo) > 0; {
		var mu sync.Mutex
		var left []Case // did not come to an end
		var broken *Case
		var last Result
		r.parallel(ctx, todo, func(ctx context.Context, c Case) bool {
			res := r.insist(ctx, c, m.try(r))
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
			r.done(c, res)
			return r.error() == nil
		})
		if broken == nil || ctx.Err() != nil {
			break
		}
		switch {
		case r.Exec != "":
			// Any of those under way may have done it: that one says so again, alone.
			r.log("the server broke while %d cases ran: each of them gets a server of its own", len(left)+1)
			if !again(broken.ID, append(left, *broken)...) {
				return r.error()
			}
		case last.excused:
			r.done(*broken, last) // and then those that are left
		default:
			last.Detail += fmt.Sprintf("; %d other cases ran then", len(left))
			r.done(*broken, last)
			r.gone("after %s: %s", broken.ID, last.Detail)
			return r.error()
		}
		todo = slices.DeleteFunc(todo, func(c Case) bool { _, ok := r.result(c); return ok })
	}
	if len(gentle) > 0 && len(risky)+len(whole) > 0 && ctx.Err() == nil && r.error() == nil {
		between := Case{ID: "server/probe/0", risky: true, called: func(*lab) {}}
		if res := r.insist(ctx, between, m.try(r)); res.Outcome == Broken && !res.excused {
			after := plural(len(gentle), "case")
			if r.Exec == "" {
				r.gone("after %s side by side, none of which it has died of at once: %s", after, res.Detail)
				return nil
			}
			r.log("the server broke after %s: each of them gets a server of its own", after)
			if !again(after, gentle...) {
				return r.error()
			}
		}
	}
	for _, c := range append(risky, whole...) {
		if ctx.Err() != nil || r.error() != nil {
			break
		}
		res := r.insist(ctx, c, m.try(r))
		switch {
		case res.Outcome == NotRun:
		case res.Outcome == Broken && r.Exec != "":
			restarted := again(c.ID, c)
			r.acquit(c, res)
			if !restarted {
				return r.error()
			}
		default:
			r.done(c, res)
			if res.Outcome == Broken && !res.excused {
				r.gone("after %s: %s", c.ID, res.Detail)
				return r.error()
			}
		}
	}
	return r.error()
}

// acquit says of a case that a shared server broke on, and that does no harm to a
// server of its own, that it is not known what has done it.
func (r *run) acquit(c Case, shared Result) {
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
