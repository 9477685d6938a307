package scenario

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"weak"

	"p2plocal/bench/mlrsearch"
	"p2plocal/bench/result"
	"p2plocal/core/simnet"
)

// simulated is the protocol's own mesh on a virtual network, with short searches.
func simulated(peers int, scenarios ...string) result.Config {
	cfg := Simulated(peers, scenarios...)
	cfg.Options.Garbage.Rate = 5000
	cfg.Options.Search = mlrsearch.Config{LossRatio: 0.5, Trial: 50 * time.Millisecond, DurationSum: 50 * time.Millisecond, Exceed: 0.5, Width: 0.5, Min: 100, Max: 2000}
	if slices.Contains(scenarios, "saturate") {
		cfg.Simulation.Host = result.HostOf(1)
	}
	return cfg
}

// written is a configuration's result as a document.
func written(t *testing.T, cfg result.Config) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := execute(t, cfg).Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A simulated result is a function of its configuration, to the byte.
func TestSimulatedTwice(t *testing.T) {
	t.Parallel()
	for _, name := range Known {
		a, b := written(t, simulated(10, name)), written(t, simulated(10, name))
		if !bytes.Equal(a, b) {
			t.Errorf("%s: two runs of one configuration differ", name)
		}
		cfg := simulated(10, name)
		cfg.Seed = 2
		if bytes.Equal(a, written(t, cfg)) {
			t.Errorf("%s: another seed gives the same result", name)
		}
	}
}

// The same bytes on every machine: what the result document holds, and how it
// comes about, has changed when this fails.
func TestSimulatedPinned(t *testing.T) {
	t.Parallel()
	cfg := simulated(5, "join", "steady", "crash", "churn")
	cfg.Simulation.Faults = []string{"200ms-8s link * 3002 loss=0.1 jitter=3ms", "3s-4s pause 3004", "5s hostile server 40"}
	r := execute(t, cfg)
	for i := range r.Runs[0].Scenarios {
		r.Runs[0].Scenarios[i].Histograms = nil // compressed, and the compressor may change with Go
	}
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	const want = "403401205b25764f7568da9021957a2eb0727a93d1ddd23260fa25e2c7f2ad63"
	if got := fmt.Sprintf("%x", sha256.Sum256(b.Bytes())); got != want {
		t.Errorf("SHA-256 %s, want %s", got, want)
	}
}

// On a perfect network figures can be computed.
func TestSimulatedFigures(t *testing.T) {
	t.Parallel()
	const peers, delay = 95, 20e-6
	cfg := simulated(peers, "join", "steady", "crash", "relaunch", "restart", "pause", "garbage")
	r := execute(t, cfg)
	const never = -1
	refresh := cfg.Options.Refresh.Seconds()
	for name, want := range map[string][2]float64{ // from, to
		"join.converge":            {2 * delay, 2 * delay}, // birth and directory: births of one instant share an announcement
		"join.propagate.max":       {2 * delay, 2 * delay},
		"join.admit.min":           {2 * delay, 2 * delay},
		"join.join_datagrams":      {2 * peers, 2 * peers},
		"steady.latency.min":       {delay, delay},
		"steady.latency.max":       {delay, delay},
		"steady.timer_error.min":   {0, 0},
		"steady.lost":              {0, 0},
		"steady.missed":            {0, 0},
		"steady.due":               {3 * peers * (peers - 1), 4 * peers * (peers - 1)}, // three rounds, and of a fourth those whose phase it reaches
		"crash.detect.n":           {peers - 1, peers - 1},
		"crash.detect.min":         {1, 2 + 2*delay},
		"crash.detect_silence.min": {1.5, 2 + 2*delay}, // the deadline, the server's next look, and a directory
		"crash.detect_silence.max": {1.5, 2 + 2*delay},
		"crash.false_positives":    {0, 0},
		"relaunch.early.admit.max": {2 * delay, 2 * delay},
		"relaunch.early.back.max":  {2 * delay, 2 * delay},
		"relaunch.late.back.max":   {2 * delay, 2 * delay},
		"restart.whole":            {never, never},
		"restart.stranded":         {peers - 1, peers - 1},
		"restart.refresh.whole":    {0, refresh + 2*delay},
		"pause.removal":            {1, 2 + 2*delay},
		"pause.back":               {never, never},
		"pause.refresh.back":       {0, refresh + 2*delay},
		"pause.rebirth.back":       {2 * delay, 2 * delay},
		"garbage.lost":             {0, 0},
		"garbage.hostile_rate":     {5000, 5000 * 1.001}, // the first goes out at once
		"garbage.latency.max":      {delay, delay},
		"garbage.false_positives":  {0, 0},
	} {
		const grain = 64e-9 // of histograms
		got := float64(never)
		for _, s := range r.Runs[0].Scenarios {
			if v := s.Flat()[name].Value; v != nil {
				got = *v
			}
		}
		if got < want[0]-grain || got > want[1]+grain {
			t.Errorf("%s is %v, want %v to %v", name, got, want[0], want[1])
		}
	}
	for _, name := range []string{"garbage.hostile_cpu", "garbage.memory_growth"} {
		if _, there := r.Runs[0].Scenarios[0].Metrics[name]; there {
			t.Errorf("%s of a simulation is never, which is a value", name)
		}
	}
	if sent, taken := flat(t, r, "garbage.hostile_sent"), flat(t, r, "garbage.hostile_taken"); sent != taken {
		t.Errorf("%v hostile datagrams sent, %v taken", sent, taken)
	}
}

