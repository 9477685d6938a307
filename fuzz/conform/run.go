package conform

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"p2plocal/core/wide"
	"p2plocal/core/wire"
	"p2plocal/fuzz/gateway"
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
	Wide       bool           // the target speaks the wide dialect,
	Keys       wide.Keys      // with these keys
	Cases      []Case
	Others     *Others                               // nil: the cases are this package's
	Parallel   int                                   // cases at a time; 0: 24
	Host       target.Host                           // where targets run; nil: this machine
	Progress   func(done, all, wrong int)            // nil: nobody wants to know
	Log        func(format string, arguments ...any) // likewise
}

// Others are cases of another package.
type Others struct {
	Role, Mode string                             // as in a Report
	Try        func(context.Context, Case) Result // tries one, with a target of its own
}

// DefaultParallel is how many cases run at a time.
const DefaultParallel = 24

// Validate says what is wrong with a Config.
func (c Config) Validate() error {
	running := c.Address.IsValid()
	switch {
	case c.Parallel < 0:
		return fmt.Errorf("%d cases at a time, want 1 or more", c.Parallel)
	case c.Others != nil:
		return nil
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
	case c.Wide && c.Role == hostile.Peer && (c.ServerPort != 0 || !strings.Contains(c.Exec, "{server}")):
		return fmt.Errorf("command %q, want {server} in it: wide peers have a server each", c.Exec)
	}
	return nil
}

// oneServer says that all cases use one process of a server.
func (c Config) oneServer() bool {
	return c.Others == nil && c.Role == hostile.Server && (c.Shared || c.Address.IsValid() || !target.HasListen(c.Exec))
}

// Bound is how long Run takes at most, whatever the target does.
func (c Config) Bound() time.Duration {
	const most, names = 8 * time.Second, 8 // that waits add to a case; cases for which there are names at a time
	width := cmp.Or(c.Parallel, DefaultParallel)
	if c.oneServer() {
		width = min(width, names)
	}
	bound, longest := time.Minute, time.Duration(0)
	for _, x := range c.Cases {
		takes := 2*x.Span + most
		longest = max(longest, takes)
		bound += takes / time.Duration(width)
		if alone := x.Span + most/8; c.oneServer() { // few wait for long
			bound += alone
		} else if c.Others == nil { // as many as fail while the machine is late
			bound += alone / 4
		}
	}
	return (bound + longest).Round(time.Second)
}

// Run tries all cases. What has come of them is in the report even if it ends
// early; the error is one of this machine's, not of the target's.
func Run(ctx context.Context, c Config) (Report, error) {
	if err := c.Validate(); err != nil {
		return Report{}, err
	}
	c.Cases = slices.DeleteFunc(slices.Clone(c.Cases), func(x Case) bool { // what cannot be told
		return !strings.Contains(c.Exec, x.needs.placeholder) || x.keyed != "" && (x.keyed == "keyed") != (len(c.Keys) > 0) || (x.stops || x.needs.placeholder != "") && c.oneServer()
	})
	bounded, cancel := context.WithTimeout(ctx, c.Bound())
	defer cancel()
	r := &run{Config: c, pace: new(pace), results: map[string]Result{}, taken: map[wire.Name]bool{}}
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
		r.others(bounded)
	case c.Role == hostile.Peer:
		err = r.peers(bounded)
	case c.oneServer():
		err = r.shared(bounded)
	default:
		err = r.servers(bounded)
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

// Result is that the case ended so.
func (c Case) Result(o Outcome, detail string) Result {
	return Result{ID: c.ID, Title: c.Title, Section: c.Section, Level: c.Level, Outcome: o, Detail: detail}
}

type run struct {
	Config
	pace         *pace // of each target, as the first was measured
	report       Report
	sharedSocket *sharedSocket

	mu      sync.Mutex
	results map[string]Result
	taken   map[wire.Name]bool // names of peers under test
	failed  error
}

// done notes what a case has come to so far.
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

// gone ends the run: there is nothing to test.
func (r *run) gone(format string, args ...any) { r.report.Gone = fmt.Sprintf(format, args...) }

// late is when a machine is too late for more cases to begin beside others.
const late = 150 * time.Millisecond

// parallel runs cases, width at a time and then the longest first, until one says stop.
// While this machine is late, no more begin than it has processors.
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

// attempt is how a case is tried; lenient is the last try, in which what may be this machine's
// lateness is tolerated.
type attempt func(ctx context.Context, c Case, lenient bool) Result

// insist tries a case until it passes, or fails while the machine is on time, or has been tried
// so often: which tries of attempts those are.
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

// each tries cases side by side, each with a target of its own, and then once more alone those
// that have failed while the machine was late.
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

// finish is done, unless the case was not tried because the run ends.
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

// machineError is one of this machine's.
func (r *run) machineError(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed == nil {
		r.failed = err
	}
}

// notStarted is the result of a case whose target did not start. What this machine lacks is
// no fault of the target's.
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

// others tries cases of another package, which are tried once.
func (r *run) others(ctx context.Context) {
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

// reached tries the very first target, and notes why it was not reached.
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

// servers tests servers, a fresh process a case.
func (r *run) servers(ctx context.Context) error {
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

// names are those of nameOrder, in the wide dialect those that stand for themselves.
func (r *run) names() []wire.Name {
	return slices.DeleteFunc(slices.Clone(nameOrder), func(n wire.Name) bool { return r.Wide && n < gateway.FirstName })
}

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
	if !r.reached(ctx, Case{ID: "peer/birth/0", Role: hostile.Peer, members: 1, called: func(l *trial, m []*endpoint) {
		r.pace = measurePeer(l, m[0])
	}}, r.peer) {
		return r.error()
	}
	return r.each(ctx, r.Cases, r.peer)
}

// claim finds a name for a peer under test that no other has.
func (r *run) claim(ctx context.Context, wanted string) wire.Name {
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

func (r *run) unclaim(n wire.Name) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.taken, n)
}

// peer tries one case with a peer of its own.
func (r *run) peer(ctx context.Context, c Case, lenient bool) (res Result) {
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
