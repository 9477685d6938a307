package scenario

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"p2plocal/bench/machine"
	"p2plocal/bench/mesh"
	"p2plocal/bench/mlrsearch"
	"p2plocal/bench/result"
	"p2plocal/core"
)

// The test program is its own peer process.
func TestMain(m *testing.M) {
	if mesh.IsChild() {
		os.Exit(mesh.Child())
	}
	if os.Getenv(foreignEnv) != "" {
		os.Exit(foreign(os.Args[1:]))
	}
	flag.Parse()
	flag.Set("test.parallel", "16")                                                                                                                    // nearly all of them wait
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("p2plocal/fuzz/target.startTied"), goleak.IgnoreAnyFunction("p2plocal/core/udp.newClock.func1")) // live as long as the process
}

// quick is a mesh on timing ten times as fast as the protocol's.
func quick(peers int, scenarios ...string) result.Config {
	o := DefaultOptions()
	o.Duration, o.Interval, o.Refresh, o.Churn, o.Spread = 500*time.Millisecond, 50*time.Millisecond, 200*time.Millisecond, 10, 50*time.Millisecond
	o.Garbage.Rate = 5000
	o.Search = mlrsearch.Config{LossRatio: 0.5, Trial: 50 * time.Millisecond, DurationSum: 50 * time.Millisecond, Exceed: 0.5, Width: 0.5, Min: 100, Max: 2000}
	return result.Config{
		Scenarios: scenarios, Peers: peers, Seed: 1, Repeat: 1, Isolation: "goroutine", Options: o,
		Timing: core.Timing{Heartbeat: 100 * time.Millisecond, Reap: 100 * time.Millisecond, Deadline: time.Second,
			Broadcast: 400 * time.Millisecond, Retry: 300 * time.Millisecond},
	}
}

