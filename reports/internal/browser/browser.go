// Package browser opens pages in a headless Chromium, for tests.
package browser

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

var pictures = flag.String("pictures", "", "directory for screenshots of the pages that the browser test opens")

// patience is also that of a machine that stands still for a while.
const patience = 5 * time.Minute

// Start starts a browser, whose absence is a failure where CI is set.
func Start(t testing.TB) context.Context {
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

// Tab is a page that is open.
type Tab struct {
	context.Context
	t testing.TB

	mu         sync.Mutex
	complaints []string // of the page: exceptions, what the console says
	requests   []string
}

// Open shows the page at a URL, in colours for light or dark, until an element is there.
func Open(t testing.TB, browser context.Context, url string, width int64, scheme, ready string) *Tab {
	t.Helper()
	tab := &Tab{t: t}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithListener(tab.hear))
	t.Cleanup(cancel)
	tab.Context = ctx
	if err := chromedp.Do(tab); err != nil {
		t.Fatal(err)
	}
	tab.Media("", "prefers-color-scheme", scheme)
	tab.Do(
		chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, network.Enable, network.EnableParams{})
			return err
		}),
		chromedp.EmulateViewport(width, 900),
		chromedp.Navigate(url),
		chromedp.WaitReady(chromedp.CSS(ready)))
	return tab
}

func (tab *Tab) hear(event any) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	complain := func(parts ...any) { tab.complaints = append(tab.complaints, fmt.Sprint(parts...)) }
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		complain("console: ", e.Type)
	case *runtime.EventExceptionThrown:
		complain(e.ExceptionDetails.Text)
		if x := e.ExceptionDetails.Exception; x != nil {
			complain(x.Description)
		}
	case *log.EventEntryAdded:
		complain(e.Entry.Text)
	case *page.EventJavascriptDialogOpening:
		complain("dialog: ", e.Message)
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, "data:") {
			tab.requests = append(tab.requests, e.Request.URL)
		}
	}
}

// Do takes steps in the page.
func (tab *Tab) Do(steps ...chromedp.Action[chromedp.Void]) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		tab.mu.Lock()
		defer tab.mu.Unlock()
		tab.t.Fatal(err, tab.complaints)
	}
}

// Media has the page shown for a medium ("": the screen), with features such as
// prefers-color-scheme, each followed by its value.
func (tab *Tab) Media(medium string, features ...string) {
	tab.t.Helper()
	var all []*emulation.MediaFeature
	for i := 0; i < len(features); i += 2 {
		all = append(all, &emulation.MediaFeature{Name: features[i], Value: features[i+1]})
	}
	tab.Do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: medium, Features: all})
		return err
	}))
}

// Eval is the value of an expression in the page, or of what it promises.
func Eval[T any](tab *Tab, expression string) T {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		tab.mu.Lock()
		defer tab.mu.Unlock()
		tab.t.Fatal(err, tab.complaints)
	}
	return v
}

// Until waits until an expression, or what it promises, is true in the page.
func (tab *Tab) Until(expression string) {
	tab.t.Helper()
	Eval[bool](tab, `(async () => { while (!(await (`+expression+`))) await new Promise((r) => setTimeout(r, 10)); return true; })()`)
}

// Heard fails the test for whatever the page complained of, but for what begins with an
// expected text, and for every request that does not begin with a URL. It returns the
// requests.
func (tab *Tab) Heard(url string, expected ...string) []string {
	tab.t.Helper()
	tab.mu.Lock()
	defer tab.mu.Unlock()
complaints:
	for _, c := range tab.complaints {
		for _, e := range expected {
			if strings.HasPrefix(c, e) {
				continue complaints
			}
		}
		tab.t.Error(c)
	}
	for _, r := range tab.requests {
		if !strings.HasPrefix(r, url) {
			tab.t.Errorf("request for %q, want only such as begin with %q", r, url)
		}
	}
	return tab.requests
}

// Pictures says that screenshots are wanted.
func Pictures() bool { return *pictures != "" }

// Picture writes a screenshot, if one is wanted.
func (tab *Tab) Picture(name string) {
	tab.t.Helper()
	if !Pictures() {
		return
	}
	b, err := chromedp.Run(tab, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(*pictures, strings.ReplaceAll(name, "/", "-")+".png"), b, 0o644)
	}
	if err != nil {
		tab.t.Fatal(err)
	}
}
