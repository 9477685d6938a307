//go:build long

package reports

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/reports/internal/browser"
)

// screen is what a page is looked at on.
type screen struct {
	width  int64
	scheme string
}

func (s screen) String() string { return fmt.Sprintf("%d-%s", s.width, s.scheme) }

// screens have each width and each scheme once: neither has anything to do with the other.
var screens = []screen{{1280, "light"}, {390, "dark"}}

// open shows a report until it says that it is drawn. heard fails the test for what the
// report complained of, and for every request but its own.
func open(t *testing.T, chromium context.Context, file string, s screen) (tab *browser.Tab, heard func()) {
	t.Helper()
	tab = browser.Open(t, chromium, "file://"+file, s.width, s.scheme, `html[data-drawn=yes]`)
	return tab, func() {
		t.Helper()
		if requests := tab.Heard("file://" + file); len(requests) != 1 {
			t.Errorf("requests: %q", requests)
		}
	}
}

// TestLongBrowser opens the pages from disk in Chromium.
func TestLongBrowser(t *testing.T) {
	chromium := browser.Start(t)
	dir := t.TempDir()
	for name, r := range pages() {
		file := filepath.Join(dir, name+".html")
		if err := os.WriteFile(file, render(t, r), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, s := range screens {
			t.Run(name+"-"+s.String(), func(t *testing.T) { visit(t, chromium, file, r, s) })
		}
	}
}

// visit opens a page once and checks all that can be seen of it.
func visit(t *testing.T, chromium context.Context, file string, r *result.Result, s screen) {
	tab, heard := open(t, chromium, file, s)
	type drawing struct {
		ID           string
		Series, Want int
		Title        string
		Labels       []string
		Rows         int
		Height       float64
	}
	overflow := browser.Eval[int](tab, `document.documentElement.scrollWidth - innerWidth`)
	background := browser.Eval[string](tab, `getComputedStyle(document.body).backgroundColor`)
	charts := browser.Eval[[]drawing](tab, `[...document.querySelectorAll("figure[data-series]")].map((f) => {
		const svg = [...f.querySelectorAll(".plot svg")].pop();
		const says = f.querySelector("details summary").textContent;
		return {
			ID: f.id, Want: Number(f.dataset.series), Title: f.querySelector("h3").textContent,
			Series: svg.querySelectorAll('g.series > :is(path, circle, rect)').length,
			Labels: [...svg.querySelectorAll('g[aria-label$="axis label"]')].map((g) => g.textContent),
			Rows: Number(says.replace(/\D/g, "")), Height: svg.getBoundingClientRect().height,
		};
	})`)
	tab.Picture(t.Name())
	if overflow > 0 {
		t.Errorf("the page is %d pixels wider than the screen", overflow)
	}
	if dark := background != "rgb(255, 255, 255)"; dark != (s.scheme == "dark") {
		t.Errorf("background %s", background)
	}
	want := expected(r)
	for _, c := range charts {
		n, ok := want[c.ID]
		if !ok {
			t.Errorf("chart %s shows what was not measured", c.ID)
		}
		delete(want, c.ID)
		if c.Series != n || c.Want != n {
			t.Errorf("chart %s: %d series drawn, %d said, want %d", c.ID, c.Series, c.Want, n)
		}
		if c.Title == "" || c.Height < 100 || c.Rows == 0 || len(c.Labels) < 2 {
			t.Errorf("chart %+v", c)
		}
	}
	for id := range want {
		t.Errorf("no chart %s", id)
	}
	if s == screens[0] {
		tables(t, tab, r)
		keyboard(t, tab, len(charts))
	} else {
		printed(t, tab)
	}
	heard()
}

// expected is how many series each chart has, by the results themselves.
func expected(r *result.Result) map[string]int {
	want := make(map[string]int)
	lines := func(c result.Charts) int {
		if !slices.ContainsFunc(c.Latency, func(b result.LatencyBucket) bool { return b.N >= 1000 }) {
			return 2 // p50, and p99 or the maximum
		}
		return 3
	}
	for _, s := range scenario.FiguresOf(r) {
		id := "s-" + s.Name
		var c result.Charts
		if !s.Repeated() {
			c = s.Charts
		}
		add := func(chart string, n int) {
			if n > 0 {
				want[id+chart] += n
			}
		}
		add("-views", len(c.Views))
		for _, run := range s.All {
			c := run.Charts
			add("-latency", min(len(c.Latency), 1)*lines(c))
			add("-noticed", len(c.Noticed))
			add("-disagreement", min(len(c.Disagreement), 1))
			add("-rate", len(c.Trials))
			add("-load", min(len(c.Trials), 1)*2)
		}
		for _, chart := range timesOf(s) {
			want[chart.ID] = len(chart.Series)
		}
		for _, name := range []string{"latency", "latency_due"} {
			add("-percentiles", min(len(percentiles(s, name)), 1))
		}
		if c.Pairs != nil {
			n, differ := 0, map[string]map[float64]bool{"-loss": {0: true}, "-slowest": {}}
			for i, sent := range c.Pairs.Sent {
				if sent > 0 {
					n++
					differ["-loss"][float64(c.Pairs.Lost[i])/float64(sent)] = true
					differ["-slowest"][float64(c.Pairs.Max[i])] = true
				}
			}
			for chart, values := range differ {
				if len(values) > 1 { // or there is nothing to see
					add(chart, n)
				}
			}
		}
	}
	return want
}

// tables opens each chart's data table and finds the results' figures in it,
// to the last digit.
func tables(t *testing.T, tab *browser.Tab, r *result.Result) {
	t.Helper()
	got := browser.Eval[map[string][][]string](tab, `(async () => {
		for (const d of document.querySelectorAll("figure details")) d.open = true;
		while ([...document.querySelectorAll("figure details")].some((d) => !d.querySelector("table"))) await new Promise((r) => setTimeout(r, 5));
		return Object.fromEntries([...document.querySelectorAll("figure[data-series]")].map((f) =>
			[f.id, [...f.querySelectorAll("tbody tr")].map((r) => [...r.cells].map((c) => c.textContent))]));
	})()`)
	for id, rows := range got {
		for _, row := range rows {
			if s := strings.Join(row, " "); strings.Contains(s, "undefined") || strings.Contains(s, "NaN") {
				t.Errorf("chart %s has a row %q", id, row)
			}
		}
	}
	number := func(v float64) string { b, _ := json.Marshal(v); return string(b) }
	find := func(id string, cells ...string) {
		t.Helper()
		for _, row := range got[id] {
			if strings.Join(row[len(row)-len(cells):], "\n") == strings.Join(cells, "\n") {
				return
			}
		}
		t.Errorf("chart %s has no row %q", id, cells)
	}
	for _, s := range scenario.FiguresOf(r) {
		c, id := s.Charts, "s-"+s.Name
		if s.Repeated() {
			c.Views, c.Pairs = nil, nil
		}
		for _, v := range c.Views {
			for k := range v.T {
				find(id+"-views", peerName(v.Peer), number(v.T[k]), number(float64(v.N[k])))
			}
		}
		for _, b := range c.Latency {
			find(id+"-latency", number(float64(b.N)), number(b.P50), number(b.P99), number(b.Max), number(float64(b.Lost)))
		}
		for _, n := range c.Noticed {
			find(id+"-noticed", peerName(n.Peer), peerName(n.Of), number(n.Seconds))
		}
		for _, p := range c.Disagreement {
			find(id+"-disagreement", number(p.T), number(p.V))
		}
		for _, x := range c.Trials {
			find(id+"-rate", number(x.Offered), number(x.Delivered), number(x.Loss), number(x.P50), number(x.P99), number(x.Seconds), clean(x.Cause))
		}
		if p := c.Pairs; p != nil {
			find(id+"-slowest", peerName(p.Names[:1]), peerName(p.Names[1:2]), number(float64(p.Sent[1])), number(float64(p.Lost[1])), number(float64(p.Max[1])))
		}
	}
}

// keyboard walks to every chart by Tab and asks its figures by the arrow keys.
func keyboard(t *testing.T, tab *browser.Tab, charts int) {
	t.Helper()
	reached := browser.Eval[int](tab, `(async () => {
		let n = 0;
		for (const p of document.querySelectorAll(".plot")) {
			p.focus();
			if (document.activeElement !== p) continue;
			n++;
			for (let i = 0; i < 45; i++) {
				p.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
				await new Promise((r) => setTimeout(r));
				if (i % 4 === 0) p.dispatchEvent(new KeyboardEvent("keydown", { key: i % 8 ? "ArrowUp" : "ArrowDown", bubbles: true }));
				if (p.querySelector('g[aria-label="tip"] path')) { p.dataset.tip = "yes"; break; }
			}
			p.blur();
		}
		return n;
	})()`)
	tips := browser.Eval[int](tab, `document.querySelectorAll(".plot[data-tip]").length`)
	if reached != charts || tips != charts {
		t.Errorf("of %d charts, the keyboard reaches %d and gets figures from %d", charts, reached, tips)
	}
}

// printed checks that paper is white whatever the screen is, and nothing on it
// is cut off.
func printed(t *testing.T, tab *browser.Tab) {
	t.Helper()
	tab.Do(chromedp.EmulateViewport(750, 1000))
	tab.Media("print", "prefers-color-scheme", "dark")
	if c := browser.Eval[string](tab, `getComputedStyle(document.body).backgroundColor`); c != "rgb(255, 255, 255)" {
		t.Errorf("paper has the colour %s", c)
	}
	if n := browser.Eval[int](tab, `[...document.querySelectorAll(".plot svg")].filter((s) => s.getBoundingClientRect().right > innerWidth).length`); n > 0 {
		t.Errorf("%d charts are wider than the paper", n)
	}
	if n := browser.Eval[int](tab, `[...document.querySelectorAll(":is(th, td):first-child")].filter((c) => getComputedStyle(c).position == "sticky").length`); n > 0 {
		t.Errorf("%d first cells of rows stay in sight, on paper, and hide the lines between rows", n)
	}
	tab.Picture(t.Name() + "-print")
	small := `dispatchEvent(new Event("beforeprint")), [...document.querySelectorAll(".plot svg:not(svg svg)")].filter((s) => s.getBoundingClientRect().width < 0.8 * s.getAttribute("width")).length`
	if n := browser.Eval[int](tab, small); n > 0 {
		t.Errorf("%d charts are drawn smaller than they are, with their text", n)
	}
}
