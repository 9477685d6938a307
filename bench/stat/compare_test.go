package stat

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"p2plocal/bench/result"
)

var sides = [2]string{"old", "new"}

func side(runs []result.Run) *result.Result { return &result.Result{Runs: runs} }

func TestCompare(t *testing.T) {
	for _, test := range []struct {
		name     string
		metric   string
		old, new []any
		delta    any
		verdict  Verdict
		fails    bool // beyond 5 %
	}{
		{"slower", "join.converge", []any{1.0, 1.1, 1.2, 1.3}, []any{2.0, 2.1, 2.2, 2.3}, 1 / 1.15, Worse, true},
		{"faster", "join.converge", []any{2.0, 2.1, 2.2, 2.3}, []any{1.0, 1.1, 1.2, 1.3}, -1 / 2.15, Better, false},
		{"a little slower", "join.converge", []any{1.0, 1.001, 1.002, 1.003}, []any{1.01, 1.011, 1.012, 1.013}, 0.01 / 1.0015, Worse, false},
		{"overlap", "join.converge", []any{1.0, 2.0, 3.0, 4.0}, []any{1.5, 2.5, 3.5, 4.5}, 0.2, Same, false},
		{"one run each", "join.converge", []any{1.0}, []any{9.0}, 8.0, Same, false},
		{"a lower rate", "steady.rate", []any{9.0, 9.1, 9.2, 9.3}, []any{8.0, 8.1, 8.2, 8.3}, -1 / 9.15, Worse, true},
		{"neither good nor bad", "join.datagrams", []any{1.0, 2.0, 3.0, 4.0}, []any{5.0, 6.0, 7.0, 8.0}, 4 / 2.5, Differs, false},
		{"from nothing", "steady.lost", []any{0.0, 0.0, 0.0, 0.0}, []any{5.0, 6.0, 7.0, 8.0}, nil, Worse, true},
		{"nothing at all", "steady.lost", []any{0.0, 0.0, 0.0, 0.0}, []any{0.0, 0.0, 0.0, 0.0}, nil, Same, false},
		{"a quarter of next to nothing", "steady.cpu", []any{0.040, 0.041, 0.042, 0.043}, []any{0.050, 0.051, 0.052, 0.053}, 0.01 / 0.0415, Worse, false},
		{"more than next to nothing", "steady.cpu", []any{0.40, 0.41, 0.42, 0.43}, []any{0.50, 0.51, 0.52, 0.53}, 0.1 / 0.415, Worse, true},
		{"a microsecond", "join.converge", []any{10e-6, 10.1e-6, 10.2e-6, 10.3e-6}, []any{12e-6, 12.1e-6, 12.2e-6, 12.3e-6}, 2 / 10.15, Worse, false},
		{"to never", "restart.whole", []any{1.0, 1.1, 1.2, 1.3}, []any{nil, nil, nil, nil}, nil, Worse, true},
		{"from never", "restart.whole", []any{nil, nil, nil, nil}, []any{1.0, 1.1, 1.2, 1.3}, nil, Better, false},
		{"medians equal, ranks not", "steady.lost", []any{0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0}, []any{0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 9.0}, nil, Same, false},
		{"nearly all slower", "join.converge", []any{1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0}, []any{7.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0}, 7 / 4.0, Worse, true},
		{"a megabyte", "steady.memory", []any{1e6, 1e6, 1e6, 1e6}, []any{2e6, 2e6, 2e6, 2e6}, 1.0, Worse, false},
		{"more than a megabyte", "steady.memory", []any{1e6, 1e6, 1e6, 1e6}, []any{3e6, 3e6, 3e6, 3e6}, 2.0, Worse, true},
		{"a rate to never", "saturate.rate_lossless", []any{1.0, 1.1, 1.2, 1.3}, []any{nil, nil, nil, nil}, nil, Worse, true},
	} {
		d, _, _ := metrics.Define(test.metric)
		c := Compare(metrics, sides, side(runsOf(test.metric, d.Unit, test.old...)), side(runsOf(test.metric, d.Unit, test.new...)))
		if len(c.Changes) != 1 || c.OldRuns != len(test.old) || c.NewRuns != len(test.new) {
			t.Fatalf("%s: %+v", test.name, c)
		}
		ch := c.Changes[0]
		if ch.Verdict != test.verdict {
			t.Errorf("%s: verdict %q (p %v), want %q", test.name, ch.Verdict, *ch.P, test.verdict)
		}
		if (ch.Delta == nil) != (test.delta == nil) || ch.Delta != nil && math.Abs(*ch.Delta-test.delta.(float64)) > 1e-9 {
			t.Errorf("%s: delta %v, want %v", test.name, ch.Delta, test.delta)
		}
		if fails := len(c.Regressions(0.05)) > 0; fails != test.fails {
			t.Errorf("%s: regression %v, want %v", test.name, fails, test.fails)
		}
		few := slices.ContainsFunc(c.Warnings, func(w string) bool { return strings.Contains(w, "too few runs") })
		if few != (len(test.old) < 4) {
			t.Errorf("%s: warnings %q", test.name, c.Warnings)
		}
	}
}

