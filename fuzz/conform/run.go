package conform

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/target"
)

// Config says what is to be tested, and how.
type Config struct {
	Name       string // of the target in reports
	Role       hostile.Role
	Address    netip.AddrPort // a server that runs; or
	Exec       string         // the command that starts a target, with placeholders
	Shared     bool           // one process of a server for all cases
	ServerPort uint16         // peers: of the server that they are given; 0: any
	Cases      []Case
	Parallel   int                                   // cases at a time; 0: 24
	Host       target.Host                           // where targets run; nil: this machine
	Progress   func(done, all int, last Result)      // nil: nobody wants to know
	Log        func(format string, arguments ...any) // likewise
}

// DefaultParallel is how many cases run at a time.
const DefaultParallel = 24

// Validate says what is wrong with a Config.
func (c Config) Validate() error {
	running := c.Address.IsValid()
	switch {
	case running == (c.Exec != ""):
		return errors.New("want the address of a server that runs, or a command")
	case running && c.Role == hostile.Peer:
		return errors.New("a peer can only be tested from its start on: want a command")
	case running && (!c.Address.Addr().Is4() || !c.Address.Addr().IsLoopback() || c.Address.Port() == 0):
		return fmt.Errorf("address %v, want an IPv4 one on this host, such as 127.0.0.1:3000: peers live on their server's host", c.Address)
	case c.Role == hostile.Peer && (!strings.Contains(c.Exec, "{name}") || !strings.Contains(c.Exec, "{port}")):
		return fmt.Errorf("command %q, want {name} and {port} in it", c.Exec)
	case c.Role == hostile.Peer && c.Shared:
		return errors.New("peers cannot share a process")
	case c.Parallel < 0:
		return fmt.Errorf("%d cases at a time, want 1 or more", c.Parallel)
	}
	return nil
}

// Run tries all cases. What has come of them is in the report even if it ends
// early; the error is one of this machine's, not of the target's.
func Run(ctx context.Context, c Config) (Report, error) {
	if err := c.Validate(); err != nil {
		return Report{}, err
	}
	if c.Host == nil {
		m, err := target.NewMonitor()
		if err != nil {
			return Report{}, err
		}
		defer m.Close()
		c.Host = target.Local{Monitor: m}
	}
	r := &run{Config: c, results: map[string]Result{}, taken: map[wire.Name]bool{}}
	r.Parallel = cmp.Or(r.Parallel, DefaultParallel)
	r.report = Report{Name: c.Name, Target: cmp.Or(c.Exec, c.Address.String()), Role: c.Role.String(), Started: time.Now()}
	var err error
	switch {
	case c.Role == hostile.Peer:
		err = r.peers(ctx)
	case c.Shared, c.Address.IsValid(), !target.HasListen(c.Exec):
		err = r.shared(ctx)
	default:
		err = r.servers(ctx)
	}
	r.report.Took = time.Since(r.report.Started)
	r.report.Interrupted = ctx.Err() != nil
	for _, x := range c.Cases {
		res, ok := r.results[x.ID]
		if !ok {
			res = Result{ID: x.ID, Title: x.Title, Section: x.Section, Level: x.Level, Outcome: NotRun}
		}
		r.report.Results = append(r.report.Results, res)
		r.report.Late = max(r.report.Late, res.Late)
	}
	if ctx.Err() != nil {
		err = nil
	}
	return r.report, err
}

type run struct {
	Config
	report       Report
	sharedSocket *sharedSocket

	mu      sync.Mutex
	results map[string]Result
	taken   map[wire.Name]bool // names of peers under test
	failed  error
}

