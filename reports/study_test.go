package reports

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"p2plocal/bench/study"
	"p2plocal/core"
)

// studied is a small report with every study in it.
func studied(t *testing.T) *study.Report {
	t.Helper()
	var ranges []study.Range
	for _, text := range []string{"heartbeat=250ms,500ms", "deadline=1s..2s/3"} {
		r, err := study.ParseRange(text)
		if err != nil {
			t.Fatal(err)
		}
		ranges = append(ranges, r)
	}
	grid, err := study.Grid(core.DefaultTiming(), ranges)
	if err != nil {
		t.Fatal(err)
	}
	return study.Plan{Parts: []string{"loss", "heal", "churn", "sweep"}, Peers: []int{5, 10}, Losses: []float64{0, 0.1, 0.3},
		Refresh: []time.Duration{0, 2 * time.Second}, Heal: []time.Duration{0, time.Second, 2 * time.Second}, Deaths: []float64{0.1, 0.3},
		Timing: core.DefaultTiming(), Hours: 2, Meshes: 3, Seed: 1, Workers: 2, Grid: grid, SweepPeers: 8, SweepLoss: 0.1}.Run(context.Background(), nil)
}

func TestStudy(t *testing.T) {
	r := studied(t)
	var text, page, doc bytes.Buffer
	for format, b := range map[string]*bytes.Buffer{"txt": &text, "html": &page, "json": &doc} {
		if err := Study(b, format, r, TextOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := Study(failing{}, format, r, TextOptions{}); err == nil {
			t.Errorf("%s: a full disk is no error", format)
		}
	}
	flat := strings.Join(strings.Fields(text.String()), " ") // whatever the columns' widths
	for _, want := range []string{
		"10 % loss removes each live peer ",
		"18 of 18 meshes in pieces without refresh, 0 of 36 with it", // 3 causes, 2 sizes, 3 meshes
		" 10 2s 30.0 % ",
		" partition 10 - 3 3 never never never ",
		" * 250ms 1s 1 ",
		"virtual network and clock",
	} {
		if !strings.Contains(flat, want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
	var again study.Report
	if err := json.Unmarshal(doc.Bytes(), &again); err != nil || fmt.Sprint(again.Heal[1].Cause, again.Loss[3].Culls) != fmt.Sprint(r.Heal[1].Cause, r.Loss[3].Culls) {
		t.Errorf("%v", err)
	}
	if page.Len() > 1_000_000 {
		t.Errorf("a page of %d bytes", page.Len())
	}
	if err := Study(io.Discard, "pdf", r, TextOptions{}); err == nil {
		t.Error("pdf is a format")
	}
	for name, r := range map[string]*study.Report{"nothing": {}, "a cut-short one": {Interrupted: true, Heal: r.Heal[:1]}} {
		var b bytes.Buffer
		if err := Study(&b, "txt", r, TextOptions{}); err != nil || r.Interrupted != strings.Contains(b.String(), "INTERRUPTED") {
			t.Errorf("%s: %v\n%s", name, err, b.String())
		}
	}
}

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
		if err := Study(&b, "html", tt.report, TextOptions{}); err != nil {
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