// Cores over times of different length are no better and no worse.
func TestCoresOverDifferentTimes(t *testing.T) {
	of := func(seconds, cores float64) *result.Result {
		runs := runsOf("join.cpu", "cores", cores, cores+0.001, cores+0.002, cores+0.003)
		runs = append(runs, runsOf("join.cpu", "cores", cores+0.001, cores+0.002)...)
		for i := range runs {
			runs[i].Scenarios[0].Metered = seconds
		}
		return side(runs)
	}
	for _, test := range []struct {
		old, new float64
		verdict  Verdict
		warning  string
	}{
		{1e-3, 1.5e-3, Worse, ""},
		{1.5e-3, 1e-3, Worse, ""},
		{1e-3, 1.6e-3, Differs, "join.cpu is over 1 ms old, over 1.6 ms new: neither better nor worse"},
		{0.5, 1e-3, Differs, "join.cpu is over 500 ms old, over 1 ms new: neither better nor worse"},
		{0, 1e-3, Worse, ""}, // of before it was written down
	} {
		old, new := of(test.old, 0.1), of(test.new, 0.9)
		c := Compare(metrics, sides, old, new)
		if c.Changes[0].Verdict != test.verdict || strings.Join(c.Warnings, "") != test.warning {
			t.Errorf("%v and %v s: %s, %q", test.old, test.new, c.Changes[0].Verdict, c.Warnings)
		}
		for i := range new.Runs {
			new.Runs[i].Scenarios[0].Metrics["join.server_cpu"] = result.Scalar("cores", 1)
		}
		if c := Compare(metrics, sides, old, new); strings.Join(c.Warnings, "") != test.warning {
			t.Errorf("%v and %v s, and what one side has: %q", test.old, test.new, c.Warnings)
		}
		if v := InTurns(metrics, []*result.Result{old, new}).Metrics[0].Ratios[0].Verdict; v != test.verdict {
			t.Errorf("%v and %v s, in turns: %s", test.old, test.new, v)
		}
	}
}

// A number of metrics is said as one says it.
func TestTooFewRuns(t *testing.T) {
	of := func(values ...float64) *result.Result {
		var all []result.Run
		for _, v := range values {
			one := runsOf("join.converge", "s", v)
			one[0].Scenarios[0].Metrics["join.sizes"] = result.Scalar("1", math.Floor(v/10))
			all = append(all, one...)
		}
		return side(all)
	}
	for _, test := range []struct {
		new  float64
		want string
	}{
		{2, "too few runs, 1 old, 1 new, to tell a change of one metric from chance, want 4 or more of each"},
		{20, "too few runs, 1 old, 1 new, to tell a change of one of 2 metrics from chance, want 5 or more of each"},
	} {
		if c := Compare(metrics, sides, of(1), of(test.new)); strings.Join(c.Warnings, "") != test.want {
			t.Errorf("%v: %q", test.new, c.Warnings)
		}
	}
}

