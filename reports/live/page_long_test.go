//go:build long

package live

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/tracing"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"p2plocal/bench/sample"
	"p2plocal/reports/internal/browser"
)

// TestLongPage uses the page of a mesh, and looks at it: at a width of 320 pixels, which is a
// screen of 1280 at 400 %, and of 1440.
func TestLongPage(t *testing.T) {
	chromium := browser.Start(t)
	t.Run("hands", func(t *testing.T) { testHands(t, chromium) })
	t.Run("keys", func(t *testing.T) { testKeys(t, chromium) })
	t.Run("reconnect", func(t *testing.T) { testReconnect(t, chromium) })
	t.Run("heap", func(t *testing.T) { testHeap(t, chromium) })
	t.Run("over", func(t *testing.T) { testOver(t, chromium) })
	t.Run("server", func(t *testing.T) { testServer(t, chromium) })
	looks := []look{{320, "light"}, {1440, "dark"}}
	if browser.Pictures() {
		looks = []look{{390, "light"}, {390, "dark"}, {900, "light"}, {900, "dark"}, {1440, "light"}, {1440, "dark"}}
	}
	for _, l := range looks {
		t.Run(fmt.Sprintf("%d-%s", l.width, l.scheme), func(t *testing.T) { testLook(t, chromium, l.width, l.scheme) })
	}
}

type look struct {
	width  int64
	scheme string
}

// shown opens the page of a fake, after so much of its time.
func shown(t testing.TB, chromium context.Context, f *Fake, after time.Duration, width int64, scheme string) *browser.Tab {
	t.Helper()
	f.Step(after)
	tab := browser.Open(t, chromium, f.serve(t, 0).URL(), width, scheme, `html[data-seq]`)
	caughtUp(tab, f)
	return tab
}

// caughtUp waits until the page shows the fake's time.
func caughtUp(tab *browser.Tab, f *Fake) {
	tab.Until(fmt.Sprintf(`page.run.end === %v`, f.t()))
	tab.Until(`new Promise((r) => requestAnimationFrame(() => setTimeout(() => r(true), 300)))`)
}

// testHands kills a peer by mouse, and sees it.
func testHands(t *testing.T, chromium context.Context) {
	f := NewFake(20)
	tab := shown(t, chromium, f, 5*time.Second, 1440, "light")
	const peer = 7
	known := fmt.Sprintf(`(() => { const m = page.matrix; return m.cells.getContext("2d", { willReadFrequently: true }).getImageData(2, %d, 1, 1).data.join(); })()`, peer)
	before := browser.Eval[string](tab, known)
	tab.Do(chromedp.Click(chromedp.CSS(fmt.Sprintf(`#ring li[data-peer="%d"]`, peer))), chromedp.Click(chromedp.CSS(`#hands button[value=kill]`)))
	tab.Until(`document.querySelector("#hands [role=status]").textContent`)
	f.Step(100 * time.Millisecond)
	caughtUp(tab, f)
	got := browser.Eval[struct {
		Said, State, Event, Spoken, Error, Name string
		At, Mark                                float64
		Cells                                   int
	}](tab, fmt.Sprintf(`({
		Said: document.querySelector("#hands [role=status]").textContent,
		State: page.run.last.frame.state(%[1]d),
		Cells: page.run.last.frame.views[%[1]d].reduce((n, b) => n + b, 0),
		Event: document.querySelector("#events li:last-child").textContent,
		At: Number(document.querySelector("#events li:last-child").dataset.t),
		Mark: page.run.marks.at(-1).t,
		Spoken: document.getElementById("says").textContent,
		Name: document.querySelector('#ring li[data-peer="%[1]d"]').getAttribute("aria-label"),
	})`, peer))
	if got.Said != "5s kill "+f.Peers[peer] || got.State != "d" || got.Cells != 0 || got.Event != "5.0 s"+f.Peers[peer]+" is killed" || got.At != 5000 || got.Mark != 5000 {
		t.Errorf("after the kill: %+v", got)
	}
	if got.Name != f.Peers[peer]+", dead" {
		t.Errorf("the peer is called %q, want %q", got.Name, f.Peers[peer]+", dead")
	}
	if after := browser.Eval[string](tab, known); after == before {
		t.Errorf("the matrix's cell is still %s", after)
	}
	tab.Until(fmt.Sprintf(`document.getElementById("says").textContent.includes(%q)`, f.Peers[peer]+" is killed"))
	// What the server refuses is shown as it says it.
	browser.Eval[bool](tab, `document.forms[0].elements.peer.append(new Option("nobody", "nobody", true, true)) ?? true`)
	tab.Do(chromedp.Click(chromedp.CSS(`#hands button[value=pause]`)))
	tab.Until(`document.querySelector("#hands [role=status].bad")`)
	if said := browser.Eval[string](tab, `document.querySelector("#hands [role=status]").textContent`); said != `peer "nobody", want one of the mesh's` {
		t.Errorf("it says %q", said)
	}
	tab.Heard("http://127.0.0.1", "Failed to load resource: the server responded with a status of 409", "Canvas2D: Multiple readback")
}

