package scenario

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"p2plocal/bench/machine"
	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
)

// behind is a mesh hosted by the example of the driver protocol, with a change to it.
func behind(t *testing.T, old, with string, scenarios ...string) result.Config {
	t.Helper()
	python, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output() // not a wrapper, which takes its time
	if err != nil {
		t.Fatalf("python3: %v", err)
	}
	example, err := os.ReadFile("../driver/testdata/heartbeat.py")
	if err != nil || !strings.Contains(string(example), old) {
		t.Fatalf("no %q in the example: %v", old, err)
	}
	file := filepath.Join(t.TempDir(), "driver.py")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(example), old, with)), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := quick(5, scenarios...)
	cfg.Options.Driver = &result.Driver{Exec: strings.TrimSpace(string(python)) + " " + file, Unsupported: []string{"leave", "pause", "resume"}} // as mesh.ProbeDriver learns
	return cfg
}

// patientDriver takes a member for down that has been silent for so many times three seconds.
func patientDriver(t *testing.T, times int, scenarios ...string) result.Config {
	t.Helper()
	cfg := behind(t, "10 * beat", fmt.Sprint(30*times, " * beat"), scenarios...)
	cfg.Timing.Deadline = time.Duration(3*times) * time.Second
	return cfg
}

// A mesh behind a driver is measured as ours is. (Side by side: it is waited for most of the time.)
func TestDriver(t *testing.T) {
	t.Parallel()
	t.Run("alive", func(t *testing.T) {
		t.Parallel()
		r, _ := throughDriver(t, "join", "steady", "churn")
		due := flat(t, r, "steady.due")
		for _, name := range []string{"sent", "delivered"} {
			if got := flat(t, r, "steady."+name); got != due || due < 5*4*8 {
				t.Errorf("steady.%s is %v, want as many as were due, %v", name, got, due)
			}
		}
		if v := flat(t, r, "join.sizes"); v < 2 || v > 5 { // oneself, and all five
			t.Errorf("%v sizes of a mesh of five were seen on the way", v)
		}
		for _, name := range []string{"join.converge", "join.admit.max", "join.propagate.max", "steady.latency.p50", "steady.timer_error.p50", "steady.pipe.max", "churn.disagreement"} {
			flat(t, r, name)
		}
	})
	t.Run("crashes", func(t *testing.T) {
		t.Parallel()
		r, times := throughDriver(t, "crash", "relaunch")
		if v := flat(t, r, "crash.detect.min"); v < 2.8*times { // thirty beats of 0.1 s after the last sign of life
			t.Errorf("a crash was noticed after %v s", v)
		}
		flat(t, r, "relaunch.late.back.max")
	})
}

// throughDriver measures behind the example, as patiently as need be.
func throughDriver(t *testing.T, scenarios ...string) (*result.Result, float64) {
	t.Helper()
	r, times := patiently(t, func(times int) *result.Result {
		cfg := patientDriver(t, times, scenarios...)
		if err := mesh.ProbeDriver(t.Context(), cfg.Options.Driver, cfg.Peers); err != nil {
			t.Fatal(err)
		}
		if d := cfg.Options.Driver; d.Name != "heartbeat" || d.Version != "1" || Find("pause").CannotRun(&cfg) != `the driver does not support "pause"` || Find("garbage").CannotRun(&cfg) == "" {
			t.Fatalf("%+v, pause: %s, garbage: %s", d, Find("pause").CannotRun(&cfg), Find("garbage").CannotRun(&cfg))
		}
		return execute(t, cfg)
	})
	if why := r.Failure(); why != "" {
		t.Fatal(why)
	}
	for _, s := range r.Runs[0].Scenarios {
		if strings.Contains(fmt.Sprint(s.Notes), "no time of the driver's") {
			t.Errorf("%s: %v", s.Name, s.Notes)
		}
	}
	return r, times
}

// What a driver does wrong is a result that says so.
func TestDriverFails(t *testing.T) {
	t.Parallel()
	const kill = `elif do == "kill":`
	for _, x := range []struct{ name, old, with, want string }{
		{"dies", kill, kill + "\n        sys.exit(3)", "the driver ended: exit status 3"},
		{"malformed", kill, kill + "\n        print('oops', flush=True)", `is no report: invalid character 'o' looking for beginning of value: "oops"`},
		{"hangs", kill, kill + "\n        time.sleep(11)", `the driver did not answer "`},
		{"another clock", `at=time.monotonic_ns()`, `at=time.time_ns()`, "want a time of CLOCK_MONOTONIC"},
		{"does not end", `sys.exit() if c["type"] == "stop" else obey`, `time.sleep(100) if c["type"] == "stop" else obey`, "did not end within"},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			cfg := behind(t, x.old, x.with, "crash")
			cfg.Options.Timeout = 3 * time.Second // nobody notices whose kill is not obeyed
			r := execute(t, cfg)
			if s := r.Runs[0].Scenarios[0]; !strings.Contains(s.Failed, x.want) || r.Failure() == "" {
				t.Errorf("failed: %q, %+v, want %q", s.Failed, s.Notes, x.want)
			}
		})
	}
	t.Run("no times", func(t *testing.T) {
		t.Parallel()
		r := execute(t, behind(t, `, "at": at`, ``, "steady"))
		if s := r.Runs[0].Scenarios[0]; !strings.Contains(fmt.Sprint(s.Notes), "had no time of the driver's: the pipe's delay, p50") {
			t.Errorf("%+v", s.Notes)
		}
	})
	for name, want := range map[string]string{"/nowhere/driver": "cannot start", "false": "the driver ended: exit status 1"} {
		cfg := quick(5, "join")
		cfg.Options.Driver = &result.Driver{Exec: name}
		if _, err := Execute(t.Context(), cfg, machine.Version(nil), new(Status)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}
