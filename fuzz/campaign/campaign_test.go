package campaign

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/target"
	"p2plocal/fuzz/target/virtual"
)

// attack runs a campaign on a virtual host.
func attack(t *testing.T, c Config) (r Result) {
	t.Helper()
	r, err := attempt(t, c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// attempt ends it after a while if it does not end.
func attempt(t *testing.T, c Config) (r Result, err error) {
	t.Helper()
	if c.Host == nil {
		c.Host = virtual.New(start)
	}
	c.Target = netip.MustParseAddrPort("127.0.0.1:3000")
	c.ProbeTimeout, c.Narrow, c.Seed = 500*time.Millisecond, 20*time.Second, 1
	if c.Modes == nil {
		c.Modes = []string{"catalogue"}
	}
	if c.Log == nil {
		c.Log = func(line string) { t.Log(line) }
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		if r, err = Run(ctx, c); ctx.Err() != nil {
			err = ctx.Err()
		}
		time.Sleep(time.Second) // what is under way arrives
	})
	for _, y := range r.Tallies {
		t.Logf("%+v", *y)
	}
	t.Logf("%d batches, %d datagrams in %v, %d restarts, missing %q", r.Batches(), r.Sent, r.Elapsed, r.Restarts, r.Missing)
	for _, f := range r.Findings {
		t.Logf("%s by %s: %d datagrams, %d times, seen after %.1f s, narrowed down after %.1f s: %s", f.Kind, f.Case, f.Count, f.Times, f.Seen, f.After, f.What)
	}
	return r, err
}

// against is a campaign against a wrong. A server may be told its port alone.
func against(w wrong) Config {
	if w.peer != nil && w.server == nil {
		return Config{Role: hostile.Peer, PeerExec: w.name + " {name} {port} {server}"}
	}
	return Config{Exec: w.name + []string{" {addr}", " {port}"}[len(w.name)%2]}
}

func TestSoundTargetsSurvive(t *testing.T) {
	for role, c := range map[string]Config{"server": {Exec: "none"}, "peer": {Role: hostile.Peer, PeerExec: "none {server}"}} {
		t.Run(role, func(t *testing.T) {
			r := attack(t, c)
			if len(r.Findings) > 0 || len(r.Missing) > 0 || r.Restarts > 0 || r.Elapsed > 15*time.Second {
				t.Error("want the whole catalogue within 15 s, without a finding or a restart")
			}
			c.Modes, c.Duration = []string{"catalogue", "mutate", "generate", "random"}, 15*time.Second
			r = attack(t, c)
			if len(r.Findings) > 0 || len(r.Missing) > 0 || r.Restarts > 0 {
				t.Error("want no finding and no restart")
			}
			if n := float64(r.Batches()) / r.Elapsed.Seconds(); role == "server" && n < 200 {
				t.Errorf("%.0f batches a second, want 200", n)
			}
		})
	}
}

// Every third of them: under the race detector, which makes them cost ten times as much, all take minutes. All are
// TestLongWrongs.
func TestWrongs(t *testing.T) { tryWrongs(t, 3) }

func tryWrongs(t *testing.T, step int) {
	for i := 1; i < len(wrongs); i += step {
		w := wrongs[i]
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			c := against(w)
			if w.name == "removes-live" {
				c.Most = 1 // who is late with everything is found in other ways, too
			}
			r := attack(t, c)
			if len(r.Findings) != 1 {
				t.Fatalf("%d findings, want one", len(r.Findings))
			}
			if f := r.Findings[0]; f.Kind != w.kind || f.Count != w.count && w.count > 0 || f.Seen > w.within.Seconds() {
				t.Errorf("want %s by %d within %v", w.kind, w.count, w.within)
			}
			most := narrowed
			if w.name == "peer-slow-to-start" {
				most += 2 * slowStart
			} else if w.within == sequence {
				most = sequence
			}
			if r.Findings[0].coarse { // what was under way when its time was over
				most += narrowed
			}
			if f := r.Findings[0]; f.After > f.Seen+most.Seconds() {
				t.Errorf("narrowed down %.1f s after it was seen, want %v or less", f.After-f.Seen, most)
			}
			if r.Findings[0].coarse {
				return
			}
			c.Modes, c.Ports, c.Replay = []string{"replay"}, r.Ports, r.Findings[0].Shots
			again := attack(t, c)
			if len(again.Tallies) != 1 || len(again.Findings) != 1 || again.Findings[0].Kind != w.kind || again.Elapsed > 2*r.Elapsed+time.Minute {
				t.Errorf("%d findings of a replay within %v in %d rows, want the same one in one", len(again.Findings), again.Elapsed, len(again.Tallies))
			}
		})
	}
}

