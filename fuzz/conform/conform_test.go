package conform

import (
	"net/netip"
	"os"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/target"
	"p2plocal/fuzz/target/virtual"
)

// A run of virtual time makes much that lives for a moment.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

// check runs cases on a virtual host and gives the ids of those that failed or broke the target.
func check(t *testing.T, c Config) (r Report, failed []string) {
	t.Helper()
	if c.Host == nil {
		c.Host = virtual.New(runWrong)
	}
	synctest.Test(t, func(t *testing.T) {
		var err error
		if r, err = Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	})
	for _, x := range r.Results {
		switch x.Outcome {
		case Fail, Broken:
			failed = append(failed, x.ID)
		case Void:
			t.Errorf("%s is void: %s", x.ID, x.Detail)
		case Seen:
			if x.Detail == "" {
				t.Errorf("%s has seen nothing", x.ID)
			}
		}
	}
	return r, failed
}

func (f *Failure) log(t *testing.T) {
	t.Helper()
	if f == nil {
		return
	}
	t.Logf("expected %s\ngot      %s\n%s", f.Expected, f.Got, f.Output)
	for _, e := range f.Sent {
		t.Logf("sent %v %s -> %s: %s", e.At, e.From, e.To, Summary(e.Datagram))
	}
	for _, e := range f.Came {
		t.Logf("came %v %s -> %s: %s", e.At, e.From, e.To, Summary(e.Datagram))
	}
}

// Every wrong implementation is failed by the cases that are about it and by no other, and the
// sound one by none.
func TestWrongs(t *testing.T) { wrongs(t, false) }

func wrongs(t *testing.T, entire bool) {
	for _, w := range serverWrongs {
		t.Run("server/"+w.name, func(t *testing.T) { t.Parallel(); holdAgainst(t, hostile.Server, w.name, w.fails, entire) })
	}
	for _, w := range peerWrongs {
		t.Run("peer/"+w.name, func(t *testing.T) { t.Parallel(); holdAgainst(t, hostile.Peer, w.name, w.fails, entire) })
	}
}

var placeholders = map[hostile.Role]string{hostile.Server: " {addr}", hostile.Peer: " {name} {port} {server}"}

// some are n cases or a few more, others for each seed.
func some(cases []Case, n, seed int) (chosen []Case) {
	step := max(1, len(cases)/n)
	for i := seed % step; i < len(cases); i += step {
		chosen = append(chosen, cases[i])
	}
	return chosen
}

// holdAgainst has a wrong tried with every case, or with some of those that it must fail and of the others.
func holdAgainst(t *testing.T, role hostile.Role, name, fails string, entire bool) {
	pattern := regexp.MustCompile(`^` + role.String() + `/(` + fails + `)$`)
	cases := Cases(role)
	if !entire {
		const own, others = 12, 12
		seed := len(name) + len(fails)
		cases = append(some(Select(cases, nil, pattern, nil), own, seed), some(Select(cases, nil, nil, pattern), others, seed)...)
	}
	r, failed := check(t, Config{Role: role, Exec: name + placeholders[role], Cases: cases})
	if r.Gone != "" {
		t.Fatal(r.Gone)
	}
	t.Logf("failed: %s", failed)
	for _, x := range r.Results {
		should := pattern.MatchString(x.ID)
		switch fails := slices.Contains(failed, x.ID); {
		case fails != should:
			t.Errorf("%s (%s): %s %s, should it fail: %v", x.ID, x.Title, x.Outcome, x.Detail, should)
			x.Failure.log(t)
		case fails && strings.HasPrefix(name, "dies") && (x.Outcome != Broken || !strings.Contains(x.Detail, "exit status") && !strings.Contains(x.Detail, "signal")):
			t.Errorf("%s: %s %q, want broken with the exit status", x.ID, x.Outcome, x.Detail)
		case fails && strings.HasPrefix(name, "hangs") && (x.Outcome != Broken || !strings.Contains(x.Detail, "hung")):
			t.Errorf("%s: %s %q, want broken by hanging", x.ID, x.Outcome, x.Detail)
		}
	}
}

