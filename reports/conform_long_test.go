//go:build long

package reports

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"p2plocal/fuzz/conform"
	"p2plocal/reports/internal/browser"
)

func TestLongConformanceBrowser(t *testing.T) {
	chromium := browser.Start(t)
	dir := t.TempDir()
	for name, c := range found() {
		var b bytes.Buffer
		if err := c.Document().Write(&b, "html", Options{}); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "conform-"+name+".html")
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, s := range screens {
			t.Run(name+"-"+s.String(), func(t *testing.T) {
				tab, heard := open(t, chromium, file, s)
				tab.Picture(t.Name())
				if n := browser.Eval[int](tab, `document.documentElement.scrollWidth - innerWidth`); n > 0 {
					t.Errorf("the page is %d pixels wider than the screen", n)
				}
				wrong, accounts := 0, len(kinds(c.Targets))
				for _, r := range c.Targets {
					wrong += r.Count(conform.Fail) + r.Count(conform.Broken)
				}
				if n := browser.Eval[int](tab, `document.querySelectorAll("article").length`); n != accounts {
					t.Errorf("%d accounts of what is wrong, want one for each kind, %d", n, accounts)
				}
				if n := browser.Eval[int](tab, `[...document.querySelectorAll("td a")].filter((a) => document.getElementById(decodeURIComponent(a.hash.slice(1)))).length`); n != wrong {
					t.Errorf("%d links from the table to the accounts, want %d", n, wrong)
				}
				if n := browser.Eval[int](tab, `document.querySelectorAll("tbody tr").length`); n != len(c.cases().Table.Rows) {
					t.Errorf("%d rows, want %d", n, len(c.cases().Table.Rows))
				}
				heard()
			})
		}
	}
}
