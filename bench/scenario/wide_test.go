package scenario

import (
	"slices"
	"strings"
	"testing"
	"time"

	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/core"
)

// wideMesh is a simulated mesh of the wide dialect.
func wideMesh(peers int, keyed bool, scenarios ...string) result.Config {
	cfg := simulated(peers, scenarios...)
	cfg.Options.Wide, cfg.Options.Keyed = true, keyed
	return cfg
}

// Every scenario measures a wide mesh as it does an exact one, with a key and without:
// all that is sent is accounted for, and nobody is removed who lives.
func TestWideScenarios(t *testing.T) {
	t.Parallel()
	for _, keyed := range []bool{false, true} {
		cfg := wideMesh(10, keyed, Known...)
		cfg.Simulation.Host = result.HostOf(1)
		for _, s := range execute(t, cfg).Runs[0].Scenarios {
			if s.Unmeasured != "" || s.Failed != "" {
				t.Errorf("%s, key %v: not measured: %s%s", s.Name, keyed, s.Unmeasured, s.Failed)
			}
			if n := s.Accounts.Unexplained; n != 0 {
				t.Errorf("%s, key %v: %d datagrams unexplained", s.Name, keyed, n)
			}
			if n := *s.Flat()[s.Name+".false_positives"].Value; n != 0 && !Find(s.Name).Lossy && !Find(s.Name).Overruns {
				t.Errorf("%s, key %v: %v live peers removed", s.Name, keyed, n)
			}
		}
	}
}

// A mesh beyond the exact dialect's size has the same figures but for those of pairs.
func TestLargeMesh(t *testing.T) {
	t.Parallel()
	const peers = 200
	cfg := wideMesh(peers, false, "join", "steady", "crash", "loss")
	cfg.Options.Interval = Bearable(peers, cfg.Options.Interval)
	cfg.Options.Duration = 2 * cfg.Options.Interval
	cfg.Options.Impair = result.Impairment{Duplicate: 0.1, Delay: time.Millisecond}
	r := execute(t, cfg)
	const messages = 2 * peers * (peers - 1)
	for name, want := range map[string]float64{
		"join.unexplained": 0, "steady.unexplained": 0, "crash.unexplained": 0, "loss.unexplained": 0,
		"join.false_positives": 0, "steady.false_positives": 0, "crash.false_positives": 0, "loss.false_positives": 0,
		"steady.due": messages, "steady.sent": messages, "steady.delivered": messages,
		"loss.sent": messages, "loss.delivered": messages, "loss.duplicated": flat(t, r, "loss.duplicated_injected"),
	} {
		if got := flat(t, r, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if n := flat(t, r, "loss.duplicated"); n < messages/20 {
		t.Errorf("%v messages came twice, want about one in ten of %d", n, messages)
	}
	for _, s := range r.Runs[0].Scenarios {
		if s.Charts.Pairs != nil || len(s.Charts.Views) > record.PairedPeers {
			t.Errorf("%s has charts of what is not kept", s.Name)
		}
		if n := len(s.Charts.Noticed); s.Name == "crash" && n != peers-1 {
			t.Errorf("%d peers noticed the crash, want %d", n, peers-1)
		}
	}
}

// A large mesh over UDP, too.
func TestLargeMeshOverUDP(t *testing.T) {
	t.Parallel()
	const peers = 120
	cfg := result.Config{Scenarios: []string{"join", "steady"}, Peers: peers, Seed: 1, Repeat: 1, Isolation: "goroutine", Options: DefaultOptions(), Timing: core.DefaultTiming()}
	cfg.Options.Wide, cfg.Options.Keyed = true, true
	cfg.Options.Duration, cfg.Options.Interval = 500*time.Millisecond, 4*time.Second
	r := execute(t, patient(cfg))
	for _, name := range []string{"join.unexplained", "steady.unexplained"} {
		if n := flat(t, r, name); n != 0 {
			t.Errorf("%s is %v", name, n)
		}
	}
	// What is lost, a full buffer has: on a machine that is too slow to read.
	n, lost := flat(t, r, "steady.delivered"), flat(t, r, "steady.lost")
	if n == 0 || int(n+lost)%(peers-1) != 0 || lost > flat(t, r, "steady.kernel_drops") {
		t.Errorf("%v messages delivered and %v lost, want some times %d", n, lost, peers-1)
	}
}

// The interval between broadcasts grows with the square of a mesh that is large, in whole seconds.
func TestBearable(t *testing.T) {
	t.Parallel()
	for peers, want := range map[int]time.Duration{1: 4 * time.Second, 95: 4 * time.Second, 283: 4 * time.Second, 284: 5 * time.Second, 1000: 50 * time.Second, 4000: 800 * time.Second} {
		if got := Bearable(peers, 4*time.Second); got != want {
			t.Errorf("%d peers broadcast every %v, want %v", peers, got, want)
		}
	}
}

// How many peers there may be is the dialect's.
func TestPeersOfADialect(t *testing.T) {
	t.Parallel()
	for peers, dialects := range map[int]string{0: "", 1: "exact wide", 95: "exact wide", 96: "wide", record.MostPeers: "wide", record.MostPeers + 1: ""} {
		for _, dialect := range []string{"exact", "wide"} {
			cfg := Simulated(peers, "join")
			cfg.Options.Wide = dialect == "wide"
			if err := Validate(&cfg); (err == nil) != slices.Contains(strings.Fields(dialects), dialect) {
				t.Errorf("%d peers, %s: %v", peers, dialect, err)
			}
		}
	}
}
