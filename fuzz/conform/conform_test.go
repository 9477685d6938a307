package conform

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/target"
	"p2plocal/fuzz/target/virtual"
)

// check runs cases on a virtual host and gives the ids of those that failed or broke the target.
func check(t *testing.T, c Config) (r Report, failed []string) {
	t.Helper()
	c.Host = virtual.New(runWrong)
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
func TestWrongs(t *testing.T) {
	for _, w := range serverWrongs {
		t.Run("server/"+w.name, func(t *testing.T) { t.Parallel(); holdAgainst(t, hostile.Server, w.name, w.fails) })
	}
	for _, w := range peerWrongs {
		t.Run("peer/"+w.name, func(t *testing.T) { t.Parallel(); holdAgainst(t, hostile.Peer, w.name, w.fails) })
	}
}

func holdAgainst(t *testing.T, role hostile.Role, name, fails string) {
	pattern := regexp.MustCompile(`^` + role.String() + `/(` + fails + `)$`)
	placeholders := map[hostile.Role]string{hostile.Server: " {addr}", hostile.Peer: " {name} {port} {server}"}[role]
	r, failed := check(t, Config{Role: role, Exec: name + placeholders, Cases: Cases(role)})
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
			p, at, err := startServer(t.Context(), host, "dies-on-header {addr}")
			if err != nil {
				t.Fatal(err)
			}
			defer p.stop()
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
