package result

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// What is written reads back, and what makes no sense is refused by name.
func TestImpairment(t *testing.T) {
	for text, want := range map[string]Impairment{
		"":                    {},
		"loss=1%":             {Loss: 0.01},
		"loss=100%, dup=0":    {Loss: 1},
		"delay=2ms,jitter=1s": {Delay: 2 * time.Millisecond, Jitter: time.Second},
		"loss=1%,delay=2ms,jitter=1ms,dup=0.5%,reorder=0.25": {0.01, 2 * time.Millisecond, time.Millisecond, 0.005, 0.25},
	} {
		got, err := ParseImpairment(text)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
		var again Impairment
		if err := again.Set(got.String()); err != nil || again != want {
			t.Errorf("%q is written as %q, which reads as %+v, %v", text, got, again, err)
		}
	}
	if err := new(Impairment).Set(""); err == nil {
		t.Error("a flag without a value is taken")
	}
	for text, want := range map[string]string{
		"loss=2":        "impairment loss of 2, want 0 to 1",
		"loss=-1%":      "impairment loss of -0.01, want 0 to 1",
		"delay=-1ms":    "impairment delay of -1ms, want 0 or more",
		"delay=x":       `impairment "delay=x": "x" is no duration, want a list such as loss=1%,`,
		"dup=x":         `impairment "dup=x": "x" is neither a percentage nor a ratio`,
		"fog=1":         `impairment "fog=1": no such impairment`,
		"loss=1%,":      `impairment "": empty part`,
		"loss=NaN":      "neither a percentage nor a ratio",
		"loss=-Inf":     "neither a percentage nor a ratio",
		"loss=Inf":      "neither a percentage nor a ratio",
		"reorder=1e999": "neither a percentage nor a ratio",
	} {
		if _, err := ParseImpairment(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 peers", 1: "1 peer", 2: "2 peers", 2000: "2,000 peers"} {
		if got := Plural(n, "peer"); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
	for v, want := range map[float64]string{0: "max", 1: "1", 999: "999", 1000: "1k", 1500: "1.5k", 999_999: "999.999k", 1e6: "1M", 1.2e6: "1.2M"} {
		got := FormatRate(v)
		if again, err := ParseRate(got); got != want || err != nil || again != v {
			t.Errorf("%v: %q, which reads as %v, %v", v, got, again, err)
		}
	}
	for _, text := range []string{"", "0", "-1k", "x", "k", "NaN"} {
		if v, err := ParseRate(text); err == nil {
			t.Errorf("rate %q: %v", text, v)
		}
	}
	for text, want := range map[string]float64{"0": 0, "7": 7, "400k": 400e3, "1.2M": 1.2e6, "2e+06": 2e6} {
		var r Rate
		if err := r.Set(text); err != nil || r.Get() != want {
			t.Errorf("%q is %v, %v", text, r.Get(), err)
		}
		if again := new(Rate); again.Set(r.String()) != nil || *again != r {
			t.Errorf("%q is written as %q", text, r.String())
		}
	}
	for _, text := range []string{"", "k", "max", "1x"} {
		if err := new(Rate).Set(text); err == nil || err.Error() != "want a rate such as 2000 or 500k" {
			t.Errorf("rate %q: %v", text, err)
		}
	}
	var r Ratio
	if err := r.Set("12.5%"); err != nil || r.Get() != 0.125 || r.String() != "12.5%" {
		t.Errorf("%v %q, %v", r.Get(), r.String(), err)
	}
}

// Each percentile is its own field, with the value at its own percent.
func TestDistributionFields(t *testing.T) {
	var values []float64
	for i := range 100_000 {
		values = append(values, float64(i+1))
	}
	d := Samples("1", values).Dist
	for name, want := range map[string]float64{"n": 100_000, "min": 1, "p50": 50_000, "p90": 90_000, "p99": 99_000, "p99.9": 99_900, "p99.99": 99_990, "max": 100_000, "mean": 50_000.5} {
		if got := d.Field(name); got == nil || *got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if !slices.Equal(Fields, []string{"n", "min", "p50", "p90", "p99", "p99.9", "p99.99", "max", "mean", "stddev"}) {
		t.Errorf("%q", Fields)
	}
	if d := Samples("1", nil).Dist; d.N != 0 || d.Min != nil || d.P50 != nil {
		t.Errorf("of nothing: %+v", d)
	}
}

// A failed assertion says why.
func TestAssertionText(t *testing.T) {
	v := 0.25
	for want, a := range map[string]Assertion{
		"assertion x failed: it was 0.25":              {Text: "x", Actual: &v, Reason: "y"},
		"assertion x failed: not measured: no samples": {Text: "x", Reason: "no samples"},
		"assertion x failed: not measured":             {Text: "x"},
	} {
		if got := a.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for want, s := range map[string]Scenario{
		"999 samples; p99 needs 1,000: more -peers or -duration": {Metrics: map[string]Metric{"a.b": {Dist: &Distribution{N: 999}}}},
		"1 sample; p99 needs 1,000: more -peers or -duration":    {Metrics: map[string]Metric{"a.b": {Dist: &Distribution{N: 1}}}, Failed: "x"},
		"why":               {Metrics: map[string]Metric{"a.b": {Dist: &Distribution{N: 1000}}}, Unmeasured: "why"},
		"x":                 {Failed: "x"},
		"it never happened": {},
	} {
		if got := s.missing("a.b.p99"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A document that does not fit together is refused.
func TestCheck(t *testing.T) {
	with := func(c Charts) *Result {
		return &Result{Runs: []Run{{Scenarios: []Scenario{{Name: "steady", Charts: c}}}}}
	}
	for want, r := range map[string]*Result{
		"no runs": {},
		"run 0, steady: matrices do not fit 1 names":               with(Charts{Pairs: &Pairs{Names: "A", Sent: make([]uint32, 1), Lost: make([]uint32, 1), Max: []uint32{}}}),
		"run 0, steady: matrices do not fit 2 names":               with(Charts{Pairs: &Pairs{Names: "AB", Sent: make([]uint32, 4), Lost: make([]uint32, 3), Max: make([]uint32, 4)}}),
		"matrices do not fit 3 names":                              with(Charts{Pairs: &Pairs{Names: "ABC", Sent: make([]uint32, 8), Lost: make([]uint32, 9), Max: make([]uint32, 9)}}),
		`run 0, steady: view of "A" has 1 times for 2 sizes`:       with(Charts{Views: []ViewTrace{{Peer: "A", T: make([]float64, 1), N: make([]int, 2)}}}),
		strings.Repeat("x", 100) + `…: matrices do not fit 1 name`: {Runs: []Run{{Scenarios: []Scenario{{Name: strings.Repeat("x", 101), Charts: Charts{Pairs: &Pairs{Names: "A"}}}}}}},
	} {
		if err := r.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	for _, r := range []*Result{
		{Interrupted: true},
		with(Charts{Pairs: &Pairs{Names: "AB", Sent: make([]uint32, 4), Lost: make([]uint32, 4), Max: make([]uint32, 4)}}),
		with(Charts{Views: []ViewTrace{{T: make([]float64, 2), N: make([]int, 2)}}}),
	} {
		if err := r.check(); err != nil {
			t.Error(err)
		}
	}
}

// Whose document it is, and of which schema.
func TestReadHead(t *testing.T) {
	for text, want := range map[string]string{
		`{"schema": 1, "tool": {"name": "udpgarbage"}}`:             "\"udpgarbage\" has written it, want what meshbench -json has written",
		`{"tool": {"name": "meshbench"}}`:                           "another command of meshbench's has written it",
		`{"schema": 1, "tool": {"name": "meshbench"}, "sizes": []}`: "another command of meshbench's has written it",
		`{}`:   "it names no tool",
		`null`: "it names no tool",
		`[]`:   "there is a JSON array where an object should be",
		`{"schema": 1000, "tool": {"name": "meshbench"}}`: "written by a newer meshbench: schema 1000",
		`{"schema": 0, "tool": {"name": "meshbench"}}`:    "schema 0, want 1 to",
		`{"schema": 1`:    "unexpected end of JSON input",
		`{"schema" 1}`:    "invalid character '1'",
		`{"schema": "x"}`: "there is a JSON string where schema should be",
	} {
		if _, err := Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 3: "3 ns", 20 * time.Microsecond: "20 µs", 250 * time.Millisecond: "250 ms", 1500 * time.Millisecond: "1.5 s", 5 * time.Second: "5 s",
		16_912 * time.Millisecond: "16.9 s", time.Minute: "1 min", 90 * time.Second: "90 s", time.Hour: "60 min", 3601 * time.Second: "3601 s",
		time.Second: "1 s", time.Millisecond: "1 ms", time.Microsecond: "1 µs", 1000_500 * time.Millisecond: "1000.5 s",
	} {
		if got := Span(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
