package conform

import (
	"flag"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/target"
)

var wrong = os.Args[0] + " " + asWrong

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == asWrong {
		runWrong(os.Args[2:])
	}
	flag.Parse()
	flag.Set("test.parallel", "8") // these tests wait, they do not compute
	os.Exit(m.Run())
}

// check runs cases and gives the ids of those that failed or broke the target.
func check(t *testing.T, c Config) (r Report, failed []string) {
	t.Helper()
	r, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if r.Gone != "" {
		t.Fatal(r.Gone)
	}
	for _, x := range r.Results {
		switch x.Outcome {
		case Fail, Broken:
			failed = append(failed, x.ID)
		case Void:
			t.Logf("%s: %s", x.ID, x.Detail)
		case NotRun:
			t.Errorf("%s was not run: %s", x.ID, x.Detail)
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

// behaviour is wrong in one way. fails are the ids of the cases that are about it, as
// a pattern.
type behaviour struct {
	role     hostile.Role
	wrong    string
	fails    string
	badInput bool // it is about bad input
}

// behaviours are those of wrong_test.go, the longest first.
var behaviours = []behaviour{
	{hostile.Peer, "none", ``, true},
	{hostile.Peer, "beats-every-800ms", `keep-alive/[23]`, false},
	{hostile.Peer, "first-after-700ms", `broadcast/[267]|silence/[123]`, false},
	{hostile.Peer, "every-3500ms", `broadcast/[23]|silence/1`, false},
	{hostile.Peer, "no-retry", `addition/[123]`, false},
	{hostile.Peer, "prints-nothing", `message/[1-6]`, false},
	{hostile.Peer, "upper-case", `broadcast/5`, false},
	{hostile.Peer, "counts-from-1", `broadcast/[14567]`, false},
	{hostile.Peer, "counts-when-heard", `broadcast/[67]`, false},
	{hostile.Peer, "no-zero", `directory/[1-7]|directory/9|directory/8|broadcast/([1-9]|10)|silence/1`, false},
	{hostile.Peer, "second-socket", `broadcast/8`, false},
	{hostile.Peer, "hears-itself", `directory/5`, false},
	{hostile.Peer, "merges", `directory/[238]`, false},
	{hostile.Peer, "born-twice", `birth/3|addition/1`, false},
	{hostile.Peer, "beats-first", `birth/2|keep-alive/2`, false},
	{hostile.Peer, "long-beats", `keep-alive/1|silence/3`, false},
	{hostile.Peer, "answers", `silence/2`, false},
	{hostile.Peer, "says-goodbye", `silence/4`, false},
	{hostile.Peer, "dies-on-duplicate", `robust/directory/(duplicate-.*|96-entries|max)`, true},
	{hostile.Peer, "believes-strangers", `robust/vanilla/from-.*`, true},

	{hostile.Server, "none", ``, true},
	{hostile.Server, "deadline-1s", `conflict/5|repeat/4|keep-alive/4|reaper/[12]|addition/5`, false},
	{hostile.Server, "never-reaps", `conflict/[567]|repeat/4|keep-alive/[78]|reaper/[1-7]|silence/3`, false},
	{hostile.Server, "mute-reaper", `conflict/[567]|repeat/4|keep-alive/[78]|reaper/[1-6]|silence/3|addition/11`, false},
	{hostile.Server, "own-port-only", `birth/3|repeat/[25]|keep-alive/[23]|silence/3|addition/[678]`, false},
	{hostile.Server, "to-source", `birth/3|repeat/5|silence/3`, false},
	{hostile.Server, "answers-loser", `conflict/[1-4]|full/2|addition/[578]`, false},
	{hostile.Server, "renews-on-conflict", `conflict/5`, false},
	{hostile.Server, "no-proof", `addition/([349]|1[01])`, false},
	{hostile.Server, "no-home", `addition/6`, false},
	{hostile.Server, "deaf-to-repeats", `repeat/[1-6]`, false},
	{hostile.Server, "answers-asker", `repeat/[25]`, false},
	{hostile.Server, "answers-once", `repeat/6`, false},
	{hostile.Server, "home-proof", `addition/7`, false},
	{hostile.Server, "source-proof", `addition/8`, false},
	{hostile.Server, "any-proof", `addition/9`, false},
	{hostile.Server, "port-stays", `addition/10`, false},
	{hostile.Server, "one-rival", `addition/11`, false},
	{hostile.Server, "resurrects", `keep-alive/7`, false},
	{hostile.Server, "second-socket", `birth/4`, false},
	{hostile.Server, "chatty", `birth/5|keep-alive/[567]|reaper/[37]|silence/1|addition/2`, false},
	{hostile.Server, "letters-only", `birth/7|full/[12]`, false},
	{hostile.Server, "32-peers", `full/[12]|addition/1`, false},
	{hostile.Server, "15-bit-port", `birth/8`, false},
	{hostile.Server, "twelve-times", `birth/5|reaper/[37]|addition/[12]`, false},
	{hostile.Server, "hangs-on-empty", `robust/any/empty|robust/sequence/(empty-burst|length-walk)`, true},
	{hostile.Server, "dies-on-header", `robust/any/header-.*|robust/sequence/(short-after-birth|length-walk)|robust/time/ghost-in-the-buffer`, true},
	{hostile.Server, "takes-longer-births", `robust/birth/(one-byte-more|two-in-one|max)|robust/sequence/length-walk`, true},
}

// try holds a behaviour, the i-th, against the cases that are about it, which fail, and a
// sample of the others, which do not: each behaviour has another one, so that every case
// meets several of them. The sound one meets every n-th. What takes longer is left out.
func (w behaviour) try(t *testing.T, i, every int, longest time.Duration) {
	const sample = 6
	robust := regexp.MustCompile(`^[a-z]+/robust/`) // is left out, unless the behaviour is about bad input
	c := Config{Role: w.role, Exec: wrong + map[hostile.Role]string{hostile.Server: " {addr} ", hostile.Peer: " {name} {port} {server} "}[w.role] + w.wrong, Parallel: 24}
	pattern := regexp.MustCompile(`^` + w.role.String() + `/(` + w.fails + `)$`)
	for n, x := range Cases(w.role) {
		if x.span > longest || x.span > long && w.wrong != "none" && w.wrong != "upper-case" { // 44 s: for those that only it tells apart
			continue
		}
		sampled := (n+i)%sample == 0
		if w.wrong == "none" && n%every == 0 || pattern.MatchString(x.ID) || sampled && w.wrong != "none" && (w.badInput || !robust.MatchString(x.ID)) {
			x.noRetry = pattern.MatchString(x.ID) // five tries of what is to fail would cost most of the time
			c.Cases = append(c.Cases, x)
		}
	}
	r, failed := check(t, c)
	for _, x := range r.Results {
		if x.Outcome == Void {
			continue
		}
		fails := slices.Contains(failed, x.ID)
		if should := pattern.MatchString(x.ID); fails != should {
			t.Errorf("%s (%s): %s %s, should it fail: %v", x.ID, x.Title, x.Outcome, x.Detail, should)
			x.Failure.log(t)
		}
		if strings.HasPrefix(w.wrong, "dies") && fails && (x.Outcome != Broken || !strings.Contains(x.Detail, "exit status")) {
			t.Errorf("%s: %s %q, want broken with the exit status", x.ID, x.Outcome, x.Detail)
		}
		if strings.HasPrefix(w.wrong, "hangs") && fails && (x.Outcome != Broken || !strings.Contains(x.Detail, "hung")) {
			t.Errorf("%s: %s %q, want broken by hanging", x.ID, x.Outcome, x.Detail)
		}
	}
}

// A sample of what conform_long_test.go tries in full.
func TestWrongs(t *testing.T) {
	const every, longest = 3, 5 * time.Second
	sample := []string{"none", "beats-every-800ms", "long-beats", "dies-on-duplicate", "answers", "own-port-only", "no-proof", "second-socket", "dies-on-header", "hangs-on-empty", "takes-longer-births"}
	for i, w := range behaviours {
		if slices.Contains(sample, w.wrong) {
			t.Run(w.role.String()+"/"+w.wrong, func(t *testing.T) { t.Parallel(); w.try(t, i, every, longest) })
		}
	}
}

// A shared server that dies is started again, and what killed it is known; one
// that was not started here is given up.
func TestSharedServerBreaks(t *testing.T) {
	sharedServerBreaks(t, `/birth/[1-2]$|/any/(empty|one-byte|header-birth)$|/time/ghost`)
}

func sharedServerBreaks(t *testing.T, run string) {
	cases := Select(Cases(hostile.Server), nil, regexp.MustCompile(run), nil)
	deadly := regexp.MustCompile(`/any/header-|/time/ghost-in-the-buffer$`)
	t.Run("started here", func(t *testing.T) {
		t.Parallel()
		r, _ := check(t, Config{Exec: wrong + " {addr} dies-on-header", Shared: true, Cases: cases})
		for _, x := range r.Results {
			if x.Outcome == Void {
				continue
			}
			if broken := x.Outcome == Broken; broken != deadly.MatchString(x.ID) || broken && !strings.Contains(x.Detail, "exit status 134") {
				t.Errorf("%s: %s %s", x.ID, x.Outcome, x.Detail)
				x.Failure.log(t)
			}
		}
	})
	t.Run("running", func(t *testing.T) {
		t.Parallel()
		p, at, err := startServer(t.Context(), wrong+" {addr} dies-on-header")
		if err != nil {
			t.Fatal(err)
		}
		defer p.stop()
		r, err := Run(t.Context(), Config{Address: at, Cases: cases})
		if err != nil || !strings.Contains(r.Gone, "nobody listens on port") || r.Count(Broken) != 1 || r.Count(NotRun) == 0 || r.Count(Pass) == 0 {
			t.Errorf("%v, gone: %q, %d broken, %d not run, %d pass", err, r.Gone, r.Count(Broken), r.Count(NotRun), r.Count(Pass))
		}
		for _, x := range r.Results {
			if x.Outcome == Broken && !deadly.MatchString(x.ID) {
				t.Errorf("%s is said to have killed it", x.ID)
			}
		}
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
