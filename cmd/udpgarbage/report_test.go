package main

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"p2plocal/fuzz/campaign"
)

// The table of a long campaign fits into 60 columns.
func TestTableIsNarrow(t *testing.T) {
	r := campaign.Result{Tallies: []*campaign.Tally{{What: "srv/keep-alive", Batches: 1_234_567, Sent: 123_456_789, Bytes: 1 << 40, Findings: 10}}}
	for _, ascii := range []bool{false, true} {
		var b strings.Builder
		if err := text(&b, r, ascii); err != nil {
			t.Fatal(err)
		}
		lines := 0
		for line := range strings.Lines(b.String()) {
			if !strings.ContainsAny(line, "│┌├└|+") {
				continue // not of the table
			}
			if n := utf8.RuneCountInString(strings.TrimSpace(line)); n > 60 {
				t.Errorf("%d columns: %s", n, line)
			}
			lines++
		}
		if lines != 5 {
			t.Error(b.String())
		}
	}
}

// What is left of a campaign is no time when its time is up, and what does not fit a line is left out whole.
func TestProgress(t *testing.T) {
	var o options
	o.Duration = 4 * time.Second
	for _, x := range []struct {
		elapsed time.Duration
		columns int
		want    string
	}{
		{time.Second, 79, "batch 3, 40 datagrams, 0 findings, 1 of 4 s, 3 s left: srv/any/empty"},
		{time.Second, 59, "batch 3, 40 datagrams, 0 findings, 1 of 4 s, 3 s left"},
		{time.Second, 44, "batch 3, 40 datagrams, 0 findings, 3 s left"},
		{time.Second, 40, "batch 3, 40 datagrams, 3 s left"},
		{4 * time.Second, 66, "batch 3, 40 datagrams, 0 findings, the time is up: late effects"},
		{9 * time.Second, 66, "batch 3, 40 datagrams, 0 findings, the time is up: late effects"},
	} {
		if got := progress(&campaign.Progress{Batches: 3, Sent: 40, Elapsed: x.elapsed, What: "srv/any/empty"}, o, x.columns); got != x.want {
			t.Errorf("%v, %d columns: %q, want %q", x.elapsed, x.columns, got, x.want)
		}
	}
}

// Of a finding whose file could not be written, nobody is told to replay it.
func TestOnlyWrittenFindingsAreReplayed(t *testing.T) {
	for file, want := range map[string]bool{"": false, "x.jsonl": true} {
		var b strings.Builder
		if err := text(&b, campaign.Result{Findings: []*campaign.Finding{{Kind: campaign.Died, Case: "srv/any/empty", File: file}}}, false); err != nil {
			t.Fatal(err)
		}
		if told := strings.Contains(b.String(), "-mode replay"); told != want {
			t.Errorf("file %q:\n%s", file, b.String())
		}
	}
}

// A run in which a case could not be judged is no survival.
func TestWhatIsNotJudgedIsTold(t *testing.T) {
	r := campaign.Result{Sent: 1, Tallies: []*campaign.Tally{{What: "srv/silent", Batches: 5, Unjudged: 2}}}
	var b strings.Builder
	if err := text(&b, r, false); err != nil || !strings.Contains(b.String(), "NOT JUDGED: srv/silent: 2 of 5 batches\n") {
		t.Errorf("%v:\n%s", err, b.String())
	}
	if err := tooLittle(campaign.Config{}, r); !errors.Is(err, campaign.ErrUnjudged) {
		t.Errorf("%v, want that there is no verdict", err)
	}
}

// What is over before it has begun is no survival.
func TestNothingSentIsTold(t *testing.T) {
	const want = "nothing was sent to the server: -duration 1ns is over before the first batch"
	if err := tooLittle(campaign.Config{Duration: 1}, campaign.Result{}); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