// testKeys uses the page without a mouse.
func testKeys(t *testing.T, chromium context.Context) {
	f := NewFake(20)
	tab := shown(t, chromium, f, 20*time.Second, 1440, "light")
	at := func() float64 {
		t.Helper()
		return browser.Eval[float64](tab, `Number(document.getElementById("at").value)`)
	}
	press := func(want float64, keys ...string) {
		t.Helper()
		for _, k := range keys {
			tab.Do(chromedp.KeyEvent(k))
		}
		tab.Until(`new Promise((r) => requestAnimationFrame(() => setTimeout(() => r(true), 300)))`)
		if got := at(); got != want {
			t.Errorf("%q goes to %v ms, want %v", keys, got, want)
		}
	}
	press(20_000, " ")
	f.Step(time.Second)
	tab.Until(`page.run.end === 21000`)
	press(19_900, kb.ArrowLeft)
	press(20_000, kb.ArrowRight)
	press(15_500, kb.PageUp)
	if state := browser.Eval[string](tab, `page.ring.frame ? page.ring.frame.state(1) : ""`); state != "" {
		t.Errorf("the page shows a state %q of before it was there", state)
	}
	press(100, kb.Home)
	press(21_000, kb.End)
	// Tab reaches the ring, whose arrow keys and letters choose peers.
	for range 10 {
		if tab.Do(chromedp.KeyEvent(kb.Tab)); browser.Eval[bool](tab, `Boolean(document.activeElement.closest("#ring"))`) {
			break
		}
	}
	tab.Do(chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowRight))
	chosen := func() string {
		return browser.Eval[string](tab, `document.forms[0].elements.peer.value + document.activeElement.dataset.peer`)
	}
	if got := chosen(); got != f.Peers[2]+"2" {
		t.Errorf("two to the right is %q", got)
	}
	tab.Do(chromedp.KeyEvent(f.Peers[9]))
	if got := chosen(); got != f.Peers[9]+"9" {
		t.Errorf("the letter %s goes to %q", f.Peers[9], got)
	}
	tab.Do(chromedp.KeyEvent(kb.Enter))
	tab.Until(`document.activeElement.value === "kill"`)
	reached := browser.Eval[[]string](tab, `[...document.querySelectorAll("button:enabled, select, input, summary, [tabindex='0']")].filter((e) => e.checkVisibility()).map((e) => { e.focus(); return document.activeElement === e ? "" : e.outerHTML; }).filter(Boolean)`)
	if len(reached) > 0 {
		t.Errorf("cannot have the focus: %q", reached)
	}
	tab.Heard("http://127.0.0.1")
}

// line is a way to a server that can be cut.
type line struct {
	listener net.Listener
	mu       sync.Mutex
	cut      bool
	open     []net.Conn
}

func newLine(t *testing.T, to string) *line {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	way := &line{listener: l}
	go func() {
		for {
			a, err := l.Accept()
			if err != nil {
				return
			}
			b, err := net.Dial("tcp", to)
			way.mu.Lock()
			if err != nil || way.cut {
				a.Close()
			} else {
				way.open = append(way.open, a, b)
				go func() { io.Copy(a, b); a.Close() }()
				go func() { io.Copy(b, a); b.Close() }()
			}
			way.mu.Unlock()
		}
	}()
	return way
}

// set cuts it, or has it whole again.
func (w *line) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	for _, c := range w.open {
		c.Close()
	}
	w.open = nil
}

// testReconnect loses the connection, and then has all that happened meanwhile.
func testReconnect(t *testing.T, chromium context.Context) {
	f := NewFake(20)
	f.Step(2 * time.Second)
	s := f.serve(t, 0)
	to := s.listener.Addr().String()
	way := newLine(t, to)
	tab := browser.Open(t, chromium, strings.Replace(s.URL(), to, way.listener.Addr().String(), 1), 1440, "light", `html[data-seq]`)
	for range 2 {
		f.Step(time.Second)
		caughtUp(tab, f)
		way.set(true)
		tab.Until(`document.getElementById("connection").textContent === "connection lost"`)
		tab.Until(`!document.getElementById("notice").hidden && document.getElementById("notice").textContent.startsWith("Connection lost")`)
		f.Step(3 * time.Second)
		way.set(false)
		caughtUp(tab, f)
	}
	got := browser.Eval[struct {
		Gaps, N, Wrong, Marks int
		Badge                 string
		Hidden                bool
	}](tab, `({ Gaps: page.run.gaps, N: page.run.samples.length, Wrong: page.run.samples.filter((s, i) => s.t !== (i + 1) * 100).length, Marks: page.run.marks.length,
		Badge: document.getElementById("connection").textContent, Hidden: document.getElementById("notice").hidden })`)
	if got.Gaps != 0 || got.N != 100 || got.Wrong != 0 || got.Marks != 22 || got.Badge != "live" || !got.Hidden {
		t.Errorf("after two reconnections: %+v", got)
	}
	tab.Heard("http://127.0.0.1", "Failed to load resource: net::ERR_")
}

