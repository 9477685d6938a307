package campaign

import (
	"testing"

	"p2plocal/fuzz/hostile"
)

func TestSameDatagramIsOneFinding(t *testing.T) {
	c := &campaign{known: map[string]bool{}, Config: Config{Log: func(string) {}}}
	record := func(kind Kind, name string, datagrams ...string) {
		f := Finding{Kind: kind, Mode: "catalogue"}
		for _, d := range datagrams {
			f.Shots = append(f.Shots, hostile.Shot{Datagram: []byte(d), Case: name})
		}
		if err := c.record(&Tally{}, batch{}, f); err != nil {
			t.Fatal(err)
		}
	}
	record(Hung, "empty", "")
	record(Hung, "empty-burst", "")     // the same again
	record(Died, "empty", "")           // another fault
	record(Hung, "walk", "x")           // another datagram
	record(Hung, "pair", "", "")        // a sequence
	record(Hung, "another", "", "more") // and another
	if len(c.result.Findings) != 5 {
		t.Errorf("%+v, want five", c.result.Findings)
	}
}

func TestSignOfLife(t *testing.T) {
	e := hostile.DefaultEnv().Spare[0]
	other := hostile.DefaultEnv().Spare[1]
	shots := []hostile.Shot{{At: 1, Datagram: hostile.BirthOf(e)}, {At: 2, Datagram: hostile.KeepAliveOf(e)}, {At: 3, Datagram: hostile.KeepAliveOf(e)[:2]}, {At: 4, Datagram: hostile.BirthOf(other)}}
	if last, born := signOfLife(shots, e); last != 2 || !born {
		t.Errorf("%d, born %v, want 2 and born", last, born)
	}
	if _, born := signOfLife(shots[1:], e); born {
		t.Error("born without a birth")
	}
}
