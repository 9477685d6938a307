package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"p2plocal/cmd/internal/cli"
	"p2plocal/core"
	"p2plocal/core/udp"
	"p2plocal/fuzz/conform"
	"p2plocal/reports"
)

var p2p string // the demo, built once

// loopbackDown names the demo to the process of TestLoopbackDown.
const loopbackDown = "P2PLOCAL_LOOPBACK_DOWN"

func TestMain(m *testing.M) {
	if p2p = os.Getenv(loopbackDown); p2p != "" {
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "meshcheck")
	if err == nil {
		p2p = filepath.Join(dir, "p2p")
		var out []byte
		if out, err = exec.Command("go", "run", "-exec", "cp", "p2plocal/cmd/p2p", p2p).CombinedOutput(); err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	flag.Parse()
	flag.Set("test.parallel", "12") // cases mostly wait
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func ourServer() string { return p2p + " -quiet -listen {addr}" }
func ourPeer() string   { return p2p + " -server {server} {name} {port}" }

// once runs the command and gives its exit code.
func once(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return within(t.Context(), args...)
}

func within(ctx context.Context, args ...string) (int, string, string) {
	var stdout, stderr bytes.Buffer
	code := cli.Exit(&stderr, "meshcheck", run(ctx, args, &stdout, &stderr))
	return code, stdout.String(), stderr.String()
}

// results reads what -json has written.
func results(t *testing.T, file string) (c reports.Conformance) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestUsage(t *testing.T) {
	t.Parallel()
	const how = " (meshcheck -h says how)\n"
	for _, test := range []struct {
		args []string
		line string
	}{
		{nil, `want server, peer, driver or matrix`},
		{[]string{"frob"}, `"frob", want server, peer, driver or matrix`},
		{[]string{"server"}, `server wants an address, as in meshcheck server 127.0.0.1:3000, or -exec COMMAND`},
		{[]string{"server", "nowhere"}, `"nowhere": want an IPv4 address, or a host's name, and a port, such as 127.0.0.1:3000`},
		{[]string{"server", "10.0.0.1:3000"}, `address 10.0.0.1:3000, want an IPv4 one on this host, such as 127.0.0.1:3000: peers live on their server's host`},
		{[]string{"server", "127.0.0.1:3000", "127.0.0.1:3001"}, `unexpected argument "127.0.0.1:3001"`},
		{[]string{"server", "-exec", "x", "-server-port", "3000"}, `-server-port is for peers`},
		{[]string{"peer"}, `peer wants -exec 'COMMAND {name} {port}'`},
		{[]string{"peer", "-exec", "x"}, `command "x", want {name} and {port} in it`},
		{[]string{"peer", "-exec", "x {name} {port}", "-server-port", "65536"}, `-server-port 65536, want 0 to 65535`},
		{[]string{"peer", "-exec", "x {name} {port}", "-shared"}, `peers cannot share a process`},
		{[]string{"matrix"}, `matrix wants at least one -target NAME=COMMAND`},
		{[]string{"matrix", "-target", "x"}, `-target "x", want NAME=COMMAND or NAME=ADDRESS for matrix`},
		{[]string{"matrix", "-target", "a=x", "-target", "a=y"}, `-target "a=y", want another name: "a" is there twice`},
		{[]string{"server", "-target", "a=x"}, `server takes -exec, and a server one address: NAME=COMMAND and NAME=ADDRESS are for matrix`},
		{[]string{"server", "-exec", "x", "-run", "("}, "-run \"(\" is no regular expression: error parsing regexp: missing closing ): `(`"},
		{[]string{"server", "-exec", "x", "-run", "nosuch"}, `no case is selected by -run "nosuch" -skip "" -level ""; -list lists them`},
		{[]string{"server", "-exec", "x", "-level", "HIGH"}, `-level "HIGH", want MUST, SHOULD or INFO, or several with commas between`},
		{[]string{"server", "-exec", "x", "-parallel", "0"}, `-parallel 0, want 1 or more`},
		{[]string{"server", "-exec", "x", "-junit", "-"}, `only -json takes - for standard output`},
		{[]string{"server", "-exec", "x", "-json", "/no/such/dir/file"}, `cannot write "/no/such/dir/file": there is no directory "/no/such/dir"`},
		{[]string{"server", "-exec", "x", "-key", "f"}, `flag -key is for the wide dialect: want -wide too, or not the flag`},
		{[]string{"driver", "-exec", "x", "-wide"}, `-wide is not for driver, which says itself what it speaks`},
		{[]string{"peer", "-wide", "-exec", "x {name} {port}"}, `command "x {name} {port}", want {server} in it: wide peers have a server each`},
		{[]string{"127.0.0.1:3000"}, `"127.0.0.1:3000", want server before it: meshcheck server 127.0.0.1:3000`},
		{[]string{"server", "-target", "10.0.0.1:3000"}, `address 10.0.0.1:3000, want an IPv4 one on this host, such as 127.0.0.1:3000: peers live on their server's host`},
	} {
		code, stdout, stderr := once(t, test.args...)
		if want := "meshcheck: " + test.line + how; code != cli.ExitUsage || stderr != want || stdout != "" {
			t.Errorf("meshcheck %q: exit code %d, stdout %q, stderr\n%swant 2, nothing, and\n%s", test.args, code, stdout, stderr, want)
		}
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := once(t, "-h")
	if code != 0 || stderr != "" || !strings.HasPrefix(stdout, usage) {
		t.Errorf("exit code %d, stderr %q, stdout\n%s", code, stderr, stdout)
	}
	for line := range strings.Lines(usage) {
		if len(line) > 81 {
			t.Errorf("line of %d characters in the help: %s", len(line)-1, line)
		}
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]int{"server": 152, "peer": 168, "server -level MUST": 42, "peer -level must,info -skip broadcast": 32, "server -run ^server/birth/3$": 1} {
		code, stdout, stderr := once(t, append(strings.Fields(args), "-list")...)
		if n := strings.Count(stdout, "\n"); code != 0 || stderr != "" || n != want {
			t.Errorf("%s: exit code %d, %s, %d cases, want %d", args, code, stderr, n, want)
		}
	}
}

// Our own server and peer pass a sample of the cases, and every report is written.
// long_test.go wants all, however they are run.
func TestOurs(t *testing.T) {
	t.Parallel()
	ours(t, map[string][]string{
		"server": {"server", "-exec", ourServer(), "-run", "server/(birth|repeat|conflict)/|any/(empty|header)"},
		"peer":   {"peer", "-exec", ourPeer(), "-run", "peer/(birth|keep-alive)/|directory/(cut|dup)"},
	})
}

func ours(t *testing.T, runs map[string][]string) {
	for name, args := range runs {
		t.Run(name, func(t *testing.T) { t.Parallel(); sound(t, args...) })
	}
}

func sound(t *testing.T, args ...string) {
	dir := t.TempDir()
	file := func(ending string) string { return filepath.Join(dir, "r."+ending) }
	code, stdout, stderr := once(t, append(args, "-quiet", "-json", file("json"), "-junit", file("xml"), "-report", file("html"))...)
	if code != 0 && !allVoid(t, code, file("json")) || code == 0 && stderr != "" || !strings.Contains(stdout, " cases pass") {
		t.Errorf("exit code %d, stderr %s, stdout\n%s", code, stderr, stdout)
	}
	r := results(t, file("json")).Targets[0]
	if n := r.Count(conform.Pass) + r.Count(conform.Seen) + r.Count(conform.Void); n != len(r.Results) || n < 10 {
		t.Errorf("%d of %d cases pass, inform or are void", n, len(r.Results))
	}
	t.Logf("%v, the machine up to %v late", r.Took, r.Late)
	b, err := os.ReadFile(file("xml"))
	if err == nil {
		err = xml.Unmarshal(b, new(struct{ XMLName xml.Name }))
	}
	page, err2 := os.ReadFile(file("html"))
	if err != nil || err2 != nil || !bytes.Contains(page, []byte("</html>")) {
		t.Errorf("%v, %v", err, err2)
	}
}

// allVoid says that a run has the exit code 1, as it must have when cases are
// void because this machine was late, and that it was.
func allVoid(t *testing.T, code int, file string) bool {
	t.Helper()
	if code != cli.ExitFailure {
		return false
	}
	n := 0
	for _, r := range results(t, file).Targets {
		for _, x := range r.Results {
			if x.Outcome == conform.Void && x.Late > 200*time.Millisecond {
				t.Logf("%s: %s", x.ID, x.Detail)
				n++
			}
		}
		n -= r.Count(conform.Void)
		if !r.Sound() {
			n--
		}
	}
	return n == 0
}

// serve runs core's server at an address of this process.
func serve(t *testing.T) string {
	t.Helper()
	s, err := udp.Listen(netip.MustParseAddrPort("127.0.0.1:0"), udp.ReadBuffer)
	if err != nil {
		t.Fatal(err)
	}
	d, err := core.NewDirectory(core.DirectoryConfig{Addr: s.Addr(), Timing: core.DefaultTiming()}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- s.Serve(context.Background(), d) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s.Addr().String()
}

func TestRunningServer(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "r.json")
	code, stdout, stderr := once(t, "server", serve(t), "-quiet", "-level", "MUST", "-run", "birth|repeat", "-json", file)
	if code != 0 && !allVoid(t, code, file) || code == 0 && stderr != "" {
		t.Errorf("exit code %d, stderr %s, stdout\n%s", code, stderr, stdout)
	}
}

// The exit code tells the worst: what failed, then who is gone or what is void.
func TestExitCode(t *testing.T) {
	t.Parallel()
	target := func(gone string, all ...conform.Outcome) (r conform.Report) {
		for _, o := range all {
			r.Results = append(r.Results, conform.Result{ID: "server/birth/1", Outcome: o})
		}
		r.Gone = gone
		return r
	}
	sound, void := target("", conform.Pass, conform.Seen), target("", conform.Pass, conform.Void)
	failed, gone := target("", conform.Void, conform.Fail), target("no answer", conform.NotRun)
	for _, test := range []struct {
		targets []conform.Report
		want    int
	}{
		{[]conform.Report{sound}, 0},
		{[]conform.Report{void, sound}, 1},
		{[]conform.Report{void, failed}, 3},
		{[]conform.Report{failed, void}, 3},
		{[]conform.Report{gone, failed, void}, 3},
		{[]conform.Report{gone, sound}, 1},
	} {
		err := exitCode(t.Context(), &reports.Conformance{Targets: test.targets}, io.Discard)
		if code := cli.Exit(io.Discard, "meshcheck", err); code != test.want {
			t.Errorf("exit code %d, want %d", code, test.want)
		}
	}
}

func TestMatrix(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "r.json")
	code, stdout, stderr := once(t, "matrix", "-quiet", "-target", "started="+ourServer(), "-target", "running="+serve(t), "-target", "peer="+ourPeer(), "-run", "birth/[12]$|silence/2$", "-json", file)
	late := allVoid(t, code, file)
	if code != 0 && !late || !late && stderr != "" {
		t.Errorf("exit code %d, stderr %s", code, stderr)
	}
	for _, line := range []string{"server/birth/1 MUST pass pass -", "peer/silence/2 MUST - - pass"} {
		if !late && !strings.Contains(strings.Join(strings.Fields(stdout), " "), line) {
			t.Errorf("no row %q in\n%s", line, stdout)
		}
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	u, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	echo := u.LocalAddr().(*net.UDPAddr).AddrPort() // it answers, but with no directory
	t.Cleanup(func() { u.Close() })
	go func() {
		for b := make([]byte, 100); ; {
			n, from, err := u.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			u.WriteToUDPAddrPort(b[:n], from)
		}
	}()
	for _, test := range []struct {
		want string
		args []string
	}{
		{"no answer from 127.0.0.1:1 to births", []string{"server", "127.0.0.1:1"}},
		{"no answer from " + echo.String() + " to births", []string{"server", echo.String()}},
		{"ended at once: exit status 1", []string{"server", "-exec", "false {port}"}},
		{"cannot start", []string{"server", "-exec", "no-such-command {port}"}},
		{"cannot start", []string{"peer", "-exec", "no-such-command {name} {port} {server}"}},
		{"exit status 1", []string{"peer", "-exec", "false {name} {port} {server}"}},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "r.json")
			code, _, stderr := once(t, append(test.args, "-quiet", "-run", "birth/1$", "-json", file)...)
			if code != 1 || !strings.Contains(stderr, test.want) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("exit code %d, stderr %q, want 1 and one line with %q", code, stderr, test.want)
			}
			if r := results(t, file).Targets[0]; r.Count(conform.NotRun) != 1 || !strings.Contains(r.Gone, test.want) {
				t.Errorf("the report has %+v", r)
			}
		})
	}
}

