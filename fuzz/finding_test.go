package fuzz

import (
	"strings"
	"testing"
)

func TestBadFindingsFileIsRefusedInPlainWords(t *testing.T) {
	for text, want := range map[string]string{
		`null`:                         "line 1: no hex",
		`{"offset_us":0}`:              "line 1: no hex",
		"{\"hex\":\"\"}\n{}":           "line 2: no hex",
		`[1]`:                          "line 1: a JSON array, want a JSON object",
		`{"offset_us":0,"hex":7}`:      "line 1: hex is a JSON number, want a JSON object",
		`{"offset_us":0,"hex":"0","x"`: "line 1: unexpected EOF, want a JSON object",
		`{"offset_us":-1,"hex":""}`:    "line 1: offset_us -1, want 0",
	} {
		if _, err := ReadShots(strings.NewReader(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestSameDatagramIsOneFinding(t *testing.T) {
	c := &campaign{known: map[string]bool{}, Config: Config{Log: func(string) {}}}
	book := func(kind Kind, name string, datagrams ...string) {
		f := Finding{Kind: kind, Mode: "catalogue"}
		for _, d := range datagrams {
			f.Shots = append(f.Shots, Shot{Datagram: []byte(d), Case: name})
		}
		if err := c.book(&Tally{}, batch{}, f); err != nil {
			t.Fatal(err)
		}
	}
	book(Hung, "empty", "")
	book(Hung, "empty-burst", "")     // the same again
	book(Died, "empty", "")           // another fault
	book(Hung, "walk", "x")           // another datagram
	book(Hung, "pair", "", "")        // a sequence
	book(Hung, "another", "", "more") // and another
	if len(c.result.Findings) != 5 {
		t.Errorf("%+v, want five", c.result.Findings)
	}
}

func TestSignOfLife(t *testing.T) {
	e := DefaultEnv().Spare[0]
	other := DefaultEnv().Spare[1]
	shots := []Shot{{At: 1, Datagram: birthOf(e)}, {At: 2, Datagram: keepAliveOf(e)}, {At: 3, Datagram: keepAliveOf(e)[:2]}, {At: 4, Datagram: birthOf(other)}}
	if last, born := signOfLife(shots, e); last != 2 || !born {
		t.Errorf("%d, born %v, want 2 and born", last, born)
	}
	if _, born := signOfLife(shots[1:], e); born {
		t.Error("born without a birth")
	}
}