// testHeap shows 95 peers and a flood for ten minutes of their time. After five the page
// has as many samples as it ever has. What came since would be 3 MB, were it all kept; what
// the browser itself takes goes up and down by half a megabyte.
func testHeap(t *testing.T, chromium context.Context) {
	f := NewFake(95)
	tab := shown(t, chromium, f, 100*time.Millisecond, 900, "light")
	heap := func() float64 {
		var used float64
		tab.Do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
			if _, err := cdp.Call(ctx, target, heapprofiler.CollectGarbage, cdp.Empty{}); err != nil {
				return err
			}
			u, err := cdp.Call(ctx, target, runtime.GetHeapUsage, cdp.Empty{})
			used = u.UsedSize
			return err
		}))
		return used
	}
	if _, err := f.Obey(t.Context(), sample.Order{Verb: "flood", Kind: "mixed", Rate: 5000}); err != nil {
		t.Fatal(err)
	}
	const (
		part  = 15 * time.Second // which the feed still has, whoever reads late
		full  = 375 * time.Second
		whole = 600 * time.Second // the same phase of merging as at full
	)
	var first float64
	for f.now < whole {
		f.Step(min(part, whole-f.now))
		tab.Until(fmt.Sprintf(`page.run.end === %v`, f.t()))
		if f.now >= full && first == 0 {
			first = heap()
		}
	}
	last := heap()
	got := browser.Eval[struct{ N, Gaps, Delivered int }](tab, `({ N: page.run.samples.length, Gaps: page.run.gaps, Delivered: page.run.totals.delivered })`)
	t.Logf("heap %.1f MB after %v, %.1f MB after %v; %+v", first/1e6, full, last/1e6, f.now, got)
	if last > first+1.5e6 || got.N > 3000 || got.Gaps != 0 {
		t.Errorf("heap %.0f bytes after %v, %.0f after %v; %+v", first, full, last, f.now, got)
	}
	tab.Heard("http://127.0.0.1")
}

// testOver sees the page become the report, unless one wants to stay.
func testOver(t *testing.T, chromium context.Context) {
	f := NewFake(20)
	tab := shown(t, chromium, f, 3*time.Second, 390, "light")
	f.Feed.End(true)
	tab.Until(`document.getElementById("notice").textContent.includes("Its report follows")`)
	browser.Eval[bool](tab, `[...document.querySelectorAll("#notice button")].at(-1).click() ?? true`)
	if said := browser.Eval[string](tab, `document.getElementById("notice").textContent`); said != "The run is over.Open the report" {
		t.Errorf("it says %q", said)
	}
	tab.Do(chromedp.Click(chromedp.CSS(`#notice button`)), chromedp.WaitReady(chromedp.CSS(`title`)))
	tab.Until(`document.title === "report"`)
	tab.Heard("http://127.0.0.1")
}

// testServer shows a server's directory, and nothing of a mesh.
func testServer(t *testing.T, chromium context.Context) {
	f := NewFake(20)
	f.Directory = true
	tab := shown(t, chromium, f, 27*time.Second, 900, "dark")
	got := browser.Eval[struct {
		Rows  int
		First string
		Shown []bool
	}](tab, `({ Rows: document.querySelectorAll("#ages tbody tr").length, First: document.querySelector("#ages tbody tr").textContent,
		Shown: ["#ring", "#ages", "#matrix", "#ring [data-for=mesh]"].map((s) => document.querySelector(s).checkVisibility()) })`)
	if got.Rows != 19 || !strings.HasSuffix(got.First, "1.90 s ago") || fmt.Sprint(got.Shown) != "[true true false false]" {
		t.Errorf("%+v", got)
	}
	tab.Picture(t.Name())
	axe(t, tab)
	tab.Heard("http://127.0.0.1")
}