func TestCompareOneSided(t *testing.T) {
	a, b := runsOf("join.converge", "s", 1.0, 2.0, 3.0, 4.0, 5.0), runsOf("join.converge", "s", 3.0, 4.0, 5.0)
	c := Compare(metrics, sides, side(a), side(append(b, runsOf("steady.loss", "ratio", 0.5)...)))
	if len(c.Changes) != 2 {
		t.Fatalf("%+v", c)
	}
	if ch := c.Changes[0]; ch.Metric != "join.converge" || ch.Old.N != 5 || ch.Old.Median != 3 || ch.New.N != 3 || ch.New.Median != 4 {
		t.Errorf("%+v", ch)
	}
	if ch := c.Changes[1]; ch.Metric != "steady.loss" || ch.Old != nil || ch.New.N != 1 || ch.P != nil || ch.Verdict != Same {
		t.Errorf("measured on one side only: %+v", ch)
	}
	if c := Compare(metrics, sides, side(nil), side(nil)); len(c.Changes) != 0 || len(c.Regressions(0)) != 0 {
		t.Errorf("nothing: %+v", c)
	}
}

func TestCompareWarnings(t *testing.T) {
	runs := runsOf("join.converge", "s", 1.0, 2.0, 3.0, 4.0)
	of := func(change func(*result.Result)) *result.Result {
		r := &result.Result{Runs: runs, Config: result.Config{Peers: 80, Options: result.Options{Interval: 4 * time.Second, Impair: result.Impairment{Loss: 0.01}}}, Env: result.Env{CPU: "one", Cores: 2}}
		change(r)
		return r
	}
	same := func(*result.Result) {}
	for _, test := range []struct {
		name   string
		change func(*result.Result)
		want   string // "": no warning
	}{
		{"same", same, ""},
		{"time", func(r *result.Result) { r.Env.Time = time.Unix(1, 0) }, ""},
		{"load", func(r *result.Result) { r.Env.Load[0] = 1 }, ""},
		{"repeat", func(r *result.Result) { r.Config.Repeat = 9 }, ""},
		{"version", func(r *result.Result) { r.Tool.Version, r.Tool.Commit = "2", "abc" }, ""},
		{"cpu", func(r *result.Result) { r.Env.CPU = "two\x1b" }, `cpu differs: "one" old, "two\x1b" new`},
		{"cores", func(r *result.Result) { r.Env.Cores = 4 }, "cores differs: 2 old, 4 new"},
		{"kernel", func(r *result.Result) { r.Env.Kernel = "7" }, `kernel differs: "" old, "7" new`},
		{"go", func(r *result.Result) { r.Env.Go = "go2" }, `go differs: "" old, "go2" new`},
		{"peers", func(r *result.Result) { r.Config.Peers = 20 }, "peers differs: 80 old, 20 new"},
		{"seed", func(r *result.Result) { r.Config.Seed = 7 }, "seed differs: 0 old, 7 new"},
		{"isolation", func(r *result.Result) { r.Config.Isolation = "process" }, `isolation differs: "" old, "process" new`},
		{"deadline", func(r *result.Result) { r.Config.Timing.Deadline = time.Second }, "timing.deadline differs: 0s old, 1s new"},
		{"interval", func(r *result.Result) { r.Config.Options.Interval = time.Second }, "options.interval differs: 4s old, 1s new"},
		{"loss", func(r *result.Result) { r.Config.Options.Impair.Loss = 0.5 }, "options.impair.loss differs: 0.01 old, 0.5 new"},
		{"scenarios", func(r *result.Result) { r.Config.Scenarios = []string{"join"} }, `scenarios differs: [] old, ["join"] new`},
		{"simulation", func(r *result.Result) { r.Config.Simulation = &result.Simulation{Queue: 3} }, "simulation.queue differs: 0 old, 3 new"},
		{"interrupted", func(r *result.Result) { r.Interrupted = true }, "the new result was interrupted"},
		{"dirty", func(r *result.Result) { r.Tool.Dirty = true }, "the new result comes from a build with uncommitted changes"},
	} {
		got := Compare(metrics, sides, of(same), of(test.change)).Warnings
		if test.want == "" && len(got) > 0 || test.want != "" && !slices.Equal(got, []string{test.want}) {
			t.Errorf("%s: warnings %q, want %q", test.name, got, test.want)
		}
	}
	if got := Compare(metrics, sides, side(runs), side(runsOf("join.converge", "ms", 1.0, 2.0, 3.0, 4.0))); len(got.Changes) != 0 || len(got.Warnings) != 1 {
		t.Errorf("other unit: %+v", got)
	}
}