// What is remembered of what was sent is cut short now and then.
func TestSignsOutliveWhatIsForgotten(t *testing.T) {
	x := &trial{campaign: &campaign{}, evidence: evidence{owners: map[wire.Entry]*claim{}}, traffic: traffic{sent: make([]sentShot, 2*mostSuspects+1)}}
	x.signs = []sign{{entry: wire.Entry{Name: 'a', Port: 1}, index: x.total()}}
	x.settle()
	if len(x.sent) != mostSuspects || x.total() != 2*mostSuspects+1 {
		t.Fatalf("%d of %d are remembered, want %d of %d", len(x.sent), x.total(), mostSuspects, 2*mostSuspects+1)
	}
	x.acked = x.total()
	if x.confirm(); len(x.signs) > 0 {
		t.Error("a sign of life that the target has taken waits for ever")
	}
}

// A keep-alive that the target may just have taken does not bring back who was gone, whichever
// member's directory is read first.
func TestReturnIsSeenBeforeTheAnswer(t *testing.T) {
	back := wire.Entry{Name: 'a', Port: sparePort}
	first := &endpoint{entry: wire.Entry{Name: '~', Port: firstPort}, life: life{joined: true}}
	now := time.Now()
	x := &trial{campaign: &campaign{sockets: sockets{members: []*endpoint{first}}}, watch: watch{now: now, clock: 3 * time.Second}, attendance: attendance{viewAt: now},
		evidence: evidence{owners: map[wire.Entry]*claim{back: {batch: &openBatch{}, gone: now.Add(-time.Second)}},
			signs: []sign{{entry: wire.Entry{Name: back.Name}, index: 1}}}}
	first.view = wire.Entries(nil).Append(first.entry).Append(back)
	(&serverJudge{trial: x}).listed(first, first.view)
	if x.suspect == nil || x.suspect.kind != Ghost {
		t.Errorf("%+v, want a ghost", x.suspect)
	}
}

// What another datagram has overtaken accuses nobody.
func TestWhatIsOvertakenAccusesNobody(t *testing.T) {
	e := wire.Entry{Name: 'a', Port: sparePort}
	first := &endpoint{entry: wire.Entry{Name: '~', Port: firstPort}, life: life{joined: true}}
	now := time.Now()
	for what, x := range map[string]struct {
		owner *claim
		told  time.Time
		found bool
	}{
		"back":                            {&claim{batch: &openBatch{}, gone: now.Add(-time.Second)}, now, true},
		"never born":                      {nil, now, true},
		"an older directory":              {&claim{batch: &openBatch{}, gone: now.Add(-time.Second)}, now.Add(-1100 * time.Millisecond), false},
		"before what is remembered":       {nil, now.Add(-kept), false},
		"there before anything was sent":  {&claim{before: true, gone: now.Add(-time.Second)}, now, false},
		"silent, but the server was late": {&claim{batch: &openBatch{unsure: true}}, now, false},
	} {
		owners := map[wire.Entry]*claim{}
		if x.owner != nil {
			owners[e] = x.owner
		}
		s := &serverJudge{trial: &trial{campaign: &campaign{Config: Config{Host: virtual.New(start)}, sockets: sockets{members: []*endpoint{first}}},
			watch: watch{now: now, clock: 3 * time.Second}, attendance: attendance{viewAt: x.told, patient: 4 * time.Second}, evidence: evidence{owners: owners}}}
		if s.checkEntry(e); (s.suspect != nil) != x.found {
			t.Errorf("%s: %+v, found: want %v", what, s.suspect, x.found)
		}
	}
	s := &serverJudge{trial: &trial{attendance: attendance{viewAt: now}, evidence: evidence{owners: map[wire.Entry]*claim{e: {born: now.Add(-underWay / 2)}}}}}
	if s.forget(nil); !s.owners[e].gone.IsZero() {
		t.Error("whose birth may be under way is taken for gone")
	}
}

// A server that stood still believes that its peers had, too.
func TestStandstillOfTheServer(t *testing.T) {
	for late, want := range map[time.Duration]bool{100 * time.Millisecond: false, heartbeat: true} {
		x := &trial{campaign: &campaign{Config: Config{Host: standing{virtual.New(start), late}}}}
		if x.stood(); (x.patient > 0) != want {
			t.Errorf("late by %v: patient until %v", late, x.patient)
		}
	}
}

