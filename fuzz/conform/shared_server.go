package conform

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"p2plocal/core/wire"
	"p2plocal/fuzz/target"
)

// sharedServer is a server that several cases use at a time. A member that stays in its directory,
// the monitor, is told of everybody, and so knows which names are free.
type sharedServer struct {
	at      netip.AddrPort
	target  target.Program // nil: it was not started here
	trial   *trial         // the monitor's
	monitor *endpoint
	others  []wire.Entry // in the directory from the beginning, and the monitor
	close   func()

	// loud is a server that tells everybody of repeated births or of conflicting ones: cases
	// with such births would confuse those beside them.
	loud bool

	mu      sync.Mutex
	free    []wire.Name
	used    map[wire.Name]time.Time // by cases, or given back then but still to be reaped
	starved bool                    // a case has waited for names in vain
	broken  *Result                 // where that was noticed; nil: it is not
}

// newSharedServer starts the server, if need be, and puts the monitor into its directory.
func (r *run) newSharedServer(ctx context.Context) (_ *sharedServer, err error) {
	m := &sharedServer{at: r.Address, used: map[wire.Name]time.Time{}}
	m.close = sync.OnceFunc(func() {
		m.trial.close()
		if m.target != nil {
			m.target.Kill()
		}
	})
	if r.Exec != "" {
		if m.target, m.at, err = startServer(ctx, r.Host, r.Exec, Case{}); err != nil {
			r.notStarted(ctx, Case{}, err)
			return nil, err
		}
	}
	m.trial = r.newTrial(ctx, Case{ID: "server/monitor/0"})
	m.trial.server, m.trial.target, m.trial.names = m.at, m.target, r.names()
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
				for _, n := range r.names() {
					if !slices.ContainsFunc(m.others, func(e wire.Entry) bool { return e.Name == n }) {
						m.free = append(m.free, n)
					}
				}
				measuring := m.free[:paceRounds]
				m.trial.names = append(slices.Clone(measuring), 0)
				r.pace = m.trial.pace // which the monitor's keep-alives use already
				r.pace.set(measureServer(m.trial).each)
				m.loud = m.speaksUp()
				m.free = m.free[paceRounds:]
				m.returnNames(measuring)
				return m, nil
			}
		}
	}
	return nil, fmt.Errorf("no answer from %v to births", m.at)
}

// speaksUp reports whether a peer that has just joined is told again what it knows when the
// monitor's birth is repeated, or when another birth conflicts with it.
func (m *sharedServer) speaksUp() bool {
	l := m.trial
	w := l.endpoints[len(l.endpoints)-1]
	l.sleep(150 * time.Millisecond) // they may be answered once every 100 ms
	at := m.monitor.birth()
	l.stranger().toServer(w.claimOf(m.monitor))
	l.settle()
	return l.again(w, at) > 0
}

// there is who is in the directory now, apart from those who always are.
func (m *sharedServer) there() (entries []wire.Entry) {
	m.trial.mu.Lock()
	defer m.trial.mu.Unlock()
	d, _ := last(m.trial.came(m.monitor, 0))
	return slices.DeleteFunc(whole(d), func(x wire.Entry) bool { return slices.Contains(m.others, x) })
}

// patience is how long a case waits for names. A server that removes nobody, or the monitor,
// frees none.
const patience = 12 * time.Second

// borrowNames hands out n names that nobody has, or with all every one, as soon as they are free;
// nil: they do not become free.
func (m *sharedServer) borrowNames(ctx context.Context, n int, odd bool) (names []wire.Name) {
	const often = 2 * time.Second
	for started, asked := time.Now(), time.Now(); ctx.Err() == nil; time.Sleep(settle / 2) {
		if heard := m.heard(); time.Since(asked) > often && time.Since(heard) > often { // a server may have removed the monitor, too
			asked = time.Now()
			m.monitor.birth()
		}
		if names := m.freeNames(n, odd); names != nil {
			return names
		}
		m.mu.Lock()
		idle := !slices.ContainsFunc(slices.Collect(maps.Values(m.used)), time.Time.IsZero)
		m.starved = m.starved || idle && time.Since(started) > patience
		starved := m.starved && idle
		m.mu.Unlock()
		if starved {
			return nil
		}
	}
	return nil
}

// freeNames are such names, if there are enough now.
func (m *sharedServer) freeNames(n int, odd bool) []wire.Name {
	present := m.there()
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, since := range m.used {
		if !since.IsZero() && time.Since(since) > 2*settle && !slices.ContainsFunc(present, func(e wire.Entry) bool { return e.Name == name }) {
			delete(m.used, name)
			m.free = append(m.free, name)
		}
	}
	if n == all && (len(m.used) > 0 || len(present) > 0) || n < all && len(m.free) < n {
		return nil
	}
	n = min(n, len(m.free))
	slices.SortFunc(m.free, func(a, b wire.Name) int { return slices.Index(nameOrder, a) - slices.Index(nameOrder, b) })
	if odd {
		slices.Reverse(m.free)
	}
	names := slices.Clone(m.free[:n])
	m.free = slices.Delete(m.free, 0, n)
	for _, name := range names {
		m.used[name] = time.Time{}
	}
	return names
}

func (m *sharedServer) returnNames(names []wire.Name) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range names {
		m.used[n] = time.Now()
	}
}

