package reports

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"

	"p2plocal/bench/result"
	"p2plocal/bench/study"
	"p2plocal/bench/work"
)

// studied is a small report with every study in it.
func studied(t *testing.T) *study.Report {
	t.Helper()
	axes := map[string][]study.Axis{
		"loss":      {{Name: "peers", Values: []string{"5", "10"}}, {Name: "refresh", Values: []string{"0s", "2s"}}, {Name: "loss", Values: []string{"0%", "10%", "30%"}}},
		"join":      {{Name: "peers", Values: []string{"5"}}, {Name: "refresh", Values: []string{"0s", "1s"}}, {Name: "loss", Values: []string{"20%"}}},
		"restart":   {{Name: "peers", Values: []string{"5", "10"}}, {Name: "refresh", Values: []string{"1s", "2s"}}},
		"partition": {{Name: "peers", Values: []string{"5"}}, {Name: "refresh", Values: []string{"1s"}}},
		"churn":     {{Name: "peers", Values: []string{"10"}}, {Name: "loss", Values: []string{"0%", "5%"}}, {Name: "refresh", Values: []string{"0s"}}, {Name: "churn", Values: []string{"0.3", "1"}}},
		"sweep":     {{Name: "peers", Values: []string{"8"}}, {Name: "refresh", Values: []string{"0s"}}, {Name: "heartbeat", Values: []string{"250ms", "500ms"}}, {Name: "deadline", Values: []string{"1s", "1.5s", "2s"}}},
	}
	grids := study.Presets()
	for i := range grids {
		grids[i].Config.Repeat = 3
		if err := grids[i].Vary(axes[grids[i].Name]); err != nil {
			t.Fatal(err)
		}
	}
	r, err := study.Run(t.Context(), grids, result.Tool{Version: "devel", Args: []string{"study"}}, work.Local, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestStudy(t *testing.T) {
	r := studied(t)
	fits(t, "study", Study(r))
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
		"settings simulated, of loss, join, restart, partition, churn, sweep; ",
		" 10 2 s 30 % ",
		" never ",
		" * 250 ms 1 s ",
		"loss.removal_rate: ",
		"virtual network and clock",
	} {
		if !strings.Contains(flat, want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
	if said := "What is 0 is on no logarithmic axis"; !strings.Contains(page.String(), said) {
		t.Errorf("nothing was removed without loss, and the page does not say why that is on no curve: %q", said)
	}
	var again study.Report
	if err := json.Unmarshal(doc.Bytes(), &again); err != nil || len(again.Tables) != 6 || !slices.Equal(again.Tables[2].Cells[1].Values, r.Tables[2].Cells[1].Values) {
		t.Errorf("%v", err)
	}
	if page.Len() > 1_000_000 {
		t.Errorf("a page of %d bytes", page.Len())
	}
	if err := Study(r).Write(io.Discard, "pdf", Options{}); err == nil {
		t.Error("pdf is a format")
	}
	for name, r := range map[string]*study.Report{"nothing": {}, "a cut-short one": {Interrupted: true, Tables: r.Tables[:1]}} {
		var b bytes.Buffer
		if err := Study(r).Write(&b, "txt", Options{}); err != nil || r.Interrupted != strings.Contains(b.String(), "Interrupted") {
			t.Errorf("%s: %v\n%s", name, err, b.String())
		}
	}
}
