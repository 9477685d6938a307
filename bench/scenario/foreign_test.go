package scenario

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
	"p2plocal/core/udp"
	"p2plocal/fuzz/target"
)

// foreignEnv makes the test program a server or a peer of somebody else's:
// its value says which, and what becomes of it when.
const foreignEnv = "P2PLOCAL_TEST_FOREIGN"

// foreignCommand is the command line of one. What becomes of it is "", "exit
// 9 after 300ms" or "stop after 300ms" (from its start), or the same with "when FILE": once
// that is there, which it removes.
func foreignCommand(kind, fate string) string {
	args := " {port}"
	if kind == "peer" {
		args = " {name} {port} {server}"
	}
	return "env " + foreignEnv + "='" + kind + " " + fate + "' " + os.Args[0] + args
}

func foreign(args []string) int {
	fate := strings.Fields(os.Getenv(foreignEnv))
	if n := len(fate); n > 2 {
		go func() {
			if fate[n-2] == "when" {
				for os.Remove(fate[n-1]) != nil {
					time.Sleep(time.Millisecond)
				}
			} else {
				after, _ := time.ParseDuration(fate[n-1])
				time.Sleep(after)
			}
			if fate[1] == "stop" {
				if self, err := os.FindProcess(os.Getpid()); err == nil {
					self.Signal(mesh.SigStop)
				}
				return
			}
			fmt.Fprintln(os.Stderr, "terminate called after throwing an instance")
			code, _ := strconv.Atoi(fate[2])
			os.Exit(code)
		}()
	}
	if fate[0] == "peer" {
		return foreignPeer(args)
	}
	return foreignServer(args)
}

// foreignDeadline is how long a peer may be silent: longer than a busy machine
// keeps one waiting.
const foreignDeadline = 3 * time.Second

// foreignServer behaves like the original's: it sleeps 10 ms a datagram, dies of
// malformed ones, and announces the directory again on a conflict.
func foreignServer(args []string) int {
	port, _ := strconv.Atoi(args[0])
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	type entry struct {
		port uint16
		seen time.Time
	}
	members := make(map[byte]*entry)
	announce := func() {
		d := binary.LittleEndian.AppendUint16(nil, 0xC1)
		d = binary.LittleEndian.AppendUint16(d, uint16(len(members)))
		for name, e := range members {
			d = binary.LittleEndian.AppendUint16(d, uint16(name))
			d = binary.LittleEndian.AppendUint16(d, e.port)
		}
		for _, e := range members {
			conn.WriteToUDP(d, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(e.port)})
		}
	}
	buf := make([]byte, 65536)
	for reap := time.Now().Add(100 * time.Millisecond); ; {
		conn.SetReadDeadline(reap)
		n, err := conn.Read(buf)
		if err == nil {
			time.Sleep(10 * time.Millisecond)
			if n < 4 {
				return 134
			}
			name := buf[2]
			switch buf[0] {
			case 0xC0:
				if n != 6 {
					return 134
				}
				if members[name] == nil {
					members[name] = &entry{port: binary.LittleEndian.Uint16(buf[4:])}
				}
				members[name].seen = time.Now()
				announce()
			case 0xC3:
				if e := members[name]; e != nil {
					e.seen = time.Now()
				}
			}
		}
		if now := time.Now(); now.After(reap) {
			reap = now.Add(100 * time.Millisecond)
			before := len(members)
			for name, e := range members {
				if now.Sub(e.seen) > foreignDeadline {
					delete(members, name)
				}
			}
			if len(members) != before {
				announce()
			}
		}
	}
}

// foreignPeer is born, keeps itself alive and says nothing else. It is born
// again now and then, lest it stay dropped where the machine keeps it from being
// heard.
func foreignPeer(args []string) int {
	port, _ := strconv.Atoi(args[1])
	server, err := net.ResolveUDPAddr("udp4", args[2])
	if err != nil {
		return 1
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		return 1
	}
	for n := 0; ; n++ {
		if n%10 == 0 {
			conn.WriteToUDP([]byte{0xC0, 0, args[0][0], 0, byte(port), byte(port >> 8)}, server)
		}
		time.Sleep(100 * time.Millisecond)
		conn.WriteToUDP([]byte{0xC3, 0, args[0][0], 0}, server)
	}
}

