//go:build long

package scenario

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"p2plocal/bench/machine"
	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
	"p2plocal/core/udp"
	"p2plocal/fuzz/target"
)

// Every scenario of our own mesh is one over hosts, too.
func TestLongOverHosts(t *testing.T) {
	t.Parallel()
	testOverHosts(t, onHosts(9, "join", "steady", "crash", "partition", "pause"))
}

// A server that dies or falls silent half-way is survived, and said.
func TestLongServerFails(t *testing.T) {
	t.Parallel()
	if !machine.Processes {
		return
	}
	// strike makes what is to happen when file is there happen in the midst of the measuring.
	strike := func(t *testing.T, status *Status, file string) {
		go func() {
			for t.Context().Err() == nil {
				if p := status.Now(); p != nil {
					if sent, _ := p.Messages(); sent > 0 {
						os.WriteFile(file, nil, 0o600)
						return
					}
				}
				time.Sleep(time.Millisecond)
			}
		}()
	}
	for _, test := range []struct{ name, fate, want string }{
		{"dies", "exit 9 when ", `the server died: exit status 9, last output "terminate called after throwing an instance"`},
		{"stops", "stop when ", "fell silent: a birth repeated at the end was not answered within 10 s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cfg := quick(3, "steady", "join")
			file := filepath.Join(t.TempDir(), "now")
			cfg.Options.ServerExec, cfg.Options.Duration = foreignCommand("server", test.fate+file), 2*time.Second
			var status Status
			strike(t, &status, file)
			r, err := Execute(t.Context(), cfg, machine.Version(nil), &status)
			if err != nil {
				t.Fatal(err)
			}
			if s := scenarioOf(t, r, "steady"); !strings.Contains(s.Failed, test.want) {
				t.Errorf("steady: failed %q, want %q", s.Failed, test.want)
			}
			flat(t, r, "steady.latency.p50")
			flat(t, r, "join.converge") // by another process
			if s := scenarioOf(t, r, "join"); s.Failed != "" {
				t.Errorf("join: failed %q", s.Failed)
			}
			if !strings.HasPrefix(r.Failure(), "steady: the server") {
				t.Errorf("failure %q", r.Failure())
			}
		})
		t.Run("running/"+test.name, func(t *testing.T) {
			t.Parallel()
			probe, err := udp.Listen(netip.AddrPortFrom(machine.Loopback, 0), 0)
			if err != nil {
				t.Fatal(err)
			}
			addr := probe.Addr()
			probe.Close()
			file := filepath.Join(t.TempDir(), "now")
			server := exec.Command("/bin/sh", "-c", "exec "+strings.Replace(foreignCommand("server", test.fate+file), "{port}", strconv.Itoa(int(addr.Port())), 1))
			if err := server.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { server.Process.Kill(); server.Wait() }()
			for deadline := time.Now().Add(10 * time.Second); !target.Bound(addr) && time.Now().Before(deadline); {
				time.Sleep(time.Millisecond)
			}
			cfg := quick(3, "steady", "join")
			cfg.Options.Server, cfg.Options.Duration = addr.String(), 2*time.Second
			var status Status
			strike(t, &status, file)
			r, err := Execute(t.Context(), cfg, machine.Version(nil), &status)
			want := test.want
			if test.name == "dies" {
				want = "the server died: nothing listens at " + addr.String()
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Fatalf("error %v, want %q", err, want)
			}
			if len(r.Runs[0].Scenarios) != 1 {
				t.Errorf("%d scenarios, want the one in which it failed", len(r.Runs[0].Scenarios))
			}
			flat(t, r, "steady.latency.p50")
		})
	}
}

// A server that ends at once, one that is not there, and one that says nothing.
func TestLongNoServer(t *testing.T) {
	t.Parallel()
	if !machine.Processes {
		return
	}
	cfg := quick(3, "join")
	cfg.Options.ServerExec = "false {port}"
	_, err := Execute(t.Context(), cfg, machine.Version(nil), new(Status))
	if err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("error %v, want one that says that the server ended with status 1", err)
	}

	mute, err := udp.Listen(netip.AddrPortFrom(machine.Loopback, 0), 0)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Options.ServerExec, cfg.Options.Server = "", mute.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	var status Status
	go func() {
		for p := status.Now(); ctx.Err() == nil && (p == nil || p.counts == nil); p = status.Now() { // no mesh yet
			time.Sleep(time.Millisecond)
		}
		time.Sleep(100 * time.Millisecond)
		cancel()
	}()
	r, err := Execute(ctx, cfg, machine.Version(nil), &status)
	if err != nil || !r.Interrupted || r.Runs[0].Scenarios[0].Metrics["join.converge"].Value != nil {
		t.Errorf("error %v, result %+v, want no convergence with a mute server", err, r)
	}
	r, err = Execute(t.Context(), cfg, machine.Version(nil), new(Status))
	if err == nil || !strings.Contains(err.Error(), "never answered") || r.Runs[0].Scenarios[0].Metrics["join.converge"].Value != nil {
		t.Errorf("error %v, want that the server never answered", err)
	}
	mute.Close()
	if _, err = Execute(t.Context(), cfg, machine.Version(nil), new(Status)); err == nil || !strings.Contains(err.Error(), "nothing listens at") {
		t.Errorf("error %v, want that nothing listens there", err)
	}
}

