package driver

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"p2plocal/fuzz/conform"
)

// patience is how long is waited for what a mesh does.
type patience struct {
	ready  time.Duration
	answer time.Duration // joining may take several of its intervals
	view   time.Duration // noticing a death may take more of them
}

var defaultPatience = patience{ready: readyTimeout, answer: 15 * time.Second, view: time.Minute}

// ending is what else a case may take: for the driver's end, for that of its output, and for what comes once more.
const ending = 2 * stopTimeout

const quiet = 300 * time.Millisecond

// DefaultParallel is how many drivers run at a time: one hosts a mesh.
const DefaultParallel = 4

// ForDrivers has a config try its cases at drivers that its command starts, with the user's options.
func ForDrivers(c conform.Config, options map[string]string) conform.Config {
	return forDrivers(c, options, defaultPatience)
}

func forDrivers(c conform.Config, options map[string]string, p patience) conform.Config {
	c.Others = &conform.Others{Role: "driver", Mode: "a driver for each case", Try: func(ctx context.Context, x conform.Case) conform.Result {
		of := check(x.ID)
		t := newTrial(ctx, c.Exec, options, of, p)
		return t.outcome(x, t.run(of))
	}}
	c.Parallel = cmp.Or(c.Parallel, DefaultParallel)
	return c
}

// outcome is what a case has come to that ended so.
func (t *trial) outcome(x conform.Case, err error) conform.Result {
	var f *failure
	switch {
	case err == nil && x.Level == conform.Info:
		return x.Result(conform.Seen, t.seen)
	case err == nil:
		return x.Result(conform.Pass, t.seen)
	case errors.Is(err, ErrUnsupported):
		return x.Result(conform.Seen, err.Error())
	}
	r := x.Result(conform.Broken, err.Error())
	r.Failure = &conform.Failure{Expected: "the driver goes on and answers", Got: err.Error(), Output: t.lines()}
	if errors.As(err, &f) {
		r.Outcome, r.Detail, r.Failure.Expected, r.Failure.Got = conform.Fail, t.seen, f.expected, f.got
	}
	return r
}

// failure is what a driver does against the protocol.
type failure struct{ expected, got string }

func (f *failure) Error() string { return f.expected + ": " + f.got }

// need ends the case where there is an error; fail does by what the driver did against the protocol.
func (t *trial) need(err error) {
	if err != nil {
		panic(aborted{err})
	}
}

func (t *trial) fail(expected, format string, got ...any) {
	t.need(&failure{expected, fmt.Sprintf(format, got...)})
}

// aborted is what a case panics with that cannot go on.
type aborted struct{ error }

// trial is a case that runs.
type trial struct {
	*Driver
	ctx     context.Context
	exec    string
	options map[string]string
	patience
	left    time.Duration // that it may yet wait
	members []Member
	seen    string        // what there is to say of it
	changed chan struct{} // something has been reported

	mu      sync.Mutex
	reports []Report
	stderr  bytes.Buffer
}

func newTrial(ctx context.Context, exec string, options map[string]string, c checkCase, p patience) *trial {
	return &trial{ctx: ctx, exec: exec, options: options, patience: p, left: c.most.span(p), changed: make(chan struct{}, 1)}
}

// run starts a driver for a case, if it wants one, and ends it.
func (t *trial) run(c checkCase) (err error) {
	defer func() {
		switch x := recover().(type) {
		case nil:
		case aborted:
			err = x.error
		default:
			panic(x)
		}
	}()
	if c.members > 0 {
		t.members = nameMembers(c.members)
		release, err := Addresses(t.members)
		t.need(err)
		defer release()
		if c.renamed != nil {
			c.renamed(t.members)
		}
		t.start(nil)
		defer t.Kill()
	}
	c.do(t)
	return nil
}

// start starts the driver, which may have a server at a place.
func (t *trial) start(server *Place) {
	var err error
	t.Driver, err = Start(t.ctx, Config{Exec: t.exec, Members: t.members, Server: server, Options: t.options, Within: t.ready, Report: t.take, Stderr: &t.stderr})
	t.need(err)
}

// nameMembers are n members m1, m2, …
func nameMembers(n int) []Member {
	members := make([]Member, n)
	for i := range members {
		members[i].Name = fmt.Sprintf("m%d", i+1)
	}
	return members
}