// Known loss: what the network's own log says was lost is what the harness
// misses at the receivers, and what the accounts say.
func TestSimulatedLoss(t *testing.T) {
	t.Parallel()
	cfg := simulated(12, "steady")
	cfg.Simulation.Faults = []string{"50ms-1h link * * loss=0.05 duplicate=0.1 worsen=0.01 recover=0.2 bad=0.9",
		"2s-3s cut 3003 3004", "4s-4.2s cut * 3005", "6s hostile 3007 300"}
	var log bytes.Buffer
	cfg.Simulation.Trace = &log
	cfg.Timing.Refresh = time.Second
	r := execute(t, cfg)
	var lost, cut, doubled, messages float64
	for line := range strings.Lines(log.String()) {
		word := strings.Fields(line)
		message := slices.Contains(word, "vanilla") && strings.Contains(line, "_broadcast_")
		switch word[1] {
		case "lost":
			lost++
		case "cut":
			cut++
		case "duplicated":
			doubled++
		}
		if message && (word[1] == "lost" || word[1] == "cut") {
			messages++
		}
		if message && word[1] == "duplicated" {
			messages-- // one more that may be lost
		}
	}
	a := r.Runs[0].Scenarios[0].Accounts
	if float64(a.Injected) != lost+cut || float64(a.Duplicated) != doubled || a.Unexplained != 0 {
		t.Errorf("accounts %+v, want %v+%v lost, %v doubled", *a, lost, cut, doubled)
	}
	got := flat(t, r, "steady.lost") - flat(t, r, "steady.duplicated")
	if loss, want := flat(t, r, "steady.loss"), flat(t, r, "steady.lost")/flat(t, r, "steady.sent"); loss != want {
		t.Errorf("a loss of %v, want %v", loss, want)
	}
	// A message of whose sender the receiver has not heard is refused.
	if got < messages || got > messages+float64(a.Dropped) || flat(t, r, "steady.lost") == 0 {
		t.Errorf("%v messages lost less duplicated, the network's log says %v, %d refused", got, messages, a.Dropped)
	}
}

