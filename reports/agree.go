package reports

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"

	"p2plocal/bench/result"
	"p2plocal/bench/stat"
)

// Agree writes what a mesh measures over UDP beside what it measures simulated.
func Agree(w io.Writer, a *stat.Agreement, real, sim *result.Result, o TextOptions) error {
	p := newPage(o)
	var rows [][]string
	for _, x := range a.Beside {
		row := []string{x.Metric}
		for _, side := range [][]float64{x.Real, x.Sim} {
			for _, v := range stat.Quantiles(side) {
				row = append(row, quantile(v, x.Unit))
			}
		}
		rows = append(rows, append(row, fmt.Sprintf("%.2f", x.D), probability(&x.P), probability(&x.Q), disagrees(x)))
	}
	p.wrapped("", agreeHeadline(a), " ", bold)
	p.wrapped("", agreeMethod(a), " ", faint)
	if len(rows) > 0 {
		p.line("")
		p.grid([]string{"over the runs", "UDP p10", "p50", "p90", "sim p10", "p50", "p90", "D", "p", "q", ""}, rows)
	}
	if len(a.Equal) > 0 {
		p.line("")
		p.wrapped("", phrase{}.add("the same in all runs of both: %s", strings.Join(a.Equal, ", ")), "", "")
	}
	for _, warning := range a.Warnings {
		p.line("")
		p.wrapped("", phrase{}.addIf(true, "%s", clean(warning)), " ", "")
	}
	p.line("")
	p.wrapped(p.label("UDP", 5), append(machine(real), origin(real)...), ", ", faint)
	p.wrapped(p.label("sim", 5), append(machine(sim), origin(sim)...), ", ", faint)
	return p.flush(w)
}

func agreeHeadline(a *stat.Agreement) phrase {
	differ := 0
	for _, x := range a.Beside {
		if x.Differs {
			differ++
		}
	}
	return phrase{}.add("%d runs over UDP, %d simulated:", a.RealRuns, a.SimRuns).
		add("%d of %d figures are distributed differently", differ, len(a.Beside)+len(a.Equal))
}

func agreeMethod(a *stat.Agreement) phrase {
	return phrase{}.add("p10, p50, p90: of the figure's values, one a run; D: largest distance of their distribution functions; p: two-sample Kolmogorov-Smirnov, exact; q: p adjusted for %d tests (Benjamini-Hochberg), differs: q ≤ %v",
		len(a.Beside), a.Alpha)
}

func quantile(v float64, unit string) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "never"
	}
	return measure(v, unit).String()
}

func disagrees(x stat.Beside) string {
	if x.Differs {
		return "differs"
	}
	return "~"
}

//go:embed page/agree.html
var agreeTemplate string

// AgreeHTML writes the same as a page that opens offline, with a picture of
// each figure's two distribution functions.
func AgreeHTML(w io.Writer, a *stat.Agreement, real, sim *result.Result) error {
	type figure struct {
		stat.Beside
		Verdict   string
		Quantiles []string
		D, P, Q   string
		Low, High string
		Log       bool // the axis is
		RealPath  string
		SimPath   string
	}
	var figures []figure
	for _, x := range a.Beside {
		f := figure{Beside: x, Verdict: disagrees(x), D: fmt.Sprintf("%.2f", x.D), P: probability(&x.P), Q: probability(&x.Q)}
		for _, side := range [][]float64{x.Real, x.Sim} {
			for _, v := range stat.Quantiles(side) {
				f.Quantiles = append(f.Quantiles, quantile(v, x.Unit))
			}
		}
		low, high := span2(x.Real, x.Sim)
		f.Low, f.High = quantile(low, x.Unit), quantile(high, x.Unit)
		place := func(v float64) float64 { return (v - low) / (high - low) }
		if f.Log = low > 0 && high/low > 10; f.Log {
			place = func(v float64) float64 { return math.Log(v/low) / math.Log(high/low) }
		}
		f.RealPath, f.SimPath = steps(x.Real, place), steps(x.Sim, place)
		figures = append(figures, f)
	}
	return agreeHTML.Execute(w, map[string]any{
		"Style": template.CSS(pageStyle), "Headline": spans(agreeHeadline(a), " "), "Method": spans(agreeMethod(a), ""),
		"Figures": figures, "Equal": strings.Join(a.Equal, ", "), "Warnings": a.Warnings,
		"Real": spans(append(machine(real), origin(real)...), ", "), "Sim": spans(append(machine(sim), origin(sim)...), ", "),
	})
}

var agreeHTML = template.Must(template.New("agree").Parse(agreeTemplate))

// span2 is the range of both sides' finite values.
func span2(a, b []float64) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, side := range [][]float64{a, b} {
		for _, v := range side {
			if !math.IsInf(v, 0) {
				low, high = min(low, v), max(high, v)
			}
		}
	}
	return low, high
}

// The plane of a picture, in pixels.
const (
	planeWidth  = 400
	planeHeight = 120
)

// steps is the empirical distribution function of ascending values, as an SVG
// path over the plane; place is where a value lies on its axis, from 0 to 1.
func steps(values []float64, place func(float64) float64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "M0 %d", planeHeight)
	for i, v := range values {
		if math.IsInf(v, 1) {
			break
		}
		x := place(v) * planeWidth
		if math.IsNaN(x) || math.IsInf(x, -1) { // a single finite value, or one that is better than any
			x = 0
		}
		fmt.Fprintf(&b, "H%.1f V%.1f", x, planeHeight*(1-float64(i+1)/float64(len(values))))
	}
	fmt.Fprintf(&b, "H%d", planeWidth)
	return b.String()
}
