//go:build long

package live

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/tracing"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"p2plocal/bench/mesh"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/bench/sample"
	"p2plocal/bench/scenario"
	"p2plocal/reports/internal/browser"
)

// TestLongPage uses the page of a mesh, and looks at it: at a width of 320 pixels, which is a
// screen of 1280 at 400 %, and of 1440.
func TestLongPage(t *testing.T) {
	chromium := browser.Start(t)
	t.Run("hands", func(t *testing.T) { testHands(t, chromium) })
	t.Run("keys", func(t *testing.T) { testKeys(t, chromium) })
	t.Run("spoken", func(t *testing.T) { testSpoken(t, chromium) })
	t.Run("reconnect", func(t *testing.T) { testReconnect(t, chromium) })
	t.Run("heap", func(t *testing.T) { testHeap(t, chromium) })
	t.Run("over", func(t *testing.T) { testOver(t, chromium) })
	t.Run("server", func(t *testing.T) { testServer(t, chromium) })
	looks := []look{{320, "light"}, {1440, "dark"}}
	if browser.Pictures() { // also as 1440 at 200 %
		looks = []look{{720, "light"}, {390, "light"}, {390, "dark"}, {900, "light"}, {900, "dark"}, {1440, "light"}, {1440, "dark"}}
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

// simulated serves a mesh to play with whose virtual time stands still, but for a second
// whenever that is let pass.
func simulated(t *testing.T, peers int) (s *Server, second func()) {
	cfg := scenario.Simulated(peers, scenario.Play)
	cfg.Options.Interval = 500 * time.Millisecond
	head := sample.Head{Title: scenario.Play, Control: true, Server: true}
	for i := range peers {
		head.Peers = append(head.Peers, string(record.SlotName(i)))
	}
	watch, pass := &mesh.Watch{Feed: sample.NewFeed(head)}, make(chan bool)
	ctx, end := context.WithCancel(t.Context())
	status := scenario.Status{Live: &scenario.Live{Watch: watch, Look: func(*result.Result) (string, []sample.Assertion) {
		select {
		case <-pass:
		case <-ctx.Done():
		}
		return "A mesh to play with.", nil
	}}}
	s = serve(t, Config{Feed: watch.Feed, Obey: watch.Control()})
	var over sync.WaitGroup
	over.Go(func() { scenario.Execute(ctx, cfg, result.Tool{}, &status) })
	t.Cleanup(func() { end(); over.Wait() })
	return s, func() { pass <- true }
}

// testHands presses every hand of a simulated mesh, and sees what comes of it.
func testHands(t *testing.T, chromium context.Context) {
	s, second := simulated(t, 6)
	tab := browser.Open(t, chromium, s.URL(), 1440, "light", `html[data-seq]`)
	type shown struct {
		Said, States, Marks, Name, Cells string // the name and the matrix's row are B's
	}
	begun := 0 // marks before an order
	look := func() shown {
		return browser.Eval[shown](tab, fmt.Sprintf(`({
			Said: document.querySelector("#hands [role=status]").textContent,
			States: page.run.frame.states,
			Marks: page.run.marks.slice(%d).map((m) => m.t + " " + m.kind + " " + m.text + "\n").join(""),
			Name: document.querySelector('#ring li[data-peer="1"]').getAttribute("aria-label"),
			Cells: page.matrix.cells.getContext("2d", { willReadFrequently: true }).getImageData(0, 1, 6, 1).data.join(),
		})`, begun))
	}
	until := func(what string, so func(shown) bool) (last shown) {
		t.Helper()
		for range 100 {
			second()
			if last = look(); so(last) {
				return last
			}
		}
		t.Fatalf("%s: %+v", what, last)
		return
	}
	before := until("all join", func(x shown) bool { return x.States == "aaaaaa" && x.Name == "B, alive, knows 100 %" })
	for _, hand := range []struct {
		press, set           string // a button, and values of the form before
		script, states, mark string // what comes of it; WHEN is when the script's line begins or, if it has ended, ends
	}{
		{"kill", `peer: "B"`, `WHEN-1h0m0s crash 3002`, "adaaaa", "WHEN kill B is killed"},
		{"relaunch", ``, `\S+-WHEN crash 3002`, "aaaaaa", "WHEN join B joins"},
		{"pause", `peer: "C"`, `WHEN-1h0m0s pause 3003`, "aapaaa", "WHEN pause C is stopped"},
		{"resume", ``, `\S+-WHEN pause 3003`, "aaaaaa", "WHEN resume C goes on"},
		{"cut", `other: "D"`, `WHEN-1h0m0s cut 3003 3004\nWHEN-1h0m0s cut 3004 3003`, "aaaaaa", "WHEN cut begins: cut C to D"},
		{"heal", ``, `\S+-WHEN cut 3003 3004\n\S+-WHEN cut 3004 3003`, "aaaaaa", "WHEN heal ends: cut D to C"},
		{"impair", `other: "", loss: 50, delay: 20`, `WHEN-1h0m0s link 3003 \* loss=0.5 delay=20ms\nWHEN-1h0m0s link \* 3003 loss=0.5 delay=20ms`, "aaaaaa", "WHEN impair begins: link C to everybody"},
		{"heal", ``, `\S+-WHEN link 3003 .*\n\S+-WHEN link \* 3003 .*`, "aaaaaa", "WHEN heal ends: link everybody to C"},
		{"flood", `kind: "conflict", rate: 200`, `WHEN-1h0m0s flood server conflict 200`, "aaaaaa", "WHEN flood a flood of kind conflict begins, at 200 a second"},
		{"calm", ``, `\S+-WHEN flood server conflict 200`, "aaaaaa", "WHEN flood the flood ends"},
		{"cut", `half: true`, `WHEN-1h0m0s divide 3004`, "aaaaaa", "WHEN cut begins: divide D and those after it from the rest"},
		{"heal", `half: true`, `\S+-WHEN divide 3004`, "aaaaaa", "WHEN heal ends: divide"},
		{"restart", ``, `\S+-WHEN crash server`, "aaaaaa", "WHEN restart the server is back, and knows nobody"},
		{"resume", `peer: "D"`, `there is nothing of that kind to end, that was begun here`, "aaaaaa", ""},
	} {
		begun = browser.Eval[int](tab, fmt.Sprintf(`(() => {
			const form = document.forms[0].elements;
			for (const [name, value] of Object.entries({ half: false, %s })) form[name][typeof value === "boolean" ? "checked" : "value"] = value;
			document.querySelector("#hands [role=status]").textContent = "";
			return page.run.marks.length;
		})()`, hand.set))
		tab.Do(chromedp.Click(chromedp.CSS(`#hands button[value=` + hand.press + `]`)))
		script := regexp.MustCompile("^" + strings.ReplaceAll(hand.script, "WHEN", `([\d.ms]+)`) + "$")
		got := until(hand.press, func(x shown) bool {
			return x.Said != "" && x.States == hand.states && strings.Contains(x.Marks, strings.TrimPrefix(hand.mark, "WHEN "))
		})
		said := script.FindStringSubmatch(got.Said)
		if said == nil {
			t.Errorf("%s says %q, want %s", hand.press, got.Said, script)
			continue
		}
		if len(said) > 1 {
			at, _ := time.ParseDuration(said[1])
			hand.mark = strings.Replace(hand.mark, "WHEN", fmt.Sprint(float64(at)/1e6), 1)
		}
		if !strings.Contains(got.Marks, hand.mark) {
			t.Errorf("%s leaves the marks\n%swant %s", hand.press, got.Marks, hand.mark)
		}
		if hand.press == "kill" { // the row is empty, whatever it knew
			empty := strings.TrimSuffix(strings.Repeat("255,", 4*6), ",")
			caught := func(x shown) bool { return x.Name == "B, dead" && x.Cells == empty }
			if last := until("the row empties", caught); before.Cells == empty {
				t.Errorf("the row was empty before: %+v", last)
			}
		}
	}
	if lines := browser.Eval[int](tab, `document.querySelector("#hands pre").textContent.split("\n").length`); lines != 17 {
		t.Errorf("the script of these orders has %d lines, want 17", lines)
	}
	tab.Heard("http://127.0.0.1", "Canvas2D: Multiple readback", "Failed to load resource: the server responded with a status of 409")
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
	// The page was not there then, and shows the mesh of that time all the same.
	mesh := func(want string) {
		t.Helper()
		if got := browser.Eval[string](tab, `page.ring.frame.states.slice(0, 6) + " " + page.matrix.drawn.views.slice(0, 2).map((v) => v.join(":")) + " " + page.ring.sent.split(" ")[0]`); got != want {
			t.Errorf("the mesh is %q, want %q", got, want)
		}
	}
	press(15_500, kb.PageUp)
	mesh("adaaaa 253:255:15,0:0:0 15500")
	press(100, kb.Home)
	mesh("aaaa-- 15:0:0,15:0:0 100")
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
	tab.Do(chromedp.KeyEvent(kb.Enter))
	tab.Until(fmt.Sprintf(`document.querySelector("#hands [role=status]").textContent === "21s kill %s"`, f.Peers[9]))
	reached := browser.Eval[[]string](tab, `[...document.querySelectorAll("button:enabled, select, input, summary, [tabindex='0']")].filter((e) => e.checkVisibility()).map((e) => { e.focus(); return document.activeElement === e ? "" : e.outerHTML; }).filter(Boolean)`)
	if len(reached) > 0 {
		t.Errorf("cannot have the focus: %q", reached)
	}
	tab.Heard("http://127.0.0.1")
}

// testSpoken has a screen reader's tree say what is announced: events, and no figures, however
// these change.
func testSpoken(t *testing.T, chromium context.Context) {
	f := NewFake(6)
	tab := shown(t, chromium, f, 3*time.Second, 900, "light")
	said := make(map[string]bool)
	listen := func() {
		tab.Do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
			tree, err := cdp.Call(ctx, target, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
			nodes := make(map[accessibility.NodeID]*accessibility.Node)
			for _, n := range tree.Nodes {
				nodes[n.NodeID] = n
			}
			var text func(n *accessibility.Node) string
			text = func(n *accessibility.Node) (all string) {
				if n.Role != nil && string(n.Role.Value) == `"StaticText"` {
					return string(n.Name.Value)
				}
				for _, id := range n.ChildIDs {
					all += text(nodes[id])
				}
				return all
			}
			for _, n := range tree.Nodes {
				for _, p := range n.Properties {
					if p.Name == "live" && string(p.Value.Value) != `"off"` {
						said[text(n)] = true
					}
				}
			}
			return err
		}))
	}
	listen()
	f.Step(8 * time.Second)
	tab.Until(`document.getElementById("says").textContent`)
	listen()
	f.Step(time.Second)
	caughtUp(tab, f)
	listen()
	want := map[string]bool{"": true, `"A row is a peer's view: whom it knows."`: true, `"\" is killed"`: true}
	if !maps.Equal(said, want) {
		t.Errorf("it says %v, want %v", said, want)
	}
	f.Step(10 * time.Second)
	tab.Until(`document.getElementById("says").textContent.includes("✗ failed steady.lost=0")`)
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
		// What a screen reader is told is not the seconds that are counted down.
		if said := browser.Eval[string](tab, `document.getElementById("says").textContent + document.getElementById("notice").matches("[role=status], [aria-live]")`); said != "Connection lost.false" {
			t.Errorf("it says %q", said)
		}
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
	tab.Until(`document.getElementById("notice").textContent.includes("Its report follows in 4 s")`)
	if said := browser.Eval[string](tab, `document.getElementById("says").textContent`); said != "The run is over. Its report follows in 5 s." {
		t.Errorf("it says aloud %q", said)
	}
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
	moves := `document.getAnimations().length`
	if n := browser.Eval[int](tab, moves); n == 0 {
		t.Error("no messages fade")
	}
	tab.Media("", "prefers-color-scheme", scheme, "prefers-reduced-motion", "reduce")
	f.Step(time.Second)
	caughtUp(tab, f)
	if n := browser.Eval[int](tab, moves); n > 0 {
		t.Errorf("%d things move, with reduced motion", n)
	}
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