// What happens to a mesh shows in its figures, and the accounts add up.
func TestSimulatedFaults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		line  string
		check func(s result.Scenario) bool
		want  string
	}{
		{"2s-8s crash 3003", func(s result.Scenario) bool { return s.Accounts.Dead > 0 && *s.Metrics["steady.missed"].Value > 0 }, "datagrams for the dead, broadcasts missed"},
		{"2s-8s pause 3003", func(s result.Scenario) bool { return *s.Metrics["steady.latency"].Dist.Max > 4 }, "messages that waited"},
		{"2s-6s cut 3003 server", func(s result.Scenario) bool { return *s.Metrics["steady.false_positives"].Value == 1 }, "one false positive"},
		{"2s-3s crash server", func(s result.Scenario) bool {
			return *s.Metrics["steady.false_positives"].Value == 0 && s.Accounts.Dead > 0
		}, "no false positive"},
		{"0s-1s link * server loss=0.5; 5.6s-6.2s crash server", func(s result.Scenario) bool { // those whose birth was lost come at another time than the others
			return *s.Metrics["steady.false_positives"].Value == 0 && *s.Metrics["steady.sent"].Value < *s.Metrics["steady.due"].Value
		}, "shrunken views but no false positive"},
		{"2s jump 3003 500ms", func(s result.Scenario) bool { return *s.Metrics["steady.latency_due"].Dist.Max < 0.51 }, "no message later than the jump"},
		{"1s-12s drift 3003 100000", func(s result.Scenario) bool { return *s.Metrics["steady.lost"].Value == 0 }, "no loss"},
		{"2s hostile 3003 500", func(s result.Scenario) bool { return s.Accounts.Dropped > 400 }, "hostile datagrams refused"},
	} {
		cfg := simulated(10, "steady")
		lines := strings.Split(test.line, ";")
		if cfg.Timing.Refresh = time.Second; len(lines) > 1 {
			cfg.Timing.Refresh = 5 * time.Second
		}
		cfg.Simulation.Faults = lines
		r := execute(t, cfg)
		s := r.Runs[0].Scenarios[0]
		if !test.check(s) || s.Accounts.Unexplained != 0 {
			t.Errorf("%s: want %s, and accounts that add up: %+v, notes %v, missed %v, false positives %v", test.line, test.want, *s.Accounts, s.Notes,
				*s.Metrics["steady.missed"].Value, *s.Metrics["steady.false_positives"].Value)
		}
	}
}

// Until ends a mesh and its trace; what was measured is there.
func TestSimulatedUntil(t *testing.T) {
	t.Parallel()
	cfg := simulated(5, "steady", "restart")
	var log bytes.Buffer
	cfg.Simulation.Trace, cfg.Simulation.Until = &log, 3*time.Second
	r := execute(t, cfg)
	if r.Interrupted || len(r.Runs[0].Scenarios) != 2 {
		t.Fatalf("interrupted %v, %d scenarios", r.Interrupted, len(r.Runs[0].Scenarios))
	}
	for _, s := range r.Runs[0].Scenarios {
		if !s.Interrupted || s.Accounts.Unexplained != 0 {
			t.Errorf("%s: interrupted %v, accounts %+v", s.Name, s.Interrupted, *s.Accounts)
		}
	}
	last := ""
	for line := range strings.Lines(log.String()) {
		if line[0] != '#' {
			last = line
		}
		if line[0] >= '3' && line[0] <= '9' && !strings.HasPrefix(line, "3.000000000") {
			t.Fatalf("an event after the end: %s", line)
		}
	}
	if strings.Count(log.String(), "# ") != 2 || !strings.HasPrefix(last, "2.") && !strings.HasPrefix(last, "3.0") {
		t.Errorf("the log ends with %q", last)
	}
}

// What is under way at the end of an interrupted window is waited for, also what was sent at
// that very instant.
func TestSimulatedEndAmongMessages(t *testing.T) {
	t.Parallel()
	cfg := simulated(5, "steady")
	var log bytes.Buffer
	cfg.Simulation.Trace = &log
	execute(t, cfg)
	ends := 0
	for line := range strings.Lines(log.String()) {
		word := strings.Fields(line)
		if ends == 5 || word[1] != "sent" || !slices.Contains(word, "vanilla") {
			continue
		}
		ends++
		at, err := time.ParseDuration(word[0] + "s")
		if err != nil {
			t.Fatal(err)
		}
		cfg := simulated(5, "steady")
		cfg.Simulation.Until = at
		r := execute(t, cfg)
		sent, due, lost, missed := flat(t, r, "steady.sent"), flat(t, r, "steady.due"), flat(t, r, "steady.lost"), flat(t, r, "steady.missed")
		if sent != due || sent < 4 || lost != 0 || missed != 0 {
			t.Errorf("ended at %v: %v messages due, %v sent, %v lost, %v broadcasts missed", at, due, sent, lost, missed)
		}
	}
	if ends < 5 {
		t.Errorf("%d messages in the log", ends)
	}
}

