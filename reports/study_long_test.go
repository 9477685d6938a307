//go:build long

package reports

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"p2plocal/bench/study"
)

// The page draws every chart, whatever the width, and asks for nothing else.
func TestStudyBrowser(t *testing.T) {
	browser := chromium(t)
	r := studied(t)
	dir := t.TempDir()
	for name, tt := range map[string]struct {
		report *study.Report
		charts string
	}{
		"all": {r, "loss-culls:4 loss-detection:4 heal-restart:2 heal-partition:2 heal-lost:2 churn-0:4 churn-0.05:4 " +
			"sweep-view-culls:6 sweep-traffic-culls:6 sweep-traffic-view:6"},
		"sweep": {&study.Report{Sweep: r.Sweep[:3]}, "sweep-view-culls:3 sweep-traffic-culls:3 sweep-traffic-view:3"},
		"few":   {&study.Report{Loss: r.Loss[:1], Heal: r.Heal[:1]}, "loss-detection:1"},
	} {
		var b bytes.Buffer
		if err := Study(tt.report).Write(&b, "html", Options{}); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, name+".html")
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, width := range []int64{1280, 390} {
			for _, scheme := range []string{"light", "dark"} {
				t.Run(fmt.Sprintf("%s-%d-%s", name, width, scheme), func(t *testing.T) {
					tab, heard := open(t, browser, file, width, scheme)
					charts := eval[string](t, tab, `[...document.querySelectorAll("figure[data-series]")].map((f) =>
						f.id + ":" + [...f.querySelectorAll(".plot svg g.series > :is(path, circle)")].filter((e) => !/NaN/.test(e.outerHTML)).length).join(" ")`)
					if charts != tt.charts {
						t.Errorf("drawn %q, want %q", charts, tt.charts)
					}
					if over := eval[int](t, tab, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
						t.Errorf("the page is %d pixels wider than the screen", over)
					}
					if rows := eval[int](t, tab, `document.querySelectorAll("section > details tbody tr").length`); rows != len(tt.report.Loss)+len(tt.report.Heal)+len(tt.report.Churn)+len(tt.report.Sweep) {
						t.Errorf("%d lines in the tables", rows)
					}
					heard()
				})
			}
		}
	}
}