// standing is a host that was as late as it says.
type standing struct {
	*virtual.Host
	late time.Duration
}

func (h standing) Late(time.Time) time.Duration { return h.late }

// What is not the answer must not be taken for it: the target is as far behind as it likes.
func TestSlowServerSurvives(t *testing.T) {
	r := attack(t, Config{Exec: "slow", Modes: []string{"generate"}, Count: 3000})
	if r.Sent != 3000 || len(r.Findings) > 0 || r.Restarts > 0 {
		t.Errorf("%d datagrams, %d findings, %d restarts, want none", r.Sent, len(r.Findings), r.Restarts)
	}
}

// A peer that shows nothing but broadcasts has time until its next one.
func TestRareBroadcastsAreWaitedFor(t *testing.T) {
	said := ""
	r := attack(t, Config{Role: hostile.Peer, PeerExec: "rare {server}", Modes: Modes[:4], Duration: 30 * time.Second, Log: func(line string) { said += line }})
	if len(r.Findings) > 0 || r.Restarts > 0 {
		t.Errorf("%d findings, %d restarts, want none", len(r.Findings), r.Restarts)
	}
	if !strings.Contains(said, "three times within 9s") { // it has twice
		t.Errorf("of its broadcasts %q is said", said)
	}
}

// A directory that names one twice kills the server's own peers.
func TestOwnPeersAreWatched(t *testing.T) {
	r := attack(t, Config{Exec: "twice-in-directory", PeerExec: "peer-die-on-duplicate {name} {port} {server}"})
	if len(r.Findings) != 1 || r.Findings[0].Kind != Died || r.Findings[0].Count != 1 {
		t.Errorf("%d findings, want one: died, by one datagram", len(r.Findings))
	}
}

// runningHost is one on which the target runs before the campaign.
type runningHost struct {
	*virtual.Host
	begin func()
}

func (h runningHost) Bound(at netip.AddrPort) bool {
	h.begin()
	return h.Host.Bound(at)
}