// A server as slow and as easily hurt as the original is measured like any
// other; it falls over garbage, which is a result and no failure of the harness.
func TestLongSlowServer(t *testing.T) {
	t.Parallel()
	if !machine.Processes {
		return // needs to see when a port is bound
	}
	cfg := quick(4, "join", "steady", "crash", "relaunch", "restart", "pause", "garbage", "loss")
	cfg.Options.ServerExec = foreignCommand("server", "")
	cfg.Options.Impair.Loss = 0                                                       // it would not notice a lost birth
	cfg.Timing.Heartbeat, cfg.Timing.Deadline = 250*time.Millisecond, foreignDeadline // more it cannot take on a busy machine
	r := execute(t, cfg)
	for _, name := range []string{"join.converge", "steady.latency.p50", "crash.converge", "relaunch.late.back.max", "restart.refresh.whole", "pause.rebirth.back", "loss.converge", "join.server_memory"} {
		flat(t, r, name)
	}
	defined(t, r)
	for _, s := range r.Runs[0].Scenarios {
		if s.Accounts.Unexplained != 0 {
			t.Errorf("%s: %d datagrams unexplained", s.Name, s.Accounts.Unexplained)
		}
		if s.Name == "garbage" {
			if !strings.Contains(s.Failed, "the server died: exit status 134") {
				t.Errorf("a server that garbage kills: failed %q", s.Failed)
			}
		} else if s.Failed != "" {
			t.Errorf("%s failed: %s", s.Name, s.Failed)
		}
	}
}

// With external peers, every scenario measures what ours can see, the
// impairment's log too, and a server that is down takes no harm.
func TestLongExternalPeers(t *testing.T) {
	t.Parallel()
	if !machine.Processes {
		return
	}
	cfg := quick(5, "join", "steady", "crash", "relaunch", "churn", "restart", "pause", "loss")
	cfg.Options.External, cfg.Options.PeerExec = 2, foreignCommand("peer", "")
	cfg.Options.Impair = result.Impairment{Loss: 0.2}
	cfg.Timing.Refresh = cfg.Options.Refresh // what is lost comes again
	r := execute(t, cfg)
	defined(t, r)
	for _, s := range r.Runs[0].Scenarios {
		if s.Accounts.Unexplained != 0 || s.Failed != "" {
			t.Errorf("%s: %d datagrams unexplained, failed %q", s.Name, s.Accounts.Unexplained, s.Failed)
		}
	}
	if got, want := flat(t, r, "loss.loss"), flat(t, r, "loss.loss_injected"); got != want || want == 0 {
		t.Errorf("loss %v among ours, the impairment's log says %v", got, want)
	}
}

// External peers that die are said to, and are dead from then on: the others
// drop them, which is no false positive.
func TestLongExternalPeerDies(t *testing.T) {
	t.Parallel()
	if !machine.Processes {
		return
	}
	cfg := quick(4, "steady")
	cfg.Options.External, cfg.Options.PeerExec = 1, foreignCommand("peer", "exit 3 after 700ms")
	cfg.Options.Duration, cfg.Timing.Deadline = 5*time.Second, 3*time.Second
	r := execute(t, cfg)
	defined(t, r)
	s := scenarioOf(t, r, "steady")
	if !strings.Contains(s.Failed, "external peer A died: exit status 3") {
		t.Errorf("failed %q", s.Failed)
	}
	if n := flat(t, r, "steady.false_positives"); n != 0 {
		t.Errorf("%v false positives", n)
	}
	if n := flat(t, r, "steady.lost"); n != 0 {
		t.Errorf("%v messages lost among the others", n)
	}
}

// An external peer that never says a word is said to be silent; one that falls
// silent later is dropped, and who is to blame cannot be seen.
func TestLongExternalPeerSilent(t *testing.T) {
	t.Parallel()
	if !machine.Processes {
		return
	}
	for name, test := range map[string]struct {
		command  string
		external int
		failed   string
	}{
		"mute":    {"sh -c 'sleep 100' {server}", 1, "external peer A is silent"},
		"both":    {"sh -c 'sleep 100' {server}", 2, "external peers A B are silent"},
		"stopped": {foreignCommand("peer", "stop after 700ms"), 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := quick(3, "steady")
			cfg.Options.External, cfg.Options.PeerExec = test.external, test.command
			cfg.Options.Duration = 3 * time.Second
			r, calm := calm(t, func() *result.Result { return execute(t, cfg) })
			defined(t, r)
			s := scenarioOf(t, r, "steady")
			if !strings.Contains(s.Failed, test.failed) || test.failed == "" && s.Failed != "" {
				t.Errorf("failed %q, want %q", s.Failed, test.failed)
			}
			if n := flat(t, r, "steady.false_positives"); test.failed == "" && n == 0 && calm {
				t.Error("no removal of the peer that stopped")
			}
		})
	}
}

