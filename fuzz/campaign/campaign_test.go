package campaign

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/target/virtual"
)

// attack runs a campaign on a virtual host.
func attack(t *testing.T, c Config) (r Result) {
	t.Helper()
	c.Host = virtual.New(start)
	c.Target = netip.MustParseAddrPort("127.0.0.1:3000")
	c.ProbeTimeout, c.Amplification, c.Narrow, c.Seed = 500*time.Millisecond, 4, 20*time.Second, 1
	if c.Modes == nil {
		c.Modes = []string{"catalogue"}
	}
	c.Log = func(line string) { t.Log(line) }
	synctest.Test(t, func(t *testing.T) {
		var err error
		if r, err = Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	})
	for _, y := range r.Tallies {
		t.Logf("%+v", *y)
	}
	t.Logf("%d batches, %d datagrams in %v, %d restarts, missing %q", r.Batches(), r.Sent, r.Elapsed, r.Restarts, r.Missing)
	for _, f := range r.Findings {
		t.Logf("%s by %s: %d datagrams, %d times, seen after %.1f s, narrowed down after %.1f s: %s", f.Kind, f.Case, f.Count, f.Times, f.Seen, f.After, f.What)
	}
	return r
}

func against(w wrong) Config {
	if w.peer != nil && w.server == nil {
		return Config{Role: hostile.Peer, PeerExec: w.name + " {name} {port} {server}"}
	}
	return Config{Exec: w.name}
}

func TestSoundTargetsSurvive(t *testing.T) {
	for role, c := range map[string]Config{"server": {Exec: "none"}, "peer": {Role: hostile.Peer, PeerExec: "none {server}"}} {
		t.Run(role, func(t *testing.T) {
			r := attack(t, c)
			if len(r.Findings) > 0 || len(r.Missing) > 0 || r.Restarts > 0 || r.Elapsed > 15*time.Second {
				t.Error("want the whole catalogue within 15 s, without a finding or a restart")
			}
			c.Modes, c.Duration = []string{"catalogue", "mutate", "generate", "random"}, 15*time.Second
			r = attack(t, c)
			if len(r.Findings) > 0 || len(r.Missing) > 0 || r.Restarts > 0 {
				t.Error("want no finding and no restart")
			}
			if n := float64(r.Batches()) / r.Elapsed.Seconds(); role == "server" && n < 200 {
				t.Errorf("%.0f batches a second, want 200", n)
			}
		})
	}
}

func TestWrongs(t *testing.T) {
	for _, w := range wrongs[1:] {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			r := attack(t, against(w))
			if len(r.Findings) != 1 {
				t.Fatalf("%d findings, want one", len(r.Findings))
			}
			if f := r.Findings[0]; f.Kind != w.kind || f.Count != w.count && w.count > 0 || f.Seen > w.within.Seconds() {
				t.Errorf("want %s by %d within %v", w.kind, w.count, w.within)
			}
		})
	}
}
