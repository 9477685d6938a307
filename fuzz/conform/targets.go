package conform

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"p2plocal/core/wire"
	"p2plocal/fuzz/gateway"
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/target"
)

// tryServers tests servers, with a fresh process for each case.
func (r *run) tryServers(ctx context.Context) error {
	r.report.Mode = fmt.Sprintf("a process for each case, %d at a time", r.Parallel)
	if !r.reached(ctx, Case{ID: "server/birth/0", called: func(l *trial, _ []*endpoint) { r.pace = measureServer(l) }}, r.server) {
		return r.error()
	}
	return r.each(ctx, r.Cases, r.server)
}

// server tries one case with a server of its own.
func (r *run) server(ctx context.Context, c Case, lenient bool) Result {
	started := clock()
	t, at, err := startServer(ctx, r.Host, r.Exec, c)
	if err != nil {
		res := r.notStarted(ctx, c, err)
		if errors.Is(err, target.ErrUnbound) {
			res.Late = r.Host.Late(started)
			res.judge()
		}
		return res
	}
	defer t.Kill()
	l := r.newTrial(ctx, c)
	defer l.close()
	l.lenient, l.pace = lenient, &pace{each: r.pace.each}
	l.server, l.alone, l.target, l.names = at, true, t, r.names()
	if c.odd {
		slices.Reverse(l.names)
	}
	return r.perform(l, func() { l.probe(soon) })
}

// peers tests peers, with a fresh process for each case.
type peers struct {
	*run
	shared *sharedSocket      // of the server of all; nil: each has its own
	taken  map[wire.Name]bool // by peers under test; guarded by the run's lock
}

func (r *peers) try(ctx context.Context) (err error) {
	r.report.Mode = fmt.Sprintf("a process for each case, %d at a time", r.Parallel)
	port := r.ServerPort
	if port == 0 && !strings.Contains(r.Exec, "{server}") {
		port = target.StandardPort
	}
	if port != 0 {
		if r.shared, err = newSharedSocket(r.Host, port); err != nil {
			return err
		}
		defer r.shared.close()
		r.report.Mode += fmt.Sprintf(", all with the server on port %d", port)
	}
	if !r.reached(ctx, Case{ID: "peer/birth/0", Role: hostile.Peer, members: 1, called: func(l *trial, m []*endpoint) {
		r.pace = measurePeer(l, m[0])
	}}, r.one) {
		return r.error()
	}
	return r.each(ctx, r.Cases, r.one)
}

// claim finds a name for a peer under test that no other has.
func (r *peers) claim(ctx context.Context, wanted string) wire.Name {
	for ; ctx.Err() == nil; time.Sleep(settle) {
		r.mu.Lock()
		for _, n := range r.names()[1:] { // A is in the catalogue's texts
			if !r.taken[n] && (wanted == "" || wanted == n.String()) {
				r.taken[n] = true
				r.mu.Unlock()
				return n
			}
		}
		r.mu.Unlock()
	}
	return 0
}

func (r *peers) unclaim(n wire.Name) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.taken, n)
}

// one tries one case with a peer of its own.
func (r *peers) one(ctx context.Context, c Case, lenient bool) (res Result) {
	l := r.newTrial(ctx, c)
	l.lenient, l.alone, l.pace = lenient, true, &pace{each: r.pace.each}
	defer l.close()
	if l.self.Name = r.claim(ctx, c.wanted); l.self.Name == 0 {
		return c.Result(NotRun, "")
	}
	defer r.unclaim(l.self.Name)
	l.names = slices.DeleteFunc(r.names(), func(n wire.Name) bool { return n == l.self.Name })
	l.names = append(l.names, 0)
	port, release, err := r.Host.Reserve(loopback)
	if err == nil {
		l.self.Port = port
		l.server = netip.AddrPortFrom(loopback, 0)
		if r.shared != nil {
			l.server = r.shared.home
			r.shared.enter(l)
			defer r.shared.leave(l)
		} else {
			defer func() { // open panics
				if h, ok := aborted(recover()); ok {
					r.machineError(h.err)
				}
			}()
			l.home = l.open("server", loopback, 0)
			if l.gate != nil {
				l.wide(l.home).Mute = c.mute
			}
			l.server = l.home.addr
		}
		l.target, err = r.Host.Start(target.Command{Line: r.Exec, Name: string(rune(l.self.Name)), Listen: l.at(), Server: l.server, Fill: c.fill(), Input: true, Output: l})
		release()
	}
	if err != nil {
		return r.notStarted(ctx, c, err)
	}
	defer l.target.Kill()
	return r.perform(l, func() {
		if l.ending || c.mute {
			return // it was to end, or is not heard
		}
		since := l.mark()
		started, spoken := clock(), func() bool { return len(l.came(l.home, since)) > 0 }
		if within := 2*heartbeat + soon; !l.wait(within, spoken) {
			l.slowOrHung(l.home, started, spoken, fmt.Sprintf("its server is sent something within %v", within))
		}
	})
}

// startServer runs a server's command and waits until its port is bound.
func startServer(ctx context.Context, on target.Host, line string, c Case) (p target.Program, at netip.AddrPort, err error) {
	const tries = 3 // somebody else may be faster with a port
	for range tries {
		var release func()
		if at, release, err = target.ServerAddr(on, line, loopback); err != nil {
			return nil, at, err
		}
		p, err = target.StartServer(ctx, on, target.Command{Line: line, Listen: at, Fill: c.fill(), Input: true}, 4*startup)
		release()
		if err == nil || ctx.Err() != nil || !errors.Is(err, target.ErrEnded) {
			return p, at, err
		}
	}
	return nil, at, err
}

// nameOrder is every name, beginning with those that no implementation refuses.
var nameOrder = func() (names []wire.Name) {
	for n := wire.Name('A'); n <= 'Z'; n++ {
		names = append(names, n)
	}
	for n := wire.Name('a'); n < 'z'; n++ {
		names = append(names, n)
	}
	for n := wire.Name(' '); n.Valid(); n++ {
		if (n < 'A' || n > 'Z') && (n < 'a' || n > 'z') {
			names = append(names, n)
		}
	}
	return append(names, 'z')
}()

// names are those of nameOrder; in the wide dialect, those that stand for themselves.
func (r *run) names() []wire.Name {
	return slices.DeleteFunc(slices.Clone(nameOrder), func(n wire.Name) bool { return r.Wide && n < gateway.FirstName })
}
