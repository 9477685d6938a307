package main

import (
	"strings"
	"testing"
	"time"
)

func TestOften(t *testing.T) {
	t.Parallel()
	p := newPrinter("server", false, false)
	now := noon
	printed := func(want ...string) {
		t.Helper()
		got := strings.ReplaceAll(string(p.pending), "server ", "")
		if want := strings.Join(append(want, ""), "\n"); got != want {
			t.Errorf("at %v printed\n%swant\n%s", now.Sub(noon), got, want)
		}
		p.pending = p.pending[:0]
	}
	flood := func(reason string, n int) {
		for range n {
			p.often(now, reason, func() event { return failure(reason) })
		}
	}
	flood("x", 2)
	printed("x", "x")
	now = now.Add(time.Second)
	p.count(now)
	printed()
	flood("x", 100000)
	flood("y", 4)
	printed("x", "y", "y", "y")
	p.count(now)
	printed("counted 99999 more: x", "counted 1 more: y")
	p.count(now)
	printed()
	now = now.Add(calm - 1)
	flood("x", 1)
	printed()
	p.count(now)
	printed("counted 1 more: x")
	now = now.Add(calm)
	flood("x", 1)
	printed("x")
	flood("y", 4)
	printed("y", "y", "y")
	p.end(now, failure("end"))
	printed("counted 1 more: y", "end")
}

func TestOftenQuiet(t *testing.T) {
	t.Parallel()
	p := newPrinter("server", false, true)
	p.often(noon, "x", func() event { return failure("x") })
	p.event(noon, failure("y"))
	p.reply(noon, failure("z"))
	if got := string(p.pending); got != "server z\n" {
		t.Errorf("a quiet printer prints %q", got)
	}
}

// stopped is a terminal after Ctrl-S: it takes nothing until it is released.
type stopped struct {
	called, release chan struct{}
	strings.Builder
}

func (s *stopped) Write(b []byte) (int, error) {
	s.called <- struct{}{}
	<-s.release
	return s.Builder.Write(b)
}

func TestSlowOutput(t *testing.T) {
	t.Parallel()
	p := newPrinter("server", false, false)
	w := &stopped{called: make(chan struct{}, 10), release: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.run(w)
	}()
	p.event(noon, failure("first"))
	<-w.called
	long := strings.Repeat("x", pendingMost/4)
	for range 7 {
		p.event(noon, failure(long)) // none of these may wait
	}
	p.end(noon, failure("end"))
	close(w.release)
	<-done
	got := strings.ReplaceAll(w.String(), long, "long")
	want := strings.Repeat("server long\n", 4)
	if want = "server first\n" + want + "server has not printed 3 lines: the output was too slow\nserver end\n"; got != want {
		t.Errorf("printed\n%swant\n%s", got, want)
	}
}