// A simulated side is said once, not as a dozen differences of the machine.
func TestCompareSimulated(t *testing.T) {
	t.Parallel()
	real := &result.Result{Env: result.Env{OS: "linux", Cores: 2}, Config: result.Config{Peers: 5, Isolation: "goroutine", Scenarios: []string{"join"}}, Runs: []result.Run{{}}}
	sim := &result.Result{Env: result.Env{Simulated: true}, Config: result.Config{Peers: 6, Isolation: result.Virtual, Simulation: new(result.Simulation)}, Runs: []result.Run{{}}}
	text := strings.Join(Compare(metrics, sides, real, sim).Warnings, "\n")
	if !strings.Contains(text, "one side is simulated") || !strings.Contains(text, "peers differs: 5 old, 6 new") || !strings.Contains(text, `scenarios differs: ["join"] old, [] new`) ||
		strings.Contains(text, "\nos differs") || strings.Contains(text, "isolation") || strings.Contains(text, "buffer") {
		t.Errorf("warnings:\n%s", text)
	}
	if text := strings.Join(Compare(metrics, sides, sim, sim).Warnings, "\n"); strings.Contains(text, "simulat") {
		t.Errorf("two simulations: %s", text)
	}
}

// Warnings call the sides as the table does.
func TestCompareNamesSides(t *testing.T) {
	of := func(unit string) *result.Result {
		return &result.Result{Interrupted: unit == "ms", Runs: append(runsOf("join.converge", "s", 1.0, 2.0), runsOf("steady.loss", unit, 1.0)...)}
	}
	text := strings.Join(Compare(metrics, [2]string{"UDP", "simulated"}, of("s"), of("ms")).Warnings, "\n")
	for _, want := range []string{"3 UDP, 3 simulated", `"s" on one side (UDP), in "ms" on the other (simulated)`, "the simulated result was interrupted"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "old") || strings.Contains(text, "new") {
		t.Errorf("another name of a side in\n%s", text)
	}
}

// A regression is more than the threshold, and what never happened on either side is none.
func TestThreshold(t *testing.T) {
	old, new := &result.Result{Runs: runsOf("join.converge", "s", 2.0, 2.0, 2.0, 2.0)}, &result.Result{Runs: runsOf("join.converge", "s", 3.0, 3.0, 3.0, 3.0)}
	c := Compare(metrics, sides, old, new)
	for threshold, want := range map[float64]int{0.49: 1, 0.5: 0, 0.51: 0} {
		if got := c.Regressions(threshold); len(got) != want {
			t.Errorf("half as much again, beyond %v: %+v, want %d", threshold, got, want)
		}
	}
	never := &result.Result{Runs: runsOf("restart.whole", "s", nil, nil)}
	if c := Compare(metrics, sides, never, never); len(c.Changes) != 0 {
		t.Errorf("never on both sides: %+v", c.Changes)
	}
}