func (t *trial) take(r *Report, _ time.Time) {
	const most = 100_000
	t.mu.Lock()
	if len(t.reports) < most {
		x := *r
		x.Up, x.Down, x.Members = slices.Clone(r.Up), slices.Clone(r.Down), slices.Clone(r.Members)
		t.reports = append(t.reports, x)
	}
	t.mu.Unlock()
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

// all are the reports so far.
func (t *trial) all() []Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clip(t.reports)
}

// spend is for whatever waits: no case waits for longer than it says.
func (t *trial) spend(most time.Duration) {
	if t.left -= most; t.left < 0 {
		t.need(fmt.Errorf("the case waits for %v more than it says", -t.left))
	}
}

// until waits for a condition of what has been reported; false: it waited in vain.
func (t *trial) until(most time.Duration, ok func([]Report) bool) bool {
	t.spend(most)
	end := time.NewTimer(most)
	defer end.Stop()
	for {
		if ok(t.all()) {
			return true
		}
		select {
		case <-t.changed:
		case <-t.read:
			t.need(t.Err())
		case <-end.C:
			return ok(t.all())
		case <-t.ctx.Done():
			t.need(t.ctx.Err())
		}
	}
}

// lines are what is shown of a failure: the driver's last reports, and the end of what it has
// said beside them.
func (t *trial) lines() string {
	const shown = 8
	var b strings.Builder
	all := t.all()
	for _, r := range all[max(0, len(all)-shown):] {
		b.Write(append(mustLine(r), '\n'))
	}
	if t.Driver != nil {
		b.WriteString(t.proc.Tail(3))
	}
	return strings.TrimSpace(b.String())
}

// ask is Ask, whose errors but of what is unsupported are the driver's fault.
func (t *trial) ask(do, member string) Report {
	t.spend(t.answer)
	r, err := t.Ask(t.ctx, Command{Type: do, Member: member}, t.answer)
	if err != nil && t.Err() == nil && !errors.Is(err, ErrUnsupported) {
		t.fail(fmt.Sprintf("%q of %q is answered by %q", do, member, answers[do]), "%v", err)
	}
	t.need(err)
	return r
}

// join has members join, one after the other.
func (t *trial) join(members ...Member) {
	for _, m := range members {
		t.ask("join", m.Name)
	}
}

// whole has all join and waits until everybody sees everybody.
func (t *trial) whole() {
	t.join(t.members...)
	t.see(t.members)
}

// see waits until the views of some members are they themselves.
func (t *trial) see(who []Member) {
	var views map[string]map[string]bool
	differs := func(m Member) bool { return !same(views[m.Name], m.Name, who) }
	if t.until(t.view, func(all []Report) bool {
		views = viewsOf(all)
		return !slices.ContainsFunc(who, differs)
	}) {
		return
	}
	m := who[slices.IndexFunc(who, differs)]
	t.fail(fmt.Sprintf("%s sees %s within %v", m.Name, namesOf(who), t.view), "it sees %s", keys(views[m.Name]))
}

// viewsOf follows the views that were reported. A member that begins a life knows nobody.
func viewsOf(all []Report) map[string]map[string]bool {
	views := map[string]map[string]bool{}
	for _, r := range all {
		v := views[r.Member]
		switch {
		case r.Type == "done" && (r.Do == "kill" || r.Do == "leave"):
			delete(views, r.Member)
			continue
		case r.Type != "view":
			continue
		case v == nil || r.Members != nil:
			v = map[string]bool{}
			views[r.Member] = v
		}
		for _, name := range slices.Concat(r.Up, r.Members) {
			v[name] = true
		}
		for _, name := range r.Down {
			delete(v, name)
		}
	}
	return views
}

// same says that a view is these and nobody else. Oneself is in it, listed or not.
func same(view map[string]bool, self string, who []Member) bool {
	n := len(view)
	if !view[self] {
		n++
	}
	for _, m := range who {
		if !view[m.Name] && m.Name != self {
			return false
		}
	}
	return n == len(who)
}

func namesOf(members []Member) string {
	names := map[string]bool{}
	for _, m := range members {
		names[m.Name] = true
	}
	return keys(names)
}

func keys(set map[string]bool) string {
	if len(set) == 0 {
		return "nobody"
	}
	const shown = 8
	var all []string
	for k := range set {
		all = append(all, k)
	}
	slices.Sort(all)
	if len(all) > shown {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:shown], ", "), len(all)-shown)
	}
	return strings.Join(all, ", ")
}

// received are the reports of a message, by who got it.
func received(all []Report, id uint64) map[string]int {
	got := map[string]int{}
	for _, r := range all {
		if r.Type == "message" && r.ID == id {
			got[r.Member]++
		}
	}
	return got
}
