package fuzz_test

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"p2plocal/fuzz/corpus"
	"p2plocal/fuzz/hostile"
)

var update = flag.Bool("update", false, "write the seed corpora anew from the catalogue and the transcripts")

// recorded are the datagrams of testdata/recorded.json: what the original
// implementation was sent and what it answered.
func recorded(t testing.TB) (sessions []struct {
	Case string
	Role string
	Sent []struct {
		Ms   int `json:"t_ms"`
		From any // peer sessions: the port
		Hex  string
	}
	Answers []string
}) {
	t.Helper()
	b, err := os.ReadFile("testdata/recorded.json")
	if err == nil {
		err = json.Unmarshal(b, &sessions)
	}
	if err != nil {
		t.Fatal(err)
	}
	return sessions
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func catalogue() []hostile.Case {
	return append(hostile.DefaultEnv().Cases(hostile.Server), hostile.DefaultEnv().Cases(hostile.Peer)...)
}

const largestSeed = 1024 // bytes: larger cases cost the repository more than they give the fuzzer

// seeds is each target's corpus, by file name.
func seeds(t testing.TB) map[string]map[string][]byte {
	all := map[string]map[string][]byte{"FuzzParse": {}, "FuzzDirectory": {}, "FuzzPeer": {}, "FuzzFinding": {},
		"FuzzWideParse": {}, "FuzzWideSealed": {}, "FuzzWideServer": {}, "FuzzWidePeer": {}}
	add := func(target, name string, b []byte) {
		if len(b) <= largestSeed {
			all[target][strings.NewReplacer("/", "-", "'", "").Replace(name)] = b
		}
	}
	env := hostile.DefaultEnv()
	var join []byte // what the members do before a case
	for _, e := range env.Members {
		join = operation{0, hostile.FromStranger, hostile.BirthOf(e)}.append(join)
	}
	meet := operation{waitUnit, hostile.FromServer, hostile.Directory(env.Self, env.Members[0], env.Members[1])}.append([]byte{1})
	for _, c := range catalogue() {
		if len(c.Steps) < 3 { // FuzzParse has no use for sequences of what it has
			add("FuzzParse", c.Name, c.Steps[0].Datagram)
		}
		if c.Role == hostile.Server {
			add("FuzzDirectory", c.Name, appendCase(join, c))
		} else {
			add("FuzzPeer", c.Name, appendCase(meet, c))
		}
	}
	// PROTOCOL.md, "Additions", proof: two are born, one of them speaks up from
	// somewhere, and a third wants the name of one and the port of the other.
	for name, from := range map[string]hostile.Origin{"born": hostile.FromStranger, "port": hostile.FromSelf, "other": hostile.FromMember} {
		other := env.Spare[0]
		b := operation{0, hostile.FromStranger, hostile.BirthOf(env.Self)}.append(nil)
		b = operation{0, hostile.FromStranger, hostile.BirthOf(other)}.append(b)
		b = operation{25 * waitUnit, from, hostile.KeepAliveOf(env.Self)}.append(b)
		b = operation{35 * waitUnit, hostile.FromMember, hostile.Birth(uint16(env.Self.Name), other.Port)}.append(b)
		add("FuzzDirectory", "proof-from-"+name, b)
	}
	for _, s := range recorded(t) {
		target, b := "FuzzDirectory", []byte(nil)
		if s.Role == "peer" {
			target, b = "FuzzPeer", []byte{0}
		}
		at := time.Duration(0)
		for i, d := range s.Sent {
			wait := (time.Duration(d.Ms)*time.Millisecond - at) / waitUnit * waitUnit
			at += wait
			from := hostile.FromStranger
			if s.Role == "peer" {
				from = hostile.FromMember
				if d.From == float64(env.Server.Port()) {
					from = hostile.FromServer
				}
			}
			b = operation{wait, from, unhex(t, d.Hex)}.append(b)
			if i < 8 {
				add("FuzzParse", fmt.Sprintf("recorded-%s-%s-%d", s.Role, s.Case, i), unhex(t, d.Hex))
			}
		}
		add(target, "recorded-"+s.Case, b)
		for i, h := range s.Answers {
			add("FuzzParse", fmt.Sprintf("recorded-%s-%s-answer-%d", s.Role, s.Case, i), unhex(t, h))
		}
	}
	wideSeeds(add)
	findingSeeds(t, func(name string, b []byte) { add("FuzzFinding", name, b) })
	return all
}

// Every target of the project stands here, and has committed seeds that a fuzzer reads.
func TestEveryTargetHasSeeds(t *testing.T) {
	targets := map[string]string{} // directory by name
	target := regexp.MustCompile(`(?m)^func (Fuzz\w*)\(\w+ \*testing\.F\)`)
	err := filepath.WalkDir("..", func(path string, e fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range target.FindAllSubmatch(source, -1) {
			if filepath.Dir(path) != "../fuzz" {
				t.Errorf("%s stands in %s, want it in ./fuzz", m[1], path)
			}
			targets[string(m[1])] = filepath.Join(filepath.Dir(path), "testdata", "fuzz", string(m[1]))
		}
		return err
	})
	if err != nil || targets["FuzzParse"] == "" {
		t.Fatalf("%v: targets %v", err, targets)
	}
	for name, dir := range targets {
		files, _ := filepath.Glob(filepath.Join(dir, "*"))
		if len(files) == 0 {
			t.Errorf("%s has no seeds in %s", name, dir)
		}
		for _, file := range files {
			if b, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(b), "go test fuzz v1\n") {
				t.Errorf("%s is no seed (%v)", file, err)
			}
		}
	}
}

// TestCorpora holds the committed seeds to what the catalogue and the
// recordings give today.
func TestCorpora(t *testing.T) {
	for target, files := range seeds(t) {
		corpus.Hold(t, *update, ".", target, files)
	}
}