// The death of a server that ran already shows only in that nobody listens, and is told also
// where a fresh peer has waited for longer than any question.
func TestDeathOfARunningServer(t *testing.T) {
	host := runningHost{Host: virtual.New(start)}
	host.begin = sync.OnceFunc(func() {
		if _, err := host.Start(target.Command{Line: "die-after-deafness", Listen: netip.MustParseAddrPort("127.0.0.1:3000")}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // it runs already
	})
	r, err := attempt(t, Config{Host: host})
	if len(r.Findings) != 1 || r.Findings[0].Kind != Died {
		t.Errorf("%v, %d findings, want one: died", err, len(r.Findings))
	}
}

// lateHost is one whose programs may be late, and on which it takes a while to learn for how
// long they were.
type lateHost struct {
	*virtual.Host
	takes time.Duration
}

type lateProgram struct {
	target.Program
	takes time.Duration
}

func (h lateHost) Late(time.Time) time.Duration { return time.Hour }

func (h lateHost) Start(c target.Command) (target.Program, error) {
	p, err := h.Host.Start(c)
	return lateProgram{p, h.takes}, err
}

func (p lateProgram) Waited() (time.Duration, int64) {
	time.Sleep(p.takes)
	return p.Program.Waited()
}

// Each round is so late that members fall out.
func TestCampaignThatCannotGoOnEnds(t *testing.T) {
	const duration = 8 * time.Second
	for _, c := range []Config{{}, {Duration: duration}} {
		c.Host, c.Exec = lateHost{virtual.New(start), missedBeat + step}, "none"
		r, err := attempt(t, c)
		t.Log(err)
		if errors.Is(err, context.DeadlineExceeded) || err == nil && len(r.Missing) == 0 || len(r.Findings) > 0 || c.Duration > 0 && r.Elapsed > duration+endTime+leaseTime+2*time.Second {
			t.Errorf("%v, %d findings after %v, want an end in time", err, len(r.Findings), r.Elapsed)
		}
	}
}

func TestLockedOutCampaignEnds(t *testing.T) {
	const duration = 8 * time.Second
	r, err := attempt(t, Config{Exec: "lock-out", Host: lateHost{virtual.New(start), 0}, Duration: duration, Modes: []string{"catalogue", "random"}})
	if errors.Is(err, context.DeadlineExceeded) || err == nil && len(r.Findings) == 0 || r.Elapsed > duration+20*time.Second+endTime+outTime {
		t.Errorf("%v, %d findings after %v, want a finding or none, but an end", err, len(r.Findings), r.Elapsed)
	}
}

// What is large waits until there is room for it, however many batches are to be repeated at once.
func TestNothingIsLostInATargetsBuffer(t *testing.T) {
	host := virtual.New(start)
	host.Room = 212992 // Linux's own
	lost := uint64(0)
	r := attack(t, Config{Exec: "longer-keep-alive", Host: countingHost{host, &lost}})
	if lost > 0 || len(r.Findings) != 1 || r.Findings[0].Seen > single.Seconds() {
		t.Errorf("%d datagrams lost, %d findings, want none and one within %v", lost, len(r.Findings), single)
	}
}

// countingHost keeps how many datagrams its targets have lost.
type countingHost struct {
	*virtual.Host
	lost *uint64
}

func (h countingHost) Backlog(at netip.AddrPort) (waiting, dropped uint64, known bool) {
	waiting, dropped, known = h.Host.Backlog(at)
	*h.lost = max(*h.lost, dropped)
	return waiting, dropped, known
}

// lossyHost is one whose targets lose a datagram each second, for a while.
type lossyHost struct {
	*virtual.Host
	began time.Time
	until time.Duration
}

func (h *lossyHost) Backlog(at netip.AddrPort) (waiting, dropped uint64, known bool) {
	if h.began.IsZero() {
		h.began = time.Now()
	}
	waiting, dropped, known = h.Host.Backlog(at)
	return waiting, dropped + uint64(min(time.Since(h.began), h.until)/time.Second), known
}

// What losses explain is sent again, and what they explain to the end is said.
func TestLossesExcuseNothingForGood(t *testing.T) {
	for _, x := range []struct {
		exec     string
		until    time.Duration
		findings int
		unjudged bool
	}{
		{"none", time.Hour, 0, false},
		{"longer-keep-alive", 6 * time.Second, 1, false},
		{"longer-keep-alive", time.Hour, 0, true},
	} {
		r := attack(t, Config{Exec: x.exec, Host: &lossyHost{Host: virtual.New(start), until: x.until}})
		unjudged := slices.ContainsFunc(r.Tallies, func(y *Tally) bool { return !y.Conclusive() })
		if len(r.Findings) != x.findings || unjudged != x.unjudged || x.findings > 0 && r.Findings[0].Seen > sequence.Seconds() {
			t.Errorf("%s, losses for %v: %d findings, some batches not judged: %v, want %d and %v", x.exec, x.until, len(r.Findings), unjudged, x.findings, x.unjudged)
		}
	}
}

// What begins while nothing can be said of who is in the directory would be void again, until there are no tries left.
func TestRepeatsWaitUntilTheyCount(t *testing.T) {
	now := time.Now()
	for _, b := range []batch{{mode: "catalogue"}, {mode: "replay"}} {
		for since, want := range map[time.Duration]bool{time.Second: false, excuseTime: true} {
			x := &trial{watch: watch{now: now}, attendance: attendance{missed: now.Add(-since)}}
			p := &plan{c: &campaign{}}
			p.repeat(b)
			if _, got := p.next(x); got != want {
				t.Errorf("%s, %v after members were too late: begun %v, want %v", b.mode, since, got, want)
			}
		}
	}
}

// A removal that was read after the answer to a question may have been sent before it, when the
// target had not had the members' keep-alives yet.
func TestRemovalIsAsOldAsItsDirectory(t *testing.T) {
	now := time.Now()
	for told, want := range map[time.Duration]bool{-time.Second: true, 0: false} {
		x := &trial{campaign: &campaign{Config: Config{Host: lateHost{virtual.New(start), 0}}}, watch: watch{now: now},
			attendance: attendance{beatTaken: now.Add(-time.Second), takenBy: now.Add(-step), viewAt: now.Add(told)}}
		if got := (&serverJudge{trial: x}).excused(); got != want {
			t.Errorf("told %v ago: excused %v, want %v", -told, got, want)
		}
	}
}

// A removal that came while this process stood still is judged by when it is read, not by when the round began.
func TestRemovalIsReadLate(t *testing.T) {
	began := time.Now().Add(-2 * time.Second)
	var members []*endpoint
	for i := range 2 {
		e := wire.Entry{Name: wire.Name('}' + i), Port: uint16(firstPort + i)}
		s := virtualSocket{addr: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), e.Port)}
		members = append(members, &endpoint{socket: s, entry: e, life: life{joined: true}})
	}
	first, second := members[0], members[1]
	first.seen = []wire.Entry{second.entry}
	x := &trial{campaign: &campaign{Config: Config{Host: lateHost{virtual.New(start), 0}}, sockets: sockets{members: members}},
		watch: watch{now: began}, attendance: attendance{beatTaken: began, takenBy: began}, evidence: evidence{owners: map[wire.Entry]*claim{}}}
	x.judge = &serverJudge{trial: x}
	x.handle(packet{at: time.Now(), to: first, data: hostile.Directory(first.entry)})
	if x.suspect != nil {
		t.Errorf("%s: %s", x.suspect.kind, x.suspect.why)
	}
	if second.joined {
		t.Error("it was not judged at all")
	}
}

