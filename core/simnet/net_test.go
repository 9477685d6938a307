package simnet

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
)

// mesh is a server and peers on a Net, with what happened to them.
type mesh struct {
	*Net
	t      testing.TB
	server *Node
	timing core.Timing
	events []string // "12.5 removed A"; of the server
	texts  map[core.Name]int
}

func newMesh(t testing.TB, cfg Config, timing core.Timing) *mesh {
	m := &mesh{Net: New(cfg), t: t, timing: timing, texts: map[core.Name]int{}}
	said := map[core.Kind]string{core.Born: "born", core.Repeated: "repeated", core.Conflict: "refused", core.Replaced: "replaced", core.Removed: "removed"}
	m.server = m.AddServer(core.DirectoryConfig{Timing: timing, Observe: func(e *core.Event) {
		if what := said[e.Kind]; what != "" {
			m.events = append(m.events, m.Now().String()+" "+what+" "+string(e.Peer.Name))
		}
	}})
	return m
}

// peer adds the i-th peer: a name, and port 3001+i.
func (m *mesh) peer(i int) *Node { return m.named(core.Name(rune('A'+i)), uint16(3001+i)) }

func (m *mesh) named(name core.Name, port uint16) *Node {
	return m.AddPeer(core.PeerConfig{Self: core.Member{Name: name, Addr: Addr(port)}, Timing: m.timing,
		Observe: func(e *core.Event) {
			if e.Kind == core.Heard {
				m.texts[name]++
			}
		}})
}

// peers adds and launches n peers with all names from ' ' on.
func (m *mesh) peers(n int) {
	for i := range n {
		m.named(core.Name(rune(' '+i)), uint16(3001+i)).Launch()
	}
}

func directory(x *Node) *core.Directory { return x.Machine().(*core.Directory) }
func peer(x *Node) *core.Peer           { return x.Machine().(*core.Peer) }

func names(all []core.Member) string {
	var s []string
	for _, x := range all {
		s = append(s, string(x.Name))
	}
	slices.Sort(s)
	return strings.Join(s, "")
}

// views checks what peers know, "BC" for each.
func (m *mesh) views(want map[*Node]string) {
	m.t.Helper()
	for x, names_ := range want {
		if got := names(peer(x).Others()); got != names_ {
			m.t.Errorf("at %v: peer on %d knows %q, want %q", m.Now(), x.Port(), got, names_)
		}
	}
}

func (m *mesh) history(want ...string) {
	m.t.Helper()
	if !slices.Equal(m.events, want) {
		m.t.Errorf("at %v: history\n%q, want\n%q", m.Now(), m.events, want)
	}
}

func TestJoinTalkDie(t *testing.T) {
	m := newMesh(t, Config{Fault: Fault{Delay: 20 * time.Microsecond}}, core.DefaultTiming())
	m.server.Launch()
	a, b, c := m.peer(0), m.peer(1), m.peer(2)
	for i, x := range []*Node{a, b, c} {
		m.At(time.Duration(i)*100*time.Millisecond, x.Launch)
	}
	m.Run(time.Second)
	m.views(map[*Node]string{a: "BC", b: "AC", c: "AB"})
	m.Run(4500 * time.Millisecond)
	if m.texts["A"] != 2 || m.texts["B"] != 2 || m.texts["C"] != 2 {
		t.Errorf("after one round of broadcasts they heard %v, want 2 each", m.texts)
	}
	// B's last sign of life is its keep-alive at 4.1 s, in the server's hands
	// 20 µs later: more than 1.5 s old first at the look at 6.0 s.
	m.At(4550*time.Millisecond, b.Kill)
	m.Run(5999 * time.Millisecond)
	m.views(map[*Node]string{a: "BC", c: "AB"})
	m.Run(6*time.Second + 20*time.Microsecond)
	m.views(map[*Node]string{a: "C", c: "A"})
	m.history("20µs born A", "100.02ms born B", "200.02ms born C", "6s removed B")
}

// A silent peer leaves between 1.5 and 2 s after its last sign of life,
// whatever its phase.
func TestReapWindow(t *testing.T) {
	for _, phase := range []time.Duration{0, 1, 100 * time.Millisecond, 250 * time.Millisecond, 499 * time.Millisecond, 500*time.Millisecond - 1} {
		m := newMesh(t, Config{}, core.DefaultTiming())
		m.server.Launch()
		a, b := m.peer(0), m.peer(1)
		a.Launch()
		m.At(phase, b.Launch)
		last := phase + 3*time.Second
		m.At(last+1, b.Kill)
		m.Run(last + 1500*time.Millisecond)
		m.views(map[*Node]string{a: "B"})
		m.Run(last + 2*time.Second)
		m.views(map[*Node]string{a: ""})
	}
}