// testLook has axe-core look for what keeps people from using the page, while the mesh
// runs and while time stands still.
func testLook(t *testing.T, chromium context.Context, width int64, scheme string) {
	f := NewFake(95)
	tab := shown(t, chromium, f, 1600*time.Millisecond, width, scheme)
	tab.Picture(t.Name() + "-join")
	for _, o := range []sample.Order{{Verb: "pause", Peer: f.Peers[30]}, {Verb: "kill", Peer: f.Peers[50]}} {
		if _, err := f.Obey(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	f.Step(52 * time.Second)
	caughtUp(tab, f)
	if over := browser.Eval[int](tab, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
		t.Errorf("the page is %d pixels wider than the screen", over)
	}
	if dark := browser.Eval[string](tab, `getComputedStyle(document.body).backgroundColor`) != "rgb(255, 255, 255)"; dark != (scheme == "dark") {
		t.Errorf("dark is %v", dark)
	}
	tab.Picture(t.Name())
	axe(t, tab)
	tab.Media("", "prefers-color-scheme", scheme, "prefers-reduced-motion", "reduce")
	tab.Do(chromedp.KeyEvent(" "), chromedp.KeyEvent(kb.PageUp))
	tab.Do(chromedp.Click(chromedp.CSS(`main > details summary`)))
	axe(t, tab)
	tab.Heard("http://127.0.0.1")
}

var axeSource = sync.OnceValues(func() (string, error) {
	file, err := os.Open("testdata/axe.min.js.gz")
	if err != nil {
		return "", err
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(z)
	return string(b), err
})

func axe(t *testing.T, tab *browser.Tab) {
	t.Helper()
	source, err := axeSource()
	if err != nil {
		t.Fatal(err)
	}
	browser.Eval[bool](tab, source+"; true")
	for _, finding := range browser.Eval[[]string](tab, `(async () => (await axe.run()).violations.map((v) => v.id + ": " + v.help + ": " + v.nodes.map((n) => n.target + " " + n.failureSummary).join("; ")))()`) {
		t.Error(finding)
	}
}

// BenchmarkPage measures, with 95 peers in real time, how soon something is painted and how
// many frames are drawn a second.
func BenchmarkPage(b *testing.B) {
	chromium := browser.Start(b)
	f := NewFake(95)
	tab := shown(b, chromium, f, 60*time.Second, 1440, "light")
	paint := math.Inf(1) // the least of some
	for range 5 {
		tab.Do(chromedp.Reload())
		tab.Until(`globalThis.page?.run.last && performance.getEntriesByName("first-contentful-paint").length`)
		paint = min(paint, browser.Eval[float64](tab, `performance.getEntriesByName("first-contentful-paint")[0].startTime`))
	}
	var mu sync.Mutex
	count, complete := make(map[string]int), make(chan struct{})
	if err := chromedp.Listen(tab, func(event any) {
		switch e := event.(type) {
		case *tracing.EventDataCollected:
			mu.Lock()
			for _, v := range e.Value {
				var x struct{ Name string }
				if json.Unmarshal(v, &x) == nil {
					count[x.Name]++
				}
			}
			mu.Unlock()
		case *tracing.EventTracingComplete:
			close(complete)
		}
	}); err != nil {
		b.Fatal(err)
	}
	tab.Do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, tracing.Start, tracing.StartParams{TraceConfig: &tracing.TraceConfig{IncludedCategories: []string{"disabled-by-default-devtools.timeline.frame", "devtools.timeline.frame"}}})
		return err
	}))
	work := func() (seconds float64) { // of the page's thread, whoever else wants the processor
		tab.Do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			if _, err := cdp.Call(ctx, t, performance.Enable, performance.EnableParams{TimeDomain: performance.EnableTimeDomainThreadTicks}); err != nil {
				return err
			}
			m, err := cdp.Call(ctx, t, performance.GetMetrics, cdp.Empty{})
			for _, x := range m.Metrics {
				if x.Name == "TaskDuration" {
					seconds = x.Value
				}
			}
			return err
		}))
		return seconds
	}
	before := work()
	const seconds = 4
	for range seconds * 10 {
		f.Step(100 * time.Millisecond)
		time.Sleep(100 * time.Millisecond)
	}
	spent := work() - before
	tab.Do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, tracing.End, cdp.Empty{})
		return err
	}))
	<-complete
	mu.Lock()
	defer mu.Unlock()
	b.ReportMetric(1000*spent/float64(count["DrawFrame"]), "ms-of-work/frame")
	b.ReportMetric(paint, "ms-to-first-paint")
	b.ReportMetric(float64(count["DrawFrame"])/seconds, "frames/s")
	b.ReportMetric(float64(count["DroppedFrame"])/seconds, "dropped/s")
	b.ReportMetric(0, "ns/op")
}