// virtualSocket is one of which nothing is asked but its address.
type virtualSocket struct {
	target.Socket
	addr netip.AddrPort
}

func (s virtualSocket) Addr() netip.AddrPort { return s.addr }

// Broadcasts that a late machine reads all at once are as far apart as they came.
func TestIntervalIsThatOfWhatCame(t *testing.T) {
	first, now := &endpoint{entry: wire.Entry{Name: 'a', Port: 1}}, time.Now()
	x := &trial{campaign: &campaign{sockets: sockets{members: []*endpoint{first}}}, watch: watch{now: now, born: now.Add(-time.Second)}}
	p := &peerJudge{trial: x}
	for i := range 3 {
		p.received(packet{at: now.Add(time.Duration(i-2) * 100 * time.Millisecond), to: first, from: x.address})
	}
	if p.interval != 100*time.Millisecond {
		t.Errorf("an interval of %v, want 100ms", p.interval)
	}
}

// On a busy machine datagrams overtake each other: directories are read after newer ones, and what was sent takes effect
// after what was sent behind it. (TestLongReorderingAccusesNobody goes on for longer.)
func TestReorderingAccusesNobody(t *testing.T) { reorderingAccusesNobody(t, 8*time.Second) }

func reorderingAccusesNobody(t *testing.T, lasts time.Duration) {
	for role, c := range map[string]Config{
		"server": {Exec: "none", Modes: Modes[:4]},
		"wide":   {Exec: "sound", Wide: true, Modes: Modes[:4]},
		"peer":   {Role: hostile.Peer, PeerExec: "none {server}", Modes: Modes[:4]},
	} {
		t.Run(role, func(t *testing.T) {
			r := attack(t, reordered(c, lasts))
			if len(r.Findings) > 0 || r.Restarts > 0 {
				t.Errorf("%d findings, %d restarts, want none", len(r.Findings), r.Restarts)
			}
		})
	}
}

// reordered is a campaign on a host on which each tenth datagram is late.
func reordered(c Config, lasts time.Duration) Config {
	host := virtual.New(start)
	if c.Wide {
		host = virtual.New(startWide)
	}
	r := rand.New(rand.NewPCG(1, 2))
	host.Overdue = func() time.Duration {
		if r.IntN(10) > 0 {
			return 0
		}
		return time.Duration(r.Int64N(int64(150 * time.Millisecond)))
	}
	c.Host, c.Duration = host, lasts
	return c
}

// A flood would lose what others are judged by, and takes a second where a batch takes a moment.
func TestFloodsLeaveTheOthersTheirShare(t *testing.T) {
	for _, x := range []struct {
		pending, listed batch
		silent          string        // the mode of whose is in the directory
		flooding        time.Duration // of the first two seconds
		want            bool
	}{
		{want: true},
		{pending: batch{tries: 1}},
		{pending: batch{hold: ghostTime}},
		{listed: batch{tries: 1}},
		{silent: "catalogue"},
		{silent: "random", want: true},
		{flooding: time.Second, want: true},
		{flooding: 2 * time.Second},
	} {
		c := &campaign{start: time.Now().Add(-2100 * time.Millisecond), result: Result{Flooding: x.flooding}}
		p := &plan{c: c, random: []string{"flood"}, cases: []batch{x.listed}}
		v := &trial{traffic: traffic{pending: []*openBatch{{batch: x.pending}}}}
		if x.silent != "" {
			v.owners = map[wire.Entry]*claim{{Name: 'a'}: {batch: &openBatch{batch: batch{mode: x.silent}}}}
		}
		if got := p.mayFlood(v); got != x.want {
			t.Errorf("%+v: a flood may begin: %v, want %v", x, got, x.want)
		}
	}
}

