//go:build long

package reports

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"p2plocal/fuzz/conform"
)

func TestLongConformanceBrowser(t *testing.T) {
	browser := chromium(t)
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
		for _, width := range []int64{1280, 390} {
			for _, scheme := range []string{"light", "dark"} {
				t.Run(fmt.Sprintf("%s-%d-%s", name, width, scheme), func(t *testing.T) {
					tab, heard := open(t, browser, file, width, scheme)
					if *pictures != "" {
						picture(t, tab, filepath.Join(*pictures, strings.ReplaceAll(t.Name(), "/", "-")+".png"))
					}
					if n := eval[int](t, tab, `document.documentElement.scrollWidth - innerWidth`); n > 0 {
						t.Errorf("the page is %d pixels wider than the screen", n)
					}
					wrong, accounts := 0, len(kinds(c.Targets))
					for _, r := range c.Targets {
						wrong += r.Count(conform.Fail) + r.Count(conform.Broken)
					}
					if n := eval[int](t, tab, `document.querySelectorAll("article").length`); n != accounts {
						t.Errorf("%d accounts of what is wrong, want one for each kind, %d", n, accounts)
					}
					if n := eval[int](t, tab, `[...document.querySelectorAll("td a")].filter((a) => document.getElementById(decodeURIComponent(a.hash.slice(1)))).length`); n != wrong {
						t.Errorf("%d links from the table to the accounts, want %d", n, wrong)
					}
					if n := eval[int](t, tab, `document.querySelectorAll("tbody tr").length`); n != len(c.cases().Table.Rows) {
						t.Errorf("%d rows, want %d", n, len(c.cases().Table.Rows))
					}
					heard()
				})
			}
		}
	}
}