// Nothing is allocated for a datagram, or for anything else that happens often:
// ten times as much of it takes no more.
func TestSimulationDoesNotAllocate(t *testing.T) {
	// Not parallel: nobody else may allocate.
	allocations := func(d time.Duration, host simnet.Host) int64 {
		cfg := simulated(20, "steady")
		cfg.Options.Duration, cfg.Simulation.Host = d, host
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		execute(t, cfg)
		runtime.ReadMemStats(&after)
		return int64(after.Mallocs - before.Mallocs)
	}
	for _, host := range []simnet.Host{{}, result.HostOf(1)} {
		short, long := allocations(time.Minute, host), allocations(10*time.Minute, host)
		if long > short+500 { // of the 60,000 datagrams more
			t.Errorf("%d allocations in a minute, %d in ten", short, long)
		}
	}
}

// An hour of virtual time with everything on, and no allocation per datagram.
func BenchmarkSimulation(b *testing.B) {
	for b.Loop() {
		cfg := simulated(95, "steady")
		cfg.Options.Duration = time.Hour
		start := time.Now()
		r, err := Execute(b.Context(), cfg, result.Tool{}, new(Status))
		if err != nil {
			b.Fatal(err)
		}
		s := r.Runs[0].Scenarios[0]
		b.ReportMetric(s.Seconds/time.Since(start).Seconds(), "x-real")
		b.ReportMetric(float64(time.Since(start).Nanoseconds())/float64(s.Accounts.Sent), "ns/datagram")
	}
	b.ReportAllocs()
}

// A host's cores bound what a mesh can carry: no more than they can send and
// take, and most of that.
func TestSimulatedSaturation(t *testing.T) {
	t.Parallel()
	cfg := simulated(20, "saturate")
	cfg.Simulation.Network.Delay, cfg.Simulation.Queue = 0, 50 // so that little waits when a trial ends
	cfg.Options.Search = mlrsearch.Config{LossRatio: 0.01, Trial: 200 * time.Millisecond, DurationSum: 200 * time.Millisecond, Exceed: 0.5, Width: 0.05, Min: 1000, Max: 10e6}
	got := flat(t, execute(t, cfg), "saturate.rate_goal")
	// Each message is sent and taken; turns are shared by more of them the longer the queues.
	h := result.HostOf(1)
	most := float64(h.Cores) / (h.Send + h.Take).Seconds()
	least := float64(h.Cores) / (h.Send + h.Take + h.Wake).Seconds()
	if got < least || got > 1.1*most {
		t.Errorf("%v messages/s, want %v to %v", got, least, most)
	}
}

// A result holds what was measured, not the mesh that it was measured on: thousands of
// repeats fit.
func TestResultHoldsNoWorld(t *testing.T) {
	t.Parallel()
	cfg := simulated(4, "crash")
	var status Status
	out, run := func() (result.Scenario, weak.Pointer[Run]) {
		s := newRun(t.Context(), &cfg, 1, Find("crash"), &status, Progress{})
		if err := s.scenario.Run(s); err != nil {
			t.Fatal(err)
		}
		s.finish()
		return s.out, weak.Make(s)
	}()
	runtime.GC()
	if run.Value() != nil {
		t.Error("the run is still there, and its world with it")
	}
	runtime.KeepAlive(&status)
	runtime.KeepAlive(out)
}

// Repeats take no more memory than their figures do, some kilobytes each: 10,000 of them fit.
func TestRepeatsAreSmall(t *testing.T) {
	// Not parallel: nobody else may allocate.
	for _, name := range []string{"join", "steady", "loss", "churn"} {
		cfg := simulated(8, name)
		cfg.Options.Duration = time.Second
		holds := func(repeats int) int64 {
			cfg.Repeat = repeats
			r := execute(t, cfg)
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			runtime.KeepAlive(r)
			return int64(m.HeapAlloc)
		}
		holds(1)
		if each := (holds(25) - holds(5)) / 20; each > 16<<10 {
			t.Errorf("%s: a repeat holds %d bytes", name, each)
		}
	}
}
