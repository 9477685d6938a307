package result

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"p2plocal/core/simnet"
)

// Linux charges 832 bytes a datagram of what it grants, which is twice what is asked for.
func TestQueueOf(t *testing.T) {
	t.Parallel()
	for buffer, want := range map[int]int{0: 256, 1: 1, 416: 1, 831: 1, 832: 2, 212_992 / 2: 256, 1 << 20: 2520} {
		if got := QueueOf(buffer); got != want {
			t.Errorf("%d bytes: %d datagrams, want %d", buffer, got, want)
		}
	}
}

// What is not said is as -h has it; computing costs what was measured.
func TestChosen(t *testing.T) {
	t.Parallel()
	for want, o := range map[time.Duration]Options{10 * time.Second: {}, 30 * time.Second: {Driver: &Driver{}}, time.Second: {Driver: &Driver{}, Timeout: time.Second}} {
		if got := o.TimeoutTime(); got != want {
			t.Errorf("%v, want %v", got, want)
		}
	}
	if h, want := HostOf(3), (simnet.Host{Cores: 3, Wake: 8000, Take: 600, Send: 2200}); h != want {
		t.Errorf("%+v, want %+v", h, want)
	}
}

func TestSimulationText(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]Simulation{
		"links without delay, computing costs nothing":                         {},
		"every link delay=20µs, computing costs nothing":                       {Network: simnet.Fault{Delay: LoopbackDelay}},
		"links without delay, 1 core":                                          {Host: HostOf(1)},
		"links without delay, computing costs nothing, queues of 1":            {Queue: 1},
		"links without delay, computing costs nothing, queues of 256, 1 fault": {Queue: 256, Faults: make([]string, 1)},
		"links without delay, computing costs nothing, 2 faults":               {Faults: make([]string, 2)},
	} {
		if got := s.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Settings are all that Env and Config hold, by their names, but for what is never the same
// twice.
func TestSettings(t *testing.T) {
	t.Parallel()
	r := &Result{Env: Env{CPU: "a\tb", Cores: 2, Time: time.Unix(1, 0)}, Config: Config{Peers: 80, Repeat: 9, Scenarios: []string{"join"}, Options: Options{Impair: Impairment{Delay: time.Second}}}}
	got := map[string]string{}
	for _, s := range r.Settings() {
		if _, twice := got[s.Name]; twice {
			t.Errorf("%s twice", s.Name)
		}
		got[s.Name] = s.Value
	}
	for name, want := range map[string]string{
		"cpu": `"a\tb"`, "cores": "2", "peers": "80", "scenarios": `["join"]`, "options.impair.delay": "1s", "options.impair.loss": "0",
		"timing.deadline": "0s", "simulation.queue": "0", "simulated": "false", "options.server": `""`,
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	for _, name := range []string{"time", "load", "repeat", ""} {
		if v, ok := got[name]; ok {
			t.Errorf("%q is %q, want it left out", name, v)
		}
	}
	r.Config.Simulation = &Simulation{Queue: 5}
	if !slices.Contains(r.Settings(), Setting{"simulation.queue", "5"}) {
		t.Errorf("%+v", r.Settings())
	}
}

func TestAccountsPlus(t *testing.T) {
	t.Parallel()
	a, b := Accounts{1, 2, 3, 4, 5, 6, 7, 8, 9, -10}, Accounts{10, 20, 30, 40, 50, 60, 70, 80, 90, -100}
	if got, want := a.Plus(b), (Accounts{11, 22, 33, 44, 55, 66, 77, 88, 99, -110}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// What a result says of its runs.
func TestOutcome(t *testing.T) {
	t.Parallel()
	join, steady := Scenario{Name: "join"}, Scenario{Name: "steady"}
	failed, unmeasured, interrupted := Scenario{Name: "crash", Failed: "it died"}, Scenario{Name: "pause", Unmeasured: "no time"}, Scenario{Name: "steady", Interrupted: true}
	for _, x := range []struct {
		name     string
		runs     []Run
		measured bool
		failure  string
	}{
		{"no runs", nil, false, ""},
		{"an empty run", []Run{{}}, false, ""},
		{"whole", []Run{{}, {Scenarios: []Scenario{join, steady}}}, true, ""},
		{"half", []Run{{Scenarios: []Scenario{join}}}, true, ""},
		{"interrupted", []Run{{Scenarios: []Scenario{join, interrupted}}}, true, ""},
		{"failed", []Run{{Scenarios: []Scenario{join, failed, unmeasured}}}, true, "crash: it died"},
		{"unmeasured", []Run{{Scenarios: []Scenario{join, unmeasured}}, {Scenarios: []Scenario{failed, join}}}, true, "pause: no time"},
	} {
		r := &Result{Config: Config{Scenarios: []string{"join", "steady"}}, Runs: x.runs}
		if r.Measured() != x.measured || r.Failure() != x.failure || len(r.Runs) != len(x.runs) {
			t.Errorf("%s: measured %v, failure %q; want %v, %q", x.name, r.Measured(), r.Failure(), x.measured, x.failure)
		}
	}
	for _, s := range []Scenario{join, failed, unmeasured, interrupted} {
		if got, want := s.Complete(), s.Name == "join" || s.Name == "crash"; got != want {
			t.Errorf("%s is complete: %v", s.Name, got)
		}
		s.Metrics = map[string]Metric{"a.b": Never("s"), "a.c": Scalar("s", 0), "a.d": {Unit: "s", Dist: &Distribution{}}}
		flat := s.Flat()
		if flat["a.b"].Never != s.Complete() || flat["a.c"].Never || flat["a.d.p50"].Never || flat["a.d.n"].Unit != "1" || flat["a.d.p50"].Unit != "s" {
			t.Errorf("%s: %+v", s.Name, flat)
		}
	}
}

// Every suffix of a bound stands for its own power.
func TestBoundSuffixes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{
		"steady.memory<1KiB": 1 << 10, "steady.memory<1MiB": 1 << 20, "steady.memory<1GiB": 1 << 30,
		"steady.memory<1KB": 1e3, "steady.memory<1kB": 1e3, "steady.memory<1MB": 1e6, "steady.memory<1GB": 1e9, "steady.memory<1B": 1,
		"steady.sent<1k": 1e3, "steady.sent<1M": 1e6, "steady.sent<1G": 1e9,
		"steady.loss<100%": 1, "steady.loss>-1": -1,
	} {
		if a, err := metrics.ParseAssertion(text); err != nil || a.Bound != want {
			t.Errorf("%s: %v, %v, want %v", text, a.Bound, err, want)
		}
	}
}

// Which way is better: of a distribution's figures all but n have a direction.
func TestBetter(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{"steady.latency.p99": -1, "steady.latency.n": 0, "steady.rate": 1, "join.dropped": 0, "unknown": 0} {
		if got := metrics.Better(name); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
}

// A metric is one figure or a distribution, also when it has been read back.
func TestMetricJSON(t *testing.T) {
	t.Parallel()
	for text, m := range map[string]Metric{
		`{"unit":"s","value":1.5}`:      Scalar("s", 1.5),
		`{"unit":"ratio","value":null}`: Never("ratio"),
	} {
		b, err := json.Marshal(m)
		if err != nil || string(b) != text {
			t.Errorf("%s, %v, want %s", b, err, text)
		}
		var back Metric
		if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(back, m) {
			t.Errorf("%s reads as %+v, %v", b, back, err)
		}
	}
	m := Samples("1", []float64{1, 2})
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var back Metric
	if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(back, m) {
		t.Errorf("%s reads as %+v, %v", b, back, err)
	}
	for _, text := range []string{`{"unit":3}`, `{"unit":"s","n":1,"min":"x"}`} {
		if err := json.Unmarshal([]byte(text), &back); err == nil {
			t.Errorf("%s reads as %+v", text, back)
		}
	}
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if m := Scalar("s", v); m.Value != nil {
			t.Errorf("%v is a figure of %v", v, *m.Value)
		}
	}
}
