package scenario

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"p2plocal/bench/machine"
	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
	"p2plocal/core/udp"
	"p2plocal/fuzz/target"
)

// foreignEnv makes the test program a server or a peer of somebody else's:
// its value says which, and what becomes of it when.
const foreignEnv = "P2PLOCAL_TEST_FOREIGN"

// forget has a foreign server lose all its members at once.
var forget atomic.Bool

// foreignCommand is the command line of one. What becomes of it is "", "exit
// 9 after 300ms" or "stop after 300ms" (from its start), or the same with "when FILE": once
// that is there, which it removes; "forget" loses all members.
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
			if fate[1] == "forget" {
				forget.Store(true)
				return
			}
			if fate[1] == "stop" {
				if self, err := os.FindProcess(os.Getpid()); err == nil {
					self.Signal(target.Stop)
				}
				return
			}
			fmt.Fprintln(os.Stderr, "terminate called after throwing an instance")
			code, _ := strconv.Atoi(fate[2])
			os.Exit(code)
		}()
	}
	switch fate[0] {
	case "standstill":
		return standStill()
	case "peer":
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
		if forget.Swap(false) {
			clear(members)
		}
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

// A server that runs is never taken for dead, whoever else comes and goes: the
// kernel's table of sockets may leave one out that is there.
func TestRunningServerIsAlive(t *testing.T) {
	t.Parallel()
	if !machine.Processes {
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
	for i := range 200 {
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

// Neither server is always the first, and both of a pair have the same seed.
func TestPairsAlternate(t *testing.T) {
	t.Parallel()
	if !machine.Processes {
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
	var sides []*result.Result
	meshes := []result.Config{cfg, cfg}
	meshes[0].Options.ServerExec, meshes[1].Options.ServerExec = server("a"), server("b")
	_, calm := calm(t, func() *result.Result {
		os.Remove(started)
		var err error
		if sides, err = ExecuteInTurns(t.Context(), meshes, machine.Version(nil), new(Status)); err != nil {
			t.Fatal(err)
		}
		return &result.Result{Runs: slices.Concat(sides[0].Runs, sides[1].Runs)}
	})
	if order, _ := os.ReadFile(started); strings.Join(strings.Fields(string(order)), "") != "abbaab" {
		t.Errorf("the servers were started in the order %q, want a b b a a b", order)
	}
	for i, r := range sides {
		if len(r.Runs) != 3 || r.Failure() != "" && (calm || !strings.Contains(r.Failure(), "stood still")) {
			t.Fatalf("%d runs, failure %q", len(r.Runs), r.Failure())
		}
		for k, run := range r.Runs {
			if want := sides[1-i].Runs[k].Seed; run.Seed != want || run.Seed != cfg.Seed+uint64(k) {
				t.Errorf("pair %d has the seeds %d and %d, want %d", k+1, run.Seed, want, cfg.Seed+uint64(k))
			}
		}
	}
}

// A server that loses its whole mesh tells nobody. A member that asks at the end finds
// out, and before it the newcomers beside a flood do.
func TestForeignServerLosesItsMesh(t *testing.T) {
	t.Parallel()
	if !machine.Processes {
		return
	}
	for _, name := range []string{"steady", "garbage"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := filepath.Join(t.TempDir(), "now")
			r, calm := calm(t, func() *result.Result { return loseTheMesh(t, name, now) })
			// The newcomers miss all four; the member that asks is a member again. Who falls out
			// during a standstill is not counted.
			if n, want := flat(t, r, name+".false_positives"), map[string]float64{"steady": 3, "garbage": 4}[name]; n > want || calm && (n < want || r.Failure() != "") {
				t.Errorf("%v false positives, want %v; failure %q", n, want, r.Failure())
			}
		})
	}
}

// loseTheMesh measures beside a server that forgets everybody in the midst of it, by a file.
func loseTheMesh(t *testing.T, name, now string) *result.Result {
	os.Remove(now)
	cfg := quick(4, name)
	cfg.Options.ServerExec = foreignCommand("server", "forget when "+now)
	cfg.Options.Duration, cfg.Timing.Heartbeat = 4*time.Second, 250*time.Millisecond
	cfg.Options.Garbage.Kind, cfg.Options.Garbage.Rate = "keepalive", 10
	var status Status
	ended := make(chan struct{})
	go func() {
		for {
			if p := status.Now(); p != nil {
				if _, delivered := p.Messages(); delivered > 0 {
					break
				}
			}
			select {
			case <-ended:
				return
			case <-time.After(time.Millisecond):
			}
		}
		time.Sleep(cfg.Timing.Deadline * 5 / 4) // who is removed before that may just have been born
		os.WriteFile(now, nil, 0o600)
	}()
	r, err := Execute(t.Context(), cfg, machine.Version(nil), &status)
	close(ended)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What a wrapper does before it becomes the server is no part of how long the mesh takes
// to be whole again, and its memory none of the server's.
func TestServerThatStartsLate(t *testing.T) {
	t.Parallel()
	if !machine.Processes {
		return
	}
	const late = time.Second
	cfg := quick(3, "restart")
	cfg.Options.ServerExec = fmt.Sprintf(`sh -c "sleep %v; exec %s"`, late.Seconds(), foreignCommand("server", ""))
	cfg.Timing.Heartbeat, cfg.Timing.Deadline = 250*time.Millisecond, foreignDeadline
	r := execute(t, cfg)
	startup, whole := flat(t, r, "restart.server_startup"), flat(t, r, "restart.refresh.whole")
	if startup < late.Seconds() {
		t.Errorf("started within %v s", startup)
	}
	if sum := scenarioOf(t, r, "restart").Seconds; startup+whole > sum-late.Seconds() {
		t.Errorf("whole after %v s beside %v s of starting, of %v s in all with two starts before", whole, startup, sum)
	}
}

// A peer that cannot be told of its server's port finds it at the standard one, or it is
// said at once.
func TestPeerThatKnowsOnePort(t *testing.T) {
	t.Parallel()
	cfg := quick(3, "join")
	cfg.Options.External, cfg.Options.PeerExec = 1, "peer {name} {port}"
	for _, test := range []struct{ server, exec, want string }{
		{"", "", ""}, {"127.0.0.1:3000", "", ""}, {"", "server", ""},
		{"127.0.0.1:3001", "", "want {server}"}, {"", "server {port}", "want {server}"},
	} {
		cfg.Options.Server, cfg.Options.ServerExec = test.server, test.exec
		if err := Validate(&cfg); (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v", test, err)
		}
	}
}
