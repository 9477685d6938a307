package scenario

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"p2plocal/bench/machine"
	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
	"p2plocal/bench/sample"
	"p2plocal/fuzz/target"
)

// stopped is how long a standstill lasts that the test makes, longer than the deadline.
const stopped = 2 * time.Second

// stopping is a world in which this process is stopped once, where when says that a wait
// begins in which that is to be: on the goroutine of the scenario itself, so that it falls
// into it however late the machine is.
type stopping struct {
	mesh.World
	when func() bool
	done bool
}

func (w *stopping) Sleep(ctx context.Context, d time.Duration) bool {
	w.stop()
	return w.World.Sleep(ctx, d)
}

func (w *stopping) Step(ctx context.Context, until int64) bool {
	w.stop()
	return w.World.Step(ctx, until)
}

func (w *stopping) stop() {
	if w.done || !w.when() {
		return
	}
	w.done = true
	const wake = "until grep -q '^State:.T' /proc/%d/status; do sleep 0.01; done; sleep %v; kill -CONT %[1]d"
	exec.Command("sh", "-c", fmt.Sprintf(wake, os.Getpid(), stopped.Seconds())).Start()
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		self.Signal(target.Stop)
	}
}

// standStill is the whole of a process that measures and is stopped while a steady window
// is open, and when a peer has been killed.
func standStill() int {
	cfg := quick(4, "steady", "crash")
	cfg.Options.Duration = 2 * time.Second
	Find("steady").Run = func(s *Run) error {
		return s.withJoined(mesh.Setup{}, func() error {
			s.World = &stopping{World: s.World, when: func() bool { return s.ticked() > 0 || s.Clock.Now() >= s.Store.From.Load() }}
			s.measureWindow(s.opt.Warmup, s.opt.Duration, s.opt.Interval)
			return nil
		})
	}
	Find("crash").Run = func(s *Run) error {
		return s.with(mesh.Setup{Interval: s.cfg.Timing.Broadcast}, func() error {
			if err := s.joinAndSleep(); err != nil {
				return err
			}
			s.World = &stopping{World: s.World, when: func() bool { return s.Alive.Len() < s.N }}
			s.crash(s.choosePeers(s.opt.Kill))
			return s.ctx.Err()
		})
	}
	feed := sample.NewFeed(sample.Head{})
	look := func(*result.Result) (string, []sample.Assertion) { return "", nil }
	r, err := Execute(context.Background(), cfg, machine.Version(nil), &Status{Live: &Live{Watch: &mesh.Watch{Feed: feed}, Look: look}})
	if err == nil {
		err = r.Write(os.Stdout)
	}
	all, _ := feed.After(0)
	if told := bytes.Count(slices.Concat(all[0].Data...), []byte(`"kind":"standstill"`)); err == nil && told < 2 {
		err = fmt.Errorf("%d standstills are told to who looks on, want one a scenario: %s", told, all[0].Data)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// A measurement that was stopped for a while sends what it owes, timed from when it was
// due, removes nobody falsely, and takes nothing for measured that the standstill made.
func TestStandstill(t *testing.T) {
	t.Parallel()
	if !machine.Processes {
		return
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), foreignEnv+"=standstill")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	r, err := result.Read(strings.NewReader(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"steady", "crash"} {
		if notes := fmt.Sprint(scenarioOf(t, r, name).Notes); !strings.Contains(notes, "stood still") {
			t.Errorf("%s: the notes say %s", name, notes)
		}
		if n := flat(t, r, name+".false_positives"); n != 0 {
			t.Errorf("%s: %v false positives", name, n)
		}
	}
	if missed, sent, due := flat(t, r, "steady.missed"), flat(t, r, "steady.sent"), flat(t, r, "steady.due"); missed != 0 || sent != due {
		t.Errorf("%v broadcasts missed, %v of %v messages sent", missed, sent, due)
	}
	if late, least := flat(t, r, "steady.latency_due.max"), stopped.Seconds()-0.7; late < least {
		t.Errorf("the latest message came %v s after it was due, want %v and more", late, least)
	}
	for name, v := range scenarioOf(t, r, "crash").Flat() {
		if v.Unit == "s" && v.Value != nil {
			t.Errorf("%s is %v s, though it is void", name, *v.Value)
		}
	}
	if why := scenarioOf(t, r, "crash").Unmeasured; !strings.Contains(why, "stood still") {
		t.Errorf("crash: unmeasured %q, the notes say %v", why, scenarioOf(t, r, "crash").Notes)
	}
}
