package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"p2plocal/cmd/internal/cli"
	"p2plocal/fuzz/campaign"
	"p2plocal/fuzz/target"
)

var nextPort atomic.Uint32

// host is an address of this process alone: the same tests may run beside it, and
// their targets must not get the ports of these while they restart.
var host = target.OwnHost()

// free is an address that nobody is on. The kernel gives its ports to none who
// ask for any: while the target restarts, nobody may get it.
func free(t *testing.T) string {
	t.Helper()
	const first, ports = 10000, 10000
	nextPort.CompareAndSwap(0, rand.Uint32N(ports))
	for range ports {
		addr := netip.AddrPortFrom(host, uint16(first+nextPort.Add(1)%ports))
		u, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(addr))
		if err != nil {
			continue
		}
		u.Close()
		return addr.String()
	}
	t.Fatal("no port is free")
	return ""
}

// attack runs the command against a target with one fault.
func attack(t *testing.T, fault string, args ...string) (campaign.Result, string, error) {
	t.Helper()
	addr, dir := free(t), t.TempDir()
	r, err := result(t, append([]string{"-target", addr, "-exec", strings.Join([]string{os.Args[0], asServer, addr, fault}, " "), "-findings", dir}, args...)...)
	return r, dir, err
}

// fault is one of broken_test.go, and what it is found by.
type fault struct {
	name, mode string
	kind       campaign.Kind
	attack     func(t *testing.T, fault string, args ...string) (campaign.Result, string, error)
}

// A few for each role, over real sockets; fuzz/campaign has all that datagrams show, in virtual
// time, and long_test.go what only memory does.
func TestFaultsAreFound(t *testing.T) {
	t.Parallel()
	for _, f := range []fault{
		{"die-on-byte", "catalogue", campaign.Died, attack},
		{"poison", "catalogue", campaign.Poisoned, attack},
		{"die-on-duplicate", "catalogue", campaign.Died, attackPeer},
		{"spill", "catalogue", campaign.Spilled, attackPeer},
	} {
		t.Run(f.name, f.foundAndNarrowed)
	}
}

func (f fault) found(t *testing.T) {
	t.Parallel()
	r, _, _ := f.attack(t, f.name, "-mode", f.mode, "-findings-max", "1", "-narrow", "1s")
	if len(r.Findings) == 0 || r.Findings[0].Kind != f.kind {
		t.Errorf("findings %+v, want %v", r.Findings, f.kind)
	}
}

// foundAndNarrowed wants the fault found by one datagram, and again by its file.
func (f fault) foundAndNarrowed(t *testing.T) {
	t.Parallel()
	r, dir, err := f.attack(t, f.name, "-mode", f.mode, "-findings-max", "1", "-narrow", "1h")
	if !errors.Is(err, cli.Failed) || len(r.Findings) != 1 {
		t.Fatalf("%v, %d findings, want one", err, len(r.Findings))
	}
	if got := r.Findings[0]; got.Kind != f.kind || got.Count != 1 {
		t.Errorf("%s by %d datagrams, want %s by one", got.Kind, got.Count, f.kind)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if len(files) != 1 {
		t.Fatalf("files %q, want one", files)
	}
	r, _, err = f.attack(t, f.name, "-mode", "replay", "-ports", fmt.Sprint(r.Ports), files[0])
	if !errors.Is(err, cli.Failed) || len(r.Findings) == 0 || r.Findings[0].Kind != f.kind {
		t.Errorf("replayed: %v, %+v, want the same finding", err, r.Findings)
	}
}

// attackPeer runs the command against a peer with one fault.
func attackPeer(t *testing.T, fault string, args ...string) (campaign.Result, string, error) {
	t.Helper()
	dir := t.TempDir()
	r, err := result(t, append([]string{"-as", "peer", "-target", host.String() + ":3000", "-peer-exec", os.Args[0] + " " + asPeer + " {name} {port} {server} " + fault, "-findings", dir}, args...)...)
	return r, dir, err
}

// result runs the command and reads what it prints.
func result(t *testing.T, args ...string) (r campaign.Result, err error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	for {
		err = run(t.Context(), append(args, "-json", "-"), &stdout, &stderr)
		if err == nil || !strings.Contains(err.Error(), "are busy") { // a replay's: somebody else's for a while
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if e := json.Unmarshal(stdout.Bytes(), &r); e != nil {
		t.Fatalf("%v: %v: %s%s", e, err, stdout.Bytes(), stderr.Bytes())
	}
	t.Logf("%s%+v", stderr.Bytes(), r.Findings)
	return r, err
}

// survives wants no finding in a sound target.
func survives(t *testing.T, attack func(*testing.T, string, ...string) (campaign.Result, string, error), args ...string) {
	t.Helper()
	r, _, err := attack(t, "none", args...)
	if err != nil && !errors.Is(err, campaign.ErrUnjudged) || len(r.Findings) > 0 {
		t.Errorf("%v, findings %+v, want none", err, r.Findings)
	}
}

func TestSoundPeerSurvives(t *testing.T) {
	t.Parallel()
	survives(t, attackPeer, "-mode", "mutate,generate,random", "-count", "500")
}

func TestSoundServerSurvives(t *testing.T) {
	t.Parallel()
	survives(t, attack, "-probe-timeout", "5s", "-mode", "mutate,generate,random", "-count", "5000")
}

func TestBadArguments(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"-target", "localhost"}, {"-target", "10.0.0.1:3000"}, {"-mode", "x"}, {"-mode", "replay"}, {"file"},
		{"-rate", "-1"}, {"-rate", "NaN"}, {"-duration", "-1s"}, {"-probe-timeout", "0s"},
		{"-findings", os.DevNull},
	} {
		var out bytes.Buffer
		if err := run(context.Background(), args, &out, &out); err == nil || !strings.Contains(err.Error(), strings.Trim(args[len(args)-1], "-")[:1]) {
			t.Errorf("%q: %v, want an error that names the value", args, err)
		}
	}
}
