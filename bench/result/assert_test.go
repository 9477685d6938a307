package result

import (
	"strings"
	"testing"
)

func TestParseAssertion(t *testing.T) {
	for text, want := range map[string]Assert{
		"steady.latency.p99<5ms":            {Metric: "steady.latency.p99", Op: "<", Bound: 0.005},
		"steady.latency.p99.9 <= 1m":        {Metric: "steady.latency.p99.9", Op: "<=", Bound: 60},
		"join.converge<0":                   {Metric: "join.converge", Op: "<", Bound: 0},
		"steady.loss==0":                    {Metric: "steady.loss", Op: "==", Bound: 0},
		"steady.loss<0.1%":                  {Metric: "steady.loss", Op: "<", Bound: 0.001},
		"steady.loss<=100%":                 {Metric: "steady.loss", Op: "<=", Bound: 1},
		"steady.loss<0.25":                  {Metric: "steady.loss", Op: "<", Bound: 0.25},
		"steady.rate>=63.2k":                {Metric: "steady.rate", Op: ">=", Bound: 63200},
		"saturate.rate_goal>1.5M":           {Metric: "saturate.rate_goal", Op: ">", Bound: 1.5e6},
		" crash.false_positives != 3 ":      {Metric: "crash.false_positives", Op: "!=", Bound: 3},
		"steady.cpu<0.05":                   {Metric: "steady.cpu", Op: "<", Bound: 0.05},
		"steady.latency.n>10k":              {Metric: "steady.latency.n", Op: ">", Bound: 10000},
		"steady.memory<64MB":                {Metric: "steady.memory", Op: "<", Bound: 64e6},
		"steady.memory<64MiB":               {Metric: "steady.memory", Op: "<", Bound: 64 << 20},
		"steady.bytes<2 KiB":                {Metric: "steady.bytes", Op: "<", Bound: 2048},
		"steady.bytes<512B":                 {Metric: "steady.bytes", Op: "<", Bound: 512},
		"steady.bytes<512":                  {Metric: "steady.bytes", Op: "<", Bound: 512},
		"loss.false_positives_expected<2.5": {Metric: "loss.false_positives_expected", Op: "<", Bound: 2.5},
	} {
		want.Text = text
		if got, err := metrics.ParseAssertion(text); err != nil || got != want {
			t.Errorf("%q: got %+v, %v, want %+v", text, got, err, want)
		}
	}
}

func TestParseAssertionErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "no comparison",
		"steady.loss":                   "no comparison",
		"steady.loss=0":                 "want < <= > >= == or !=",
		"steady.loss!0":                 "want < <= > >= == or !=",
		"steady.latency.p98<5ms":        `no metric "steady.latency.p98"`,
		"STEADY.LOSS<1":                 `no metric "STEADY.LOSS"`,
		"steady.los<1%":                 `no metric "steady.los", want one that "meshbench metrics" lists`,
		"<5ms":                          `no metric ""`,
		"\x1b[31msteady<1":              `no metric "\x1b[31msteady"`,
		"steady.latency<5ms":            "want a part of it: steady.latency.n, .min",
		"steady.latency.p99<5":          `bound "5", want a duration such as 5ms`,
		"steady.latency.p99<":           `bound "", want a duration`,
		"steady.latency.n<5ms":          `bound "5ms", want a number`,
		"steady.loss<5ms":               `bound "5ms", want a percentage`,
		"steady.loss<5":                 `bound "5" is beyond what a ratio can be, 100%: want a percentage`,
		"steady.loss<1.5":               `bound "1.5" is beyond what a ratio can be, 100%: want a percentage`,
		"steady.loss<NaN":               `bound "NaN", want a percentage`,
		"steady.rate>1e400":             `bound "1e400", want a number`,
		"steady.rate>inf":               `bound "inf", want a number`,
		"steady.rate>-inf":              `bound "-inf", want a number`,
		"steady.loss>-Inf":              `bound "-Inf", want a percentage`,
		"steady.rate>5kk":               `bound "5kk", want a number`,
		"steady.memory<5m":              `bound "5m", want bytes`,
		"steady.loss<1%<2%":             `bound "1%<2%"`,
		strings.Repeat("x", 1e6) + "<1": "no metric",
	} {
		_, err := metrics.ParseAssertion(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: error %.300v, want it to contain %q", text, err, want)
		} else if strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("%.40q: raw control character in %q", text, err)
		}
	}
}

func TestAssertCheck(t *testing.T) {
	a, err := metrics.ParseAssertion("crash.detect.max<2s")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Check([]string{"join", "crash"}); err != nil {
		t.Error(err)
	}
	if err := a.Check([]string{"join", "steady"}); err == nil || !strings.Contains(err.Error(), "scenario crash, which is not among those to run: join,steady") {
		t.Errorf("error %v", err)
	}
}

func TestEvaluate(t *testing.T) {
	for _, test := range []struct {
		bound  string
		values []any
		actual any
		ok     bool
	}{
		{"<2s", []any{1.0, 1.5, 1.2}, 1.5, true},
		{"<2s", []any{1.0, 1.0, 2.0}, 2.0, false}, // the median holds, one run does not
		{"<=2s", []any{1.0, 2.0}, 2.0, true},
		{">1s", []any{3.0, 1.5, 2.0}, 1.5, true},
		{">1s", []any{3.0, 1.0}, 1.0, false},
		{">=1s", []any{3.0, 1.0}, 1.0, true},
		{"==1s", []any{1.0, 1.0}, 1.0, true},
		{"==1s", []any{1.0, 0.5, 1.2}, 0.5, false},
		{"!=1s", []any{2.0, 1.0, 3.0}, 1.0, false},
		{"!=1s", []any{2.0, 3.0}, 2.0, true},
		{"<2s", []any{1.0, nil}, nil, false},
		{"<2s", []any{nil, 1.0}, nil, false},
		{"<2s", nil, nil, false},
	} {
		a, err := metrics.ParseAssertion("join.converge" + test.bound)
		if err != nil {
			t.Fatal(err)
		}
		got := Evaluate([]Assert{a}, &Result{Runs: runsOf("join.converge", "s", test.values...)})
		if len(got) != 1 || got[0].Text != a.Text || got[0].OK != test.ok {
			t.Errorf("%s over %v: %+v", test.bound, test.values, got)
			continue
		}
		if have := got[0].Actual; (have == nil) != (test.actual == nil) || have != nil && *have != test.actual.(float64) {
			t.Errorf("%s over %v: actual %v, want %v", test.bound, test.values, have, test.actual)
		}
	}
	twice := runsOf("join.converge", "s", nil)
	twice[0].Scenarios = append(twice[0].Scenarios, runsOf("join.converge", "s", 1.5)[0].Scenarios...)
	a, err := metrics.ParseAssertion("join.converge<2s")
	if err != nil {
		t.Fatal(err)
	}
	if got := Evaluate([]Assert{a}, &Result{Runs: twice}); !got[0].OK || *got[0].Actual != 1.5 {
		t.Errorf("measured at the second go: %+v", got)
	}
	if got := Evaluate(nil, &Result{}); len(got) != 0 {
		t.Errorf("no assertions: %+v", got)
	}
}