// A peer process of ours that somebody kills or stops is said to have died, or
// not to answer; the mesh goes on, and all that it sent is accounted for.
func TestLongPeerProcessDies(t *testing.T) {
	t.Parallel()
	if !machine.Processes {
		return
	}
	for _, test := range []struct {
		name   string
		signal syscall.Signal
		says   string
	}{
		{"killed", syscall.SIGKILL, "the process of peer B died: signal: killed"},
		{"stopped", target.Stop, "the process of peer B did not answer within 10s, and was killed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cfg := quick(3, "steady")
			cfg.Isolation, cfg.Timing.Deadline = "process", 3*time.Second // nobody else is dropped, also where the machine is slow
			r := staged(t, cfg, func(s *Run) {
				s.Peers[1].(*mesh.ProcessPeer).Cmd.Process.Signal(test.signal)
			})
			if s := r.Runs[0].Scenarios[0]; !strings.Contains(s.Failed, test.says) {
				t.Errorf("failed %q", s.Failed)
			}
			for _, name := range []string{"steady.unexplained", "steady.false_positives"} {
				if n := flat(t, r, name); n != 0 {
					t.Errorf("%s is %v", name, n)
				}
			}
		})
	}
}

// The impairment's own log is the truth: what the harness counts at the
// receivers must equal it to the last message.
func TestLongImpairmentIsMeasuredExactly(t *testing.T) {
	t.Parallel()
	cfg := quick(8, "loss")
	cfg.Options.Interval, cfg.Options.Duration = 10*time.Millisecond, time.Second
	cfg.Timing.Deadline = 3 * time.Second // nobody is dropped, also where many keep-alives are lost and the machine is slow
	cfg.Options.Impair = result.Impairment{Loss: 0.1, Delay: 20 * time.Millisecond, Jitter: 15 * time.Millisecond, Duplicate: 0.05, Reorder: 0.1}
	r, calm := calm(t, func() *result.Result { return execute(t, cfg) })
	for _, pair := range [][2]string{
		{"loss.loss", "loss.loss_injected"},
		{"loss.duplicated", "loss.duplicated_injected"},
		{"loss.reordered", "loss.reordered_injected"},
	} {
		got, want := flat(t, r, pair[0]), flat(t, r, pair[1])
		if want == 0 || calm && got != want { // who is dropped in a standstill takes nothing
			t.Errorf("%s is %v, the impairment's log says %v (and must not be 0)", pair[0], got, want)
		}
	}
	for _, part := range []string{"min", "p50", "p90", "p99", "max", "mean"} { // a slow machine only adds
		got, held := flat(t, r, "loss.latency."+part), flat(t, r, "loss.delay_injected."+part)
		if got < held || held < 0.0199 {
			t.Errorf("latency.%s is %v s, the impairment's log says that messages were held for %v s, which must be 20 ms or more", part, got, held)
		}
	}
	if got, held := flat(t, r, "loss.latency.n"), flat(t, r, "loss.delay_injected.n"); got != held && calm {
		t.Errorf("%v latencies of %v messages that the impairment let go", got, held)
	}
	if n := flat(t, r, "loss.unexplained"); n != 0 {
		t.Errorf("%v datagrams unexplained", n)
	}
}

// One peer, and two, must not upset any scenario.
func TestLongSmallMeshes(t *testing.T) {
	t.Parallel()
	for _, peers := range []int{1, 2} {
		cfg := quick(peers)
		for _, name := range Known {
			if Find(name).CannotRun(&cfg) == "" {
				cfg.Scenarios = append(cfg.Scenarios, name)
			}
		}
		cfg.Timing.Deadline, cfg.Options.Duration = 300*time.Millisecond, 200*time.Millisecond
		for _, s := range execute(t, cfg).Runs[0].Scenarios {
			if s.Accounts.Unexplained != 0 {
				t.Errorf("%d peers, %s: accounts do not balance: %+v", peers, s.Name, *s.Accounts)
			}
		}
	}
}

func TestLongScenarios(t *testing.T) {
	overUDP(t, slices.DeleteFunc(slices.Clone(Known), func(name string) bool { return name == "steady" })...)
}

// defined demands a definition of every metric in a result.
func defined(t *testing.T, r *result.Result) {
	t.Helper()
	for _, s := range r.Runs[0].Scenarios {
		for name, m := range s.Metrics {
			if d, field, ok := Definitions.Define(name); !ok || field != "" || d.Unit != m.Unit {
				t.Errorf("%s in %s has no definition, or one in %q", name, m.Unit, d.Unit)
			}
		}
	}
}