func (r *run) done(c Case, res Result) {
	if res.excused {
		res.Outcome = Void
		res.Detail = fmt.Sprintf("the machine was %v late in the last of %d tries", res.Late.Round(time.Millisecond), res.Attempts)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.results[c.ID] = res
	if r.Progress != nil {
		r.Progress(len(r.results), len(r.Cases), res)
	}
}

// result is what a case has come to; false if it has not ended.
func (r *run) result(c Case) (res Result, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	res, ok = r.results[c.ID]
	return res, ok
}

// gone ends the run: there is nothing to test.
func (r *run) gone(format string, args ...any) { r.report.Gone = fmt.Sprintf(format, args...) }

// parallel runs cases, width at a time and then the longest first, until one says stop.
func (r *run) parallel(ctx context.Context, cases []Case, width int, one func(context.Context, Case) (more bool)) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if width > 1 {
		cases = slices.Clone(cases)
		slices.SortStableFunc(cases, func(a, b Case) int { return cmp.Compare(b.span, a.span) })
	}
	queue := make(chan Case)
	var group sync.WaitGroup
	for range min(width, len(cases)) {
		group.Go(func() {
			for c := range queue {
				if ctx.Err() == nil && !one(ctx, c) {
					stop()
				}
			}
		})
	}
	for _, c := range cases {
		queue <- c
	}
	close(queue)
	group.Wait()
}

// A case that has failed while the machine was late for longer than calmLateness is
// tried again.
const (
	calmLateness = 15 * time.Millisecond
	attempts     = 5
	long         = 20 * time.Second // what takes longer is tried twice
)

// retryWhenLate tries a case until it passes, or fails while the machine is on time. What
// fails in every try, each on a late machine and the last on one that was later
// than is tolerated, is excused.
func (r *run) retryWhenLate(ctx context.Context, c Case, try func(context.Context, Case, bool) Result) (res Result) {
	started, most := time.Now(), attempts
	if c.span > long {
		most = 2
	}
	for n := 1; ; n++ {
		res = try(ctx, c, n == most)
		res.Attempts = n
		bad := (res.Outcome == Fail || res.Outcome == Broken) && (res.Failure == nil || !res.Failure.certain)
		if !bad || n == most || res.Late <= calmLateness || c.noRetry {
			res.Took = time.Since(started)
			res.excused = bad && res.Late > mostTolerance
			return res
		}
	}
}

// each tries cases side by side, each with a target of its own.
func (r *run) each(ctx context.Context, cases []Case, try func(context.Context, Case, bool) Result) error {
	width := r.Parallel
	if !target.HasListen(r.Exec) { // they would all have the same port
		width = 1
	}
	r.parallel(ctx, cases, width, func(ctx context.Context, c Case) bool {
		res := r.retryWhenLate(ctx, c, try)
		if res.Outcome != NotRun || res.Detail != "" {
			r.done(c, res)
		}
		return r.error() == nil
	})
	return r.error()
}

func (r *run) error() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// machineError is one of this machine's.
func (r *run) machineError(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed == nil {
		r.failed = err
	}
}

// servers tests servers, a fresh process a case.
func (r *run) servers(ctx context.Context) error {
	r.report.Mode = fmt.Sprintf("a process for each case, %d at a time", r.Parallel)
	if res := r.retryWhenLate(ctx, Case{ID: "server/birth/0", called: nothing}, r.server); res.Outcome != Pass && !res.excused {
		r.reach(ctx, res)
		return r.error()
	}
	return r.each(ctx, r.Cases, r.server)
}

// reach says why the very first target has not been reached.
func (r *run) reach(ctx context.Context, res Result) {
	if ctx.Err() == nil {
		r.gone("%s", cmp.Or(res.Detail, "there is no answer"))
	}
}

// server tries one case with a server of its own.
func (r *run) server(ctx context.Context, c Case, lenient bool) Result {
	started := clock()
	t, at, err := startServer(ctx, r.Host, r.Exec)
	if err != nil {
		res := Result{ID: c.ID, Title: c.Title, Section: c.Section, Level: c.Level, Outcome: Broken, Detail: err.Error()}
		if errors.Is(err, target.ErrUnbound) {
			res.Late = r.Host.Late(started)
		}
		if ctx.Err() != nil {
			res.Outcome, res.Detail = NotRun, ""
		}
		return res
	}
	defer t.stop()
	l := newTrial(ctx, c, r.Host)
	defer l.close()
	l.lenient = lenient
	l.server, l.alone, l.target, l.names = at, true, t, slices.Clone(nameOrder)
	if c.odd {
		slices.Reverse(l.names)
	}
	return r.perform(l, func() { l.probe(soon) })
}