func TestRelaunch(t *testing.T) {
	for _, tt := range []struct {
		name  string
		after time.Duration
		want  []string
	}{
		{"before the reap", time.Second, []string{"0s born A", "0s born B", "3.2s repeated B"}},
		{"after the reap", 3 * time.Second, []string{"0s born A", "0s born B", "4s removed B", "5.2s born B"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMesh(t, Config{}, core.DefaultTiming())
			m.server.Launch()
			a, b := m.peer(0), m.peer(1)
			a.Launch()
			b.Launch()
			m.At(2200*time.Millisecond, b.Kill)
			m.At(2200*time.Millisecond+tt.after, b.Launch)
			m.Run(2200*time.Millisecond + tt.after)
			m.views(map[*Node]string{a: "B", b: "A"}) // at once
			m.Run(30 * time.Second)
			m.views(map[*Node]string{a: "B", b: "A"})
			m.history(tt.want...)
		})
	}
}

// withAndWithoutRefresh runs a test in a mesh on the exact protocol's timing, and in one whose members are born again.
func withAndWithoutRefresh(t *testing.T, test func(t *testing.T, m *mesh, refresh bool)) {
	for name, refresh := range map[string]time.Duration{"exact": 0, "with refresh": 5 * time.Second} {
		t.Run(name, func(t *testing.T) {
			timing := core.DefaultTiming()
			timing.Refresh = refresh
			m := newMesh(t, Config{}, timing)
			m.server.Launch()
			test(t, m, refresh > 0)
		})
	}
}

// A restarted server knows nobody, and keep-alives cannot tell it. The peers,
// who hear nothing, go on with the views they have.
func TestServerRestart(t *testing.T) {
	withAndWithoutRefresh(t, func(t *testing.T, m *mesh, refresh bool) {
		knows, nobodys := "", uint64(3*109) // of 3 peers from 6 to 60 s
		a, b, c := m.peer(0), m.peer(1), m.peer(2)
		for _, x := range []*Node{a, b, c} {
			x.Launch()
		}
		m.At(6*time.Second, m.server.Launch)
		m.Run(time.Minute)
		if refresh {
			knows = "ABC"
		}
		if got := names(directory(m.server).Members()); got != knows {
			t.Errorf("the new server knows %q, want %q", got, knows)
		}
		m.views(map[*Node]string{a: "BC", b: "AC", c: "AB"})
		if got := directory(m.server).Counters().Events[core.Unknown]; !refresh && got != nobodys {
			t.Errorf("%d keep-alives of nobody, want %d", got, nobodys)
		}
	})
}

func TestLostDirectory(t *testing.T) {
	withAndWithoutRefresh(t, func(t *testing.T, m *mesh, refresh bool) {
		a, b := m.peer(0), m.peer(1)
		a.Launch()
		m.Run(time.Second)
		m.Cut(ServerPort, a.Port())
		m.At(2*time.Second, b.Launch)
		m.At(3*time.Second, func() { m.Heal(ServerPort, a.Port()) })
		m.Run(4 * time.Second)
		m.views(map[*Node]string{a: "", b: "A"})
		m.Run(time.Minute)
		knows := ""
		if refresh {
			knows = "B"
		}
		m.views(map[*Node]string{a: knows, b: "A"})
	})
}

func TestConflict(t *testing.T) {
	m := newMesh(t, Config{}, core.DefaultTiming())
	m.server.Launch()
	a, b := m.peer(0), m.peer(1)
	a.Launch()
	b.Launch()
	rival := m.named("A", 3050) // a held name on another port
	m.At(time.Second, rival.Launch)
	m.At(1200*time.Millisecond, func() { // another name on a held port
		m.Inject(3051, ServerPort, wire.Message{Type: core.TypeBirth, Entry: wire.Entry{Name: 'Z', Port: b.Port()}}.Append(nil))
	})
	m.Run(2 * time.Second)
	m.views(map[*Node]string{a: "B", b: "A", rival: ""})
	if peer(rival).Joined() || peer(rival).Counters().In.Total().Datagrams != 0 {
		t.Error("the refused peer has heard something")
	}
	// Its keep-alives are those of the name: when A dies they keep A's entry up,
	// as in the original.
	m.At(2*time.Second, a.Kill)
	m.At(8*time.Second, rival.Kill)
	m.Run(12 * time.Second)
	m.history("0s born A", "0s born B", "1s refused A", "1.2s refused Z", "4s refused A", "7s refused A", "9.5s removed A")
}

