package reports

import (
	_ "embed"
	"encoding/json"
	"html/template"
	"io"
	"slices"
	"strings"

	"p2plocal/bench"
	"p2plocal/bench/result"
	"p2plocal/bench/stat"
)

// The page's parts. plot.min.js is Observable Plot, built by page/build.sh.
var (
	//go:embed page/page.html
	pageTemplate string
	//go:embed page/drawn.html
	drawnTemplate string // the end of a page with charts
	//go:embed page/page.css
	pageStyle string
	//go:embed page/chart.js
	chartScript string
	//go:embed page/page.js
	pageScript string
	//go:embed page/plot.min.js
	plotScript string
	//go:embed page/LICENSE.plot
	plotLicense string
)

var pageHTML = template.Must(template.New("page").Funcs(template.FuncMap{
	"cells": func(s section) [][]string {
		out := make([][]string, len(s.rows))
		for i, x := range s.rows {
			out[i] = append(out[i], x.name)
			for _, q := range x.cells {
				out[i] = append(out[i], q.String())
			}
		}
		return out
	},
	"columns": func(s section) []string { return s.columns },
	"about":   func(s section) string { return s.about },
	"facts": func(s section) []saying {
		var out []saying
		for _, f := range s.facts {
			out = append(out, saying{f.label, spans(f.text, ", ")})
		}
		for _, n := range s.notes {
			out = append(out, saying{"note", spans(phrase{{clean(n.text), n.bad}}, "")})
		}
		return out
	},
}).Parse(pageTemplate + drawnTemplate))

// maxCells is how many cells all heat maps together may have, so that the page
// stays small: some 9 bytes a cell.
const maxCells = 50_000

// A saying is a labelled phrase as the template takes it.
type saying struct {
	Label string
	Text  []span
}

// A span is one part of a phrase, with the separator behind it.
type span struct {
	Text string
	Bad  bool
	Then string
}

func spans(p phrase, separator string) []span {
	out := make([]span, len(p))
	for i, x := range p {
		out[i] = span{Text: x.text, Bad: x.bad && strings.TrimSpace(x.text) != ""}
		if i < len(p)-1 {
			out[i].Then = separator
		}
	}
	return out
}

// A leaf is one result on the page.
type leaf struct {
	Name                      string
	Headline, Machine, Origin []span
	Verdicts                  []judged
}

type judged struct {
	Text, Actual string
	OK           bool
}

func judge(all []verdict) (out []judged) {
	for _, v := range all {
		actual := v.actual.String()
		if v.actual.whole == missing {
			actual = "not measured"
		}
		out = append(out, judged{clean(v.text), actual, v.ok})
	}
	return out
}

// A chapter is one scenario of all results that have it.
type chapter struct {
	Name  string
	Leafs []chapterLeaf
}

type chapterLeaf struct {
	Result  string
	Index   int
	Section section
}

// drawn is what the page's script draws: the results' own figures.
type drawn struct {
	Results []drawnResult `json:"results"`
	Compare []compared    `json:"compare,omitempty"`
}

type drawnResult struct {
	Name      string          `json:"name"`
	Runs      int             `json:"runs"`
	Scenarios []drawnScenario `json:"scenarios"`
}

type drawnScenario struct {
	Name         string              `json:"name"`
	Peers        int                 `json:"peers"`
	Charts       result.Charts       `json:"charts"`                  // of the first run
	Percentiles  map[string][]bounds `json:"percentiles,omitempty"`   // of all runs
	RateLossless *float64            `json:"rate_lossless,omitempty"` // messages/s
}

// bounds is one tick of HDR's percentile axis: so large a part of the samples
// was at most V seconds.
type bounds struct {
	Q float64 `json:"q"`
	V float64 `json:"v"`
}

// compared is one flat metric of several results.
type compared struct {
	Metric string            `json:"metric"`
	Unit   string            `json:"unit"`
	Chosen bool              `json:"chosen"` // for the picture; the table has all
	Sides  []*result.Summary `json:"sides"`
	// Verdicts are on each side against the first, whose own is empty.
	Verdicts []stat.Verdict `json:"verdicts"`
	Cells    []string       `json:"-"`
}

// HTML writes one page that needs nothing else: results and what draws them.
// Several results are laid over each other, and compared with the first.
func HTML(w io.Writer, results []Named) error { return writeHTML(w, results, nil) }