// nameOrder is every name there is, those first that no implementation refuses.
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

// peers tests peers, a fresh process a case.
func (r *run) peers(ctx context.Context) (err error) {
	r.report.Mode = fmt.Sprintf("a process for each case, %d at a time", r.Parallel)
	port := r.ServerPort
	if port == 0 && !strings.Contains(r.Exec, "{server}") {
		port = target.StandardPort
	}
	if port != 0 {
		if r.sharedSocket, err = newSharedSocket(r.Host, port); err != nil {
			return err
		}
		defer r.sharedSocket.close()
		r.report.Mode += fmt.Sprintf(", all with the server on port %d", port)
	}
	if res := r.retryWhenLate(ctx, Case{ID: "peer/birth/0", called: func(l *trial, _ []*endpoint) {
		if !l.wait(startup, func() bool { return len(l.came(l.home, 0)) > 0 }) {
			panic(abortCase{outcome: Broken, why: fmt.Sprintf("its server, %v, has been sent nothing within %v", l.server, startup)})
		}
	}}, r.peer); res.Outcome != Pass && !res.excused {
		r.reach(ctx, res)
		return r.error()
	}
	return r.each(ctx, r.Cases, r.peer)
}

// claim finds a name for a peer under test that no other has.
func (r *run) claim(wanted string) wire.Name {
	for ; ; time.Sleep(settle) {
		r.mu.Lock()
		for _, n := range nameOrder[1:] { // A is in the catalogue's texts
			if !r.taken[n] && (wanted == "" || wanted == n.String()) {
				r.taken[n] = true
				r.mu.Unlock()
				return n
			}
		}
		r.mu.Unlock()
	}
}

func (r *run) unclaim(n wire.Name) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.taken, n)
}

// peer tries one case with a peer of its own.
func (r *run) peer(ctx context.Context, c Case, lenient bool) (res Result) {
	l := newTrial(ctx, c, r.Host)
	l.lenient, l.alone = lenient, true
	defer l.close()
	l.self.Name = r.claim(c.wanted)
	defer r.unclaim(l.self.Name)
	l.names = slices.DeleteFunc(slices.Clone(nameOrder), func(n wire.Name) bool { return n == l.self.Name })
	l.names = append(l.names, 0)
	port, release, err := r.Host.Reserve(loopback)
	if err == nil {
		l.self.Port = port
		l.server = netip.AddrPortFrom(loopback, 0)
		if r.sharedSocket != nil {
			l.server = r.sharedSocket.home
			r.sharedSocket.enter(l)
			defer r.sharedSocket.leave(l)
		} else {
			defer func() { // open panics
				if h, ok := aborted(recover()); ok {
					r.machineError(h.err)
				}
			}()
			l.home = l.open("server", loopback, 0)
			l.server = l.home.addr
		}
		command := target.Command{Line: r.Exec, Name: string(rune(l.self.Name)), Listen: l.at(), Server: l.server}
		l.target, err = launch(command, release, r.Host.Start)
	}
	if err != nil {
		return Result{ID: c.ID, Title: c.Title, Section: c.Section, Level: c.Level, Outcome: Broken, Detail: err.Error()}
	}
	defer l.target.stop()
	l.target.watchOutput(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.wake()
	})
	return r.perform(l, func() {
		if l.target.died() == nil {
			return // it was to end
		}
		since := l.mark()
		within := 2*heartbeat + soon
		if !l.wait(within, func() bool { return len(l.came(l.home, since)) > 0 }) {
			panic(abortCase{outcome: Broken, why: fmt.Sprintf("it hung: its server was sent nothing for %v", within)})
		}
	})
}
