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
		l, err := net.Listen("tcp", addr.String())
		if err != nil {
			continue
		}
		l.Close()
		return addr.String()
	}
	t.Fatal("no port is free")
	return ""
}

// attack runs the command against a target with one fault.
func attack(t *testing.T, fault string, args ...string) (campaign.Result, string, error) {
	t.Helper()
	addr, dir := free(t), t.TempDir()
	r, err := result(t, append([]string{"-target", addr, "-metrics", "http://" + addr, "-exec", strings.Join([]string{os.Args[0], asServer, addr, fault}, " "), "-findings", dir}, args...)...)
	return r, dir, err
}

func TestSingleDatagramFaultsAreFoundAndNarrowed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault string
		kind  campaign.Kind
	}{
		{"hang-on-empty", campaign.Hung},
		{"die-on-byte", campaign.Died},
		{"die-on-header", campaign.Died},
		{"die-on-port-0", campaign.Died},
		{"poison", campaign.Poisoned},
		{"amplify", campaign.Amplified},
		{"stray", campaign.Strayed},
		{"ghost", campaign.Miscount}, // its counters show it before its directory does
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			r, dir, err := attack(t, c.fault, "-mode", "catalogue", "-findings-max", "1", "-narrow", "1h")
			if !errors.Is(err, cli.Failed) || len(r.Findings) != 1 {
				t.Fatalf("%v, %d findings, want one", err, len(r.Findings))
			}
			f := r.Findings[0]
			if f.Kind != c.kind || f.Count != 1 {
				t.Errorf("%s by %d datagrams, want %s by one", f.Kind, f.Count, c.kind)
			}
			files, _ := filepath.Glob(filepath.Join(dir, "*.jsonl"))
			if len(files) != 1 {
				t.Fatalf("files %q, want one", files)
			}
			file := files[0]
			r, _, err = attack(t, c.fault, "-mode", "replay", "-ports", fmt.Sprint(r.Ports), file)
			if !errors.Is(err, cli.Failed) || len(r.Findings) == 0 || r.Findings[0].Kind != c.kind {
				t.Errorf("replayed: %v, %+v, want the same finding", err, r.Findings)
			}
		})
	}
}

func TestLastingFaultsAreFound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault, mode string
		kind        campaign.Kind
	}{
		{"leak", "generate", campaign.Leaked},
		{"removes-live", "random", campaign.Removed},
		{"miscount", "catalogue", campaign.Miscount},
		{"misclass", "mutate", campaign.Miscount},
		{"goroutines", "generate", campaign.Leaked},
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			r, _, _ := attack(t, c.fault, "-mode", c.mode, "-findings-max", "1", "-narrow", "1s")
			if len(r.Findings) == 0 || r.Findings[0].Kind != c.kind {
				t.Errorf("findings %+v, want %v", r.Findings, c.kind)
			}
		})
	}
}

// Without its counters, a ghost is seen only by the time that it stays: a birth alone
// must not be called one, and the file must still bring it about.
func TestGhostIsFoundAndFoundAgain(t *testing.T) {
	t.Parallel()
	var r campaign.Result
	var dir string
	var err error
	for range 5 { // a target that is kept from running reaps whom it should not know to be silent
		if r, dir, err = attack(t, "ghost", "-metrics", "", "-mode", "catalogue", "-findings-max", "1", "-narrow", "5s"); err != nil {
			break
		}
	}
	if !errors.Is(err, cli.Failed) || len(r.Findings) != 1 || r.Findings[0].Kind != campaign.Ghost || r.Findings[0].Count < 3 {
		t.Fatalf("%v, findings %+v, want a ghost by three datagrams or more", err, r.Findings)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if len(files) != 1 {
		t.Fatalf("files %q, want one", files)
	}
	for fault, want := range map[string]int{"ghost": 1, "none": 0} {
		again, _, err := attack(t, fault, "-metrics", "", "-mode", "replay", "-narrow", "1ms", "-ports", fmt.Sprint(r.Ports), files[0])
		if len(again.Findings) != want || want > 0 && again.Findings[0].Kind != campaign.Ghost {
			t.Errorf("replayed to %s: %v, %+v, want %d findings", fault, err, again.Findings, want)
		}
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
		err = run(t.Context(), append(args, "-json"), &stdout, &stderr)
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

func TestPeerFaultsAreFoundAndNarrowed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault string
		kind  campaign.Kind
	}{
		{"hang-on-empty", campaign.Hung},
		{"die-on-duplicate", campaign.Died},
		{"spill", campaign.Spilled},
		{"believe", campaign.Strayed},
		{"mute", campaign.Hung},
		{"deaf", campaign.Deaf},
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			r, dir, err := attackPeer(t, c.fault, "-mode", "catalogue", "-findings-max", "1", "-narrow", "1h")
			if !errors.Is(err, cli.Failed) || len(r.Findings) != 1 {
				t.Fatalf("%v, %d findings, want one", err, len(r.Findings))
			}
			if f := r.Findings[0]; f.Kind != c.kind || f.Count != 1 {
				t.Errorf("%s by %d datagrams, want %s by one", f.Kind, f.Count, c.kind)
			}
			files, _ := filepath.Glob(filepath.Join(dir, "*.jsonl"))
			if len(files) != 1 {
				t.Fatalf("files %q, want one", files)
			}
			r, _, err = attackPeer(t, c.fault, "-mode", "replay", "-ports", fmt.Sprint(r.Ports), files[0])
			if !errors.Is(err, cli.Failed) || len(r.Findings) == 0 || r.Findings[0].Kind != c.kind {
				t.Errorf("replayed: %v, %+v, want the same finding", err, r.Findings)
			}
		})
	}
}

func TestSoundPeerSurvives(t *testing.T) {
	t.Parallel()
	r, _, err := attackPeer(t, "none", "-mode", "catalogue,mutate,generate,random", "-count", "8000")
	if err != nil || len(r.Findings) > 0 {
		t.Errorf("%v, findings %+v, want none", err, r.Findings)
	}
}

func TestSoundServerSurvives(t *testing.T) {
	t.Parallel()
	r, _, err := attack(t, "none", "-probe-timeout", "5s", "-mode", "catalogue,mutate,generate,random", "-count", "20000")
	if err != nil || len(r.Findings) > 0 {
		t.Errorf("%v, findings %+v, want none", err, r.Findings)
	}
}

func TestBadArguments(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"-target", "localhost"}, {"-target", "10.0.0.1:3000"}, {"-mode", "x"}, {"-mode", "replay"}, {"file"},
		{"-rate", "-1"}, {"-rate", "NaN"}, {"-duration", "-1s"}, {"-probe-timeout", "0s"}, {"-amplification", "-1"},
		{"-findings", os.DevNull},
	} {
		var out bytes.Buffer
		if err := run(context.Background(), args, &out, &out); err == nil || !strings.Contains(err.Error(), strings.Trim(args[len(args)-1], "-")[:1]) {
			t.Errorf("%q: %v, want an error that names the value", args, err)
		}
	}
}
