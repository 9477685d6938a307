package faults

import (
	"strings"
	"testing"
)

// Each bound itself holds, and what is beyond it does not.
func TestBounds(t *testing.T) {
	t.Parallel()
	for holds, breaks := range map[string][]string{
		"peers 1":                            {"peers 0"},
		"peers 95":                           {"peers 96"},
		"queue 0":                            {"queue -1"},
		"refresh 0s":                         {"refresh -1ns"},
		"refresh 1h":                         {"refresh 1h0m0.000000001s"},
		"duration 1h":                        {"duration 1h0m0.000000001s"},
		"duration 40s":                       {"duration 39.999999999s", "duration 0s", "duration -1s"},
		"calm 2s":                            {"calm 1.999999999s"},
		"calm 60s":                           {"calm 60.000000001s"},
		"0s-40s pause 3001":                  {"-1ns-40s pause 3001", "0s-40.000000001s pause 3001", "3s-3s pause 3001"},
		"40s hostile 3001 1":                 {"40.000000001s hostile 3001 1", "40s hostile 3001 0"},
		"3s hostile server 100000":           {"3s hostile 3001 100001"},
		"3s-3.000000001s crash server":       {"3s-4s crash *", "3s-4s crash 2999"},
		"3s-4s crash 3010":                   {"3s-4s crash 3011", "3s-4s crash 0"},
		"3s-4s cut * *":                      {"3s-4s cut * 3011", "3s-4s cut 2999 *", "3s-4s cut 0 server", "3s-4s cut 68537 *"},
		"3s-4s link * server loss=1":         {"3s-4s link * server loss=1.1", "3s-4s link *"},
		"3s-4s drift 3001 500000":            {"3s-4s drift 3001 500001", "3s-4s drift server 1"},
		"3s-4s drift 3001 -500000":           {"3s-4s drift 3001 -500001"},
		"3s jump 3001 1h":                    {"3s jump 3001 1h0m0.000000001s", "3s jump server 1s"},
		"3s jump 3001 -1m":                   {"3s jump 3001 -1m0.000000001s"},
		"3s-4s divide 3001":                  {"3s-4s divide server", "3s-4s divide *"},
		"3s-4s flood server garbage 1":       {"3s-4s flood server garbage 0", "3s-4s flood server rubbish 1"},
		"3s-4s flood 3001 conflict 1000000":  {"3s-4s flood 3001 conflict 1000001", "3s-4s flood 3001 conflict"},
		"seed 18446744073709551615 # a note": {"seed 18446744073709551616", "seed 1 2"},
	} {
		if _, err := Default().Parse(strings.NewReader(holds)); err != nil {
			t.Errorf("%s: %v", holds, err)
		}
		for _, script := range breaks {
			if s, err := Default().Parse(strings.NewReader(script)); err == nil {
				t.Errorf("%s is taken: %+v", script, s)
			}
		}
	}
}

// A line is about links where what it does is.
func TestOfLinks(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{"1s-2s link * * loss=0.1": true, "1s-2s cut * *": true, "1s-2s divide 3005": true, "1s-2s pause 3001": false, "1s-2s flood server fill 9": false, "": false, "1s": false} {
		if OfLinks(line) != want {
			t.Errorf("%q is about links: %v", line, !want)
		}
	}
	if all, err := ParseFaults([]string{"1s-2s cut * 3001", "3s hostile server 4", "5s-6s flood 3002 fill 9"}); err != nil || strings.Join(Lines(all), "; ") != "1s-2s cut * 3001; 3s hostile server 4; 5s-6s flood 3002 fill 9" {
		t.Errorf("%q, %v", Lines(all), err)
	}
	if _, err := ParseFaults([]string{"1s-2s cut * *", ""}); err == nil || !strings.Contains(err.Error(), `fault "": time ""`) {
		t.Errorf("an empty fault: %v", err)
	}
}
