//go:build long

package reports

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
)

var pictures = flag.String("pictures", "", "directory for screenshots of the pages that the browser test opens")

// chromium starts a browser, whose absence is a failure where CI is set.
func chromium(t *testing.T) context.Context {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.WSURLReadTimeout(time.Minute))
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	browser, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	if err := chromedp.Do(browser); err != nil && os.Getenv("CI") == "" {
		t.Skipf("no Chromium (Debian's package chromium) to look with: %v", err)
	} else if err != nil {
		t.Fatalf("cannot start Chromium (Debian's package chromium): %v", err)
	}
	return browser
}

// TestLongBrowser opens the pages from disk in Chromium.
func TestLongBrowser(t *testing.T) {
	browser := chromium(t)
	dir := t.TempDir()
	for name, r := range pages() {
		file := filepath.Join(dir, name+".html")
		if err := os.WriteFile(file, render(t, r), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, width := range []int64{1280, 390} {
			for _, scheme := range []string{"light", "dark"} {
				t.Run(fmt.Sprintf("%s-%d-%s", name, width, scheme), func(t *testing.T) {
					visit(t, browser, file, r, width, scheme)
				})
			}
		}
	}
}

// visit opens a page once and checks all that can be seen of it.
func visit(t *testing.T, browser context.Context, file string, r *result.Result, width int64, scheme string) {
	tab, heard := open(t, browser, file, width, scheme)
	type drawing struct {
		ID           string
		Series, Want int
		Title        string
		Labels       []string
		Rows         int
		Height       float64
	}
	overflow := eval[int](t, tab, `document.documentElement.scrollWidth - innerWidth`)
	background := eval[string](t, tab, `getComputedStyle(document.body).backgroundColor`)
	charts := eval[[]drawing](t, tab, `[...document.querySelectorAll("figure[data-series]")].map((f) => {
		const svg = [...f.querySelectorAll(".plot svg")].pop();
		const says = f.querySelector("details summary").textContent;
		return {
			ID: f.id, Want: Number(f.dataset.series), Title: f.querySelector("h3").textContent,
			Series: svg.querySelectorAll('g.series > :is(path, circle, rect)').length,
			Labels: [...svg.querySelectorAll('g[aria-label$="axis label"]')].map((g) => g.textContent),
			Rows: Number(says.replace(/\D/g, "")), Height: svg.getBoundingClientRect().height,
		};
	})`)
	if *pictures != "" {
		picture(t, tab, filepath.Join(*pictures, strings.ReplaceAll(t.Name(), "/", "-")+".png"))
	}
	if overflow > 0 {
		t.Errorf("the page is %d pixels wider than the screen", overflow)
	}
	if dark := background != "rgb(255, 255, 255)"; dark != (scheme == "dark") {
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
	if width == 1280 && scheme == "light" {
		tables(t, tab, r)
		keyboard(t, tab, len(charts))
	}
	if width == 1280 && scheme == "dark" {
		printed(t, tab)
	}
	heard()
}

// open shows a page until it says that it is drawn. heard fails the test for
// whatever the page complained of, and for every request but the page's own.
func open(t *testing.T, browser context.Context, file string, width int64, scheme string) (tab context.Context, heard func()) {
	t.Helper()
	var complaints, requests []string
	var mu sync.Mutex
	tab, cancel := chromedp.NewContext(browser, chromedp.WithListener(func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventConsoleAPICalled:
			complaints = append(complaints, fmt.Sprint("console: ", e.Type))
		case *runtime.EventExceptionThrown:
			text := e.ExceptionDetails.Text
			if x := e.ExceptionDetails.Exception; x != nil {
				text += " " + x.Description
			}
			complaints = append(complaints, text)
		case *log.EventEntryAdded:
			complaints = append(complaints, e.Entry.Text)
		case *cdppage.EventJavascriptDialogOpening:
			complaints = append(complaints, "dialog: "+e.Message)
		case *network.EventRequestWillBeSent:
			if !strings.HasPrefix(e.Request.URL, "data:") {
				requests = append(requests, e.Request.URL)
			}
		}
	}))
	t.Cleanup(cancel)
	if err := chromedp.Do(tab); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(tab, 5*time.Minute) // also of a machine that stands still for a while
	defer stop()
	if err := chromedp.Do(ctx,
		chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
			if err == nil {
				_, err = cdp.Call(ctx, t, network.Enable, network.EnableParams{})
			}
			return err
		}),
		chromedp.EmulateViewport(width, 900),
		chromedp.Navigate("file://"+file),
		chromedp.WaitReady(chromedp.CSS(`html[data-drawn=yes]`)),
	); err != nil {
		mu.Lock()
		defer mu.Unlock()
		t.Fatal(err, complaints)
	}
	return tab, func() {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		for _, c := range complaints {
			t.Error(c)
		}
		if len(requests) != 1 || !strings.HasPrefix(requests[0], "file://") {
			t.Errorf("requests: %q", requests)
		}
	}
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
			n := 0
			for _, sent := range c.Pairs.Sent {
				if sent > 0 {
					n++
				}
			}
			add("-loss", n)
			add("-slowest", n)
		}
	}
	return want
}

// tables opens each chart's data table and finds the results' figures in it,
// to the last digit.
func tables(t *testing.T, tab context.Context, r *result.Result) {
	t.Helper()
	got := eval[map[string][][]string](t, tab, `(async () => {
		for (const d of document.querySelectorAll("figure details")) d.open = true;
		while ([...document.querySelectorAll("figure details")].some((d) => !d.querySelector("table"))) await new Promise((r) => setTimeout(r, 5));
		return Object.fromEntries([...document.querySelectorAll("figure[data-series]")].map((f) =>
			[f.id, [...f.querySelectorAll("tbody tr")].map((r) => [...r.cells].map((c) => c.textContent))]));
	})()`)
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
func keyboard(t *testing.T, tab context.Context, charts int) {
	t.Helper()
	reached := eval[int](t, tab, `(async () => {
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
	tips := eval[int](t, tab, `document.querySelectorAll(".plot[data-tip]").length`)
	if reached != charts || tips != charts {
		t.Errorf("of %d charts, the keyboard reaches %d and gets figures from %d", charts, reached, tips)
	}
}

// printed checks that paper is white whatever the screen is, and nothing on it
// is cut off.
func printed(t *testing.T, tab context.Context) {
	t.Helper()
	err := chromedp.Do(tab, chromedp.EmulateViewport(750, 1000), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Media: "print", Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}})
		return err
	}))
	if err != nil {
		t.Fatal(err)
	}
	if c := eval[string](t, tab, `getComputedStyle(document.body).backgroundColor`); c != "rgb(255, 255, 255)" {
		t.Errorf("paper has the colour %s", c)
	}
	if n := eval[int](t, tab, `[...document.querySelectorAll(".plot svg")].filter((s) => s.getBoundingClientRect().right > innerWidth).length`); n > 0 {
		t.Errorf("%d charts are wider than the paper", n)
	}
	if *pictures != "" {
		picture(t, tab, filepath.Join(*pictures, strings.ReplaceAll(t.Name(), "/", "-")+"-print.png"))
	}
}

func eval[T any](t *testing.T, tab context.Context, expression string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(tab, 5*time.Minute) // also of a machine that stands still for a while
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func picture(t *testing.T, tab context.Context, file string) {
	b, err := chromedp.Run(tab, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
}
