package target

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

const (
	asWatcher   = "watcher"
	monitorStep = 10 * time.Millisecond
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == asWatcher {
		watch()
		return
	}
	os.Exit(m.Run())
}

// watch says ready, and then how long each standstill took that was longer than any before it. It ends when it is killed.
func watch() {
	m, err := NewMonitor(monitorStep)
	if err != nil {
		fmt.Println(err)
		return
	}
	started, longest := time.Now(), time.Duration(0)
	for fmt.Println("ready"); ; time.Sleep(monitorStep) {
		for _, s := range m.Standstills(started) {
			if s.Took() > longest {
				longest = s.Took()
				fmt.Println(int64(longest))
			}
		}
	}
}

// A process that was stopped knows for how long.
func TestStandstillIsSeen(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0], asWatcher)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(time.Minute, func() { cmd.Process.Kill() }).Stop() // one that sees none waits for ever
	lines := bufio.NewScanner(out)
	if lines.Scan(); lines.Text() != "ready" {
		t.Fatalf("%q, want ready", lines.Text())
	}
	cmd.Process.Signal(syscall.SIGSTOP)
	stopped := time.Now()
	time.Sleep(time.Second)
	least := time.Since(stopped)
	cmd.Process.Signal(syscall.SIGCONT)
	took, want := time.Duration(0), least-2*monitorStep-StandstillLeast
	for took < want && lines.Scan() { // what a busy machine makes comes besides
		fmt.Sscan(lines.Text(), (*int64)(&took))
	}
	if took < want {
		t.Errorf("%v, want %v or more", took, least)
	}
	cmd.Process.Kill()
	cmd.Wait()
}

// The clocks that stand while the machine sleeps do not hide it.
func TestSuspensionIsAStandstill(t *testing.T) {
	now := time.Now()
	m := Monitor{awake: now}
	m.ran(now, 0)
	m.ran(now.Add(time.Millisecond), time.Hour)
	if s := m.Standstills(now.Add(-time.Second)); len(s) != 1 || s[0].Took() < time.Hour {
		t.Errorf("%+v, want an hour", s)
	}
	if s := m.Standstills(now.Add(time.Minute)); len(s) != 0 {
		t.Errorf("%+v, want none later", s)
	}
}

// One that is as long as a lost datagram is waited for is seen, too.
func TestStandstillBesideLostDatagram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		m := Monitor{awake: now.Add(-1100 * time.Millisecond), asleep: suspended()}
		m.await(nil)
		if s := m.Standstills(now); len(s) != 1 || s[0].Took() < 1100*time.Millisecond {
			t.Errorf("%+v, want one of 1.1 s", s)
		}
	})
}

// One that has just ended is seen before the monitor has run again: what it fell into is
// judged at once.
func TestStandstillAtTheEdge(t *testing.T) {
	now := time.Now()
	m := Monitor{awake: now.Add(-time.Second), asleep: suspended()}
	if s := m.Standstills(now); len(s) != 1 || s[0].Took() < time.Second {
		t.Errorf("%+v, want one of a second", s)
	}
	if s := m.Standstills(now); len(s) != 1 {
		t.Errorf("%+v, want the same one", s)
	}
}

// What threads have waited stays, though they end one by one: a process that is ending has not waited less.
func TestWaitsOfEndedThreads(t *testing.T) {
	var w waits
	start := time.Now()
	for i, x := range []struct {
		seen   map[string]thread
		waited time.Duration
		runs   int64
	}{
		{map[string]thread{"1": {accounted: "5 1000 1"}, "2": {accounted: "5 7000 2"}}, 8000, 3},
		{map[string]thread{"1": {accounted: "5 1000 1"}, "2": {accounted: "5 7000 2", ready: true}}, 8000 + time.Second, 3}, // since the last look
		{map[string]thread{"1": {accounted: "9 2000 2"}}, 9000, 4},
		{map[string]thread{"1": {accounted: "9 2000 2"}}, 9000, 4},
		{nil, 9000, 4},
	} {
		if waited, runs := w.see(start.Add(time.Duration(i)*time.Second), x.seen); waited != x.waited || runs != x.runs {
			t.Errorf("look %d: %v in %d runs, want %v in %d", i, waited, runs, x.waited, x.runs)
		}
	}
}
