package main

import (
	"strings"
	"testing"
	"time"
)

// line is an event that says what it is told to.
func line(text string) event { return event{"line", text, nil} }

func TestOften(t *testing.T) {
	t.Parallel()
	p := newPrinter("server", false, new(output))
	now := noon
	printed := func(want ...string) {
		t.Helper()
		got := strings.ReplaceAll(string(p.outputs[0].pending), "server ", "")
		if want := strings.Join(append(want, ""), "\n"); got != want {
			t.Errorf("at %v printed\n%swant\n%s", now.Sub(noon), got, want)
		}
		p.outputs[0].pending = p.outputs[0].pending[:0]
	}
	flood := func(reason string, n int) {
		for range n {
			p.often(now, reason, func() event { return line(reason) })
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
	go p.end(now, line("end"))
	for ended := false; !ended; {
		p.mu.Lock()
		ended = p.ended
		p.mu.Unlock()
	}
	printed("counted 1 more: y", "end")
}

func TestOftenQuiet(t *testing.T) {
	t.Parallel()
	p := newPrinter("server", true, new(output))
	p.often(noon, "x", func() event { return line("x") })
	p.event(noon, line("y"))
	p.reply(noon, line("z"))
	if got := string(p.outputs[0].pending); got != "server z\n" {
		t.Errorf("a quiet printer prints %q", got)
	}
}

// stopped is a terminal after Ctrl-S: it takes nothing until it is released.
type stopped struct {
	called, release chan struct{}
	strings.Builder
}

func (s *stopped) Write(b []byte) (int, error) {
	select {
	case s.called <- struct{}{}:
	default:
	}
	<-s.release
	return s.Builder.Write(b)
}

func TestSlowOutput(t *testing.T) {
	t.Parallel()
	w := &stopped{called: make(chan struct{}, 10), release: make(chan struct{})}
	p := newPrinter("server", false, &output{w: w})
	go p.write(p.outputs[0])
	p.event(noon, line("first"))
	<-w.called
	long := strings.Repeat("x", pendingMost/4)
	for range 7 {
		p.event(noon, line(long)) // none of these may wait
	}
	p.mu.Lock()
	close(w.release)
	p.mu.Unlock()
	if err := p.end(noon, line("end")); err != nil {
		t.Error(err)
	}
	got := strings.ReplaceAll(w.String(), long, "long")
	want := strings.Repeat("server long\n", 4)
	if want = "server first\n" + want + "server has not printed 3 lines: the output was too slow\nserver end\n"; got != want {
		t.Errorf("printed\n%swant\n%s", got, want)
	}
}

func TestASCII(t *testing.T) {
	t.Parallel()
	o := &output{ascii: true}
	o.line("peerA", noon, message(b, []byte("é \xff \"😀")))
	if got, want := string(o.pending), `peerA received vanilla message: "\u00e9 \xff \"\U0001f600"`+"\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}
