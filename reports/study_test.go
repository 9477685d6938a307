package reports

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
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
		if err := Study(r).Write(b, format, Options{}); err != nil {
			t.Fatal(err)
		}
		if err := Study(r).Write(failing{}, format, Options{}); err == nil {
			t.Errorf("%s: a full disk is no error", format)
		}
	}
	flat := strings.Join(strings.Fields(text.String()), " ") // whatever the columns' widths
	for _, want := range []string{
		"10 % loss removes each live peer ",
		"18 of 18 meshes in pieces without refresh, 0 of 36 with it", // 3 causes, 2 sizes, 3 meshes
		" 10 2 s 30.0 % ",
		" partition 10 - 3 3 never never never ",
		" * 250 ms 1 s 1 ",
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
	if err := Study(r).Write(io.Discard, "pdf", Options{}); err == nil {
		t.Error("pdf is a format")
	}
	for name, r := range map[string]*study.Report{"nothing": {}, "a cut-short one": {Interrupted: true, Heal: r.Heal[:1]}} {
		var b bytes.Buffer
		if err := Study(r).Write(&b, "txt", Options{}); err != nil || r.Interrupted != strings.Contains(b.String(), "Interrupted") {
			t.Errorf("%s: %v\n%s", name, err, b.String())
		}
	}
}