// scenarioOf is one scenario of the first run.
func scenarioOf(t *testing.T, r *result.Result, name string) result.Scenario {
	t.Helper()
	for _, s := range r.Runs[0].Scenarios {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no scenario %s in the result", name)
	return result.Scenario{}
}

// defined demands a definition of every metric in a result.
func defined(t *testing.T, r *result.Result) {
	t.Helper()
	for _, s := range r.Runs[0].Scenarios {
		for name, m := range s.Metrics {
			if d, field, ok := Metrics.Define(name); !ok || field != "" || d.Unit != m.Unit {
				t.Errorf("%s in %s has no definition, or one in %q", name, m.Unit, d.Unit)
			}
		}
	}
}

// A server as slow and as easily hurt as the original is measured like any
// other; it falls over garbage, which is a result and no failure of the harness.
func TestSlowServer(t *testing.T) {
	t.Parallel()
	if !mesh.Processes {
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

// A server that dies or falls silent half-way is survived, and said.
func TestServerFails(t *testing.T) {
	t.Parallel()
	if !mesh.Processes {
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
		{"stops", "stop when ", "fell silent: a birth repeated at the end was not answered within 10s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cfg := quick(3, "steady", "join")
			file := filepath.Join(t.TempDir(), "now")
			cfg.Options.ServerExec, cfg.Options.Duration = foreignCommand("server", test.fate+file), 2*time.Second
			var status Status
			strike(t, &status, file)
			r, err := Execute(t.Context(), cfg, mesh.Version(nil), &status)
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
			probe, err := udp.Listen(netip.AddrPortFrom(mesh.Loopback, 0), 0)
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
			r, err := Execute(t.Context(), cfg, mesh.Version(nil), &status)
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

// A server that runs is never taken for dead, whoever else comes and goes: the
// kernel's table of sockets may leave one out that is there.
func TestRunningServerIsAlive(t *testing.T) {
	t.Parallel()
	if !mesh.Processes {
		return
	}
	server, err := udp.Listen(netip.MustParseAddrPort("127.0.0.77:0"), 0) // where nobody else gets a port
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	var others sync.WaitGroup
	for range 4 {
		others.Go(func() {
			for {
				var open [32]*net.UDPConn
				for i := range open {
					open[i], _ = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 77)})
				}
				for _, u := range open {
					if u != nil {
						u.Close()
					}
				}
				select {
				case <-over:
					return
				default:
				}
			}
		})
	}
	for i := range 1000 {
		if how := mesh.RemoteServer(server.Addr()).Died(); how != "" {
			t.Errorf("at look %d: %s", i, how)
			break
		}
	}
	close(over)
	others.Wait()
	server.Close()
	if mesh.RemoteServer(server.Addr()).Died() == "" {
		t.Error("alive after its end")
	}
}

// What others' datagrams lost in a full buffer is theirs; what nothing explains stays.
func TestForeignLosses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ kernel, sent, unexplained, wantSent, wantUnexplained int }{
		{50, 100, -39, 139, 0},
		{39, 100, -39, 139, 0},
		{38, 100, -39, 100, -39},
		{50, 100, 39, 100, 39},
		{0, 100, 0, 100, 0},
	} {
		a := result.Accounts{Kernel: uint64(test.kernel), Sent: uint64(test.sent), Unexplained: int64(test.unexplained)}.WithForeign()
		if a.Sent != uint64(test.wantSent) || a.Unexplained != int64(test.wantUnexplained) || a.Kernel != uint64(test.kernel) {
			t.Errorf("%+v: %+v", test, a)
		}
	}
}

// A server that ends at once, one that is not there, and one that says nothing.
func TestNoServer(t *testing.T) {
	t.Parallel()
	if !mesh.Processes {
		return
	}
	cfg := quick(3, "join")
	cfg.Options.ServerExec = "false {port}"
	_, err := Execute(t.Context(), cfg, mesh.Version(nil), new(Status))
	if err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("error %v, want one that says that the server ended with status 1", err)
	}

	mute, err := udp.Listen(netip.AddrPortFrom(mesh.Loopback, 0), 0)
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
	r, err := Execute(ctx, cfg, mesh.Version(nil), &status)
	if err != nil || !r.Interrupted || r.Runs[0].Scenarios[0].Metrics["join.converge"].Value != nil {
		t.Errorf("error %v, result %+v, want no convergence with a mute server", err, r)
	}
	r, err = Execute(t.Context(), cfg, mesh.Version(nil), new(Status))
	if err == nil || !strings.Contains(err.Error(), "never answered") || r.Runs[0].Scenarios[0].Metrics["join.converge"].Value != nil {
		t.Errorf("error %v, want that the server never answered", err)
	}
	mute.Close()
	if _, err = Execute(t.Context(), cfg, mesh.Version(nil), new(Status)); err == nil || !strings.Contains(err.Error(), "nothing listens at") {
		t.Errorf("error %v, want that nothing listens there", err)
	}
}