// A datagram means the same to a target beside, whose ports are others.
func TestMovedPorts(t *testing.T) {
	host := netip.MustParseAddr("127.0.0.1")
	first := &campaign{Config: Config{Target: netip.AddrPortFrom(host, 3000), Ports: firstPort}}
	beside := &lane{campaign: &campaign{Config: Config{Target: netip.AddrPortFrom(host, 10001), Ports: firstPort + PortsUsed}}, beside: first}
	for was, want := range map[string]string{
		string(hostile.Birth('A', firstPort)):           string(hostile.Birth('A', firstPort+PortsUsed)),
		string(hostile.Birth('A', firstPort+PortsUsed)): string(hostile.Birth('A', firstPort+PortsUsed)),
		string(hostile.Birth('A', 3000)):                string(hostile.Birth('A', 10001)),
		string(hostile.Birth('A', sparePort)):           string(hostile.Birth('A', sparePort)),
		string(hostile.Directory(wire.Entry{Name: 'A', Port: 1}, wire.Entry{Name: 'B', Port: firstPort})): string(hostile.Directory(wire.Entry{Name: 'A', Port: 1}, wire.Entry{Name: 'B', Port: firstPort + PortsUsed})),
		string(hostile.Vanilla("\xf0\x55")): string(hostile.Vanilla("\xf0\x55")),
		"\x00\xc0\x00A\x55\xf0":             "\x00\xc0\x00A\x56\x0f",
	} {
		if got := beside.moved([]hostile.Shot{{Datagram: []byte(was)}})[0].Datagram; string(got) != want {
			t.Errorf("%x is %x, want %x", was, got, want)
		}
	}
	if was := []hostile.Shot{{Datagram: hostile.Birth('A', firstPort)}}; string((&lane{campaign: first}).moved(was)[0].Datagram) != string(was[0].Datagram) {
		t.Error("it is moved to where it is")
	}
}

// crowdedHost is one that lets so many programs run at a time, and so many start at all.
type crowdedHost struct {
	*virtual.Host
	mu        sync.Mutex
	at, inAll int
	programs  []target.Program
}

func (h *crowdedHost) Start(c target.Command) (target.Program, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.programs = slices.DeleteFunc(h.programs, func(p target.Program) bool { return p.Ended() != "" })
	if h.inAll--; h.inAll < 0 || len(h.programs) >= h.at {
		return nil, syscall.EAGAIN
	}
	p, err := h.Host.Start(c)
	h.programs = append(h.programs, p)
	return p, err
}

// What a machine has not enough of for several targets at once narrows a finding as well; and where no target
// starts again, it is a finding as it was seen.
func TestNarrowedOnACrowdedHost(t *testing.T) {
	r := attack(t, Config{Exec: "header-of-the-last-speaker {port}", Host: &crowdedHost{Host: virtual.New(start), at: 3, inAll: 1000}})
	if len(r.Findings) != 1 || r.Findings[0].Count != 1 {
		t.Errorf("%d findings, want one by one datagram", len(r.Findings))
	}
	r, err := attempt(t, Config{Exec: "header-of-the-last-speaker {port}", Host: &crowdedHost{Host: virtual.New(start), at: 1, inAll: 1}})
	if err == nil || len(r.Findings) != 1 || r.Findings[0].Kind != Ghost {
		t.Errorf("%v, %d findings, want one, and the reason why there are no more", err, len(r.Findings))
	}
}

// After the machine has stood still, what would be void by that begins when it is not: only what was open then is
// not judged. On a machine that stands still again and again most begins all the same, so that a target that dies is seen.
func TestStandstillVoidsWhatFellIntoIt(t *testing.T) {
	for _, x := range []struct {
		every       time.Duration // that it stands still
		most, least int           // unjudged
	}{{time.Hour, 20, 0}, {2 * time.Second, 1 << 20, 100}} {
		var next time.Time
		r := attack(t, Config{Exec: "none", Host: virtual.New(start), Duration: 14 * time.Second, Modes: []string{"random"}, Sent: func(now time.Time, _, _ netip.AddrPort, _ []byte) {
			switch {
			case next.IsZero():
				next = now.Add(min(x.every, 5*time.Second))
			case now.After(next):
				time.Sleep(4 * time.Second)
				next = time.Now().Add(x.every)
			}
		}})
		y := r.Tallies[0]
		if y.Unjudged > x.most || y.Unjudged < x.least || y.Batches < 1000 || len(r.Findings) > 0 {
			t.Errorf("every %v: %d of %d batches not judged, %d findings, want %d to %d and none", x.every, y.Unjudged, y.Batches, len(r.Findings), x.least, x.most)
		}
	}
}
