package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"p2plocal/cmd/internal/cli"
	"p2plocal/core"
	"p2plocal/core/udp"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	const how = " (p2p -h says how)\n"
	for _, test := range []struct {
		args []string
		line string
	}{
		{[]string{"A"}, `got ["A"], want nothing for the server, or a peer's NAME PORT, such as A 3001; a server's address is that of -listen and of a peer's -server`},
		{[]string{"A", "1", "2"}, `got ["A" "1" "2"], want nothing for the server, or a peer's NAME PORT, such as A 3001; a server's address is that of -listen and of a peer's -server`},
		{[]string{"", "3001"}, `name "", want one printable ASCII character`},
		{[]string{"AB", "3001"}, `name "AB", want one printable ASCII character`},
		{[]string{"\x1b", "3001"}, `name "\x1b", want one printable ASCII character`},
		{[]string{"é", "3001"}, `name "é", want one printable ASCII character`},
		{[]string{"\xff", "3001"}, `name "\xff", want one printable ASCII character`},
		{[]string{"A", "x"}, `port "x", want 1 to 65535`},
		{[]string{"A", "0"}, `port "0", want 1 to 65535`},
		{[]string{"A", "--", "-1"}, `port "-1", want 1 to 65535`},
		{[]string{"A", "65536"}, `port "65536", want 1 to 65535`},
		{[]string{"A", "3000"}, `port 3000 of peer A is the server's own`},
		{[]string{"A", "3009", "-server", "127.0.0.1:3009"}, `port 3009 of peer A is the server's own`},
		{[]string{"-nosuch"}, `flag provided but not defined: -nosuch`},
		{[]string{"-\x1b[31m"}, `flag provided but not defined: -\x1b[31m`},
		{[]string{"-heartbeat", "x"}, `invalid value "x" for flag -heartbeat: want a duration such as 500ms or 2s`},
		{[]string{"A", "3001", "-heartbeat", "0"}, `heartbeat interval is 0, want more`},
		{[]string{"A", "3001", "-broadcast", "-1s"}, `invalid value "-1s" for flag -broadcast: want 0 to 10000h`},
		{[]string{"-rcvbuf", "-1"}, `receive buffer of -1 bytes, want 0 to 1073741824`},
		{[]string{"-listen", "[::1]:3000"}, `invalid value "[::1]:3000" for flag -listen: want an IPv4 address, or a host's name, and a port, such as 127.0.0.1:3000`},
		{[]string{"A", "3001", "-server", "0.0.0.0:3000"}, `flag -server is 0.0.0.0:3000, want one address, such as 127.0.0.1:3000`},
		{[]string{"A", "3001", "-server", "127.0.0.1:0"}, `server address 127.0.0.1:0, want an IPv4 address and a port`},
		{[]string{"A", "3001", "-listen", "127.0.0.1:3005"}, `flag -listen is for the server: a peer has no use for it`},
		{[]string{"A", "3001", "-source-check"}, `flag -source-check is for the server: a peer has no use for it`},
		{[]string{"-server", "127.0.0.1:3005"}, `flag -server is for a peer: want its NAME PORT too, or not the flag`},
		{[]string{"-broadcast", "1s"}, `flag -broadcast is for a peer: want its NAME PORT too, or not the flag`},
		{[]string{"A", "3001", "-reap", "1s"}, `flag -reap is for the server: a peer has no use for it`},
		{[]string{"A", "3001", "-server", "localhost:x"}, `invalid value "localhost:x" for flag -server: want an IPv4 address, or a host's name, and a port, such as 127.0.0.1:3000`},
		{[]string{"-metrics", "x"}, `flag -metrics is "x", want an address with a port, such as 127.0.0.1:6060`},
		{[]string{"-metrics", ":6060"}, `flag -metrics is ":6060", which others can reach: want a loopback address such as 127.0.0.1:6060`},
		{[]string{"-metrics", "0.0.0.0:6060"}, `flag -metrics is "0.0.0.0:6060", which others can reach: want a loopback address such as 127.0.0.1:6060`},
	} {
		code, stdout, stderr := once(test.args...)
		if want := "p2p: " + test.line + how; code != cli.ExitUsage || stderr != want || stdout != "" {
			t.Errorf("p2p %q: exit code %d, stdout %q, stderr\n%swant 2, nothing, and\n%s", test.args, code, stdout, stderr, want)
		}
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := once("-h")
	if code != 0 || stderr != "" || !strings.HasPrefix(stdout, usage) {
		t.Errorf("p2p -h: exit code %d, stderr %q, stdout\n%s", code, stderr, stdout)
	}
	for _, e := range everyEvent {
		if !strings.Contains(stdout, e.event.kind) {
			t.Errorf("p2p -h does not document the event %q", e.event.kind)
		}
	}
	for line := range strings.Lines(usage) {
		if len(line) > 81 {
			t.Errorf("line of %d characters in the help: %s", len(line)-1, line)
		}
	}
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	s, err := udp.Listen(netip.MustParseAddrPort("127.0.0.1:0"), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, args := range [][]string{
		{"-listen", s.Addr().String()},
		{"A", fmt.Sprint(s.Addr().Port())},
	} {
		code, stdout, stderr := once(args...)
		if want := "p2p: cannot listen on " + s.Addr().String() + ": address already in use\n"; code != cli.ExitFailure || stderr != want || stdout != "" {
			t.Errorf("p2p %q: exit code %d, stdout %q, stderr %q, want %q", args, code, stdout, stderr, want)
		}
	}
}

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestOutputFails(t *testing.T) {
	t.Parallel()
	err := run(t.Context(), []string{"-listen", "127.0.0.1:0"}, strings.NewReader(""), full{}, io.Discard)
	if err == nil || err.Error() != "no space left on device" {
		t.Errorf("with a full disk, run gives the error %v", err)
	}
}

func TestBufferGranted(t *testing.T) {
	t.Parallel()
	const asked = maxReadBuffer
	server := within(t, "-json", "-", "-listen", "127.0.0.1:0", "-rcvbuf", fmt.Sprint(asked))
	var e struct {
		Granted int `json:"buffer_granted"`
	}
	if err := json.Unmarshal([]byte(server.out.expect(t, `.*"event":"started".*`)[0]), &e); err != nil {
		t.Fatal(err)
	}
	server.signal(os.Interrupt)
	server.wait()
	want := ""
	if e.Granted != 0 && e.Granted < asked {
		want = fmt.Sprintf("p2p: the kernel grants a receive buffer of %d bytes, not %d: a burst may overflow it (net.core.rmem_max is the limit)", e.Granted, asked)
	}
	if got := server.err.String(); got != want {
		t.Errorf("granted %d of %d bytes, stderr is\n%s\nwant\n%s", e.Granted, asked, got, want)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	server := within(t, serverWith("-listen", "127.0.0.1:0", "-metrics", "127.0.0.1:0")...)
	url := server.err.expect(t, `p2p: metrics at (http://127\.0\.0\.1:\d+)/debug/vars, profiles at /debug/pprof/`)[1]
	addr := server.out.expect(t, `server listens on (.*)`)[1]
	peer := within(t, peerWith("A", freePort(t), "-server", addr)...)
	peer.out.expect(t, `peerA received directory .*`)

	var vars struct {
		P2P struct {
			Counters      core.Counters
			KernelDrops   *uint64 `json:"kernel_drops"`
			BufferGranted *int    `json:"buffer_granted"`
			Goroutines    int
		}
		Memstats struct{ HeapAlloc uint64 }
		Cmdline  []string
	}
	if err := json.Unmarshal(get(t, url+"/debug/vars"), &vars); err != nil {
		t.Fatal(err)
	}
	births := vars.P2P.Counters.In.Birth // one, or more where the answer takes its time
	if vars.P2P.Counters.Events[core.Born] == 0 || births.Datagrams == 0 || births.Bytes != 6*births.Datagrams || vars.P2P.Goroutines < 3 ||
		vars.P2P.BufferGranted == nil || vars.Memstats.HeapAlloc == 0 || len(vars.Cmdline) == 0 {
		t.Errorf("/debug/vars gives %+v", vars)
	}
	if body := get(t, url+"/debug/pprof/goroutine?debug=1"); !strings.Contains(string(body), "udp.(*Socket).Serve") {
		t.Errorf("the goroutine profile does not know Serve:\n%s", body)
	}

	code, _, stderr := once("-listen", "127.0.0.1:0", "-metrics", strings.TrimPrefix(url, "http://"))
	if want := "p2p: -metrics: cannot listen on " + strings.TrimPrefix(url, "http://") + ": address already in use\n"; code != cli.ExitFailure || stderr != want {
		t.Errorf("with -metrics on a port in use: exit code %d, stderr %q", code, stderr)
	}
}

func get(t *testing.T, url string) []byte {
	t.Helper()
	// no connection may outlive the test
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	r, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v", url, r.Status, err)
	}
	return body
}

// TestCommands plays a session at a peer's standard input.
func TestCommands(t *testing.T) {
	t.Parallel()
	server := within(t, serverWith("-listen", "127.0.0.1:0")...)
	addr := server.out.expect(t, `server listens on (.*)`)[1]
	server.say(t, "peers")
	server.out.expect(t, `server has an empty directory`)
	portB := freePort(t)
	a := within(t, peerWith("A", freePort(t), "-server", addr, "-broadcast", "0")...)
	a.out.expect(t, `peerA received directory of 1 peer: A .*`)
	a.say(t, "send hello")
	a.out.expect(t, `peerA has nobody to send to: no other peer is in its directory`)
	b := within(t, peerWith("B", portB, "-server", addr, "-broadcast", "0", "-json", "-")...)
	a.out.expect(t, `peerA received directory of 2 peers: A B \(added B\)`)
	b.out.expect(t, `.*"event":"directory",.*`)

	a.say(t, "peers")
	a.out.expect(t, `peerA is connected and knows 1 other peer: B on port `+portB)
	a.say(t, "send hello,  world ")
	a.out.expect(t, `peerA sent "hello,  world" to 1 peer`)
	b.out.expect(t, `.*"event":"message","name":"A","port":\d+,"text":"hello,  world"}`)
	a.say(t, `send B "\x1b[2J\xff"`)
	a.out.expect(t, `peerA sent "\\x1b\[2J\\xff" to peerB`)
	b.out.expect(t, `.*"event":"message","name":"A","port":\d+,"text":"\\u001b\[2J\\ufffd","hex":"1b5b324aff"}`)
	a.say(t, "send X hello")
	a.out.expect(t, `peerA cannot do that: no peer "X" in the directory`)
	a.say(t, `send "\x00"`)
	a.out.expect(t, `peerA cannot do that: text "\\x00" has a zero byte in it`)
	a.say(t, "send "+strings.Repeat("x", core.MaxPayload+1))
	a.out.expect(t, `peerA cannot do that: text of 65503 bytes, want at most 65502`)
	a.say(t, strings.Repeat("x", lineMost+1))
	a.out.expect(t, `peerA cannot do that: a line of more than \d+ bytes is ignored`)
	a.say(t, "dance\x1b")
	a.out.expect(t, `peerA cannot do that: unknown command "dance\\x1b", "help" lists them`)
	b.say(t, "dance")
	b.out.expect(t, `.*"event":"error","error":"unknown command \\"dance\\", \\"help\\" lists them"}`)
	a.say(t, "help")
	a.out.expect(t, `peerA takes these commands:`)
	a.out.expect(t, `  quit .*`)
	server.say(t, "peers")
	server.out.expect(t, `server has a directory of 2 peers: A on port \d+, B on port `+portB)
	server.say(t, "send hello")
	server.out.expect(t, `server cannot do that: send is for a peer, a server takes peers, stats, quit and help`)
	server.say(t, "broadcast off")
	server.out.expect(t, `server cannot do that: broadcast is for a peer, .*`)
	server.say(t, "help")
	server.out.expect(t, `server takes these commands:`)
	server.say(t, "stats")
	server.out.expect(t, `server has run for .*s`)
	a.say(t, "stats")
	a.out.expect(t, `peerA has run for .*s`)
	a.out.expect(t, `  directories [2-9]; messages received 0; broadcasts 0, skipped 0`)

	b.say(t, "broadcast on")
	b.out.expect(t, `.*"event":"broadcasting","interval_ms":4000}`)
	a.say(t, "broadcast on")
	a.out.expect(t, `peerA broadcasts every 4s`)
	a.say(t, "broadcast off")
	a.out.expect(t, `peerA does not broadcast`)

	b.say(t, "disconnect")
	b.out.expect(t, `.*"event":"disconnected"}`)
	a.out.expect(t, `peerA received directory of 1 peer: A \(removed B\)`)
	b.say(t, "send hello")
	b.out.expect(t, `.*"event":"error","error":"peer B is disconnected"}`)
	b.say(t, "connect")
	b.out.expect(t, `.*"event":"connected"}`)
	a.out.expect(t, `peerA received directory of 2 peers: A B \(added B\)`)

	if err := a.stdin.Close(); err != nil { // its end is not the peer's
		t.Fatal(err)
	}
	b.say(t, "send still there?")
	a.out.expect(t, `peerA received vanilla message: "still there\?"`)
	b.say(t, "quit")
	b.out.expect(t, `.*"event":"ended","seconds":.*"messages":2.*`)
	if code := b.wait(); code != 0 {
		t.Errorf("after quit the exit code is %d", code)
	}
	server.say(t, "quit")
	if code := server.wait(); code != 0 {
		t.Errorf("after quit the server's exit code is %d", code)
	}
}

func TestQuiet(t *testing.T) {
	t.Parallel()
	addr := "127.0.0.1:" + freePort(t)
	server := within(t, "-quiet", "-listen", addr)
	a := within(t, peerWith("A", freePort(t), "-server", addr)...)
	a.out.expect(t, `peerA received directory of 1 peer: A .*`)
	server.signal(os.Interrupt)
	server.wait()
	if s := server.out.String(); !strings.HasPrefix(s, "server ended after ") || strings.Count(s, "\n") != 4 {
		t.Errorf("a quiet server has printed\n%s", s)
	}
}

// -json writes a file beside the text on stdout.
func TestJSONFile(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "events")
	var out bytes.Buffer
	if err := run(t.Context(), []string{"A", freePort(t), "-server", "localhost:1", "-json", name}, strings.NewReader("peers\nbad\nquit\n"), &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for line := range bytes.Lines(b) {
		var e struct{ Event string }
		if err := json.Unmarshal(line, &e); err != nil {
			t.Error(err)
		}
		kinds = append(kinds, e.Event)
	}
	if got := strings.Join(kinds, " "); got != "started peers error ended" {
		t.Errorf("the file has the events %s", got)
	}
	if !strings.HasPrefix(out.String(), "peerA listens on ") || !strings.Contains(out.String(), "peerA ended after ") {
		t.Errorf("stdout has\n%s", out.String())
	}
}