func TestPortTaken(t *testing.T) {
	t.Parallel()
	s, err := udp.Listen(netip.MustParseAddrPort("127.0.0.1:0"), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	code, _, stderr := once(t, "peer", "-quiet", "-exec", ourPeer(), "-server-port", fmt.Sprint(s.Addr().Port()))
	if code != 1 || !strings.Contains(stderr, "cannot listen on "+s.Addr().String()) || strings.Count(stderr, "\n") != 1 {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "r.json")
	// peer/birth/1 takes 1.5 s, or more on a busy machine, and broadcast/5 cannot be over before 44 s.
	for _, halfWay := range []time.Duration{6 * time.Second, 30 * time.Second} {
		ctx, cancel := context.WithTimeout(t.Context(), halfWay)
		code, stdout, _ := within(ctx, "peer", "-exec", ourPeer(), "-run", "broadcast/5|birth/1$", "-json", file)
		cancel()
		r := results(t, file).Targets[0]
		if code != 130 || !r.Interrupted || !strings.Contains(stdout, "interrupted") {
			t.Errorf("exit code %d, %+v", code, r)
		}
		if r.Count(conform.Pass) == 1 && r.Count(conform.NotRun) == 1 {
			return
		}
		t.Logf("after %v: %+v", halfWay, r)
	}
	t.Error("the case that was over is not among the results")
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Logf("no /dev/full: %v", err)
		return
	}
	code, stdout, stderr := once(t, "server", "-exec", ourServer(), "-run", "birth/1$", "-json", "/dev/full")
	if code != 1 || !strings.Contains(stderr, `cannot write "/dev/full"`) || !strings.Contains(stdout, " of 1 case passed") {
		t.Errorf("exit code %d, stderr %q, stdout %s", code, stderr, stdout)
	}
}