// A ghost born with A's name on another port is kept up by A's own keep-alives,
// which name no port. They do not prove it, so A gets in with its second
// birth. Not so if the ghost has sent one keep-alive itself; then only the
// source check, under which A's do not count for it, lets A in.
func TestGhost(t *testing.T) {
	for _, x := range []struct{ check, proven, joined bool }{
		{false, false, true}, {false, true, false}, {true, false, true}, {true, true, true},
	} {
		m := newMesh(t, Config{}, core.DefaultTiming())
		server := core.DirectoryConfig{Timing: m.timing, SourceCheck: x.check, Addr: Addr(ServerPort)}
		m.server.launch = func(now time.Time) core.Machine {
			d, err := core.NewDirectory(server, now)
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		m.server.Launch()
		m.Inject(4000, ServerPort, wire.Message{Type: core.TypeBirth, Entry: wire.Entry{Name: 'A', Port: 4000}}.Append(nil))
		if x.proven {
			m.Inject(4000, ServerPort, wire.Message{Type: core.TypeKeepAlive, Entry: wire.Entry{Name: 'A'}}.Append(nil))
		}
		a := m.peer(0)
		m.At(time.Second, a.Launch)
		m.Run(time.Minute)
		if got := peer(a).Joined(); got != x.joined {
			t.Errorf("%+v: A in the mesh: %v", x, got)
		}
	}
}

func TestJoinBeforeServer(t *testing.T) {
	m := newMesh(t, Config{}, core.DefaultTiming())
	a, b := m.peer(0), m.peer(1)
	a.Launch()
	m.At(time.Second, b.Launch)
	m.At(5*time.Second, m.server.Launch)
	m.Run(6*time.Second + time.Millisecond)
	m.views(map[*Node]string{a: "", b: ""})
	m.Run(8 * time.Second)
	m.views(map[*Node]string{a: "B", b: "A"})
	m.history("6s born A", "7s born B")
}

// 95 births that come together are announced together; those that come apart
// cost no more than pacing allows.
func TestAllAtOnce(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault Fault
		most  uint64 // announcements
		by    time.Duration
	}{
		{"together", Fault{}, 1, 0},
		{"apart", Fault{Jitter: 5 * time.Millisecond}, 45, 25 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMesh(t, Config{Fault: tt.fault}, core.DefaultTiming())
			m.server.Launch()
			m.peers(core.MaxPeers)
			m.Run(tt.by)
			for _, x := range m.Nodes()[1:] {
				if got := len(peer(x).Others()); got != core.MaxPeers-1 {
					t.Fatalf("peer on %d knows %d others", x.Port(), got)
				}
			}
			if got := directory(m.server).Counters().Events[core.Announced]; got > tt.most {
				t.Errorf("%d announcements, want at most %d", got, tt.most)
			}
		})
	}
}

// Whatever comes in, the server sends its burst and then Rate datagrams a second.
func TestPacing(t *testing.T) {
	m := newMesh(t, Config{}, core.DefaultTiming())
	m.server.Launch()
	for i := range core.MaxPeers {
		m.At(time.Duration(i)*time.Millisecond, func() {
			m.Inject(9, ServerPort, wire.Message{Type: core.TypeBirth, Entry: wire.Entry{Name: wire.Name(' ' + i), Port: uint16(4001 + i)}}.Append(nil))
		})
	}
	m.Run(94 * time.Millisecond)
	c := directory(m.server).Counters()
	if c.Events[core.Announced] != 53 || c.Events[core.Held] != 7 { // see core's test
		t.Errorf("%d announcements and %d held in 94 ms, want 53 and 7", c.Events[core.Announced], c.Events[core.Held])
	}
}

func TestPartitionAndHeal(t *testing.T) {
	m := newMesh(t, Config{}, core.DefaultTiming())
	m.server.Launch()
	a, b, c := m.peer(0), m.peer(1), m.peer(2)
	for _, x := range []*Node{a, b, c} {
		x.Launch()
	}
	// C cannot reach the server, though the server reaches C: it is removed and
	// hears of that.
	m.At(2*time.Second, func() { m.Cut(c.Port(), ServerPort) })
	m.Run(4 * time.Second)
	m.views(map[*Node]string{a: "B", b: "A", c: "AB"})
	m.At(5*time.Second, func() { m.Heal(c.Port(), ServerPort) })
	m.Run(20 * time.Second)
	// The exact protocol has no way back for it.
	m.views(map[*Node]string{a: "B", b: "A", c: "AB"})
	peer(c).Connect(c.Time())
	c.JumpClock(0) // has it polled
	m.Run(21 * time.Second)
	m.views(map[*Node]string{a: "BC", b: "AC", c: "AB"})
}