// Every case that can fail is failed by some implementation that is wrong in one way.
func TestEveryCaseFails(t *testing.T) {
	fails := map[hostile.Role][]string{}
	for _, w := range serverWrongs {
		fails[hostile.Server] = append(fails[hostile.Server], w.fails)
	}
	for _, w := range peerWrongs {
		if w.name != "deaf" {
			fails[hostile.Peer] = append(fails[hostile.Peer], w.fails)
		}
	}
	for role, all := range fails {
		one := regexp.MustCompile(`^` + role.String() + `/(` + strings.Join(all, "|") + `)$`)
		for _, c := range Cases(role) {
			if c.Level != Info && c.needs.placeholder == "" && !one.MatchString(c.ID) {
				t.Errorf("%s (%s): nobody fails it", c.ID, c.Title)
			}
		}
		t.Logf("%d wrongs for a %v", len(all), role)
	}
}

// No case takes who does nothing, who does as the original does and who is sound for the same.
func TestNoCaseTakesAllForTheSame(t *testing.T) {
	for _, role := range []hostile.Role{hostile.Server, hostile.Peer} {
		t.Run(role.String(), func(t *testing.T) {
			t.Parallel()
			seen := map[string]int{}
			for _, name := range []string{mute, "original", "none"} {
				r, _ := check(t, Config{Role: role, Exec: name + placeholders[role], Cases: Cases(role)})
				for _, x := range r.Results {
					seen[x.ID+" "+string(x.Outcome)+" "+x.Detail]++
				}
			}
			for what, n := range seen {
				if n == 3 {
					t.Errorf("all three: %s", what)
				}
			}
		})
	}
}

// What is only told tells implementations apart.
func TestInfoDiffers(t *testing.T) {
	for _, test := range []struct {
		role     hostile.Role
		id, like string
	}{
		{hostile.Server, "differs/1", "announces-conflicts"}, {hostile.Server, "differs/2", "announces-repeats"},
		{hostile.Peer, "differs/2", "prints-nothing"},
	} {
		t.Run(test.id+"/"+test.like, func(t *testing.T) {
			t.Parallel()
			var seen [2]string
			for i, name := range []string{"none", test.like} {
				r, _ := check(t, Config{Role: test.role, Exec: name + placeholders[test.role], Cases: Select(Cases(test.role), nil, regexp.MustCompile(test.id+"$"), nil)})
				seen[i] = r.Results[0].Detail
			}
			if seen[0] == seen[1] {
				t.Errorf("%q of both", seen[0])
			}
		})
	}
}

// Whatever a shared server does, the run ends within its bound, with a verdict.
func TestItEnds(t *testing.T) {
	for name, want := range map[string]Outcome{"never-reaps": Fail, "shuts-out-y": Pass, "dies-on-one-byte": Broken, "10-ms-a-datagram": Pass} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := virtual.New(runWrong)
			synctest.Test(t, func(t *testing.T) {
				p, at, err := startServer(t.Context(), host, name+" {addr}", Case{})
				if err != nil {
					t.Fatal(err)
				}
				defer p.Kill()
				c := Config{Address: at, Cases: Cases(hostile.Server), Host: host}
				r, err := Run(t.Context(), c)
				if err != nil || r.Took >= c.Bound() || r.Count(want) == 0 {
					t.Errorf("%v, %v of %v, %d %s", err, r.Took, c.Bound(), r.Count(want), want)
				}
				for _, x := range r.Results {
					if x.Outcome == NotRun && x.Detail == "" && r.Gone == "" {
						t.Errorf("%s was not run, nobody says why", x.ID)
					}
				}
				t.Logf("%v of %v, %d pass, %d fail, %d broken, %d not run", r.Took, c.Bound(), r.Count(Pass), r.Count(Fail), r.Count(Broken), r.Count(NotRun))
			})
		})
	}
}

// Who answers after a while is slow, and does not hang.
func TestSlowIsNotHung(t *testing.T) {
	r, failed := check(t, Config{Exec: "2800-ms-a-birth {addr}", Cases: Select(Cases(hostile.Server), nil, regexp.MustCompile(`/birth/[13]$`), nil)})
	if r.Count(Fail) != len(failed) || len(failed) != 2 {
		t.Errorf("%d fail, %d broken, gone: %s", r.Count(Fail), r.Count(Broken), r.Gone)
	}
}