// writeHTML writes the page, with the ratios of its two results where they were
// measured in pairs.
func writeHTML(w io.Writer, results []Named, p *stat.Pairing) error {
	page := struct {
		Title                       string
		Style                       template.CSS
		Plot, Script                template.JS
		Data                        template.JS
		License                     string
		Leafs                       []leaf
		Chapters                    []chapter
		Compared                    []compared
		Warnings                    []string
		Pairs                       *pairTable
		Several, Significance, Trim bool
	}{
		Title: "meshbench", Style: template.CSS(pageStyle), Plot: template.JS(plotScript), Script: template.JS(chartScript + pageScript),
		License: plotLicense, Several: len(results) > 1,
	}
	if p != nil {
		page.Pairs = newPairTable(p, true)
	}
	var data drawn
	cells := 0
	for i, r := range results {
		d := newDigest(r.Result)
		name := clean(r.Name)
		l := leaf{Name: name, Headline: spans(d.headline, ""), Machine: spans(d.machine, ", "), Origin: spans(d.origin, ", "), Verdicts: judge(d.verdicts)}
		page.Leafs = append(page.Leafs, l)
		for _, s := range d.sections {
			at := slices.IndexFunc(page.Chapters, func(c chapter) bool { return c.Name == s.name })
			if at < 0 {
				page.Chapters = append(page.Chapters, chapter{Name: s.name})
				at = len(page.Chapters) - 1
			}
			page.Chapters[at].Leafs = append(page.Chapters[at].Leafs, chapterLeaf{name, i, s})
		}
		x := newDrawn(name, r.Result)
		for j := range x.Scenarios {
			c := &x.Scenarios[j].Charts
			if c.Pairs == nil {
				continue
			}
			if cells += len(c.Pairs.Sent); cells > maxCells {
				c.Pairs, page.Trim = nil, true
			}
		}
		data.Results = append(data.Results, x)
	}
	if page.Several {
		data.Compare, page.Warnings = compareAll(results)
		page.Compared = data.Compare
	}
	b, err := json.Marshal(data)
	if err != nil {
		return err
	}
	page.Data = template.JS(b) // with <, > and & as escapes
	return pageHTML.Execute(w, page)
}

func newDrawn(name string, r *result.Result) drawnResult {
	d := drawnResult{Name: name, Runs: len(r.Runs), Scenarios: []drawnScenario{}}
	for _, s := range scenes(r) {
		x := drawnScenario{Name: s.Name, Peers: s.Peers, Charts: s.Charts, RateLossless: s.value("rate_lossless")}
		for _, name := range []string{"latency", "latency_due"} {
			if p := percentiles(s, name); len(p) > 0 {
				if x.Percentiles == nil {
					x.Percentiles = make(map[string][]bounds)
				}
				x.Percentiles[name] = p
			}
		}
		d.Scenarios = append(d.Scenarios, x)
	}
	return d
}

// percentiles are the ticks that have ten samples or more beyond them.
func percentiles(s scene, name string) (out []bounds) {
	h := decode(s.all, s.Name+"."+name)
	if h == nil {
		return nil
	}
	n := float64(h.TotalCount())
	for _, b := range h.CumulativeDistributionWithTicks(5) {
		if q := b.Quantile / 100; n*(1-q) >= 10-1e-9 {
			out = append(out, bounds{q, float64(b.ValueAt) / 1e9})
		}
	}
	return out
}

// compareAll sets every metric of the results side by side.
func compareAll(results []Named) (out []compared, warnings []string) {
	at := make(map[string]int)
	for i, r := range results {
		side := []*result.Result{r.Result}
		c := stat.Compare(bench.Metrics, []*result.Result{results[0].Result}, side)
		for _, w := range c.Warnings {
			if i > 0 {
				warnings = append(warnings, clean(r.Name)+": "+clean(w))
			}
		}
		for _, ch := range c.Changes {
			j, ok := at[ch.Metric]
			if !ok {
				j = len(out)
				at[ch.Metric] = j
				scenario, flat, _ := strings.Cut(ch.Metric, ".")
				out = append(out, compared{
					Metric: ch.Metric, Unit: ch.Unit,
					Chosen: slices.Contains(bench.Scenarios, scenario) && slices.Contains(summarised, flat),
					Sides:  make([]*result.Summary, len(results)), Verdicts: make([]stat.Verdict, len(results)),
				})
			}
			out[j].Sides[i] = ch.New
			if i > 0 && ch.Old != nil && ch.New != nil {
				out[j].Verdicts[i] = ch.Verdict
			}
		}
	}
	for i := range out {
		for j, s := range out[i].Sides {
			text := missing
			if s != nil {
				text = measure(s.Median, out[i].Unit).String()
				if s.Low != nil && s.High != nil {
					text += " [" + measure(*s.Low, out[i].Unit).String() + " to " + measure(*s.High, out[i].Unit).String() + "]"
				}
			}
			if v := out[i].Verdicts[j]; v != "" {
				text += " " + string(v)
			}
			out[i].Cells = append(out[i].Cells, text)
		}
	}
	return out, warnings
}