// A stopped process goes on where it was: its socket has kept what came.
func TestPauseAndQueue(t *testing.T) {
	m := newMesh(t, Config{Queue: 3}, core.DefaultTiming())
	m.server.Launch()
	a, b := m.peer(0), m.peer(1)
	a.Launch()
	b.Launch()
	m.At(time.Second, b.Pause)
	for i := range 5 {
		m.At(1100*time.Millisecond, func() {
			m.Inject(a.Port(), b.Port(), wire.Message{Type: core.TypeVanilla, Payload: []byte{byte('0' + i)}}.Append(nil))
		})
	}
	m.At(2*time.Second, b.Resume)
	m.Run(1500 * time.Millisecond)
	if m.texts["B"] != 0 {
		t.Error("a stopped peer takes messages")
	}
	m.Run(3 * time.Second)
	if s := m.Stats(); m.texts["B"] != 3 || s.Overflowed != 2 {
		t.Errorf("B heard %d, %d overflowed, want 3 and 2", m.texts["B"], s.Overflowed)
	}
	m.views(map[*Node]string{a: "B", b: "A"})
}

func TestClocks(t *testing.T) {
	m := newMesh(t, Config{}, core.DefaultTiming())
	m.server.Launch()
	slow, fast, jumpy := m.peer(0), m.peer(1), m.peer(2)
	slow.DriftClock(-500_000)
	fast.DriftClock(500_000)
	for _, x := range []*Node{slow, fast, jumpy} {
		x.Launch()
	}
	m.At(10*time.Second, func() { jumpy.JumpClock(time.Hour) })
	m.At(30*time.Second, func() { jumpy.JumpClock(-1400 * time.Millisecond) })
	m.Run(60 * time.Second)
	for x, want := range map[*Node]uint64{slow: 60, fast: 180, jumpy: 118} { // keep-alives
		if got := peer(x).Counters().Out.KeepAlive.Datagrams; got < want-1 || got > want+1 {
			t.Errorf("peer on %d sent %d keep-alives, want %d", x.Port(), got, want)
		}
	}
	if got := directory(m.server).Counters().Events[core.Removed]; got != 0 {
		t.Errorf("%d removed", got)
	}
	// A clock that stands still for longer than the deadline is a silent peer.
	m.At(60*time.Second, func() { jumpy.JumpClock(-3 * time.Second) })
	m.Run(70 * time.Second)
	m.views(map[*Node]string{slow: "B", fast: "A"})
}

// Whatever the clock, the Net calls exactly when it shows the time asked for.
func TestClockInverse(t *testing.T) {
	for _, ppm := range []time.Duration{0, 1, -1, 100, -50_000, 500_000, -500_000} {
		var c clock
		c.set(7, 1234567, ppm)
		for _, v := range []time.Duration{1234567, 1234568, time.Second, time.Hour + 1, 24 * time.Hour} {
			if at := c.when(v); c.linear(at) < v || c.linear(at-1) >= v {
				t.Errorf("drift %d: shows %v at %v", ppm, v, at)
			}
		}
	}
}

