package swarm

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"p2plocal/bench/faults"
)

// The examples hold, and what is written reads back.
func TestExamples(t *testing.T) {
	names, err := filepath.Glob("testdata/*.faults")
	if err != nil || len(names) != 11 {
		t.Fatalf("%q, %v", names, err)
	}
	seen := map[faults.Verb]bool{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := faults.Default().Parse(bytes.NewReader(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, f := range s.Faults {
			seen[f.Verb] = true
		}
		if f := Exact(Core)(t.Context(), s, 0, nil).Finding; f != nil {
			t.Errorf("%s: %v", name, f)
		}
	}
	if len(seen) != 7 {
		t.Errorf("the examples show %v, want all 7 kinds", seen)
	}
}

func TestWriteParse(t *testing.T) {
	for seed := range uint64(500) {
		s := Draw(seed)
		var b bytes.Buffer
		s.Write(&b)
		text := b.String()
		if got, err := faults.Default().Parse(&b); err != nil || !reflect.DeepEqual(got, s) {
			t.Fatalf("seed %d: %v\n%+v reads back as\n%+v from\n%s", seed, err, s, got, text)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for script, want := range map[string]string{
		"seed 1\npeers 96":                  "96 peers, want 1 to 95",
		"peers x":                           `line 1: peers "x" makes no sense`,
		"\n\nbeers 3":                       `line 3: "beers" is no setting`,
		"peers":                             "want a setting and its value",
		"network loss=2":                    "line 1: loss probability 2, want 0 to 1",
		"network loss=much":                 `"loss=much": want a number`,
		"network fog=1":                     `"fog=1" is not a property`,
		"5s crash 3001":                     "the others two such as 3s-5s",
		"5s-6s jump 3001 1s":                "jump and hostile take one time",
		"5s-4s crash 3001":                  "fault \"5s-4s crash 3001\": ends before it begins",
		"\n9s jump 3001 x":                  `line 2: jump "x" makes no sense`,
		"9s-10s drift 3001 x":               `line 1: drift "x" makes no sense`,
		"# x\n\n5s-6s crash 3010\npeers 9":  `fault "5s-6s crash 3010": peers have ports 3001 to 3009`,
		"seed 1\npeers 3\nseed 2":           "line 3: a second seed",
		"network loss=0.1 loss=0.2":         `line 1: "loss=0.2": a second loss`,
		"#" + strings.Repeat("x", 1<<16):    "line 1: bufio.Scanner: token too long",
		"duration 3s":                       "calm from 40s on, want 2s to the duration, 3s",
		"5s-6s crash 3011":                  "peers have ports 3001 to 3010",
		"5s-6s crash *":                     "crash wants one port",
		"5s-6s crash bob":                   `"bob" is nobody`,
		"5s-6s crash":                       "want TIME VERB WHO",
		"5s-6s melt 3001":                   `"melt" is no fault`,
		"5s-6s cut 3001":                    "wrong number of words",
		"5x-6s cut 3001 *":                  `time "5x-6s"`,
		"50s-55s cut 3001 *":                "must be over when it is calm",
		"5s-6s drift server 9":              "only a peer's may drift",
		"5s-6s drift 3001 900000":           "drift of 900000 ppm",
		"5s hostile server -1":              "-1 datagrams",
		"5s jump 3001 2h":                   "jump of 2h0m0s",
		"duration 0s":                       "duration 0s",
		"calm 2m":                           "calm from 2m0s on",
		"refresh -1s":                       "refresh -1s",
		"queue -1":                          "queue of -1",
		"seed -1":                           `seed "-1"`,
		"5s-6s link 3001 server delay=2h0m": "delay 2h0m0s",
	} {
		if _, err := faults.Default().Parse(strings.NewReader(script)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", script, err, want)
		}
	}
}