// What a command can be told of is tested, too.
func TestOptions(t *testing.T) {
	for _, test := range []struct {
		role        hostile.Role
		name, fails string
	}{
		{hostile.Server, "none", ``}, {hostile.Server, "deaf-to-options", `addition/1[23]`},
		{hostile.Peer, "none", ``}, {hostile.Peer, "deaf-to-options", `broadcast/11|addition/4`}, {hostile.Peer, "15-bit-counter", `broadcast/11`},
	} {
		t.Run(test.role.String()+"/"+test.name, func(t *testing.T) {
			t.Parallel()
			cases := slices.DeleteFunc(Cases(test.role), func(c Case) bool { return c.needs.placeholder == "" })
			r, failed := check(t, Config{Role: test.role, Exec: test.name + placeholders[test.role] + " {broadcast} {refresh} {source-check}", Cases: cases})
			one := regexp.MustCompile(`^` + test.role.String() + `/(` + test.fails + `)$`)
			for _, x := range r.Results {
				if fails := slices.Contains(failed, x.ID); fails != one.MatchString(x.ID) {
					t.Errorf("%s: %s %s", x.ID, x.Outcome, x.Detail)
					x.Failure.log(t)
				}
			}
		})
	}
}

// One server for all cases comes to the same as one for each, also where it makes cases hear of
// each other, or is slow.
func TestModesAgree(t *testing.T) {
	modesAgree(t, "announces-repeats", "10-ms-a-datagram", "deadline-1s")
}

func modesAgree(t *testing.T, names ...string) {
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := Config{Exec: name + " {addr}", Cases: slices.DeleteFunc(Cases(hostile.Server), func(c Case) bool { return c.stops })}
			apart, _ := check(t, c)
			c.Shared = true
			together, _ := check(t, c)
			for i, x := range apart.Results {
				if y := together.Results[i]; x.Outcome != y.Outcome {
					t.Errorf("%s: %s with a server of its own, %s %s with one for all", x.ID, x.Outcome, y.Outcome, y.Detail)
					y.Failure.log(t)
				}
			}
			t.Logf("%v and %v", apart.Took, together.Took)
		})
	}
}

// A shared server that dies is started again, and what killed it is known; one
// that was not started here is given up.
func TestSharedServerBreaks(t *testing.T) {
	cases := Select(Cases(hostile.Server), nil, regexp.MustCompile(`/birth/[1-4]$|/any/|/time/`), nil)
	deadly := regexp.MustCompile(`/any/header-|/time/ghost-in-the-buffer`)
	t.Run("started here", func(t *testing.T) {
		r, _ := check(t, Config{Exec: "dies-on-header {addr}", Shared: true, Cases: cases})
		for _, x := range r.Results {
			if broken := x.Outcome == Broken; broken != deadly.MatchString(x.ID) || broken && !strings.Contains(x.Detail, "exit status 134") {
				t.Errorf("%s: %s %s", x.ID, x.Outcome, x.Detail)
				x.Failure.log(t)
			}
		}
	})
	t.Run("running", func(t *testing.T) {
		host := virtual.New(runWrong)
		synctest.Test(t, func(t *testing.T) {
			p, at, err := startServer(t.Context(), host, "dies-on-header {addr}", Case{})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Kill()
			r, err := Run(t.Context(), Config{Address: at, Cases: cases, Host: host})
			if err != nil || !strings.Contains(r.Gone, "nobody listens on port") || r.Count(Broken) != 1 || r.Count(NotRun) == 0 || r.Count(Pass) == 0 {
				t.Errorf("%v, gone: %q, %d broken, %d not run, %d pass", err, r.Gone, r.Count(Broken), r.Count(NotRun), r.Count(Pass))
			}
			for _, x := range r.Results {
				if x.Outcome == Broken && !deadly.MatchString(x.ID+x.Detail) {
					t.Errorf("%s is said to have killed it, or who ran then: %s", x.ID, x.Detail)
				}
			}
		})
	})
}