// traffic is a run with every kind of fault and event in it.
func traffic(seed uint64, trace func(*Event)) *mesh {
	timing := core.DefaultTiming()
	timing.Refresh = 2 * time.Second
	m := newMesh(nil, Config{Seed: seed, Queue: 4, Trace: trace, Fault: Fault{Loss: 0.05, Delay: 50 * time.Microsecond,
		Jitter: 2 * time.Millisecond, Duplicate: 0.05, Reorder: 0.1, Hold: 700 * time.Millisecond}}, timing)
	m.server.Launch()
	m.peers(12)
	a, b, c := uint16(3001), uint16(3002), uint16(3003)
	m.SetFault(a, 0, &Fault{Worsen: 0.1, Recover: 0.3, Bad: 0.9, Jitter: time.Millisecond, Tail: true})
	m.Node(b).DriftClock(-3000)
	m.At(3*time.Second, func() { m.Cut(0, c); m.Cut(c, b) })
	m.At(6*time.Second, func() { m.Heal(0, c) })
	m.At(7*time.Second, m.Node(b).Pause)
	m.At(13*time.Second, m.Node(b).Resume)
	m.At(9*time.Second, m.Node(a).Kill)
	m.At(10*time.Second, m.Node(a).Launch)
	m.At(11*time.Second, m.server.Launch)
	m.At(12*time.Second, func() {
		for range 9 {
			m.Inject(9, c, []byte{0xC2, 0, 0xFF, 0xFF, 7})
			m.Inject(9, 4000, nil)
		}
	})
	m.At(12*time.Second, m.Node(c).Pause)
	m.At(14*time.Second, func() { m.Node(c).JumpClock(time.Second) })
	m.At(16*time.Second, m.Node(c).Resume)
	m.At(18*time.Second, func() {
		for _, x := range m.Nodes() {
			x.Kill()
		}
	})
	m.Run(20 * time.Second)
	return m
}

// The same seed gives the same event log, byte for byte, on every platform and Go
// version: the hash is pinned. It may change with the machines and the Net's
// rules, never by itself.
func TestDeterminism(t *testing.T) {
	const pinned = "be657159b67bc13e18bc6a503e1b649987d82f13c2d6b706930c3bd41693f871"
	log := func(seed uint64) (string, string) {
		h := sha256.New()
		var text strings.Builder
		trace, flush := Log(io.MultiWriter(h, &text))
		s := traffic(seed, trace).Stats()
		flush()
		for name, count := range map[string]uint64{"lost": s.Lost, "cut": s.Cut, "duplicated": s.Duplicated,
			"overflowed": s.Overflowed, "unreachable": s.Unreachable} {
			if got := uint64(strings.Count(text.String(), " "+name+" ")); got != count || count == 0 {
				t.Errorf("%s: %d in the log, %d counted, want the same and some", name, got, count)
			}
		}
		if s.Sent+s.Duplicated != s.Taken+s.Lost+s.Cut+s.Overflowed+s.Unreachable {
			t.Errorf("the sums differ: %+v", s)
		}
		return hex.EncodeToString(h.Sum(nil)), text.String()
	}
	hash, text := log(1)
	if again, _ := log(1); again != hash {
		t.Error("two runs of one seed differ")
	}
	if other, _ := log(2); other == hash {
		t.Error("two seeds give one run")
	}
	if hash != pinned {
		t.Errorf("log of seed 1 has hash %s, pinned is %s; it begins\n%.600s", hash, pinned, text)
	}
}

// What is asked for is what happens, within five standard deviations.
func TestFaultRates(t *testing.T) {
	const n = 100_000
	for _, tt := range []struct {
		name  string
		fault Fault
		of    func(Stats) uint64
		p     float64
		vary  float64 // variance of one datagram's contribution, where not p(1-p)
	}{
		{"no loss", Fault{}, func(s Stats) uint64 { return s.Lost }, 0, 0},
		{"loss", Fault{Loss: 0.3}, func(s Stats) uint64 { return s.Lost }, 0.3, 0},
		{"all lost", Fault{Loss: 1}, func(s Stats) uint64 { return s.Lost }, 1, 0},
		{"duplicates", Fault{Duplicate: 0.01}, func(s Stats) uint64 { return s.Duplicated }, 0.01, 0},
		// Bad for worsen/(worsen+recover) of the time, in bursts of 1/recover = 10.
		{"bursts", Fault{Worsen: 0.02, Recover: 0.1, Bad: 0.5}, func(s Stats) uint64 { return s.Lost }, 1. / 12, 1.2},
	} {
		m := New(Config{Seed: 5, Fault: tt.fault})
		m.Add(1, func(time.Time) core.Machine { return deaf{} }).Launch()
		m.Add(2, func(time.Time) core.Machine { return deaf{} })
		for range n {
			m.Inject(1, 2, []byte{1})
		}
		vary := max(tt.vary, tt.p*(1-tt.p))
		if got := float64(tt.of(m.Stats())) / n; math.Abs(got-tt.p) > 5*math.Sqrt(vary/n) {
			t.Errorf("%s: %v of the datagrams, want %v", tt.name, got, tt.p)
		}
	}
}