func execute(t *testing.T, cfg result.Config) *result.Result {
	t.Helper()
	r, err := Execute(t.Context(), cfg, machine.Version(nil), new(Status))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// patient is a mesh that a slow machine does not change: nobody is removed for having no time to
// speak, and who has not been heard of is born again.
func patient(cfg result.Config) result.Config {
	cfg.Timing.Deadline, cfg.Timing.Refresh, cfg.Options.Timeout = time.Minute, time.Second, time.Minute
	return cfg
}

// calm repeats what measures while this machine stands still meanwhile, but not for ever. Of a
// result that is not still calm then, some things cannot be wanted; its accounts add up all the same.
func calm(t *testing.T, measure func() *result.Result) (r *result.Result, calm bool) {
	t.Helper()
	for try := 0; try < 5 && !calm; try++ {
		r, calm = measure(), true
		for _, run := range r.Runs {
			for _, s := range run.Scenarios {
				calm = calm && !stood(s)
				if s.Accounts != nil && s.Accounts.Unexplained != 0 { // a driver's mesh has none
					t.Errorf("%s: the accounts do not add up: %+v", s.Name, *s.Accounts)
				}
			}
		}
	}
	return r, calm
}

// stood says that this machine stood still during a scenario.
func stood(s result.Scenario) bool { return strings.Contains(fmt.Sprint(s.Notes), "stood still") }

// patiently measures with ever longer deadlines, so many times as long as at first, until this machine
// has not stood still for so long that what was measured is void: of that all can be wanted.
func patiently(t *testing.T, measure func(times int) *result.Result) (r *result.Result, times float64) {
	t.Helper()
	for times := 1; ; times *= 2 {
		r := measure(times)
		if times == 32 || !strings.Contains(r.Failure(), "stood still") {
			return r, float64(times)
		}
	}
}

// flat is a flat metric of the first run that must have been measured.
func flat(t *testing.T, r *result.Result, name string) float64 {
	t.Helper()
	for _, s := range r.Runs[0].Scenarios {
		if v := s.Flat()[name].Value; v != nil {
			return *v
		}
	}
	t.Fatalf("%s was not measured", name)
	return 0
}

// within wants metrics of a run's from one value to another.
func within(t *testing.T, r *result.Result, all map[string][2]float64) {
	t.Helper()
	for name, want := range all {
		if got := flat(t, r, name); got < want[0] || got > want[1] {
			t.Errorf("%s is %v, want %v to %v", name, got, want[0], want[1])
		}
	}
}

// Each scenario measures every metric that it defines (or says null), and its
// accounts add up, with peers as goroutines, as processes and simulated.
func TestScenarios(t *testing.T) {
	accountFor(t, result.Virtual, Known)
	overUDP(t, "steady") // the rest is TestLongScenarios
}

func overUDP(t *testing.T, scenarios ...string) {
	accountFor(t, "goroutine", scenarios)
	if machine.Processes {
		accountFor(t, "process", scenarios)
	}
}

func accountFor(t *testing.T, isolation string, scenarios []string) {
	for _, name := range scenarios {
		t.Run(isolation+"/"+name, func(t *testing.T) {
			t.Parallel()
			cfg := quick(6, name)
			if cfg.Isolation = isolation; isolation == result.Virtual {
				cfg = simulated(10, name)
			}
			r := execute(t, cfg)
			s := r.Runs[0].Scenarios[0]
			if s.Accounts.Unexplained != 0 {
				t.Errorf("accounts do not add up: %+v", *s.Accounts)
			}
			if s.Accounts.Sent == 0 || s.Accounts.Taken == 0 {
				t.Errorf("nothing was sent or taken: %+v", *s.Accounts)
			}
			if name == "relaunch" {
				if admit, back := flat(t, r, "relaunch.early.admit.max"), flat(t, r, "relaunch.early.back.max"); admit <= 0 || back < admit {
					t.Errorf("back %v s after the birth, admitted after %v s", back, admit)
				}
			}
			asDefined(t, &s, isolation)
		})
	}
}

// asDefined wants every metric of a scenario's definition, and no other.
func asDefined(t *testing.T, s *result.Scenario, isolation string) {
	for _, d := range Definitions.All() {
		what, its := strings.CutPrefix(d.Name, s.Name+".")
		if !its || strings.HasPrefix(what, "server_") || slices.Contains([]string{"pipe", "harness_cpu", "leave"}, what) { // a driver's
			continue
		}
		m, ok := s.Metrics[d.Name]
		switch unknown := isolation == result.Virtual && slices.Contains([]string{"cpu", "memory", "memory_before", "hostile_cpu", "memory_growth"}, what); {
		case unknown && ok:
			t.Errorf("%s of a virtual network is %+v", d.Name, m)
		case unknown:
		case !ok:
			t.Errorf("%s is missing", d.Name)
		case m.Unit != d.Unit || (m.Dist != nil) != d.Dist && m.Value != nil:
			t.Errorf("%s is %+v, its definition %+v", d.Name, m, d)
		}
	}
	for metric := range s.Metrics {
		if _, _, ok := Definitions.Define(metric); !ok {
			t.Errorf("%s has no definition", metric)
		}
	}
}

// What the scenarios find must be what the protocol does, simulated and over UDP.
func TestFindings(t *testing.T) {
	t.Parallel()
	for _, names := range [][]string{{"join", "steady", "crash", "relaunch"}, {"restart"}, {"pause"}} {
		t.Run(names[0], func(t *testing.T) {
			t.Parallel()
			fast := quick(6, names...)
			virtual := simulated(6, names...)
			virtual.Timing, virtual.Options = fast.Timing, fast.Options
			find(t, execute(t, virtual), 1)
			r, times := patiently(t, func(times int) *result.Result {
				fast.Timing.Deadline = virtual.Timing.Deadline * time.Duration(times)
				return execute(t, fast)
			})
			find(t, r, times)
		})
	}
}

// find wants of a mesh whose deadline is so many seconds what the protocol does.
func find(t *testing.T, r *result.Result, deadline float64) {
	t.Helper()
	if why := r.Failure(); why != "" {
		t.Error(why)
	}
	never := [2]float64{-1, -1}
	for name, want := range map[string][2]float64{ // from, to
		"join.admit.n":             {6, 6},
		"steady.due":               {300, 300}, // 10 rounds of 6 peers to 5 others
		"crash.detect.n":           {5, 5},
		"crash.detect_silence.min": {deadline, 60},
		"restart.whole":            never,
		"restart.stranded":         {5, 5}, // the returned server does not know those that were there before
		"restart.refresh.whole":    {0, 60},
		"pause.back":               never,
		"pause.removal":            {0, 60},
		"pause.refresh.back":       {0, 60},
		"pause.rebirth.back":       {0, 60},
	} {
		for _, s := range r.Runs[0].Scenarios {
			if !strings.HasPrefix(name, s.Name+".") {
				continue
			}
			got := never[0]
			if v, ok := s.Flat()[name]; !ok {
				t.Errorf("%s is missing", name)
			} else if v.Value != nil {
				got = *v.Value
			}
			if got < want[0] || got > want[1] {
				t.Errorf("%s is %v, want %v to %v; -1: never", name, got, want[0], want[1])
			}
		}
	}
}

// staged runs one window of broadcasting with something done in its middle,
// and at its end.
func staged(t *testing.T, cfg result.Config, during func(s *Run), after ...func(s *Run)) *result.Result {
	t.Helper()
	s := newRun(t.Context(), &cfg, cfg.Seed, Find("steady"), new(Status), Progress{})
	err := s.with(mesh.Setup{}, func() error {
		if err := s.JoinAll(s.ctx, 0, s.opt.TimeoutTime()); err != nil {
			return err
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for s.ticked() == 0 {
				time.Sleep(time.Millisecond)
			}
			during(s)
		}()
		s.measureWindow(0, cfg.Options.Duration, cfg.Options.Interval)
		<-done
		for _, f := range after {
			f(s)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.finish()
	return &result.Result{Runs: []result.Run{{Scenarios: []result.Scenario{s.out}}}}
}

// A sender that is held up for 300 ms sends everything in the end; what it was
// late shows from the due time, and only there.
func TestFrozenSenderShowsInDueTime(t *testing.T) {
	t.Parallel()
	cfg := quick(4, "steady")
	cfg.Timing.Deadline = time.Minute // nobody is dropped or gives up, however slow the machine
	const long = 1 << 27              // ns, 134 ms: where both kinds of histogram have a boundary
	var sentLate, dueLate, latencyLate uint64
	r := staged(t, cfg, func(s *Run) {
		s.Peers[0].Do(mesh.Command{Do: mesh.Pause})
		time.Sleep(300 * time.Millisecond)
		s.Peers[0].Do(mesh.Command{Do: mesh.Resume})
	}, func(s *Run) {
		for _, bar := range s.Store.Timer.HDR().Distribution() {
			if bar.From >= long {
				sentLate += uint64(bar.Count)
			}
		}
		for _, bar := range s.Store.Due.HDR().Distribution() {
			if bar.From >= long {
				dueLate += uint64(bar.Count)
			}
		}
		for i := 1; i < s.N; i++ { // the frozen one is a receiver, too
			for j := range s.N {
				if int64(s.Store.Pair(i, j).Max)*1000 >= long {
					latencyLate++ // one at least
				}
			}
		}
	})
	if due, delivered := flat(t, r, "steady.due"), flat(t, r, "steady.delivered"); due != delivered {
		t.Errorf("%v of %v messages were delivered: the late sender shows as a lower rate", delivered, due)
	}
	if late := flat(t, r, "steady.timer_error.max"); late < 0.2 || sentLate == 0 {
		t.Errorf("highest timer error is %v s, want more than 200 ms", late)
	}
	if late := flat(t, r, "steady.latency_due.max"); late < 0.2 {
		t.Errorf("highest latency from due time is %v s, want more than 200 ms after a freeze of 300 ms", late)
	}
	if want := max(latencyLate, 3*sentLate); dueLate < want { // one that was sent late may have taken long, too
		t.Errorf("%d messages came 134 ms or more after their due time, want those of %d pairs that took as long, or 3 for each of %d broadcasts sent as late", dueLate, latencyLate, sentLate)
	}
}

// A receiver that does not read, with a small buffer, loses messages in the
// kernel; each is accounted for.
func TestFullBufferIsAccountedFor(t *testing.T) {
	t.Parallel()
	if !machine.Processes {
		return // no kernel counter to hold it against
	}
	cfg := quick(4, "steady")
	cfg.Options.ReadBuffer = 16 << 10 // some twenty messages; the directory must find room, too
	cfg.Options.Interval = time.Millisecond
	r := staged(t, patient(cfg), func(s *Run) {
		s.Peers[0].Do(mesh.Command{Do: mesh.Pause})
		time.Sleep(200 * time.Millisecond)
		s.Peers[0].Do(mesh.Command{Do: mesh.Resume})
	})
	drops := flat(t, r, "steady.kernel_drops")
	if drops == 0 {
		t.Fatal("no datagram was dropped by the kernel")
	}
	if n := flat(t, r, "steady.unexplained"); n != 0 {
		t.Errorf("%v datagrams unexplained beside %v kernel drops", n, drops)
	}
	if lost := flat(t, r, "steady.lost"); lost == 0 || lost > drops {
		t.Errorf("%v messages lost, the kernel dropped %v datagrams", lost, drops)
	}
}

// Ctrl-C in the middle leaves a result that says so and holds what there is.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var status Status
	go func() {
		for {
			if p := status.Now(); p != nil {
				if _, delivered := p.Messages(); delivered > 0 {
					cancel()
					return
				}
			}
			time.Sleep(time.Millisecond)
		}
	}()
	cfg := quick(4, "join", "steady", "crash")
	cfg.Options.Duration, cfg.Timing.Deadline = time.Hour, time.Minute // nobody is dropped
	r, err := Execute(ctx, cfg, machine.Version(nil), &status)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Interrupted || len(r.Runs) != 1 || len(r.Runs[0].Scenarios) != 2 || !r.Runs[0].Scenarios[1].Interrupted {
		t.Fatalf("interrupted %v, runs %+v", r.Interrupted, r.Runs)
	}
	if flat(t, r, "steady.delivered") == 0 || flat(t, r, "steady.lost") != 0 {
		t.Error("the interrupted window has no messages, or lost some")
	}
}

// The same seed gives the same phases and victims.
func TestSeed(t *testing.T) {
	t.Parallel()
	draw := func(seed uint64) (phases []int64, victims []int) {
		cfg := quick(5, "crash")
		m, err := mesh.NewMesh(t.Context(), &cfg, seed, mesh.Setup{})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Free()
		defer m.Stop()
		m.SpreadBroadcasts(0, time.Second)
		m.Alive = (&Run{Mesh: m}).everybody()
		s := &Run{Mesh: m}
		return slices.Clone(m.Schedule), s.choosePeers(2)
	}
	p1, v1 := draw(7)
	p2, v2 := draw(7)
	p3, _ := draw(8)
	if !slices.Equal(p1, p2) || !slices.Equal(v1, v2) {
		t.Errorf("seed 7 gave %v %v, then %v %v", p1, v1, p2, v2)
	}
	if slices.Equal(p1, p3) {
		t.Errorf("seeds 7 and 8 both gave %v", p1)
	}
}