// External peers that die are said to, and are dead from then on: the others
// drop them, which is no false cull.
func TestExternalPeerDies(t *testing.T) {
	t.Parallel()
	if !mesh.Processes {
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
	if n := flat(t, r, "steady.false_culls"); n != 0 {
		t.Errorf("%v false culls", n)
	}
	if n := flat(t, r, "steady.lost"); n != 0 {
		t.Errorf("%v messages lost among the others", n)
	}
}

// An external peer that never says a word is said to be silent; one that falls
// silent later is dropped, and who is to blame cannot be seen.
func TestExternalPeerSilent(t *testing.T) {
	t.Parallel()
	if !mesh.Processes {
		return
	}
	for name, test := range map[string]struct{ command, failed string }{
		"mute":    {"sleep 100", "external peer A is silent"},
		"stopped": {foreignCommand("peer", "stop after 700ms"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := quick(3, "steady")
			cfg.Options.External, cfg.Options.PeerExec = 1, test.command
			cfg.Options.Duration = 3 * time.Second
			r := execute(t, cfg)
			defined(t, r)
			s := scenarioOf(t, r, "steady")
			if !strings.Contains(s.Failed, test.failed) || test.failed == "" && s.Failed != "" {
				t.Errorf("failed %q, want %q", s.Failed, test.failed)
			}
			if n := flat(t, r, "steady.false_culls"); test.failed == "" && n == 0 {
				t.Error("no cull of the peer that stopped")
			}
		})
	}
}

// A peer process of ours that somebody kills or stops is said to have died, or
// not to answer; the mesh goes on, and all that it sent is accounted for.
func TestPeerProcessDies(t *testing.T) {
	t.Parallel()
	if !mesh.Processes {
		return
	}
	for _, test := range []struct {
		name   string
		signal syscall.Signal
		says   string
	}{
		{"killed", syscall.SIGKILL, "the process of peer B died: signal: killed"},
		{"stopped", mesh.SigStop, "the process of peer B did not answer within 10s, and was killed"},
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
			for _, name := range []string{"steady.unexplained", "steady.false_culls"} {
				if n := flat(t, r, name); n != 0 {
					t.Errorf("%s is %v", name, n)
				}
			}
		})
	}
}

// Neither server is always the first, and both of a pair have the same seed.
func TestPairsAlternate(t *testing.T) {
	t.Parallel()
	if !mesh.Processes {
		return
	}
	dir := t.TempDir()
	started := filepath.Join(dir, "started")
	server := func(name string) string {
		script := filepath.Join(dir, name)
		text := "#!/bin/sh\necho " + name + " >> " + started + "\nexec " + strings.TrimSuffix(foreignCommand("server", ""), " {port}") + " \"$1\"\n"
		if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		return script + " {port}"
	}
	cfg := quick(3, "join")
	cfg.Repeat = 3
	p, err := ExecutePairs(t.Context(), cfg, [2]string{server("a"), server("b")}, mesh.Version(nil), new(Status))
	if err != nil {
		t.Fatal(err)
	}
	if order, _ := os.ReadFile(started); strings.Join(strings.Fields(string(order)), "") != "abbaab" {
		t.Errorf("the servers were started in the order %q, want a b b a a b", order)
	}
	if p.Pairs != 3 || len(p.Results[0].Runs) != 3 || len(p.Results[1].Runs) != 3 || p.Failure() != "" {
		t.Errorf("%d pairs, %d and %d runs, failure %q", p.Pairs, len(p.Results[0].Runs), len(p.Results[1].Runs), p.Failure())
	}
}

// With external peers, every scenario measures what ours can see, the
// impairment's log too, and a server that is down takes no harm.
func TestExternalPeers(t *testing.T) {
	t.Parallel()
	if !mesh.Processes {
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