// stoppedHost has somebody else stop its first program for good: after a while, or when the test says so.
type stoppedHost struct {
	*virtual.Host
	after time.Duration
	first *stoppedProgram
}

type stoppedProgram struct {
	target.Program
	since atomic.Pointer[time.Time]
}

func (h *stoppedHost) Start(c target.Command) (target.Program, error) {
	p, err := h.Host.Start(c)
	x := &stoppedProgram{Program: p}
	if h.first == nil {
		if h.first = x; h.after > 0 {
			time.AfterFunc(h.after, x.stop)
		}
	}
	return x, err
}

func (p *stoppedProgram) stop() {
	now := time.Now()
	p.since.Store(&now)
	p.Signal(target.Stop)
}

func (p *stoppedProgram) Waited() (time.Duration, int64) {
	if since := p.since.Load(); since != nil {
		return time.Since(*since), 0
	}
	return p.Program.Waited()
}

// A shared server that somebody else has stopped is no broken one: another takes its place.
func TestStoppedSharedServerIsNotBroken(t *testing.T) {
	r, _ := check(t, Config{Exec: "none {addr}", Shared: true, Host: &stoppedHost{Host: virtual.New(runWrong), after: 5 * time.Second},
		Cases: Select(Cases(hostile.Server), nil, regexp.MustCompile(`/birth/|/reaper/|/time/`), nil)})
	allPass(t, r)
}

// Nor is one that is stopped when a case has found a time right, before it is seen to live.
func TestStoppedAfterTimeIsNotBroken(t *testing.T) {
	host := &stoppedHost{Host: virtual.New(runWrong)}
	cases := Select(Cases(hostile.Server), nil, regexp.MustCompile(`/reaper/2$`), nil)
	whole := cases[0]
	cases[0].called = func(l *trial, _ []*endpoint) {
		if whole.perform(l); l.target == host.first {
			host.first.stop()
		}
	}
	r, _ := check(t, Config{Exec: "none {addr}", Shared: true, Host: host, Cases: cases})
	allPass(t, r)
}

func allPass(t *testing.T, r Report) {
	t.Helper()
	for _, x := range r.Results {
		if x.Outcome != Pass {
			t.Errorf("%s: %s %s", x.ID, x.Outcome, x.Detail)
			x.Failure.log(t)
		}
	}
}

// What cannot be tested is refused.
func TestConfigValidate(t *testing.T) {
	for _, test := range []struct {
		c    Config
		want string
	}{
		{Config{}, "want the address of a server that runs, or a command"},
		{Config{Exec: "x", Address: netip.MustParseAddrPort("127.0.0.1:1")}, "want the address of a server that runs, or a command"},
		{Config{Role: hostile.Peer, Address: netip.MustParseAddrPort("127.0.0.1:1")}, "a peer can only be tested from its start on"},
		{Config{Address: netip.MustParseAddrPort("127.0.0.1:0")}, "want an IPv4 one on this host"},
		{Config{Address: netip.MustParseAddrPort("[::1]:3000")}, "want an IPv4 one on this host"},
		{Config{Role: hostile.Peer, Exec: "x {name}"}, "want {name} and {port} in it"},
		{Config{Exec: "x", Parallel: -1}, "-1 cases at a time"},
	} {
		if err := test.c.Validate(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %q", test.c, err, test.want)
		}
	}
	if target.HasListen("server -p 3000") || !target.HasListen("server {port}") || !target.HasListen("server {addr}") {
		t.Error("HasListen does not know the placeholders")
	}
}

// What others try takes as long as its cases' spans, side by side, and no more is said.
func TestBoundOfOthers(t *testing.T) {
	c := Config{Others: &Others{}, Parallel: 2, Cases: []Case{{Span: 3 * time.Second}, {Span: 4 * time.Second}, {Span: 3 * time.Second}}}
	if got := c.Bound(); got != 66*time.Second {
		t.Errorf("%v, want the 6 s of 3 and 3 beside 4, and a minute for a late machine", got)
	}
}
