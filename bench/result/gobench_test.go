package result

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"golang.org/x/perf/benchfmt"
)

// example is a result with two runs of a join and a steady.
func example() *Result {
	r := &Result{Schema: Schema, Tool: Tool{Name: ToolName}, Env: Env{OS: "linux", Arch: "amd64", CPU: "Some CPU\n@ 2 GHz"}}
	for i := range 2 {
		f := float64(i)
		r.Runs = append(r.Runs, Run{Scenarios: []Scenario{
			{Name: "join", Peers: 80, Metrics: map[string]Metric{
				"join.converge": Scalar("s", 0.02+f/1000),
				"join.bytes":    Scalar("bytes", 2e6),
				"join.cpu":      Never("cores"),
			}},
			{Name: "steady", Peers: 80, Metrics: map[string]Metric{
				"steady.latency": Samples("s", []float64{0.001, 0.002}),
				"steady.rate":    Scalar("messages/s", 63200+f),
				"steady.loss":    Scalar("ratio", 0),
			}},
			{Name: "crash", Peers: 80, Metrics: map[string]Metric{"crash.converge": Never("s")}},
		}})
	}
	return r
}

const exampleGoBench = `goos: linux
goarch: amd64
cpu: Some CPU @ 2 GHz
Unit converge-sec better=lower
BenchmarkMesh/scenario=join/peers=80 1 0.02 converge-sec 2e+06 bytes-B
Unit loss-ratio better=lower
Unit rate-messages/s better=higher
Unit latency.min-sec better=lower
Unit latency.max-sec better=lower
Unit latency.mean-sec better=lower
Unit latency.stddev-sec better=lower
BenchmarkMesh/scenario=steady/peers=80 1 0 loss-ratio 63200 rate-messages/s 0.001 latency.min-sec 0.002 latency.max-sec 0.0015 latency.mean-sec 0.0005 latency.stddev-sec
BenchmarkMesh/scenario=join/peers=80 1 0.021 converge-sec 2e+06 bytes-B
BenchmarkMesh/scenario=steady/peers=80 1 0 loss-ratio 63201 rate-messages/s 0.001 latency.min-sec 0.002 latency.max-sec 0.0015 latency.mean-sec 0.0005 latency.stddev-sec
`

func TestWriteGoBench(t *testing.T) {
	var b bytes.Buffer
	if err := metrics.WriteGoBench(&b, example()); err != nil {
		t.Fatal(err)
	}
	if b.String() != exampleGoBench {
		t.Errorf("got\n%s\nwant\n%s", b.String(), exampleGoBench)
	}
	if err := metrics.WriteGoBench(full{}, example()); !errors.Is(err, errFull) {
		t.Errorf("full disk: error %v", err)
	}
}

var errFull = errors.New("no space left")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

// What benchstat's own reader makes of it.
func TestGoBenchReads(t *testing.T) {
	r := example()
	r.Env.CPU = "evil\nBenchmarkX 1 1 ns/op\x1b[31m"
	r.Runs[0].Scenarios[0].Name = "a b\nc"
	var b bytes.Buffer
	if err := metrics.WriteGoBench(&b, r); err != nil {
		t.Fatal(err)
	}
	rd := benchfmt.NewReader(strings.NewReader(b.String()), "test")
	lines := 0
	for rd.Scan() {
		switch rec := rd.Result().(type) {
		case *benchfmt.Result:
			lines++
			if !strings.HasPrefix(string(rec.Name), "Mesh/scenario=") || len(rec.Values) == 0 {
				t.Errorf("line %+v", rec)
			}
		case *benchfmt.SyntaxError:
			t.Error(rec)
		}
	}
	if rd.Err() != nil || lines != 4 {
		t.Errorf("%d lines, error %v, want 4", lines, rd.Err())
	}
}

// A unit means the same in every scenario, so that one line can say which way
// is better.
func TestGoUnits(t *testing.T) {
	ways := make(map[string]int)
	for _, flat := range metrics.FlatNames() {
		d, _, _ := metrics.Define(flat)
		_, name, _ := strings.Cut(flat, ".")
		unit := goUnit(name, d.Unit)
		if way, ok := ways[unit]; ok && way != metrics.Better(flat) {
			t.Errorf("%s: unit %s is better the other way in another scenario", flat, unit)
		}
		ways[unit] = metrics.Better(flat)
	}
}
