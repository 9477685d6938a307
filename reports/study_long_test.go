//go:build long

package reports

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"p2plocal/bench/study"
	"p2plocal/reports/internal/browser"
)

// The page draws every chart, whatever the width, and asks for nothing else.
func TestLongStudyBrowser(t *testing.T) {
	chromium := browser.Start(t)
	r := studied(t)
	dir := t.TempDir()
	for name, report := range map[string]*study.Report{"all": r, "one": {Tables: r.Tables[:1]}} {
		d := Study(report)
		var want []string
		rows := 0
		for _, s := range d.Sections {
			rows += len(s.Table.Rows)
			for _, c := range s.Charts {
				n := 0
				for _, x := range c.Series {
					switch x.Kind {
					case dots:
						n += len(x.Points)
					case curves:
						n++
						for i := range x.Points { // of few runs an interval is wider than any chart
							if p := &x.Points[i]; p.Low != nil {
								p.High = ptr(1e3 * (p.Y + 1))
							}
						}
					}
				}
				want = append(want, fmt.Sprintf("%s:%d", c.ID, n))
			}
		}
		var b bytes.Buffer
		if err := d.Write(&b, "html", Options{}); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, name+".html")
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, s := range screens {
			t.Run(name+"-"+s.String(), func(t *testing.T) {
				tab, heard := open(t, chromium, file, s)
				charts := browser.Eval[string](tab, `[...document.querySelectorAll("figure[data-series]")].map((f) =>
					f.id + ":" + [...f.querySelectorAll(".plot svg g.series > :is(path, circle)")].filter((e) => !/NaN/.test(e.outerHTML)).length).join(" ")`)
				if charts != strings.Join(want, " ") || len(want) < len(report.Tables) {
					t.Errorf("drawn %q, want %q", charts, want)
				}
				if over := browser.Eval[int](tab, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
					t.Errorf("the page is %d pixels wider than the screen", over)
				}
				if n := browser.Eval[int](tab, `[...document.querySelectorAll(".plot svg line")].filter((l) => {
					const line = l.getBoundingClientRect(), chart = l.ownerSVGElement.getBoundingClientRect();
					return (line.top < chart.top || line.bottom > chart.bottom) && !l.closest("[clip-path]");
				}).length`); n > 0 {
					t.Errorf("%d intervals leave their charts", n)
				}
				if n := browser.Eval[int](tab, `document.querySelectorAll("section > details tbody tr").length`); n != rows {
					t.Errorf("%d lines in the tables, want %d", n, rows)
				}
				heard()
			})
		}
	}
}
