package result

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"p2plocal/fuzz/figure"
)

// Assert is a bound on one flat metric.
type Assert struct {
	Text   string // as it was given
	Metric string
	Op     string // < <= > >= == !=
	Bound  float64
}

// AssertGrammar is what ParseAssertion reads, for -h.
const AssertGrammar = `An assertion is METRIC OPERATOR BOUND; operators are < <= > >= == and !=. Of a
distribution METRIC names a figure, such as steady.latency.p99. BOUND has the
metric's kind of unit: a duration (5ms), a percentage or ratio (0.1% or 0.001),
bytes (64MB, 64MiB or plain), or a number that may end in k, M or G (63.2k). It
must hold in every run; what was not measured does not hold.
`

// ParseAssertion reads a bound such as steady.latency.p99<5ms.
func (defs *Definitions) ParseAssertion(text string) (Assert, error) {
	a := Assert{Text: text}
	at := strings.IndexAny(text, "<>=!")
	if at < 0 {
		return a, fmt.Errorf("assertion %q has no comparison, want one such as steady.latency.p99<5ms", text)
	}
	a.Metric = strings.TrimSpace(text[:at])
	for _, op := range []string{"<=", ">=", "==", "!=", "<", ">"} {
		if strings.HasPrefix(text[at:], op) {
			a.Op = op
			break
		}
	}
	if a.Op == "" {
		return a, fmt.Errorf("assertion %q: no such comparison, want < <= > >= == or !=", text)
	}
	d, field, ok := defs.Define(a.Metric)
	switch {
	case !ok:
		return a, fmt.Errorf("assertion %q: no metric %q, want one that \"meshbench metrics\" lists", text, a.Metric)
	case d.Dist && field == "":
		return a, fmt.Errorf("assertion %q: %s is a distribution, want a part of it: %s.%s",
			text, a.Metric, a.Metric, strings.Join(Fields, ", ."))
	}
	unit := d.Unit
	if field == "n" {
		unit = "1"
	}
	var err error
	if a.Bound, err = parseBound(strings.TrimSpace(text[at+len(a.Op):]), unit); err != nil {
		return a, fmt.Errorf("assertion %q: %w", text, err)
	}
	return a, nil
}

// Check reports an error where the assertion is about a scenario that is not
// among those to run: it could only fail.
func (a Assert) Check(scenarios []string) error {
	if scenario, _, _ := strings.Cut(a.Metric, "."); !slices.Contains(scenarios, scenario) {
		return fmt.Errorf("assertion %q is about scenario %s, which is not among those to run: %s", a.Text, scenario, strings.Join(scenarios, ","))
	}
	return nil
}

// Evaluate holds the assertions against a result. One that covers several runs
// must hold in every one of them: a bound is a promise, and a median would hide
// the run that broke it. Actual is the value of the worst run. A run that did
// not measure the metric fails the assertion, as does a result without runs.
func Evaluate(asserts []Assert, r *Result) []Assertion {
	var done []Assertion
	for _, a := range asserts {
		done = append(done, a.evaluate(r.Runs))
	}
	return done
}

func (a Assert) evaluate(runs []Run) Assertion {
	scenario, _, _ := strings.Cut(a.Metric, ".")
	res := Assertion{Text: a.Text}
	for _, run := range runs {
		measured, why := false, "its scenario did not run"
		for _, s := range run.Scenarios {
			if s.Name != scenario {
				continue
			}
			v := s.Flat()[a.Metric].Value
			if v == nil {
				why = s.missing(a.Metric)
				continue
			}
			measured = true
			if res.Actual == nil || a.beyond(*v) > a.beyond(*res.Actual) {
				res.Actual = v
			}
		}
		if !measured {
			return Assertion{Text: a.Text, Reason: why}
		}
	}
	res.OK = res.Actual != nil && a.Holds(*res.Actual)
	return res
}

// missing is why a scenario does not have a figure.
func (s Scenario) missing(flat string) string {
	for _, p := range parts {
		if name, ok := strings.CutSuffix(flat, "."+p.name); ok && s.Metrics[name].Dist != nil {
			n := s.Metrics[name].Dist.N
			if least := uint64(math.Ceil(10/(1-p.percent/100) - 1e-6)); p.percent > 0 && n < least {
				return fmt.Sprintf("%s; %s needs %s: more -peers or -duration", Plural(n, "sample"), p.name, figure.Grouped(least))
			}
		}
	}
	return cmp.Or(s.Unmeasured, s.Failed, "it never happened")
}

// Holds reports that a value keeps within the bound.
func (a Assert) Holds(v float64) bool {
	switch a.Op {
	case "<", ">", "!=":
		return a.beyond(v) < 0
	}
	return a.beyond(v) <= 0
}

// beyond is how far a value is on the failing side of the bound.
func (a Assert) beyond(v float64) float64 {
	switch a.Op[0] {
	case '<':
		return v - a.Bound
	case '>':
		return a.Bound - v
	case '=':
		return math.Abs(v - a.Bound)
	}
	return -math.Abs(v - a.Bound)
}

// parseBound reads a value of a metric with this unit.
func parseBound(s, unit string) (v float64, err error) {
	var want string
	switch unit {
	case "s":
		want = "a duration such as 5ms"
		var d time.Duration
		d, err = time.ParseDuration(s)
		v = d.Seconds()
	case "ratio":
		want = "a percentage or a ratio such as 0.1% or 0.001"
		if v, err = ParseRatio(s); math.Abs(v) > 1 {
			return 0, fmt.Errorf("bound %q is beyond what a ratio can be, 100%%: want %s", s, want)
		}
	case "bytes":
		want = "bytes such as 64MiB, 64MB or 65536"
		v, err = parseScaled(s, []scale{
			{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"KB", 1e3}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}})
	default:
		want = "a number such as 12 or 63.2k"
		v, err = parseScaled(s, []scale{{"k", 1e3}, {"M", 1e6}, {"G", 1e9}})
	}
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("bound %q, want %s", s, want)
	}
	return v, nil
}

// scale is a suffix and what it stands for.
type scale struct {
	suffix string
	factor float64
}

func parseScaled(s string, scales []scale) (float64, error) {
	factor := 1.0
	for _, sc := range scales {
		if number, ok := strings.CutSuffix(s, sc.suffix); ok {
			s, factor = strings.TrimSpace(number), sc.factor
			break
		}
	}
	v, err := strconv.ParseFloat(s, 64)
	return v * factor, err
}