// try tries one case at the shared server.
func (m *sharedServer) try(r *run) attempt {
	return func(ctx context.Context, c Case, lenient bool) Result {
		n := cmp.Or(c.names, few)
		if c.whole {
			n = all
		}
		names := m.borrowNames(ctx, n, c.odd)
		if names == nil {
			res := c.Result(NotRun, "")
			if ctx.Err() == nil {
				res.Detail = fmt.Sprintf("the server has freed no names for %v", patience)
			}
			return res
		}
		defer m.returnNames(names)
		l := r.newTrial(ctx, c)
		defer l.close()
		l.lenient, l.pace = lenient, r.pace
		l.server, l.target, l.names, l.alone = m.at, m.target, slices.Clone(names), c.whole
		if c.whole {
			l.residents = m.others
		}
		l.waited, _ = l.scheduled()
		return r.perform(l, func() { l.probe(soon) })
	}
}

// heard is when the monitor was last told of anything.
func (m *sharedServer) heard() time.Time {
	m.trial.mu.Lock()
	defer m.trial.mu.Unlock()
	return m.monitor.received[len(m.monitor.received)-1].at
}

// tryShared tests a server in passes: first, side by side, what cannot hurt it; then what may;
// then, alone, what wants it for itself and what has failed beside others, whose doings may have
// confused it, or was under way when it broke. If a command starts it, what is left after it broke
// goes to a new one.
func (r *run) tryShared(ctx context.Context) error {
	alone := map[string]bool{}
	var noticed []Result // that it broke, beside others
	for again := true; again; {
		m, err := r.newSharedServer(ctx)
		if err != nil {
			if ctx.Err() == nil && r.error() == nil {
				r.gone("%v", err)
			}
			return r.error()
		}
		const load = 15 // datagrams a second that a case means for the server
		width := r.Parallel
		if r.pace.each > 0 {
			width = max(1, min(width, int(time.Second/(load*r.pace.each))))
		}
		r.report.Mode = fmt.Sprintf("one server for all cases, up to %d at a time", width)
		for pass := 0; pass < 3 && m.broken == nil && ctx.Err() == nil && r.error() == nil; pass++ {
			r.round(ctx, m, r.left(m, alone, pass), []int{width, width, 1}[pass], alone)
		}
		if m.starved {
			r.blameReaper(m)
		}
		m.close()
		if again = m.broken != nil && r.Exec != "" && ctx.Err() == nil && r.error() == nil; again && !m.broken.excused {
			noticed = append(noticed, *m.broken)
		}
	}
	if len(noticed) > 0 && !slices.ContainsFunc(slices.Collect(maps.Values(r.results)), func(x Result) bool { return x.Outcome == Broken }) {
		noticed[0].Detail += "; a server survives this case alone: what it was sent before has to do with it"
		r.results[noticed[0].ID] = noticed[0]
	}
	return r.error()
}

// left are the cases of a pass that have no result yet.
func (r *run) left(m *sharedServer, alone map[string]bool, pass int) (cases []Case) {
	for _, c := range r.Cases {
		of := 0
		if c.whole = c.whole || m.loud && c.loud || alone[c.ID]; c.whole {
			of = 2
		} else if c.risky {
			of = 1
		}
		if res, tried := r.results[c.ID]; of == pass && (!tried || res.Outcome == NotRun) {
			cases = append(cases, c)
		}
	}
	return cases
}

// blameReaper fails the reaper's cases that were not run for want of names.
func (r *run) blameReaper(m *sharedServer) {
	for _, c := range r.Cases {
		if res := r.results[c.ID]; c.Group() == "server/reaper" && (res.Outcome == NotRun || res.Outcome == "") {
			res = c.Result(Fail, "")
			res.Failure = &Failure{Expected: "a silent peer leaves between 1.5 and 2.0 s after its last sign of life", certain: true,
				Got: fmt.Sprintf("%s are in the directory after %v", plural(len(m.there()), "silent peer"), patience)}
			r.done(c, res)
		}
	}
}

// round tries cases, some at a time, until the server breaks. It notes which must be tried alone:
// those that failed beside others, and those under way when it broke.
func (r *run) round(ctx context.Context, m *sharedServer, cases []Case, width int, alone map[string]bool) {
	var mu sync.Mutex
	var others []string // that did not come to an end
	r.parallel(ctx, cases, width, func(ctx context.Context, c Case) bool {
		tries := attempts
		if width > 1 {
			tries = 1
		}
		res := r.insist(ctx, c, 1, tries, m.try(r))
		mu.Lock()
		defer mu.Unlock()
		switch {
		case res.Outcome == Broken && m.broken == nil && (r.Exec != "" || !res.excused):
			m.broken = &res
			if alone[c.ID] = true; width == 1 && r.Exec != "" {
				r.finish(c, res)
			}
			return false
		case m.broken != nil && res.Outcome != Pass && res.Outcome != Seen, res.Outcome == NotRun && ctx.Err() != nil:
			others, alone[c.ID] = append(others, c.ID), true
			return false
		case width > 1 && res.Outcome == Fail:
			alone[c.ID] = true
			res = c.Result(NotRun, "it failed beside others, and the run ended before it was tried alone")
		}
		r.finish(c, res)
		return r.error() == nil
	})
	if m.broken == nil {
		return
	}
	if res := *m.broken; r.Exec == "" {
		if len(others) > 0 {
			res.Detail += fmt.Sprintf("; then ran, too: %s", strings.Join(others, ", "))
		}
		r.results[res.ID] = res
		r.gone("after %s: %s", res.ID, res.Detail)
	} else if r.Log != nil {
		r.Log("the server broke in %s and is started again", res.ID)
	}
}