func TestDelays(t *testing.T) {
	const n = 100_000
	for _, tt := range []struct {
		fault      Fault
		least      time.Duration
		mean, most float64 // ms
	}{
		{Fault{Delay: 3 * time.Millisecond}, 3 * time.Millisecond, 3, 3},
		{Fault{Delay: time.Millisecond, Jitter: 10 * time.Millisecond}, time.Millisecond, 6, 11},
		{Fault{Jitter: 10 * time.Millisecond, Tail: true}, 0, 10, 300},
		{Fault{Reorder: 0.25, Hold: 8 * time.Millisecond}, 0, 2, 8},
	} {
		p := tt.fault.path()
		var sum, most time.Duration
		tail := 0 // of an exponential distribution, 1/e lies beyond the mean
		for i := range n {
			d := newDice(1, 2, 3, uint32(i))
			at := p.travel(&d)
			if at < tt.least {
				t.Fatalf("%+v: %v", tt.fault, at)
			}
			if at > 10*time.Millisecond {
				tail++
			}
			sum, most = sum+at, max(most, at)
		}
		if mean := sum.Seconds() * 1e3 / n; math.Abs(mean-tt.mean) > 0.02*tt.mean || most.Seconds()*1e3 > tt.most {
			t.Errorf("%+v: mean %v ms, most %v, want %v and at most %v", tt.fault, mean, most, tt.mean, tt.most)
		}
		if share := float64(tail) / n; tt.fault.Tail && math.Abs(share-1/math.E) > 0.01 {
			t.Errorf("%+v: %v lie beyond the mean, want 1/e", tt.fault, share)
		}
	}
}

func TestFaultValidate(t *testing.T) {
	if err := (Fault{Loss: 0.5, Jitter: time.Second}).Validate(); err != nil {
		t.Error(err)
	}
	for _, f := range []Fault{{Loss: 1.01}, {Duplicate: -1}, {Bad: math.NaN()}, {Delay: -1}, {Hold: 2 * time.Hour}} {
		if f.Validate() == nil {
			t.Errorf("%+v passes", f)
		}
	}
}

// In the steady state nothing is allocated, whatever the faults.
func TestNoAllocation(t *testing.T) {
	if raceEnabled {
		return // the race detector allocates
	}
	for _, fault := range []Fault{
		{Delay: time.Microsecond},
		{Loss: 0.1, Jitter: time.Millisecond, Duplicate: 0.1, Worsen: 0.1, Recover: 0.5, Bad: 1},
	} {
		m := newMesh(t, Config{Fault: fault, Queue: 1000}, core.DefaultTiming())
		m.server.Launch()
		for i := range 20 {
			m.AddPeer(core.PeerConfig{Self: core.Member{Name: core.Name(rune('A' + i)), Addr: Addr(uint16(3001 + i))}, Timing: m.timing}).Launch()
		}
		m.Run(time.Minute)
		until := m.Now()
		if got := testing.AllocsPerRun(10, func() {
			until += 4 * time.Second
			m.Run(until)
		}); got != 0 {
			t.Errorf("%+v: %v allocations in 4 s", fault, got)
		}
	}
}

type deaf struct{}

func (deaf) Step(time.Time, netip.AddrPort, []byte) bool      { return true }
func (deaf) Poll(time.Time) (out core.Outgoing, at time.Time) { return }

// A machine that never stops sending does not stop the clock.
func TestEndlessSender(t *testing.T) {
	n := New(Config{})
	n.Add(9, func(time.Time) core.Machine { return endless{} }).Launch()
	n.Run(10 * time.Microsecond)
	if got := n.Stats().Sent; got != 11*pollMost {
		t.Errorf("sent %d, want %d", got, 11*pollMost)
	}
}

type endless struct{ core.Machine }

func (endless) Poll(now time.Time) (core.Outgoing, time.Time) {
	return core.Outgoing{Datagram: []byte{0}, To: []netip.AddrPort{Addr(1)}}, now
}

// A machine on which everything stands still for a while goes on as it was.
func TestStandstill(t *testing.T) {
	m := newMesh(t, Config{}, core.DefaultTiming())
	m.server.Launch()
	m.peers(20)
	m.At(5*time.Second+100*time.Millisecond, func() {
		for _, x := range m.Nodes() {
			x.Pause()
		}
	})
	m.At(9*time.Second, func() {
		for _, x := range m.Nodes() {
			x.Resume()
		}
	})
	m.Run(15 * time.Second)
	if c := directory(m.server).Counters(); c.Events[core.Removed] != 0 || directory(m.server).Len() != 20 {
		t.Errorf("%d removed, %d are left; want 0 and 20", c.Events[core.Removed], directory(m.server).Len())
	}
}
