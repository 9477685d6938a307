package scenario

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
)

// stopped is how long a standstill lasts that the test makes, longer than the deadline.
const stopped = 2 * time.Second

// standStill is the whole of a process that measures and is stopped in the middle of a
// steady window, and of a crash.
func standStill() int {
	var status Status
	cfg := quick(4, "steady", "crash")
	go func() {
		for _, name := range cfg.Scenarios {
			for p := status.Now(); p == nil || p.Scenario != name || p.Elapsed() < 100*time.Millisecond || name == "steady" && !sends(p); p = status.Now() {
				time.Sleep(time.Millisecond)
			}
			exec.Command("sh", "-c", fmt.Sprintf("sleep %v; kill -CONT %d", stopped.Seconds(), os.Getpid())).Start()
			if self, err := os.FindProcess(os.Getpid()); err == nil {
				self.Signal(mesh.SigStop)
			}
		}
	}()
	r, err := Execute(context.Background(), cfg, mesh.Version(nil), &status)
	if err == nil {
		err = r.Write(os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func sends(p *Progress) bool {
	sent, _ := p.Messages()
	return sent > 0
}

// A measurement that was stopped for a while sends what it owes, timed from when it was
// due, removes nobody falsely, and takes nothing for measured that the standstill made.
func TestStandstill(t *testing.T) {
	t.Parallel()
	if !mesh.Processes {
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
	if why := scenarioOf(t, r, "crash").Unmeasured; !strings.Contains(why, "stood still") {
		t.Errorf("crash: unmeasured %q", why)
	}
}
